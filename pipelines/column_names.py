"""Names of columns that TensorFlow, Python and ONNX can all bear."""

import dataclasses
import keyword
import re
import unicodedata
from collections.abc import Iterator, Mapping

from pipelines.tables import Table

NUM_NAMED = 24  # columns that one note tells of
# A signature's arguments are called as columns are; ONNX keeps its outputs' names to itself.
TAKEN = {"self", "value", "probabilities"}


def clean(name: str) -> str:
    """A name that TensorFlow takes: letters a to z, digits and underscores, no word of Python."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    found = re.sub(r"\W+", "_", letters).strip("_")
    found = found if found[:1].isalpha() else f"c_{found}"
    return f"{found}_" if keyword.iskeyword(found) or found in TAKEN else found


def clean_names(table: Table) -> dict[str, str]:
    """By name in the table the clean one; TensorFlow takes two that differ by capitals for one."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(table.columns):  # in whatever order a file has them
        found, number = clean(name), 2
        while found.lower() in taken:
            found, number = f"{clean(name)}_{number}", number + 1
        names[name] = found
        taken.add(found.lower())
    return names


def renamed(names: Mapping[str, str]) -> Iterator[str]:
    """What to tell of columns that are called otherwise now."""
    told = [f"{name} is called {found}" for name, found in names.items() if name != found]
    if told:
        more = f"; and {len(told) - NUM_NAMED} more" if len(told) > NUM_NAMED else ""
        yield "column " + "; ".join(told[:NUM_NAMED]) + more


def cleaned(table: Table) -> Table:
    """The table with clean names."""
    names = clean_names(table)
    columns = {names[name]: column for name, column in table.columns.items()}
    labels = {names[name]: known for name, known in table.labels.items()}
    return dataclasses.replace(table, columns=columns, labels=labels)
