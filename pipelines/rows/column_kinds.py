"""What each column of rows holds, in words, and whether anything can be learnt from it."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.labels import texts_of
from pipelines.tables import cells as raw
from pipelines.tables import values
from pipelines.tables.cells import AnyCells
from pipelines.tables.missing import is_missing, plain
from pipelines.tables.table import Table
from pipelines.tables.values import Form, Judged

RARE = 4  # a category that fewer training examples have shares a place with unknown ones
FEWEST_IDS = 20  # rows from which on texts that are all distinct tell nothing
NUM_CELLS, NUM_SEARCHED = 5, 1000  # different cells that a note names, and looked for among
# Why nothing can be learnt from a column.
CONSTANT, DIFFERS, ALL_MISSING = "constant", "every text differs", "nothing but missing cells"


class Column(NamedTuple):
    """What a column was found to be.

    Attributes:
        form: how its cells are read.
        said: what to tell the user.
        empty: why nothing can be learnt from it, or no word.

    """

    form: Form
    said: str
    empty: str = ""


def column_of(cells: AnyCells, judged: Judged) -> Column:
    """What a column holds, by how its cells were judged."""
    if judged.form.kind == "category":
        return _categories(cells, judged.form)
    read = values.numbers(cells, judged.form)
    odd = values.strange(cells, read, judged.form)
    gaps = np.isnan(read)
    missing = int(gaps.sum()) - len(odd)
    kind = "time, in days" if judged.form.kind == "time" else "number"
    how = f" ({judged.how})" * bool(judged.how)
    lost = f", {missing} missing" * bool(missing)
    bad = f", {len(odd)} unreadable such as {decoded(cells[odd[0]])!r}" if len(odd) else ""
    known = read[~gaps]
    constant = CONSTANT if len(known) == len(read) and (known == known[:1]).all() else ""
    empty = constant if len(known) else ALL_MISSING
    return Column(judged.form, f"{kind}{how}{lost}{bad}", empty)


def _categories(cells: AnyCells, form: Form) -> Column:
    counts = Counter(cells.tolist())
    known = [count for cell, count in counts.items() if not is_missing(cell)]
    missing = len(cells) - sum(known)
    lost = f", {missing} missing" * bool(missing)
    empty = ""
    if len(known) == 1 and not missing:
        empty = CONSTANT
    elif len(known) == sum(known) >= FEWEST_IDS:
        empty = DIFFERS
    elif max(missing, *known, 0) < RARE:
        # What is rarer shares a place with unknown categories.
        empty = f"no text is there {RARE} times"
    return Column(form, f"{len(known)} categories{lost}{_differ_in_case(counts)}", empty)


def _differ_in_case(cells: Iterable[bytes]) -> str:
    """A remark on categories that differ in small and capital letters alone."""
    groups: dict[str | None, list[bytes]] = {}
    for cell in sorted(cells):
        if not is_missing(cell):
            groups.setdefault(plain(cell), []).append(cell)
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        return ""
    some = " and ".join(repr(decoded(cell)) for cell in several[0][:NUM_CELLS])
    more = f" and {len(several) - 1} more such groups" if len(several) > 1 else ""
    return f" ({some} are different categories{more}: write them alike)"


def texts(cells: AnyCells, labels: Sequence[str] = ()) -> np.ndarray:
    """Cells as UTF-8 bytes; b"" where one is missing."""
    if labels:
        texts = [labels[cell].encode() if cell >= 0 else b"" for cell in cells]
    elif cells.dtype == object:
        known = np.array(cells, object)
        known[raw.missing_of(cells)] = b""
        return known
    else:
        texts = texts_of(cells)
    return np.array([*texts, None], object)[:-1]


def decoded(cell: object) -> str:
    """A cell for people."""
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def odd(
    table: Table,
    features: Mapping[str, np.ndarray],
    forms: Mapping[str, Form],
    categories: Mapping[str, Collection[bytes]],
) -> Iterator[str]:
    """Notes on the cells of a table that cannot be read, and on categories that are not known."""
    for name, form in forms.items():
        column = features[name]
        if form.kind == "category":
            known = categories[name]
            new = {cell for cell in set(column.tolist()) if cell and cell not in known}
            where = np.flatnonzero([cell in new for cell in column.tolist()])
            what = "unknown to training"
        else:
            where = values.strange(table.columns[name], column, form)
            what = f"no {form.kind} and counted as missing"
        if len(where):
            yield f"column {name}: {_cells(table, name, where)} {what}"


def _cells(table: Table, name: str, where: np.ndarray) -> str:
    """A few cells and where they are, for a note."""
    first: dict[bytes, int] = {}
    for row in where[:NUM_SEARCHED]:
        if len(first) < NUM_CELLS:
            first.setdefault(table.columns[name][int(row)], int(row))
    some = ", ".join(f"{decoded(cell)!r} ({table.where(row)})" for cell, row in first.items())
    is_one = len(where) == 1
    return f"{len(where):,} cell{'s' * (not is_one)} such as {some} {'is' if is_one else 'are'}"
