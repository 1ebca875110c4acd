"""Turn column names into names that TensorFlow, Python and ONNX accept."""

import dataclasses
import difflib
import keyword
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from pipelines.examples import AddressError
from pipelines.tables.table import Table, listed

MAX_LISTED_COLUMNS = 24  # in one note
# Column names become arguments of a signature, and must differ from the outputs of ONNX.
DEFAULT_TARGET = "target"
RESERVED_NAMES = {"self", "value", "probabilities"}


def clean_name(name: str) -> str:
    """Return a valid name: ASCII letters, digits and underscores, and no Python keyword."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    clean = re.sub(r"\W+", "_", letters).strip("_")
    clean = clean if clean[:1].isalpha() else f"c_{clean}".rstrip("_")  # cleaning is idempotent
    return f"{clean}_" if keyword.iskeyword(clean) or clean in RESERVED_NAMES else clean


def clean_names(table: Table) -> dict[str, str]:
    """Return the clean name of each column; TensorFlow needs names that differ beyond case."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(table.columns):  # independent of the order in the file
        clean, number = clean_name(name), 2
        while clean.lower() in taken:
            clean, number = f"{clean_name(name)}_{number}", number + 1
        names[name] = clean
        taken.add(clean.lower())
    return names


def renaming_notes(names: Mapping[str, str]) -> Iterator[str]:
    """Yield a note on columns whose names were changed."""
    renamed = [f"{name} is called {clean}" for name, clean in names.items() if name != clean]
    if renamed:
        more = (
            f"; and {len(renamed) - MAX_LISTED_COLUMNS} more"
            if len(renamed) > MAX_LISTED_COLUMNS
            else ""
        )
        yield "column " + "; ".join(renamed[:MAX_LISTED_COLUMNS]) + more


def rename_columns(table: Table, names: Mapping[str, str]) -> Table:
    """Rename the columns of a table by `names`; other columns get clean names, if still free.

    `names` are those of the training table: cleaned in another table, two names without ASCII
    letters could be swapped.
    """
    renamed = {name: names[name] for name in table.columns if name in names}
    taken = set(renamed.values())
    for name in table.columns:
        clean = name if name in names.values() else clean_name(name)
        if name not in renamed and clean not in taken:
            renamed[name] = clean
            taken.add(clean)
    columns = {renamed[name]: column for name, column in table.columns.items() if name in renamed}
    labels = {
        renamed[name]: class_names for name, class_names in table.labels.items() if name in renamed
    }
    return dataclasses.replace(table, columns=columns, labels=labels)


def require_columns(table: Table, flags: Iterable[tuple[str, str]]) -> None:
    """Raise AddressError if a column is missing; `flags` are pairs of a flag and a column name."""
    names = clean_names(table)
    table = rename_columns(table, names)
    for flag, name in flags:
        find_column(names.get(name, name), table, flag)


def find_column(name: str, table: Table, flag: str) -> str:
    """Return the name of a column in a table. Raises AddressError if it does not exist."""
    for candidate in (name, clean_name(name)):
        if candidate in table.columns:
            return candidate
    if (flag, name) == ("--target", DEFAULT_TARGET):
        raise AddressError(
            f"Received no --target, and no column {name!r}; expected one of the columns "
            f"{listed(table.columns)}. Name it with --target COLUMN."
        )
    matches = difflib.get_close_matches(clean_name(name), table.columns, 1)
    hint = f" Did you mean {matches[0]!r}?" if matches else ""
    raise AddressError(
        f"Received {flag} {name!r}; expected one of the columns {listed(table.columns)}.{hint}"
    )
