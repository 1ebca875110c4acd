"""One `--data` address for every app becomes splits, or tables that a kind makes splits of."""

import difflib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pipelines import csv_files, folders, looking, pixel_arrays, pixel_tables, tfds
from pipelines.examples import AddressError, DataError
from pipelines.files import at_home, looks_like_a_path
from pipelines.photos import Fitting, SmallImages, Squares
from pipelines.splits import Source, Splits, cut
from pipelines.tables import Tables

Held = TypeVar("Held")
FORMS = {
    "embedded": "embedded",
    "tfds": "tfds:NAME",
    "csv": "csv:PATH",
    "folder": "folder:PATH",
    "npz": "npz:PATH",
}


def load(
    address: str,
    *,
    embedded: Callable[[], Source],
    test: str = "",
    data_dir: Path | None = None,
    memory_budget: int | None = None,
    fitting: Squares | SmallImages | None = None,
    arrays: bool = False,
) -> Splits:
    """The splits of images that an address names.

    Args:
        address: `embedded`, `tfds:NAME` for a set of tensorflow-datasets, or,
            where pictures are fitted, `folder:PATH` for class folders. A plain path
            is an address by what is there.
        embedded: makes the app's own data.
        test: the address of a test set of its own: its official test split
            where it has one, else all of it. The official test split of
            `address` is then left alone.
        data_dir: where prepared TFDS sets lie; by default TFDS_DATA_DIR, then
            TFDS's own place.
        memory_budget: bytes; larger sets are kept on the disk (see `store`).
        fitting: how pictures of any size become one size; None takes them as
            they are.
        arrays: whether `npz:PATH` and `csv:PATH` are read, which hold pixels.

    Raises:
        DataError: where an address or its data cannot be used.

    """
    own = _opened(address, _readers(embedded, data_dir, memory_budget, fitting, arrays))
    if test:
        # The pictures of the test set become as large as those of training.
        fit = fitting and fitting.like(own.train.features.shape[1:])
        other = _opened(
            test, _readers(embedded, data_dir, memory_budget, fit and (lambda _: fit), arrays)
        )
        if other.form != own.form:
            raise DataError(
                f"Received the test data {test!r} of form {other.form}; expected the form of "
                f"{address!r}, {own.form}. Give a test set with the same shapes and labels."
            )
        own = own._replace(test=other.test or other.train)
    return cut(own)


def _readers(
    embedded: Callable[[], Source],
    data_dir: Path | None,
    memory_budget: int | None,
    fitting: Fitting | None,
    arrays: bool,
) -> dict[str, Callable[[str], Source]]:
    readers: dict[str, Callable[[str], Source]] = {
        "embedded": lambda _: embedded(),
        "tfds": lambda name: tfds.source(name, data_dir, memory_budget, fitting),
    }
    if fitting is not None:
        readers["folder"] = lambda name: folders.source(name, fitting, memory_budget)
    if arrays:
        readers |= {"npz": pixel_arrays.source, "csv": pixel_tables.source}
    return readers


def tables(
    address: str,
    *,
    embedded: Callable[[], Tables],
    test: str = "",
    data_dir: Path | None = None,
) -> Tables:
    """The tables that an address names: `embedded`, `csv:PATH` (or the path) or `tfds:NAME`.

    `test` is the address of a test set of its own, as in `load`. Raises
    DataError where an address or its data cannot be used.
    """
    readers: dict[str, Callable[[str], Tables]] = {
        "embedded": lambda _: embedded(),
        "tfds": lambda name: tfds.tables(name, data_dir),
        "csv": csv_files.read,
    }
    own = _opened(address, readers)
    if test:
        other = _opened(test, readers)
        held = other.train if other.test is None else other.test
        own = own._replace(test=held, notes=own.notes + other.notes)
    if look := looking.now():
        look.tables = own
    return own


def _opened(address: str, readers: dict[str, Callable[[str], Held]]) -> Held:
    kind, _, name = address.partition(":")
    if kind in readers and (name if kind != "embedded" else address == kind):
        return readers[kind](name)
    if (there := _kind_of(address)) in readers:
        return readers[there](address)
    *others, last = (repr(FORMS[form]) for form in readers)
    raise AddressError(
        f"Received the data address {address!r}{_about(address)}; expected {', '.join(others)} or "
        f"{last}.{_hint(address, [*readers])}"
    )


def _kind_of(path: str) -> str:
    """The kind of address that a plain path is, by what is there; empty where nothing is."""
    place = str(at_home(path))
    if path and os.path.isdir(place):  # noqa: PTH112 - false too where there can be no such path
        return "folder"
    if not path or not os.path.exists(place):  # noqa: PTH110
        return ""
    return "npz" if path.lower().endswith(".npz") else "csv"


def _about(address: str) -> str:
    if there := _kind_of(address):
        return f", a {'folder' if there == 'folder' else 'file'}"
    return ", where there is no file and no folder" * _is_plain_path(address)


def _is_plain_path(address: str) -> bool:
    return looks_like_a_path(address) and ":" not in address


def _hint(address: str, forms: Sequence[str]) -> str:
    """What was meant, perhaps: the right kind for what is there, or an address spelt alike."""
    kind, _, name = address.partition(":")
    if (there := _kind_of(name)) in forms:
        return f" Did you mean '{there}:{name}'?"
    if _kind_of(address) or _is_plain_path(address):
        return ""
    filled = (
        FORMS[form].replace("NAME", name or kind).replace("PATH", name or kind) for form in forms
    )
    near = difflib.get_close_matches(address, [*filled], 1, 0.5)
    return f" Did you mean {near[0]!r}?" if near else ""
