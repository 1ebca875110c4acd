"""Parse the time column that orders rows: numbers, or dates in any common form."""

from typing import NamedTuple

import numpy as np

from pipelines.examples import DataError
from pipelines.tables import cell_formats, format_inference
from pipelines.tables.cell_formats import CellFormat
from pipelines.tables.cells import AnyCells
from pipelines.tables.format_inference import InferredFormat
from pipelines.tables.missing import NUMBER_WORDS, is_missing
from pipelines.tables.times import DATE_ORDERS, ORDER_NAMES

SECONDS_PER_DAY = 86_400.0  # seconds
MIN_PLAUSIBLE_TIME, MAX_PLAUSIBLE_TIME = 315_532_800.0, 4_102_444_800.0  # 1980 and 2100, in seconds
MAX_OTHER_UNIT_SHARE = 0.01  # of the times that may look like another unit
UNITS = (("seconds", 1.0), ("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9))


class Timeline(NamedTuple):
    """The time of each row.

    Attributes:
        times: numbers as they are, dates in seconds since 1970; NaN for unknown times.
        description: how the times were read, for the user; "" for numbers of unknown unit.
        problem: why they do not order rows, or "".

    """

    times: np.ndarray
    description: str
    problem: str = ""

    def require(self, flag: str, remedy: str) -> None:
        """Raise DataError, which ends with a remedy, if the times do not order rows."""
        if self.problem:
            raise DataError(f"Received {flag} with {self.problem}. {remedy}")


def parse_timeline(column: AnyCells, inferred: InferredFormat | None = None) -> Timeline:
    """Parse the times of a column, in the format `inferred` from the training table, if given."""
    inferred = inferred or format_inference.infer_format(column)
    if inferred.form.is_text:
        unread = next((cell for cell in column if not is_missing(cell, NUMBER_WORDS)), b"")
        problem = (
            f"cells such as {_text(unread)!r} among other ones; expected only dates, such as "
            "2019-03-21 or 21.3.2019, or only numbers, such as seconds since 1970"
        )
        return Timeline(np.full(len(column), np.nan), "", problem)
    times = cell_formats.parse_numbers(column, inferred.form)
    if inferred.form.kind == "clock":
        problem = f"times without a date, {inferred.explanation}; expected such as 2019-03-21 10:05"
        return Timeline(times, "", problem)
    if inferred.form.kind in ("number", "duration"):
        problem = _duration_problem(inferred) or _mixed_units_problem(times)
        return Timeline(times, "" if problem else _describe_numbers(times), problem)
    order = inferred.form.order
    form = f" as {ORDER_NAMES[order]}" if order else ""
    description = f"dates{form}, {inferred.explanation}".rstrip(", ")
    return Timeline(
        times * SECONDS_PER_DAY,
        description,
        _ambiguous_order_problem(column, inferred),
    )


def _duration_problem(inferred: InferredFormat) -> str:
    """Return why numbers with a unit are not times: "3 days ago" is before "2 days ago"."""
    if not inferred.form.unit and inferred.form.kind != "duration":
        return ""
    example = inferred.explanation.partition(" read as ")[0]
    return (
        f"lengths of time such as {example}; expected dates, or numbers such as seconds since 1970"
    )


def _mixed_units_problem(times: np.ndarray) -> str:
    """Return why mixed seconds and milliseconds do not order rows; "" for a single unit."""
    counts = {
        name: int(
            ((times / size >= MIN_PLAUSIBLE_TIME) & (times / size < MAX_PLAUSIBLE_TIME)).sum()
        )
        for name, size in UNITS
    }
    units = [
        f"{count} {name}"
        for name, count in counts.items()
        if count > MAX_OTHER_UNIT_SHARE * len(times)
    ]
    if len(units) < 2:
        return ""
    return f"{' and '.join(units)} since 1970; expected one unit"


def _text(cell: object) -> str:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def _describe_numbers(times: np.ndarray) -> str:
    known = times[np.isfinite(times)]
    for name, size in UNITS:
        if len(known) and MIN_PLAUSIBLE_TIME <= np.median(known) / size < MAX_PLAUSIBLE_TIME:
            return f"{name} since 1970"
    return ""


def _ambiguous_order_problem(column: AnyCells, inferred: InferredFormat) -> str:
    """Return why dates are ambiguous; "" if both orders of day and month sort the rows alike."""
    if not inferred.ambiguous_order:
        return ""
    first, second = (
        np.argsort(
            cell_formats.parse_numbers(column, CellFormat("time", order=order)), kind="stable"
        )
        for order in DATE_ORDERS
    )
    if np.array_equal(first, second):
        return ""
    return (
        "dates that are days and months in either order, as in "
        f"{inferred.explanation.partition(' read as ')[0]}, so that the newest cannot be found; "
        "expected one above 12, or a form such as 2019-03-21"
    )
