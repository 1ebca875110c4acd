"""Read the cells of a column by its format: numbers, times, durations, booleans.

All apps use this module, in training, for `--test` and for prediction requests. The format
inferred in training is stored with the run and used for every later file.
"""

import dataclasses
import re
from collections.abc import Callable

import numpy as np

from pipelines.tables import cells as raw
from pipelines.tables.booleans import truth_of
from pipelines.tables.cells import AnyCells, Cells
from pipelines.tables.durations import (
    HOUR,
    MAX_CLOCK_HOURS,
    MINUTE,
    parse_clock,
    parse_duration,
)
from pipelines.tables.inferred_column import TEXT_KINDS, Kind
from pipelines.tables.missing import MISSING_WORDS, NUMBER_WORDS, is_missing
from pipelines.tables.numerals import DecimalMark, parse_numeral
from pipelines.tables.numeric_dates import days_of, number_of_days
from pipelines.tables.times import DateOrder, parse_time
from pipelines.tables.units import MIXED, convert

ISO_TIME = re.compile(rb"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?")
DAY = np.timedelta64(1, "D")
HOURS = "hours"  # the unit of durations whose 12:30 means hours and minutes
MAX_NUMBER = 3.4e38  # the largest float32; models compute in float32
MAX_DAYS = 2_932_897  # from 1970 to the year 10,000


@dataclasses.dataclass(frozen=True)
class CellFormat:
    """How the cells of a column are read.

    Attributes:
        kind: numbers, times as days since 1970, clock times as hours, durations as seconds; or
            texts: categories, booleans, free texts, lists.
        decimal: the decimal mark of ambiguous numbers such as 1.234.
        unit: the unit of most numbers; others are converted to it, or count as missing. Of dates
            that are numbers, what they count.
        order: the order of day and month in ambiguous dates such as 3/4/2019.
        plain_unit: the unit of numbers without one; "" if it is `unit`.
        false: the text of false booleans.
        true: the text of true booleans.

    """

    kind: Kind
    decimal: DecimalMark = "."
    unit: str = ""
    order: DateOrder = ""
    plain_unit: str = ""
    false: str = ""
    true: str = ""

    @property
    def entries(self) -> dict[str, str]:
        """Its fields that are not empty, from which it can be made again."""
        return {name: part for name, part in vars(self).items() if part}

    @property
    def is_text(self) -> bool:
        """Whether its cells are texts for the model, not numbers."""
        return self.kind in TEXT_KINDS

    @property
    def noun(self) -> str:
        """What a cell is, for a message."""
        return {"time": "date", "clock": "time of day"}.get(self.kind, self.kind)

    @property
    def measure(self) -> str:
        """The unit of its values, for the user; "" for none."""
        measures = {"time": "days since 1970", "clock": "hours of the day", "duration": "seconds"}
        return measures.get(self.kind, self.unit.strip(MIXED))

    @property
    def words(self) -> frozenset[str]:
        """The words that mean a missing value."""
        return MISSING_WORDS if self.is_text else NUMBER_WORDS


def describe_value(value: float, form: CellFormat) -> str:
    """Return the value of a cell as text for the user."""
    if form.kind == "time":
        return format_time(value)
    if form.kind == "clock":
        seconds = round(value * HOUR)
        return f"{seconds // 3600}:{seconds % 3600 // 60:02d}" + (
            f":{seconds % 60:02d}" if seconds % 60 else ""
        )
    return f"{value:.15g}" + " seconds" * (form.kind == "duration")


def parse_numbers(column: AnyCells, form: CellFormat) -> np.ndarray:
    """Parse a column of numbers or times to float64; NaN for missing and unparsable cells."""
    if form.kind == "time" and form.unit:
        return _parse_numeric_dates(column, form)
    if column.dtype != object:
        numbers = raw.numbers_of(column)
        return np.where(np.abs(numbers) <= MAX_NUMBER, numbers, np.nan)
    if not isinstance(column, Cells):
        return (
            _parse_time_column(column, form)
            if form.kind == "time"
            else _parse_number_column(column, form)
        )
    if form not in column.parsed:
        read = _parse_time_column if form.kind == "time" else _parse_number_column
        column.parsed[form] = read(column, form)
    return column.parsed[form]


def _parse_number_column(column: AnyCells, form: CellFormat) -> np.ndarray:
    plain = raw.numbers_of(column)
    if form.kind == "clock":
        plain = np.where((plain >= 0) & (plain < MAX_CLOCK_HOURS), plain, np.nan)
    ambiguous_points = form.decimal == "," and raw.contains_text(column, b".")
    bounded = np.abs(plain) <= MAX_NUMBER
    if not ambiguous_points and bounded.all() and not form.plain_unit:
        return plain
    numbers = np.array(plain)
    numbers[~bounded] = np.nan
    if form.plain_unit:
        factor = convert(1.0, form.plain_unit, form.unit)
        numbers = np.round(numbers * factor, 12)  # 7 in place of 7.000000000000001
    rows = np.arange(len(numbers)) if ambiguous_points else np.flatnonzero(np.isnan(numbers))
    _parse_remaining(column, rows, form, numbers)
    return numbers


def _parse_remaining(
    column: AnyCells, rows: np.ndarray, form: CellFormat, numbers: np.ndarray
) -> None:
    if not len(rows):
        return
    numbers[rows] = raw.distinct_of(column, rows).map(
        lambda cell: parse_cell(cell, form), "float64"
    )


def parse_cell(cell: object, form: CellFormat) -> float:
    """Parse a cell of a column of numbers or times; NaN if it is missing or unparsable."""
    if not isinstance(cell, bytes) or len(cell) > 100 or is_missing(cell, NUMBER_WORDS):
        return float("nan")
    if form.kind == "time" and form.unit:
        number = raw.parse_float(cell)
        return float(_days_of(np.array([number]), form)[0]) if number == number else _written(cell)
    value = PARSERS[form.kind](cell.decode("utf-8", "replace"), form)
    return value if value is not None and abs(value) <= MAX_NUMBER else float("nan")


def _parse_numeric_dates(column: AnyCells, form: CellFormat) -> np.ndarray:
    """Parse a column of numbers that are dates by request; some cells may be written dates."""
    numbers = raw.numbers_of(column)
    days = _days_of(numbers, form)
    if column.dtype == object:
        _parse_remaining(column, np.flatnonzero(np.isnan(numbers)), form, days)
    return days


def _days_of(numbers: np.ndarray, form: CellFormat) -> np.ndarray:
    days = days_of(numbers, form.unit)
    return np.where(np.abs(days) < MAX_DAYS, days, np.nan)


def _written(cell: bytes) -> float:
    """Parse a written date; NaN if it is none, or if its day and month may be exchanged."""
    if not (time := parse_time(cell.decode("utf-8", "replace"))):
        return float("nan")
    days = {time.days("dmy"), time.days("mdy")}
    known = [one for one in days if one == one]
    return known[0] if len(known) == 1 else float("nan")


def _parse_number(text: str, form: CellFormat) -> float | None:
    if not (numeral := parse_numeral(text)):
        return None
    return convert(numeral.value(form.decimal), numeral.unit or form.plain_unit, form.unit)


def _parse_time(text: str, form: CellFormat) -> float | None:
    time = parse_time(text)
    return time.days(form.order) if time else None


def _parse_clock(text: str, form: CellFormat) -> float | None:  # noqa: ARG001
    return parse_clock(text)


def _parse_duration(text: str, form: CellFormat) -> float | None:
    if not (duration := parse_duration(text)):
        return None
    in_hours = form.unit == HOURS and duration.parts == 2
    return duration.seconds * (MINUTE if in_hours else 1.0)


PARSERS: dict[Kind, Callable[[str, CellFormat], float | None]] = {
    "number": _parse_number,
    "time": _parse_time,
    "clock": _parse_clock,
    "duration": _parse_duration,
}


def parse_boolean(cell: bytes, form: CellFormat) -> bytes:
    """Return the column's own text for true or false; any other cell as it is."""
    truth = truth_of(cell)
    return cell if truth is None else (form.true if truth else form.false).encode()


def _parse_time_column(column: AnyCells, form: CellFormat) -> np.ndarray:
    values, codes = raw.distinct_of(column)
    days = np.full(len(values), np.nan)
    for start in range(0, len(values), raw.CELLS_PER_BLOCK):
        cells = values[start : start + raw.CELLS_PER_BLOCK].tolist()
        plain = [cell if ISO_TIME.fullmatch(cell) else b"NaT" for cell in cells]
        try:
            times = np.array(plain, "S").astype("U").astype("datetime64[us]")
        except ValueError:  # the 31st of February
            times = np.full(len(cells), np.datetime64("NaT"))
        days[start : start + raw.CELLS_PER_BLOCK] = (times - np.datetime64(0, "D")) / DAY
    _parse_remaining(values, np.flatnonzero(np.isnan(days)), form, days)
    return days[codes]


def format_time(days: float) -> str:
    """Format days since 1970 as a date, with the time of day if there is one."""
    if not abs(days) < MAX_DAYS:
        return ""
    text = str((np.datetime64(0, "us") + np.timedelta64(round(days * 86_400e6), "us")).item())
    return text.removesuffix(" 00:00:00")


def format_number(value: float, form: CellFormat) -> str:
    """Format a number as a cell that `parse_numbers` parses to the same value."""
    if np.isnan(value):
        return ""
    if form.kind == "time":
        return repr(number_of_days(value, form.unit)) if form.unit else format_time(value)
    return repr(float(value)).replace(".", form.decimal) + form.unit * bool(form.plain_unit)


def unparsable_rows(column: AnyCells, read: np.ndarray, form: CellFormat) -> np.ndarray:
    """Return the rows whose cell is not missing, but NaN in `read`, the parsed column."""
    if column.dtype != object:
        return np.empty(0, "int64")
    rows = np.flatnonzero(np.isnan(read))
    if not len(rows):
        return rows
    words = form.words
    return rows[raw.distinct_of(column, rows).map(lambda cell: not is_missing(cell, words), "bool")]
