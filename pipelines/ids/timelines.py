"""Times that order rows: numbers, or dates in any usual form, said to the user."""

import re
from typing import NamedTuple

import numpy as np

from pipelines.examples import DataError
from pipelines.tables import cell_formats
from pipelines.tables.cell_formats import CellFormat, InferredFormat
from pipelines.tables.cells import AnyCells
from pipelines.tables.missing import NUMBER_WORDS, is_missing
from pipelines.tables.times import DATE_ORDERS, ORDER_NAMES

DAY = 86_400.0  # seconds
EARLIEST, LATEST = 315_532_800.0, 4_102_444_800.0  # 1980 and 2100, in seconds
CLOCK = re.compile(r"^'\d{1,2}:")  # a cell that begins with an hour
MOST_STRAY = 0.01  # of the times may look like those of another unit
UNITS = (("seconds", 1.0), ("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9))


class Timeline(NamedTuple):
    """When each row was.

    Attributes:
        times: numbers as they are, dates in seconds since 1970; NaN where one is not known.
        said: what the times were taken for; no word for numbers of a unit of their own.
        fault: why they order nothing, or no word.

    """

    times: np.ndarray
    said: str
    fault: str = ""

    def require(self, flag: str) -> None:
        """Raise DataError where the times order nothing."""
        if self.fault:
            raise DataError(
                f"Received {flag} with {self.fault}. Name another column with --time, or take "
                "--split random."
            )


def timeline(column: AnyCells, found: InferredFormat | None = None) -> Timeline:
    """The times of a column, read as `found` says: what the training table was judged to be."""
    found = found or cell_formats.infer_format(column)
    if found.form.kind == "category":
        unread = next((cell for cell in column if not is_missing(cell, NUMBER_WORDS)), b"")
        fault = (
            f"cells such as {_text(unread)!r}, beside other ones; expected dates alone, such as "
            "2019-03-21 or 21.3.2019, or numbers alone, such as seconds since 1970"
        )
        return Timeline(np.full(len(column), np.nan), "", fault)
    times = cell_formats.parse_numbers(column, found.form)
    if found.form.kind == "number":
        fault = _measured(found) or _of_two_units(times)
        return Timeline(times, "" if fault else _said_numbers(times), fault)
    order = found.form.order
    form = f" as {ORDER_NAMES[order]}" if order else ""
    said = f"dates{form}, {found.explanation}".rstrip(", ")
    return Timeline(times * DAY, said, _dayless(times, found) or _open(column, found))


def _measured(found: InferredFormat) -> str:
    """Why numbers with a unit are no times: 3 days ago is before 2 days ago."""
    if not found.form.unit:
        return ""
    example = found.explanation.partition(" read as ")[0]
    return (
        f"lengths of time such as {example}; expected dates, or numbers such as seconds since 1970"
    )


def _dayless(times: np.ndarray, found: InferredFormat) -> str:
    """Why clock times without a day order nothing; no word for other times."""
    known = times[~np.isnan(times)]
    if not len(known) or known.min() < 0 or known.max() >= 1 or not CLOCK.search(found.explanation):
        return ""
    return f"times of no day, {found.explanation}; expected dates too, such as 2019-03-21 10:05"


def _of_two_units(times: np.ndarray) -> str:
    """Why seconds beside milliseconds order nothing; no word where nearly all have one unit."""
    counts = {
        name: int(((times / size >= EARLIEST) & (times / size < LATEST)).sum())
        for name, size in UNITS
    }
    some = [f"{count} {name}" for name, count in counts.items() if count > MOST_STRAY * len(times)]
    if len(some) < 2:
        return ""
    return f"{' and '.join(some)} since 1970; expected one unit"


def _text(cell: object) -> str:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def _said_numbers(times: np.ndarray) -> str:
    known = times[np.isfinite(times)]
    for name, size in UNITS:
        if len(known) and EARLIEST <= np.median(known) / size < LATEST:
            return f"{name} since 1970"
    return ""


def _open(column: AnyCells, found: InferredFormat) -> str:
    """Why nobody can know the order of the dates, or no word where both readings give the same."""
    if not found.ambiguous_order:
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
        f"{found.explanation.partition(' read as ')[0]}, so that the newest cannot be found; "
        "expected one above 12, or a form such as 2019-03-21"
    )
