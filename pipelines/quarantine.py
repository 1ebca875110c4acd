"""Quarantine lists: examples that training leaves out, as written by check-data.

A list is a CSV file with the columns of `Entry`; file names may hold bytes that are not UTF-8. The
key of an example is the hash of its content, of a table row the hash of the whole row
(`Examples.keys`), so that the list stays valid when fields or the order of rows change. Pictures
are also found by their file, because their hash changes with the size to which they are resized.
A line written by hand needs only one of the two.
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
from pipelines.files import atomic_write, printable
from pipelines.splits import Fold, Splits, split_fold
from pipelines.tables.table import listed


class Entry(NamedTuple):
    """A line of the list.

    Attributes:
        key: the hash of the content or of the row, 16 hexadecimal digits; empty for a file that
            cannot be read.
        where: the file of a picture, the line of a file, or the record.
        split: the split when the list was written; training looks in all splits.
        check: the check that reported it.
        reason: the reason in words.

    """

    key: str
    where: str = ""
    split: str = ""
    check: str = ""
    reason: str = ""


class AppliedQuarantine(NamedTuple):
    """What a quarantine list removed from splits, for the manifest.

    Attributes:
        digest: digest of the list.
        entries: number of its lines.
        train: number of examples removed from training.
        valid: number of examples removed from validation.
        test: number of test examples on the list; they stay.
        unknown: number of lines that name no example, or one that reading leaves out anyway.

    """

    digest: str
    entries: int
    train: int
    valid: int
    test: int
    unknown: int


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write a list atomically."""
    with atomic_write(path) as temporary:  # noqa: SIM117
        with temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = csv.writer(file)
            table.writerow(Entry._fields)
            table.writerows(entries)


def read(path: Path) -> list[Entry]:
    """Read the lines of a list. Raises DataError if the file is not one."""
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
            f"Received --quarantine {str(path)!r}, which is not a CSV file ({error}); expected the "
            "list of check-data --write-quarantine FILE."
        ) from error
    return [entry for entry in entries if entry.key or entry.where]


def training_splits(splits: Splits, fold: Fold | None, path: Path | None) -> Splits:
    """Return the splits for training: of a fold and without the examples of a list, if given."""
    splits = split_fold(splits, fold) if fold else splits
    return remove_listed(splits, path) if path else splits


def remove_listed(splits: Splits, path: Path) -> Splits:
    """Remove the examples of a list from train and validation; test stays as it is.

    An empty list removes nothing. Raises DataError if a list names no example, or if a split
    becomes empty.
    """
    entries = read(path)
    parts = {name: getattr(splits, name) for name in ("train", "valid", "test")}
    named = {name: _find_named(part, entries) for name, part in parts.items()}
    found = set[int]().union(*(lines for part in named.values() for lines in part.values()))
    # Unreadable files are not examples; check-data lists them for the user.
    unread = [entry for entry in entries if not entry.key and entry.check]
    if entries and not found and len(unread) < len(entries):
        raise DataError(
            f"Received --quarantine {str(path)!r}, none of whose {len(entries)} lines names an "
            "example of these data; expected a list of the same data and fields. Write it by "
            "check-data --write-quarantine FILE."
        )
    remaining = {
        name: part.select(np.setdiff1d(np.arange(len(part)), [*named[name]]))
        for name, part in parts.items()
        if name != "test"
    }
    for name, part in remaining.items():
        if not len(part):
            raise DataError(
                f"Received --quarantine {str(path)!r}, which leaves the {name} split empty; "
                "expected something to be left. Shorten it."
            )
    counts = {name: len(positions) for name, positions in named.items()}
    applied = AppliedQuarantine(
        digest(path), len(entries), **counts, unknown=len(entries) - len(found)
    )
    notes = (*splits.notes, _note(applied))
    return dataclasses.replace(splits, **remaining, notes=notes, quarantine=applied._asdict())


def digest(path: Path) -> str:
    """Return the digest of a list's bytes. Raises AddressError if it cannot be read."""
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def copy_list(path: Path | None, target: Path) -> None:
    """Copy a list atomically to `target`; without a list remove `target`."""
    if path is None:
        target.unlink(missing_ok=True)
        return
    with atomic_write(target) as temporary:
        shutil.copyfile(path, temporary)


def _unreadable(path: Path, error: OSError) -> AddressError:
    return AddressError(
        f"Received --quarantine {str(path)!r}, which cannot be read ({error.strerror}); "
        "expected the list of check-data --write-quarantine FILE."
    )


def _note(applied: AppliedQuarantine) -> str:
    left = f"{applied.train} of train and {applied.valid} of validation left out"
    stay = f"; {applied.test} of test are listed but stay" * bool(applied.test)
    unknown = f"; {applied.unknown} of {applied.entries} lines name no example" * bool(
        applied.unknown
    )
    return f"quarantine: {left}{stay}{unknown}"


def _find_named(part: Examples, entries: Sequence[Entry]) -> dict[int, list[int]]:
    """Return the position of each named example with the numbers of the lines that name it."""
    keys, files = defaultdict(list), defaultdict(list)
    for number, entry in enumerate(entries):
        if entry.key:
            keys[_hash(entry.key)].append(number)
        if entry.where:
            files[printable(entry.where)].append(number)
    hashes = part.keys()
    listed_keys = np.array([*keys], "uint64")
    lines_of = {
        int(position): keys[int(hashes[position])]
        for position in np.flatnonzero(np.isin(hashes, listed_keys))
    }
    if part.files is not None:
        for position, row in enumerate(part.rows):
            if lines := files.get(part.files[row]):
                lines_of[position] = [*lines_of.get(position, ()), *lines]
    return lines_of


def key_of(key: np.uint64) -> str:
    """Format a hash of `Examples.keys` for a list."""
    return f"{int(key):016x}"


def _hash(key: str) -> int:
    try:
        return int(key, 16) & (2**64 - 1)
    except ValueError as error:
        raise DataError(
            f"Received the key {key!r} in --quarantine; expected 16 hexadecimal digits, or no key "
            "and a file. Correct that line."
        ) from error
