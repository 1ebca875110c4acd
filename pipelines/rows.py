"""Rows of numbers and categories: what each column is, and which one is asked for."""

import dataclasses
import difflib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from pipelines import cells as raw
from pipelines import looking
from pipelines.cells import AnyCells, is_missing
from pipelines.column_names import NUM_NAMED, clean, clean_names, cleaned, renamed
from pipelines.drawing import draws_of_rows
from pipelines.examples import AddressError, DataError, Examples
from pipelines.packing import Kind, Kinds, packed
from pipelines.splits import Source
from pipelines.tables import Table, Tables, listed

Task = Literal["auto", "number", "binary", "multiclass"]
MOSTLY = 0.9  # a column with this share of numbers among its known cells holds numbers
FEWEST_IDS = 20  # rows from which on texts that are all distinct tell nothing


class Column(NamedTuple):
    """What a column was found to be.

    Attributes:
        kind: numbers, or categories.
        said: what to tell the user of it.
        empty: why nothing can be learnt from it, or no word.

    """

    kind: Kind
    said: str
    empty: str = ""


def source(tables: Tables, *, target: str, drop: Sequence[str] = (), task: Task = "auto") -> Source:
    """Columns with types, one of them the target.

    Features are a matrix of numbers (NaN: missing) and one of texts as UTF-8 bytes
    (b"": missing), as pipelines.packing makes them. Types are found in the training
    table and hold for the others, where a cell that is no number counts as missing.
    Rows without a target are left out. Raises DataError where a column is not there,
    the target does not suit the task or nothing is left to learn from.

    Args:
        tables: as read.
        target: the column to predict.
        drop: columns to leave out.
        task: a number, one of two classes or one of several to predict; `auto`
            takes classes where the target holds texts, or just two numbers.

    """
    names = clean_names(tables.train)
    train, valid, test = _each(tables, cleaned)
    tables = Tables(train, valid, test, (*tables.notes, *renamed(names)))
    target = find(names.get(target, target), tables.train, "--target")
    left_out = {find(names.get(name, name), tables.train, "--drop") for name in drop}
    _require(target not in left_out, target, "--drop of the same", "another column to leave out")
    columns = {
        name: _column(cells, name in tables.train.labels)
        for name, cells in tables.train.columns.items()
        if name not in (*left_out, target)
    }
    kinds = {name: column.kind for name, column in columns.items() if not column.empty}
    if not kinds:
        raise DataError(
            f"Received no column but the target {target!r} from which anything can be learnt; "
            "expected at least one whose values differ."
        )
    answers = _Answers.of(tables, target, task)
    train, valid, test = parts = _each(tables, _Rows(kinds, answers).of_table)
    lost = sum(_each(tables, len, 0)) - sum(len(part) for part in parts if part is not None)
    told = f"target {target}: {answers.said}" + f"; {lost} rows without it left out" * bool(lost)
    return Source(train, valid, test, answers.labels, (*tables.notes, told, *_told(columns)))


def _each(tables: Tables, make: Callable[[Table], Any], absent: Any = None) -> list[Any]:
    """What `make` gives for the training, validation and test table."""
    held = (tables.train, tables.valid, tables.test)
    return [absent if table is None else make(table) for table in held]


def typed(table: Table, kinds: Kinds) -> dict[str, np.ndarray]:
    """The named columns of a table as a matrix of numbers and one of texts; others are ignored.

    A cell that should be a number and is none counts as missing. Raises DataError
    where a column is not there.
    """
    columns = cleaned(table).columns
    absent = [name for name in kinds if name not in columns]
    if absent:
        raise DataError(
            f"Received rows without the column{'s' * (len(absent) > 1)} {listed(absent)}; "
            f"expected {listed(kinds)}. The columns are {listed(columns)}."
        )
    made = (
        numbers_of(columns[name]) if kind == "number" else _texts(columns[name], table, name)
        for name, kind in kinds.items()
    )
    return packed(made, kinds, len(table))


def find(name: str, table: Table, flag: str) -> str:
    """A column's name in a table. Raises DataError where there is none of this name."""
    if clean(name) in table.columns:
        return clean(name)
    near = difflib.get_close_matches(clean(name), table.columns, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise AddressError(
        f"Received {flag} {name!r}; expected one of the columns {listed(table.columns)}.{hint}"
    )


def _column(cells: AnyCells, labelled: bool) -> Column:
    readable = np.isfinite(values := numbers_of(cells))
    missing = raw.missing_of(cells) if cells.dtype == object else ~readable
    num_known = len(cells) - int(missing.sum())
    lost = f", {missing.sum()} missing" * bool(missing.any())
    if not labelled and readable.sum() >= MOSTLY * num_known:
        odd = np.flatnonzero(~readable & ~missing)
        bad = f", {len(odd)} unreadable such as {_decoded(cells[odd[0]])!r}" if len(odd) else ""
        return Column("number", f"number{lost}{bad}", _empty(values[readable]))
    distinct = sum(not is_missing(cell) for cell in set(cells))
    ids = distinct == num_known >= FEWEST_IDS
    constant = "constant" if distinct == 1 and not missing.any() else ""
    empty = "every text differs" if ids else constant
    return Column("category", f"{distinct} categories{lost}", empty)


def _empty(known: np.ndarray) -> str:
    if not len(known):
        return "nothing but missing cells"
    return "constant" if (known == known[0]).all() else ""


def _told(columns: dict[str, Column]) -> Iterator[str]:
    used = [f"{name}: {column.said}" for name, column in columns.items() if not column.empty]
    more = f"; and {len(used) - NUM_NAMED} more" if len(used) > NUM_NAMED else ""
    yield "columns " + "; ".join(used[:NUM_NAMED]) + more
    unused = [f"{name} ({column.empty})" for name, column in columns.items() if column.empty]
    if unused:
        more = f" and {len(unused) - NUM_NAMED} more" if len(unused) > NUM_NAMED else ""
        yield "columns left out: " + ", ".join(unused[:NUM_NAMED]) + more


def numbers_of(cells: AnyCells) -> np.ndarray:
    """Cells as float64; NaN where one is missing or no finite number."""
    numbers = raw.numbers_of(cells)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _texts(cells: AnyCells, table: Table, name: str) -> np.ndarray:
    """Cells as UTF-8 bytes; b"" where one is missing."""
    if labels := table.labels.get(name):
        texts = [labels[cell].encode() if cell >= 0 else b"" for cell in cells]
    elif cells.dtype == object:
        known = np.array(cells, object)
        known[raw.missing_of(cells)] = b""
        return known
    else:
        texts = [b"%g" % cell if np.isfinite(cell) else b"" for cell in cells]
    return np.array([*texts, None], object)[:-1]


def _decoded(cell: bytes) -> str:
    return cell.decode("utf-8", "replace")


class _Answers(NamedTuple):
    """How a target column becomes float64 numbers, or int64 classes (-1: missing)."""

    name: str
    labels: tuple[str, ...]
    said: str

    @classmethod
    def of(cls, tables: Tables, name: str, task: Task) -> "_Answers":
        """Judged by the training table; classes that only another table has count too."""
        cells = tables.train.columns[name]
        few = set(itertools.islice(_different(tables.train, name), 3))
        if not few:
            raise DataError(f"Received the target {name!r} without a known cell; expected some.")
        column = _column(cells, name in tables.train.labels)
        _require(column.empty != "constant", name, "a single class or value", "several")
        if task == "auto":
            numbers = column.kind == "number" and len(few) != 2
            task = "number" if numbers else "multiclass"
        if task == "number":
            _require(column.kind == "number", name, column.said, "numbers")
            return cls(name, (), column.said)
        found = _distinct(_each(tables, lambda table: _target(table, name), np.array([], object)))
        counts = f"{len(found)} classes"
        _require(len(found) > 1, name, "a single class", "at least two")
        _require(task == "multiclass" or len(found) == 2, name, counts, "two for --task binary")
        _require(len(found) <= len(cells) / 2, name, counts, "two rows of each or more")
        return cls(name, tuple(map(_decoded, found)), counts)

    def of_table(self, table: Table) -> np.ndarray:
        """The targets of all rows."""
        if not self.labels:
            return numbers_of(table.columns[find(self.name, table, "--target")])
        classes = {label.encode(): number for number, label in enumerate(self.labels)}
        return np.array([classes.get(text, -1) for text in _target(table, self.name)], "int64")


def _target(table: Table, name: str) -> np.ndarray:
    """The target's cells as texts."""
    return _texts(table.columns[find(name, table, "--target")], table, name)


def _different(table: Table, name: str) -> Iterator[bytes]:
    """The known texts of the target, each once, without a look at all where a few will do."""
    cells = table.columns[find(name, table, "--target")]
    known: set[bytes] = set()
    for start in range(0, len(cells), raw.BLOCK):
        new = set(_texts(cells[start : start + raw.BLOCK], table, name).tolist()) - known - {b""}
        known |= new
        yield from new


class _Rows(NamedTuple):
    """How a table becomes examples: its columns by kind, its target."""

    kinds: Kinds
    answers: _Answers

    def of_table(self, table: Table) -> Examples:
        """The rows that have a target."""
        target = self.answers.of_table(table)
        there = np.flatnonzero(np.isfinite(target) if target.dtype.kind == "f" else target >= 0)
        features = typed(table, self.kinds)
        if len(there) < len(table):
            features = {name: matrix[there] for name, matrix in features.items()}
        origins = looking.origins(table, there)
        examples = Examples.of(features, target[there], origins, self.kinds)
        return dataclasses.replace(examples, drawn=draws_of_rows(table)[there])


def _require(holds: bool, name: str, received: str, expected: str) -> None:
    if not holds:
        raise DataError(
            f"Received the target {name!r} with {received}; expected {expected}. "
            "Choose another --target or --task."
        )


def _distinct(columns: list[np.ndarray]) -> list[bytes]:
    """The known cells of all columns, each once: numbers by their value, then texts."""
    cells = [*({cell for column in columns for cell in column} - {b""})]
    # NaN is no place in an order.
    numbers = np.nan_to_num(raw.numbers_in(cells), nan=np.inf).tolist()
    return [cell for _, cell in sorted(zip(numbers, cells, strict=True))]
