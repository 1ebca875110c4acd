"""Infer how the cells of a column are read, and read them: numbers, times or categories.

All apps use this module, in training, for `--test` and for prediction requests. The format
inferred in training is stored with the run and used for every later file.
"""

import dataclasses
import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from pipelines.tables import cells as raw
from pipelines.tables.cells import AnyCells, Cells
from pipelines.tables.missing import MISSING_WORDS, NUMBER_WORDS, is_missing
from pipelines.tables.numerals import (
    DecimalMark,
    choose_decimal_mark,
    main_unit,
    parse_numeral,
    unit_factor,
)
from pipelines.tables.table import Table
from pipelines.tables.times import DateOrder, parse_time
from pipelines.tables.type_inference import MIN_SHARE_OF_KIND, InferredColumn, Kind, infer_column

ISO_TIME = re.compile(rb"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?")
DAY = np.timedelta64(1, "D")
MAX_NUMBER = 3.4e38  # the largest float32; models compute in float32
MAX_DAYS = 2_932_897  # from 1970 to the year 10,000


@dataclasses.dataclass(frozen=True)
class CellFormat:
    """How the cells of a column are read.

    Attributes:
        kind: numbers, times as days since 1970, or categories.
        decimal: the decimal mark of ambiguous numbers such as 1.234.
        unit: the unit of most numbers; numbers with another unit count as missing.
        order: the order of day and month in ambiguous dates such as 3/4/2019.

    """

    kind: Kind
    decimal: DecimalMark = "."
    unit: str = ""
    order: DateOrder = ""

    @property
    def words(self) -> frozenset[str]:
        """The words that mean a missing value."""
        return MISSING_WORDS if self.kind == "category" else NUMBER_WORDS


class InferredFormat(NamedTuple):
    """The inferred format of a column.

    Attributes:
        form: how its cells are read.
        explanation: for the user, an example of a cell and its value; "" where that is obvious.
        ambiguous_order: whether nothing decides the order of day and month.

    """

    form: CellFormat
    explanation: str = ""
    ambiguous_order: bool = False


def infer_formats(table: Table) -> dict[str, InferredFormat]:
    """Infer the format of each column of a table."""
    found = {
        name: InferredColumn("category") if name in table.labels else infer_column(column)
        for name, column in table.columns.items()
    }
    proven = Counter(one.number_style.decimal_mark for one in found.values())
    mark: DecimalMark | None = "." if proven["."] > proven[","] else ","
    mark = None if proven["."] == proven[","] else mark
    orders = {one.order for one in found.values()} - {""}
    order: DateOrder = orders.pop() if len(orders) == 1 else ""
    return {name: _format_of(one, mark, order, table.separator) for name, one in found.items()}


def infer_format(column: AnyCells) -> InferredFormat:
    """Infer the format of a single column."""
    return infer_formats(Table({"": column}))[""]


def _format_of(
    one: InferredColumn, mark: DecimalMark | None, order: DateOrder, separator: str
) -> InferredFormat:
    if one.kind == "time":
        form = CellFormat(
            "time", order=one.order or order or ("mdy" if one.ambiguous_order else "")
        )
        undecided = one.ambiguous_order and not order
        return InferredFormat(
            form, _explain(one.example, form, "no cell proves the order" * undecided), undecided
        )
    if one.kind == "category":
        return InferredFormat(CellFormat("category"))
    decimal, why = choose_decimal_mark(one.number_style, mark, separator)
    form = CellFormat("number", decimal, main_unit(one.number_style.units, MIN_SHARE_OF_KIND))
    return InferredFormat(form, _explain(one.example, form, why))


def _explain(example: bytes, form: CellFormat, why: str) -> str:
    if not example:
        return ""
    value = parse_cell(example, form)
    if np.isnan(value):
        return ""
    said = format_time(value) if form.kind == "time" else f"{value:.15g}"
    return f"{example.decode('utf-8', 'replace')!r} read as {said}" + f" ({why})" * bool(why)


def parse_numbers(column: AnyCells, form: CellFormat) -> np.ndarray:
    """Parse a column of numbers or times to float64; NaN for missing and unparsable cells."""
    if column.dtype != object:
        given = raw.numbers_of(column)
        return np.where(np.abs(given) <= MAX_NUMBER, given, np.nan)
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
    again = form.decimal == "," and raw.contains_text(column, b".")
    bounded = np.abs(plain) <= MAX_NUMBER
    if not again and bounded.all():
        return plain
    found = np.array(plain)
    found[~bounded] = np.nan
    where = np.arange(len(found)) if again else np.flatnonzero(np.isnan(found))
    _parse_remaining(column, where, form, found)
    return found


def _parse_remaining(
    column: AnyCells, where: np.ndarray, form: CellFormat, found: np.ndarray
) -> None:
    if not len(where):
        return
    some = column[where].tolist()
    known = {cell: parse_cell(cell, form) for cell in set(some)}
    found[where] = [known[cell] for cell in some]


def parse_cell(cell: object, form: CellFormat) -> float:
    """Parse a cell of a column of numbers or times; NaN if it is missing or unparsable."""
    if not isinstance(cell, bytes) or len(cell) > 100 or is_missing(cell, NUMBER_WORDS):
        return float("nan")
    if form.kind == "time":
        day = parse_time(cell.decode("utf-8", "replace"))
        return day.days(form.order) if day else float("nan")
    one = parse_numeral(cell.decode("utf-8", "replace"))
    value = one.value(form.decimal) * unit_factor(one.unit, form.unit) if one else float("nan")
    return value if abs(value) <= MAX_NUMBER else float("nan")


def _parse_time_column(column: AnyCells, form: CellFormat) -> np.ndarray:
    found = np.full(len(column), np.nan)
    for start in range(0, len(column), raw.CELLS_PER_BLOCK):
        some = column[start : start + raw.CELLS_PER_BLOCK]
        plain = [cell if ISO_TIME.fullmatch(cell) else b"NaT" for cell in some.tolist()]
        try:
            moments = np.array(plain, "S").astype("U").astype("datetime64[us]")
        except ValueError:  # the 31st of February
            moments = np.full(len(some), np.datetime64("NaT"))
        found[start : start + raw.CELLS_PER_BLOCK] = (moments - np.datetime64(0, "D")) / DAY
    _parse_remaining(column, np.flatnonzero(np.isnan(found)), form, found)
    return found


def format_time(days: float) -> str:
    """Format days since 1970 as a date, with the time of day if there is one."""
    if not abs(days) < MAX_DAYS:
        return ""
    said = str((np.datetime64(0, "us") + np.timedelta64(round(days * 86_400e6), "us")).item())
    return said.removesuffix(" 00:00:00")


def format_number(value: float, form: CellFormat) -> str:
    """Format a number as a cell that `parse_numbers` parses to the same value."""
    if np.isnan(value):
        return ""
    if form.kind == "time":
        return format_time(value)
    return repr(float(value)).replace(".", form.decimal)


def unparsable_rows(column: AnyCells, read: np.ndarray, form: CellFormat) -> np.ndarray:
    """Return the rows whose cell is not missing, but NaN in `read`, the parsed column."""
    if column.dtype != object:
        return np.empty(0, "int64")
    where = np.flatnonzero(np.isnan(read))
    if not len(where):
        return where
    some = column[where].tolist()
    odd = {cell for cell in set(some) if not is_missing(cell, form.words)}
    return where[[cell in odd for cell in some]]
