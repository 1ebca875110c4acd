"""A list of examples that training leaves out: written by check-data, mended by people, honoured.

A CSV file with the columns of `Entry`; names of files may hold bytes that are not UTF-8. An
example is known by the hash of its content, or a row by that of its whole row
(`Examples.keys`), so that the list outlives other fields and a file that is sorted anew.
Pictures are also known by their file, where no example has the hash, for the hash changes with
the size to which they are fitted. A line written by hand needs one of the two.
"""

import csv
import dataclasses
import hashlib
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipelines.examples import AddressError, DataError, Examples
from pipelines.files import printable, whole
from pipelines.splits import Fold, Splits, split_fold
from pipelines.tables.table import listed


class Entry(NamedTuple):
    """A line of the list.

    Attributes:
        key: the hash of the content, or of the row, 16 hexadecimal digits; empty for what
            cannot be read.
        where: the file of a picture, the line of a file, or the record.
        split: where it was when the list was written; training looks everywhere.
        check: what found it.
        reason: in words, for people.

    """

    key: str
    where: str = ""
    split: str = ""
    check: str = ""
    reason: str = ""


class Honoured(NamedTuple):
    """What a list did to splits, for the manifest.

    Attributes:
        digest: of the list.
        entries: its lines.
        train: examples that it took out of training.
        valid: examples that it took out of validation.
        test: examples of test that it names; they stay.
        unknown: lines that name nothing here, or what reading leaves out anyway.

    """

    digest: str
    entries: int
    train: int
    valid: int
    test: int
    unknown: int


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write a list, whole."""
    with whole(path) as beside:  # noqa: SIM117
        with beside.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = csv.writer(file)
            table.writerow(Entry._fields)
            table.writerows(entries)


def read(path: Path) -> list[Entry]:
    """The lines of a list. Raises DataError where it is none."""
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            table = csv.DictReader(file)
            names = table.fieldnames or []
            if not {"key", "where"} <= set(names):
                raise DataError(
                    f"Received --quarantine {str(path)!r} with the columns {listed(names)}; "
                    f"expected {', '.join(Entry._fields)}. Write one by check-data "
                    "--write-quarantine FILE."
                )
            entries = [
                Entry(*((row.get(name) or "").strip() for name in Entry._fields)) for row in table
            ]
    except OSError as error:
        raise _unreadable(path, error) from error
    except csv.Error as error:
        raise DataError(
            f"Received --quarantine {str(path)!r}, which is no CSV file ({error}); expected the "
            "list of check-data --write-quarantine FILE."
        ) from error
    return [entry for entry in entries if entry.key or entry.where]


def of_training(splits: Splits, which: Fold | None, path: Path | None) -> Splits:
    """What a training sees of splits: of one fold, without what a list names, where asked for."""
    splits = split_fold(splits, which) if which else splits
    return without(splits, path) if path else splits


def without(splits: Splits, path: Path) -> Splits:
    """The splits without what a list names in train and validation; test stays as it is.

    A list without lines leaves nothing out. Raises DataError where a list names no example, or
    leaves a split empty.
    """
    entries = read(path)
    parts = {name: getattr(splits, name) for name in ("train", "valid", "test")}
    named = {name: _named(part, entries) for name, part in parts.items()}
    found = set().union(*(lines for found in named.values() for lines in found.values()))
    # What reading leaves out is no example; check-data lists it for people.
    unread = [entry for entry in entries if not entry.key and entry.check]
    if entries and not found and len(unread) < len(entries):
        raise DataError(
            f"Received --quarantine {str(path)!r}, none of whose {len(entries)} lines names an "
            "example of these data; expected a list of the same data and fields. Write it by "
            "check-data --write-quarantine FILE."
        )
    kept = {
        name: part.select(np.setdiff1d(np.arange(len(part)), [*named[name]]))
        for name, part in parts.items()
        if name != "test"
    }
    for name, part in kept.items():
        if not len(part):
            raise DataError(
                f"Received --quarantine {str(path)!r}, which leaves the {name} split empty; "
                "expected something to be left. Shorten it."
            )
    counts = {name: len(which) for name, which in named.items()}
    honoured = Honoured(digest(path), len(entries), **counts, unknown=len(entries) - len(found))
    notes = (*splits.notes, _told(honoured))
    return dataclasses.replace(splits, **kept, notes=notes, quarantine=honoured._asdict())


def digest(path: Path) -> str:
    """Of the bytes of a list. Raises AddressError."""
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def keep(path: Path | None, target: Path) -> None:
    """Copy a list, whole; without one none stays there."""
    if path is None:
        target.unlink(missing_ok=True)
        return
    with whole(target) as beside:
        shutil.copyfile(path, beside)


def _unreadable(path: Path, error: OSError) -> AddressError:
    return AddressError(
        f"Received --quarantine {str(path)!r}, which cannot be read ({error.strerror}); "
        "expected the list of check-data --write-quarantine FILE."
    )


def _told(honoured: Honoured) -> str:
    left = f"{honoured.train} of train and {honoured.valid} of validation left out"
    stay = f"; {honoured.test} of test are on it and stay" * bool(honoured.test)
    unknown = f"; {honoured.unknown} of {honoured.entries} lines name none" * bool(honoured.unknown)
    return f"quarantine: {left}{stay}{unknown}"


def _named(part: Examples, entries: Sequence[Entry]) -> dict[int, list[int]]:
    """The examples, by position, that are named, each with the numbers of its lines."""
    keys, files = defaultdict(list), defaultdict(list)
    for number, entry in enumerate(entries):
        if entry.key:
            keys[_hash(entry.key)].append(number)
        if entry.where:
            files[printable(entry.where)].append(number)
    hashes = part.keys()
    wanted = np.array([*keys], "uint64")
    found = {
        int(position): keys[int(hashes[position])]
        for position in np.flatnonzero(np.isin(hashes, wanted))
    }
    if part.files is not None:
        for position, row in enumerate(part.rows):
            if lines := files.get(part.files[row]):
                found[position] = [*found.get(position, ()), *lines]
    return found


def key_of(key: np.uint64) -> str:
    """A hash of `Examples.keys` as a list has it."""
    return f"{int(key):016x}"


def _hash(key: str) -> int:
    try:
        return int(key, 16) & (2**64 - 1)
    except ValueError as error:
        raise DataError(
            f"Received the key {key!r} in --quarantine; expected 16 hexadecimal digits, or none "
            "and a file. Mend that line."
        ) from error
