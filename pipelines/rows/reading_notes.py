"""Notes for the user on the columns of a table and on its target."""

from collections.abc import Collection, Iterator, Sequence

from pipelines.examples import Examples
from pipelines.rows.column_kinds import ColumnDescription
from pipelines.rows.column_names import MAX_LISTED_COLUMNS
from pipelines.split_columns import SplitColumns
from pipelines.tables.table import Tables
from pipelines.tables.targets import TargetColumn
from pipelines.tables.weights import WeightColumn


def target_note(
    tables: Tables,
    target_column: TargetColumn,
    weights: WeightColumn,
    parts: Sequence[Examples | None],
) -> str:
    """Return a note on the target, and on the number of rows without it."""
    num_left_out = sum(tables.each(len, 0)) - sum(len(part) for part in parts if part is not None)
    num_left_out -= weights.num_zero(tables)
    left_out = f"; {num_left_out} row{'s' * (num_left_out != 1)} without it left out"
    return f"target {target_column.name}: {target_column.description}" + left_out * bool(
        num_left_out
    )


def split_column_notes(split_columns: SplitColumns, forms: Collection[str]) -> Iterator[str]:
    """Yield a note on whether the columns by which rows are split are features."""
    if group := split_columns.group:
        yield f"column {group} names the groups and is no feature"
    if (by_time := split_columns.by_time) in forms:
        yield f"column {by_time} orders the splits and is a feature; --drop {by_time} leaves it out"


def column_notes(columns: dict[str, ColumnDescription]) -> Iterator[str]:
    """Yield a note on the columns that are used, and one on the others."""
    used = [
        f"{name}: {column.description}"
        for name, column in columns.items()
        if not column.unusable_because
    ]
    more = f"; and {len(used) - MAX_LISTED_COLUMNS} more" if len(used) > MAX_LISTED_COLUMNS else ""
    yield "columns " + "; ".join(used[:MAX_LISTED_COLUMNS]) + more
    if unused := unused_columns(columns):
        more = (
            f" and {len(unused) - MAX_LISTED_COLUMNS} more"
            if len(unused) > MAX_LISTED_COLUMNS
            else ""
        )
        yield "columns left out: " + ", ".join(unused[:MAX_LISTED_COLUMNS]) + more


def unused_columns(columns: dict[str, ColumnDescription]) -> list[str]:
    """Return the columns from which nothing can be learnt, with the reason."""
    return [
        f"{name} ({column.unusable_because})"
        for name, column in columns.items()
        if column.unusable_because
    ]
