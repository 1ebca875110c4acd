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
RESERVED_NAMES = {"self", "value", "probabilities"}


def clean_name(name: str) -> str:
    """Return a valid name: ASCII letters, digits and underscores, and no Python keyword."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    found = re.sub(r"\W+", "_", letters).strip("_")
    found = found if found[:1].isalpha() else f"c_{found}".rstrip("_")  # cleaning is idempotent
    return f"{found}_" if keyword.iskeyword(found) or found in RESERVED_NAMES else found


def clean_names(table: Table) -> dict[str, str]:
    """Return the clean name of each column; TensorFlow needs names that differ beyond case."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(table.columns):  # independent of the order in the file
        found, number = clean_name(name), 2
        while found.lower() in taken:
            found, number = f"{clean_name(name)}_{number}", number + 1
        names[name] = found
        taken.add(found.lower())
    return names


def renaming_notes(names: Mapping[str, str]) -> Iterator[str]:
    """Yield a note on columns whose names were changed."""
    renamed = [f"{name} is called {found}" for name, found in names.items() if name != found]
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
    """Raise AddressError if a column is missing; `flags` are pairs of a flag and a column name."""
    names = clean_names(table)
    table = rename_columns(table, names)
    for flag, name in flags:
        find_column(names.get(name, name), table, flag)


def find_column(name: str, table: Table, flag: str) -> str:
    """Return the name of a column in a table. Raises AddressError if it does not exist."""
    for found in (name, clean_name(name)):
        if found in table.columns:
            return found
    near = difflib.get_close_matches(clean_name(name), table.columns, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise AddressError(
        f"Received {flag} {name!r}; expected one of the columns {listed(table.columns)}.{hint}"
    )
