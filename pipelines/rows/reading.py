"""Read tables as rows of numbers and categories with a target."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.examples import DataError, Examples
from pipelines.hash_splits import row_hashes
from pipelines.inspection import Inspection, origins_of
from pipelines.rows.column_kinds import (
    ColumnDescription,
    describe_column,
    parse_texts,
    unreadable_cell_notes,
)
from pipelines.rows.column_names import (
    MAX_LISTED_COLUMNS,
    clean_names,
    find_column,
    rename_columns,
    renaming_notes,
)
from pipelines.rows.packing import Kind, Kinds, pack_columns
from pipelines.split_columns import NO_SPLIT_COLUMNS, SplitColumns, SplitReader
from pipelines.splits import Source, Splits, split_source
from pipelines.tables import cell_formats
from pipelines.tables.cell_formats import CellFormat
from pipelines.tables.cell_hashes import hash_inputs
from pipelines.tables.cells import AnyCells, ParsedColumn
from pipelines.tables.table import Table, Tables, listed
from pipelines.tables.targets import TargetColumn, Task, require_target

# The kind of model input of each kind of cells.
INPUT_KINDS: dict[cell_formats.Kind, Kind] = {
    "number": "number",
    "duration": "number",
    "time": "time",
    "clock": "clock",
    "boolean": "category",
    "category": "category",
    "text": "text",
    "list": "list",
}


@dataclasses.dataclass(frozen=True)
class Reading:
    """How the columns of rows are read; stored with the run.

    Attributes:
        forms: the cell format of each feature.
        names: the name that the model uses for each column of the training table.

    """

    forms: dict[str, CellFormat]
    names: dict[str, str]

    @property
    def kinds(self) -> Kinds:
        """The kind of model input of each column."""
        return {name: INPUT_KINDS[form.kind] for name, form in self.forms.items()}


def source(
    tables: Tables,
    *,
    target: str,
    drop: Sequence[str] = (),
    task: Task = "auto",
    split_columns: SplitColumns = NO_SPLIT_COLUMNS,
    inspection: Inspection | None = None,
) -> Source:
    """Turn tables into examples of typed columns with a target.

    Features are a matrix of numbers (NaN: missing; times are days since 1970) and one of texts as
    UTF-8 bytes (b"": missing), see pipelines.rows.packing. Types are inferred from the training
    table (see `cell_formats`) and used for the others, in which unparsable numbers count as
    missing. Rows without a target are left out. Raises DataError if a column does not exist, the
    target does not fit the task, or no usable column is left.

    Args:
        tables: as read.
        target: the column to predict.
        drop: columns to leave out.
        task: regression, or classification into two or more classes; `auto` takes classes if the
            target holds texts or only two numbers.
        split_columns: the columns by which to split; that of groups is no feature.
        inspection: collects what data checks need.

    """
    names = clean_names(tables.train)
    tables = _rename_tables(tables, names)
    target = find_column(names.get(target, target), tables.train, "--target")
    left_out = {find_column(names.get(name, name), tables.train, "--drop") for name in drop}
    require_target(
        target not in left_out, target, "--drop of the same", "another column to leave out"
    )
    split_columns = split_columns.renamed(names).found_in(tables.train, target)
    inferred = cell_formats.infer_formats(tables.train)
    columns = {
        name: describe_column(cells, inferred[name])
        for name, cells in tables.train.columns.items()
        if name not in (*left_out, target, split_columns.group)
    }
    forms = {name: column.form for name, column in columns.items() if not column.unusable_because}
    if not forms:
        raise _nothing_to_learn_from(target, columns)
    target_column = TargetColumn.of(tables, target, inferred[target], task)
    reading = Reading(forms, names)
    split_reader = SplitReader.of(split_columns, tables.train, inferred.get(split_columns.by_time))
    reader = _RowReader(reading, target_column, split_reader, inspection)
    train, valid, test = tables.each(reader.of_table)
    notes = (
        *tables.notes,
        _target_note(tables, target_column, [train, valid, test]),
        *_column_notes(columns),
        *_split_column_notes(split_columns, forms),
        *_unreadable_notes(tables, reading, target, target_column),
    )
    return Source(
        train, valid, test, target_column.names, notes, reading=reading, scheme=split_reader.scheme
    )


def _rename_tables(tables: Tables, names: dict[str, str]) -> Tables:
    train, valid, test = tables.each(lambda table: rename_columns(table, names))
    return Tables(train, valid, test, (*tables.notes, *renaming_notes(names)))


def _target_note(
    tables: Tables, target_column: TargetColumn, parts: Sequence[Examples | None]
) -> str:
    """Return a note on the target, and on the number of rows without it."""
    num_left_out = sum(tables.each(len, 0)) - sum(len(part) for part in parts if part is not None)
    left_out = f"; {num_left_out} row{'s' * (num_left_out != 1)} without it left out"
    return f"target {target_column.name}: {target_column.description}" + left_out * bool(
        num_left_out
    )


def _split_column_notes(split_columns: SplitColumns, forms: Collection[str]) -> Iterator[str]:
    """Yield a note on whether the columns by which rows are split are features."""
    if group := split_columns.group:
        yield f"column {group} names the groups and is no feature"
    if (by_time := split_columns.by_time) in forms:
        yield f"column {by_time} orders the splits and is a feature; --drop {by_time} leaves it out"


def _nothing_to_learn_from(target: str, columns: dict[str, ColumnDescription]) -> DataError:
    return DataError(
        f"Received no column but the target {target!r} from which anything can be learnt "
        f"({listed(_unused(columns))}); expected at least one whose values differ."
    )


def splits(
    tables: Tables,
    target: str,
    drop: str,
    task: Task,
    split_columns: SplitColumns = NO_SPLIT_COLUMNS,
    inspection: Inspection | None = None,
) -> Splits:
    """Turn tables into splits, as `source` does; `drop` is a comma-separated list of columns."""
    dropped = [name for name in drop.split(",") if name.strip()]
    return split_source(
        source(
            tables,
            target=target,
            drop=dropped,
            task=task,
            split_columns=split_columns,
            inspection=inspection,
        )
    )


def read_features(table: Table, reading: Reading) -> dict[str, np.ndarray]:
    """Read the columns of a reading as a matrix of numbers and one of texts; ignore others.

    Unparsable numbers count as missing. Raises DataError if a column does not exist.
    """
    columns = rename_columns(table, reading.names).columns
    parsed = _read_columns(table, columns, reading.forms)
    return pack_columns(parsed.values(), reading.kinds, len(table))


def _read_columns(
    table: Table, columns: Mapping[str, AnyCells], forms: Mapping[str, CellFormat]
) -> dict[str, ParsedColumn]:
    absent = [name for name in forms if name not in columns]
    if absent:
        raise DataError(
            f"Received rows with the columns {listed(columns)}, without the "
            f"column{'s' * (len(absent) > 1)} {listed(absent)}; expected every column of the "
            "training data. Add the missing ones; their cells may be empty."
        )
    return {
        name: parse_texts(columns[name], table.labels.get(name, ()))
        if form.is_text
        else cell_formats.parse_numbers(columns[name], form)
        for name, form in forms.items()
    }


def _column_notes(columns: dict[str, ColumnDescription]) -> Iterator[str]:
    used = [
        f"{name}: {column.description}"
        for name, column in columns.items()
        if not column.unusable_because
    ]
    more = f"; and {len(used) - MAX_LISTED_COLUMNS} more" if len(used) > MAX_LISTED_COLUMNS else ""
    yield "columns " + "; ".join(used[:MAX_LISTED_COLUMNS]) + more
    if unused := _unused(columns):
        more = (
            f" and {len(unused) - MAX_LISTED_COLUMNS} more"
            if len(unused) > MAX_LISTED_COLUMNS
            else ""
        )
        yield "columns left out: " + ", ".join(unused[:MAX_LISTED_COLUMNS]) + more


def _unused(columns: dict[str, ColumnDescription]) -> list[str]:
    return [
        f"{name} ({column.unusable_because})"
        for name, column in columns.items()
        if column.unusable_because
    ]


def _unreadable_notes(
    tables: Tables, reading: Reading, target: str, target_column: TargetColumn
) -> Iterator[str]:
    """Yield notes on cells of the validation and test tables that training cannot read."""
    forms = {
        **reading.forms,
        **({target: target_column.form} if target_column.labels is None else {}),
    }
    categories = {
        name: set(parse_texts(tables.train.columns[name], tables.train.labels.get(name, ())).values)
        for name, form in forms.items()
        if form.is_text and (tables.valid or tables.test)
    }
    for split, table in (("validation", tables.valid), ("test", tables.test)):
        if table is not None:
            features = _read_columns(table, table.columns, forms)
            yield from (
                f"{split} {note}"
                for note in unreadable_cell_notes(table, features, forms, categories)
            )


class _RowReader(NamedTuple):
    """Reads a table into examples."""

    reading: Reading
    target_column: TargetColumn
    split_reader: SplitReader
    inspection: Inspection | None

    def of_table(self, table: Table) -> Examples:
        """Read the rows that have a target."""
        target = self.target_column.of_table(table)
        usable = np.flatnonzero(np.isfinite(target) if target.dtype.kind == "f" else target >= 0)
        columns = _read_columns(table, table.columns, self.reading.forms)
        rows = usable if len(usable) < len(table) else len(table)
        features = pack_columns(columns.values(), self.reading.kinds, rows)
        origins = origins_of(self.inspection, table, usable)
        examples = dataclasses.replace(
            Examples.of(features, target[usable], origins, self.reading.kinds),
            row_hashes=row_hashes(table)[usable],
            input_hashes=hash_inputs([*columns.values()])[usable],
        )
        return self.split_reader.read(examples, table, usable)
