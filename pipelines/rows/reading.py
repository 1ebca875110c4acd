"""Read tables as rows of numbers and categories with a target."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.examples import DataError, Examples
from pipelines.hash_splits import row_hashes
from pipelines.inspection import Inspection, origins_of
from pipelines.rows.column_kinds import (
    ColumnDescription,
    parse_texts,
    unreadable_cell_notes,
)
from pipelines.rows.column_names import (
    clean_names,
    rename_columns,
    renaming_notes,
)
from pipelines.rows.column_table import GROUP, WEIGHT, ColumnTable
from pipelines.rows.feature_columns import describe_features, find_targets, left_out
from pipelines.rows.packing import Kind, Kinds, pack_columns
from pipelines.rows.reading_notes import (
    column_notes,
    split_column_notes,
    target_note,
)
from pipelines.rows.requested_kinds import found_requests, infer_as_requested, parse_kinds
from pipelines.rows.shared_scheme import SharedScheme
from pipelines.rows.text_kinds import with_text_kinds
from pipelines.split_columns import NO_SPLIT_COLUMNS, SplitColumns, SplitReader
from pipelines.splits import Source, Splits, SplitScheme, split_source
from pipelines.tables import cell_formats
from pipelines.tables.cell_formats import CellFormat
from pipelines.tables.cell_hashes import hash_inputs
from pipelines.tables.cells import AnyCells, ParsedColumn
from pipelines.tables.format_inference import InferredFormat
from pipelines.tables.kind_requests import NO_REQUESTS, KindRequest
from pipelines.tables.table import Table, Tables, listed
from pipelines.tables.targets import TargetColumn, Task
from pipelines.tables.weights import WeightColumn

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

    @classmethod
    def of(cls, columns: dict[str, ColumnDescription], names: dict[str, str]) -> "Reading":
        """Return how the columns that can be used are read."""
        usable = (name for name, column in columns.items() if not column.unusable_because)
        return cls({name: columns[name].form for name in usable}, names)

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
    requests: Mapping[str, KindRequest] = NO_REQUESTS,
    weight: str = "",
    beside: Sequence[str] = (),
    inspection: Inspection | None = None,
) -> Source:
    """Turn tables into examples of typed columns with a target.

    Features are a matrix of numbers (NaN: missing; times are days since 1970) and one of texts as
    UTF-8 bytes (b"": missing), see pipelines.rows.packing. Types are inferred from the training
    table (see `cell_formats`) and used for the others, in which unparsable numbers count as
    missing. Rows without a target or of weight 0 are left out. Raises DataError if a column does
    not exist, the target does not fit the task, or no usable column is left.

    Args:
        tables: as read.
        target: the column to predict.
        drop: columns to leave out.
        task: regression, or classification into two or more classes; `auto` takes classes if the
            target holds texts or only two numbers.
        split_columns: the columns by which to split; that of groups is no feature.
        requests: the kinds of columns that the user names.
        weight: the column of example weights, which is no feature; "" for none.
        beside: further targets, which are no features; all of them have the same splits.
        inspection: collects what data checks need.

    """
    names = clean_names(tables.train)
    tables = _rename_tables(tables, names)
    target, *_ = targets = find_targets(target, beside, names, tables.train)
    split_columns = split_columns.renamed(names).found_in(tables.train, target)
    requests = found_requests(requests, names, tables.train)
    inferred = infer_as_requested(tables.train, requests)
    inferred |= with_text_kinds(tables.train, inferred, {*targets, *requests})
    unused = left_out(drop, requests, names, tables.train, targets)
    weights = WeightColumn.of(tables, names.get(weight, weight), target, inferred)
    unused |= {split_columns.group: GROUP, weights.name: WEIGHT}
    columns = describe_features(tables.train, inferred, unused, target)
    target_column = TargetColumn.of(tables, target, inferred[target], task)
    reading = Reading.of(columns, names)
    split_reader = SplitReader.of(split_columns, tables.train, inferred.get(split_columns.by_time))
    reader = _RowReader(reading, target_column, split_reader, weights, inspection)
    train, valid, test = tables.each(reader.of_table)
    notes = (
        *tables.notes,
        target_note(tables, target_column, weights, [train, valid, test]),
        *column_notes(columns),
        *split_column_notes(split_columns, reading.forms),
        *weights.notes(tables),
        *_unreadable_notes(tables, reading, target, target_column),
    )
    table = ColumnTable.of(tables.train, names, inferred, columns, unused)
    scheme = reader.scheme(tables.train, targets, inferred)
    return Source(train, valid, test, target_column.names, notes, reading, scheme, table)


def _rename_tables(tables: Tables, names: dict[str, str]) -> Tables:
    train, valid, test = tables.each(lambda table: rename_columns(table, names))
    return Tables(train, valid, test, (*tables.notes, *renaming_notes(names)))


def splits(
    tables: Tables,
    target: str,
    drop: str,
    task: Task,
    split_columns: SplitColumns = NO_SPLIT_COLUMNS,
    inspection: Inspection | None = None,
    *,
    kinds: str = "",
    weight: str = "",
    beside: Sequence[str] = (),
) -> Splits:
    """Turn tables into splits, as `source` does.

    `drop` is a comma-separated list of columns, `kinds` such as zip=category,when=date.
    """
    dropped = [name for name in drop.split(",") if name.strip()]
    return split_source(
        source(
            tables,
            target=target,
            drop=dropped,
            task=task,
            split_columns=split_columns,
            requests=parse_kinds(kinds),
            weight=weight,
            beside=beside,
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
        name: parse_texts(columns[name], form, table.labels.get(name, ()))
        if form.is_text
        else cell_formats.parse_numbers(columns[name], form)
        for name, form in forms.items()
    }


def _unreadable_notes(
    tables: Tables, reading: Reading, target: str, target_column: TargetColumn
) -> Iterator[str]:
    """Yield notes on cells of the validation and test tables that training cannot read."""
    forms = {
        **reading.forms,
        **({target: target_column.form} if target_column.labels is None else {}),
    }
    categories = {
        name: set(
            parse_texts(tables.train.columns[name], form, tables.train.labels.get(name, ())).values
        )
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
    weights: WeightColumn
    inspection: Inspection | None

    def usable_rows(self, table: Table) -> np.ndarray:
        """Return the rows that have a target and a weight above 0."""
        target, weight = self.target_column.of_table(table), self.weights.of_table(table)
        known = np.isfinite(target) if target.dtype.kind == "f" else target >= 0
        return np.flatnonzero(known if weight is None else known & (weight > 0))

    def scheme(
        self, table: Table, targets: Sequence[str], inferred: Mapping[str, InferredFormat]
    ) -> SplitScheme | None:
        """Return the scheme of the splits, which several targets have in common."""
        if len(targets) < 2:
            return self.split_reader.scheme
        usable = self.usable_rows(table)
        return SharedScheme.of(table, targets, inferred, self.split_reader, self.weights, usable)

    def of_table(self, table: Table) -> Examples:
        """Read the usable rows."""
        target, weight = self.target_column.of_table(table), self.weights.of_table(table)
        usable = self.usable_rows(table)
        columns = _read_columns(table, table.columns, self.reading.forms)
        rows = usable if len(usable) < len(table) else len(table)
        features = pack_columns(columns.values(), self.reading.kinds, rows)
        origins = origins_of(self.inspection, table, usable)
        examples = dataclasses.replace(
            Examples.of(features, target[usable], origins, self.reading.kinds),
            row_hashes=row_hashes(table)[usable],
            input_hashes=hash_inputs([*columns.values()])[usable],
            weight=None if weight is None else weight[usable],
        )
        return self.split_reader.read(examples, table, usable)
