"""Infer how the cells of a column are read, and read them: numbers, times or categories.

All apps use this module, in training, for `--test` and for prediction requests. The format
inferred in training is stored with the run and used for every later file.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipelines.tables import cells as raw
from pipelines.tables.cells import AnyCells, Cells, map_columns
from pipelines.tables.kind_requests import NO_REQUESTS, KindRequest
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
from pipelines.tables.type_inference import (
    MIN_SHARE_OF_KIND,
    TEXT_KINDS,
    InferredColumn,
    Kind,
    infer_column,
)

ISO_TIME = re.compile(rb"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?")
DAY = np.timedelta64(1, "D")
MAX_NUMBER = 3.4e38  # the largest float32; models compute in float32
MAX_DAYS = 2_932_897  # from 1970 to the year 10,000


@dataclasses.dataclass(frozen=True)
class CellFormat:
    """How the cells of a column are read.

    Attributes:
        kind: numbers, times as days since 1970, clock times as hours, durations as seconds; or
            texts: categories, booleans, free texts, lists.
        decimal: the decimal mark of ambiguous numbers such as 1.234.
        unit: the unit of most numbers; numbers with another unit count as missing.
        order: the order of day and month in ambiguous dates such as 3/4/2019.

    """

    kind: Kind
    decimal: DecimalMark = "."
    unit: str = ""
    order: DateOrder = ""

    @property
    def is_text(self) -> bool:
        """Whether its cells are texts for the model, not numbers."""
        return self.kind in TEXT_KINDS

    @property
    def words(self) -> frozenset[str]:
        """The words that mean a missing value."""
        return MISSING_WORDS if self.is_text else NUMBER_WORDS


class InferredFormat(NamedTuple):
    """The inferred format of a column.

    Attributes:
        form: how its cells are read.
        explanation: for the user, an example of a cell and its value; "" if that is obvious.
        ambiguous_order: whether nothing decides the order of day and month.

    """

    form: CellFormat
    explanation: str = ""
    ambiguous_order: bool = False


def infer_formats(
    table: Table, requests: Mapping[str, KindRequest] = NO_REQUESTS
) -> dict[str, InferredFormat]:
    """Infer the format of each column of a table, except for what the user requests."""
    kinds = {name: request.kind for name, request in requests.items()}
    unlabelled = [name for name in table.columns if name not in table.labels]
    columns = map_columns(
        infer_column, (table.columns[name] for name in unlabelled), map(kinds.get, unlabelled)
    )
    inferred = dict.fromkeys(table.columns, InferredColumn("category"))
    inferred.update(zip(unlabelled, columns, strict=True))
    num_proven = Counter(column.number_style.decimal_mark for column in inferred.values())
    decimal_mark: DecimalMark | None = "." if num_proven["."] > num_proven[","] else ","
    decimal_mark = None if num_proven["."] == num_proven[","] else decimal_mark
    orders = {column.order for column in inferred.values()} - {""}
    order: DateOrder = orders.pop() if len(orders) == 1 else ""
    return {
        name: _format_of(column, decimal_mark, order, table.separator, requests.get(name))
        for name, column in inferred.items()
    }


def infer_format(column: AnyCells, request: KindRequest | None = None) -> InferredFormat:
    """Infer the format of a single column."""
    return infer_formats(Table({"": column}), {"": request} if request else NO_REQUESTS)[""]


def _format_of(
    column: InferredColumn,
    decimal_mark: DecimalMark | None,
    order: DateOrder,
    separator: str,
    request: KindRequest | None,
) -> InferredFormat:
    if column.kind == "time":
        order = (request and request.order) or column.order or order
        form = CellFormat("time", order=order or ("mdy" if column.ambiguous_order else ""))
        undecided = column.ambiguous_order and not order
        return InferredFormat(
            form, _explain(column.example, form, "no cell proves the order" * undecided), undecided
        )
    if column.kind != "number":
        return InferredFormat(CellFormat(column.kind))
    decimal, reason = choose_decimal_mark(column.number_style, decimal_mark, separator)
    if request and request.decimal:
        decimal, reason = request.decimal, ""
    unit = main_unit(column.number_style.units, MIN_SHARE_OF_KIND)
    form = CellFormat("number", decimal, (request and request.unit) or unit)
    return InferredFormat(form, _explain(column.example, form, reason))


def _explain(example: bytes, form: CellFormat, reason: str) -> str:
    if not example:
        return ""
    value = parse_cell(example, form)
    if np.isnan(value):
        return ""
    shown = describe_value(value, form)
    return f"{example.decode('utf-8', 'replace')!r} read as {shown}" + f" ({reason})" * bool(reason)


def describe_value(value: float, form: CellFormat) -> str:
    """Return the value of a cell as text for the user."""
    return format_time(value) if form.kind == "time" else f"{value:.15g}"


def parse_numbers(column: AnyCells, form: CellFormat) -> np.ndarray:
    """Parse a column of numbers or times to float64; NaN for missing and unparsable cells."""
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
    ambiguous_points = form.decimal == "," and raw.contains_text(column, b".")
    bounded = np.abs(plain) <= MAX_NUMBER
    if not ambiguous_points and bounded.all():
        return plain
    numbers = np.array(plain)
    numbers[~bounded] = np.nan
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
    if form.kind == "time":
        time = parse_time(cell.decode("utf-8", "replace"))
        return time.days(form.order) if time else float("nan")
    numeral = parse_numeral(cell.decode("utf-8", "replace"))
    value = (
        numeral.value(form.decimal) * unit_factor(numeral.unit, form.unit)
        if numeral
        else float("nan")
    )
    return value if abs(value) <= MAX_NUMBER else float("nan")


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
        return format_time(value)
    return repr(float(value)).replace(".", form.decimal)


def unparsable_rows(column: AnyCells, read: np.ndarray, form: CellFormat) -> np.ndarray:
    """Return the rows whose cell is not missing, but NaN in `read`, the parsed column."""
    if column.dtype != object:
        return np.empty(0, "int64")
    rows = np.flatnonzero(np.isnan(read))
    if not len(rows):
        return rows
    words = form.words
    return rows[raw.distinct_of(column, rows).map(lambda cell: not is_missing(cell, words), "bool")]
