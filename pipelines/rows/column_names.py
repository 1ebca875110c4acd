"""Names of columns that TensorFlow, Python and ONNX can all bear."""

import dataclasses
import difflib
import keyword
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from pipelines.examples import AddressError
from pipelines.tables.table import Table, listed

MAX_LISTED_COLUMNS = 24  # columns that one note tells of
# A signature's arguments are called as columns are; ONNX keeps its outputs' names to itself.
RESERVED_NAMES = {"self", "value", "probabilities"}


def clean_name(name: str) -> str:
    """A name that TensorFlow takes: letters a to z, digits and underscores, no word of Python."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    found = re.sub(r"\W+", "_", letters).strip("_")
    found = found if found[:1].isalpha() else f"c_{found}".rstrip("_")  # the same, cleaned again
    return f"{found}_" if keyword.iskeyword(found) or found in RESERVED_NAMES else found


def clean_names(table: Table) -> dict[str, str]:
    """By name in the table the clean one; TensorFlow takes two that differ by capitals for one."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(table.columns):  # in whatever order a file has them
        found, number = clean_name(name), 2
        while found.lower() in taken:
            found, number = f"{clean_name(name)}_{number}", number + 1
        names[name] = found
        taken.add(found.lower())
    return names


def renaming_notes(names: Mapping[str, str]) -> Iterator[str]:
    """What to tell of columns that are called otherwise now."""
    told = [f"{name} is called {found}" for name, found in names.items() if name != found]
    if told:
        more = (
            f"; and {len(told) - MAX_LISTED_COLUMNS} more" if len(told) > MAX_LISTED_COLUMNS else ""
        )
        yield "column " + "; ".join(told[:MAX_LISTED_COLUMNS]) + more


def with_names(table: Table, names: Mapping[str, str]) -> Table:
    """The table with its columns called by `names`; others by clean ones, if these are free.

    `names` are those of the training table: numbered by another table's columns, two that
    have no letter from a to z would change places.
    """
    found = {name: names[name] for name in table.columns if name in names}
    taken = set(found.values())
    for name in table.columns:
        other = name if name in names.values() else clean_name(name)
        if name not in found and other not in taken:
            found[name] = other
            taken.add(other)
    columns = {found[name]: column for name, column in table.columns.items() if name in found}
    labels = {found[name]: known for name, known in table.labels.items() if name in found}
    return dataclasses.replace(table, columns=columns, labels=labels)


def require_columns(table: Table, flags: Iterable[tuple[str, str]]) -> None:
    """Raise AddressError where a table lacks a column; `flags` are pairs of a flag and its name."""
    names = clean_names(table)
    table = with_names(table, names)
    for flag, name in flags:
        find_column(names.get(name, name), table, flag)


def find_column(name: str, table: Table, flag: str) -> str:
    """A column's name in a table. Raises DataError where there is none of this name."""
    for found in (name, clean_name(name)):
        if found in table.columns:
            return found
    near = difflib.get_close_matches(clean_name(name), table.columns, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise AddressError(
        f"Received {flag} {name!r}; expected one of the columns {listed(table.columns)}.{hint}"
    )
