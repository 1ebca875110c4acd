"""Choose the columns of a table that are targets, and those that are features."""

from collections.abc import Collection, Mapping, Sequence

from pipelines.examples import DataError
from pipelines.rows.column_kinds import ColumnDescription, describe_column
from pipelines.rows.column_names import find_column
from pipelines.rows.column_table import DROPPED, IGNORED, OTHER_TARGET, TARGET
from pipelines.rows.reading_notes import unused_columns
from pipelines.tables.format_inference import InferredFormat
from pipelines.tables.kind_requests import KindRequest
from pipelines.tables.table import Table, listed
from pipelines.tables.targets import require_target


def find_targets(
    target: str, beside: Sequence[str], names: Mapping[str, str], table: Table
) -> list[str]:
    """Return the names of the target and of those beside it as the table has them.

    Raises AddressError if there is no such column, DataError if one is named twice.
    """
    found = [find_column(names.get(target, target), table, "--target")]
    for name in beside:
        other = find_column(names.get(name, name), table, "--beside")
        require_target(other not in found, other, "--beside of the same", "another column there")
        found.append(other)
    return found


def left_out(
    drop: Sequence[str],
    requests: Mapping[str, KindRequest],
    names: Mapping[str, str],
    table: Table,
    targets: Sequence[str],
) -> dict[str, str]:
    """Return why columns are no features: the targets, and those that the user leaves out.

    Raises DataError if the user leaves out a target.
    """
    reasons = {name: IGNORED for name, request in requests.items() if request.kind == "ignore"}
    for name in drop:
        reasons[find_column(names.get(name, name), table, "--drop")] = DROPPED
    for target in targets:
        flag = "--drop" if reasons.get(target) == DROPPED else "--as (or --columns) ignore"
        require_target(
            target not in reasons, target, f"{flag} of the same", "another column to leave out"
        )
    return reasons | dict.fromkeys(targets, OTHER_TARGET) | {targets[0]: TARGET}


def describe_features(
    table: Table, inferred: Mapping[str, InferredFormat], unused: Collection[str], target: str
) -> dict[str, ColumnDescription]:
    """Describe the columns that may be features. Raises DataError if none can be used."""
    columns = {
        name: describe_column(cells, inferred[name])
        for name, cells in table.columns.items()
        if name not in unused
    }
    if all(column.unusable_because for column in columns.values()):
        raise DataError(
            f"Received no column but the target {target!r} from which anything can be learnt "
            f"({listed(unused_columns(columns))}); expected at least one whose values differ."
        )
    return columns
