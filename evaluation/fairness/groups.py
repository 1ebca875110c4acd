"""The groups of people of the test and validation examples, by sensitive columns of a table."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from apps.app import ModalityName
from apps.fields import FieldError
from apps.several_targets import column_list
from evaluation.slices.cuts import Cut, by_category, by_number
from pipelines.examples import Examples
from pipelines.inspection import Inspection
from pipelines.rows.column_kinds import parse_texts
from pipelines.rows.column_names import find_column
from pipelines.tables.cell_formats import CellFormat, format_time, parse_numbers
from pipelines.tables.format_inference import infer_format
from pipelines.tables.table import Table
from training.run import Run

FLAG = "--sensitive"
TABLE_MODALITIES: tuple[ModalityName, ...] = ("row", "text")  # whose examples are rows of a table
PARTS = ("train", "valid", "test")


class Groups(NamedTuple):
    """The group of each example of a split.

    Attributes:
        column: the sensitive column, as the user names it.
        labels: the group names.
        codes: the group of each example, [n].
        note: for the user, or "".

    """

    column: str
    labels: tuple[str, ...]
    codes: np.ndarray
    note: str = ""


class SensitiveGroups(NamedTuple):
    """The groups by each sensitive column, in validation and test."""

    valid: list[Groups]
    test: list[Groups]


def read(run: Run, sensitive: str) -> SensitiveGroups | None:
    """Read the groups of a run's examples, from columns that may be no features; None without any.

    Numbers such as ages are binned, and rare categories are one group. Loads the data again,
    since a run keeps only its features. Raises FieldError for data without columns and for a
    column with a single group, AddressError for a column that is not there.
    """
    columns = [*dict.fromkeys(column_list(sensitive))]
    if not columns:
        return None
    if run.modality not in TABLE_MODALITIES:
        raise FieldError(
            f"Received {FLAG} {','.join(columns)} for a run of {run.app.name()}; expected a run "
            "whose examples are rows of a table with this column, of regression or text."
        )
    inspection = Inspection(lambda *_: None)
    splits = run.load_splits(inspection)
    parts = [getattr(splits, name) for name in PARTS]
    found = [_by_column(run, name, parts) for name in columns]
    kept = {
        name: dataclasses.replace(part, origins=None)
        for name, part in zip(PARTS, parts, strict=True)
    }
    run.remember(splits=dataclasses.replace(splits, **kept))
    starts = np.cumsum([0, *map(len, parts)])
    valid, test = (
        [one._replace(codes=one.codes[starts[k] : starts[k + 1]]) for one in found] for k in (1, 2)
    )
    for one in test:
        _require_groups(one)
    return SensitiveGroups(valid, test)


def _require_groups(groups: Groups) -> None:
    present = np.unique(groups.codes)
    if len(present) < 2:
        only = ", ".join(groups.labels[k] for k in present)
        raise FieldError(
            f"Received {FLAG} {groups.column}, a column with one group in the test examples "
            f"({only}); expected two or more to compare. Name another column."
        )


def _by_column(run: Run, column: str, parts: Sequence[Examples]) -> Groups:
    """Return the groups of the examples of all parts, one part after another."""
    tables = [_table_of(part) for part in parts]
    names = (run.manifest.get("reading") or {}).get("names", {})
    name = find_column(names.get(column, column), tables[0], FLAG)
    target = run.manifest["fields"].get("target") or ""
    if name == names.get(target, target):
        raise FieldError(
            f"Received {FLAG} {column}, the target; expected a column of groups of people."
        )
    for table in tables[1:]:
        find_column(name, table, FLAG)
    labels = tables[0].labels.get(name, ())
    form = infer_format(tables[0].columns[name]).form
    if labels or form.is_text:
        cells = [_texts(part, name, form) for part in parts]
        return of_categories(column, np.concatenate(cells))
    numbers = np.concatenate(
        [parse_numbers(_table_of(part).columns[name], form)[_rows(part)] for part in parts]
    )
    cut = by_number(column, numbers, format_time if form.kind == "time" else None)
    return _named(column, cut)


def _table_of(part: Examples) -> Table:
    return part.origins.source if part.origins else Table({})


def _rows(part: Examples) -> np.ndarray:
    """Return the row of the table of each example."""
    return part.origins.rows[part.rows] if part.origins else part.rows


def _texts(part: Examples, name: str, form: CellFormat) -> np.ndarray:
    table = _table_of(part)
    return parse_texts(table.columns[name], form, table.labels.get(name, ())).cells()[_rows(part)]


def of_categories(column: str, cells: np.ndarray) -> Groups:
    """Return the groups of categories; b"" is a missing one, and the rare ones are one group."""
    values, codes = np.unique(cells.astype(bytes), return_inverse=True)
    cut = by_category(column, [value.decode("utf-8", "replace") for value in values], codes)
    groups = _named(column, cut)
    others = len(values) - len(cut.labels)
    if others <= 0:
        return groups
    note = (
        f"{column} has {len(values):,} values: the {len(cut.labels)} most frequent are groups, and "
        f"all others one group."
    )
    codes = np.where(cut.codes < 0, len(cut.labels), cut.codes)
    return Groups(column, (*groups.labels, f"{others:,} other values"), codes, note)


def _named(column: str, cut: Cut) -> Groups:
    """Return a cut as groups, without the column in the names of categories."""
    start = f"{column} = "
    labels = [label.removeprefix(start) for label in cut.labels]
    missing = f"{column} is missing"
    return Groups(column, tuple("missing" if x == missing else x for x in labels), cut.codes)
