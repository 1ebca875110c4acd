"""What the cells of a column mean: numbers, times or categories, decided by whole columns.

All apps read by this, in training, for `--test` and for questions from outside. The form that
training found is kept with the run, and a column is read by it ever after.
"""

import dataclasses
import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from pipelines.tables import cells as raw
from pipelines.tables.cells import AnyCells, Cells
from pipelines.tables.missing import ALWAYS, NUMBER_WORDS, is_missing
from pipelines.tables.numerals import Mark, decimal_of, numeral, scale, unit_of
from pipelines.tables.surveys import MOSTLY, Kind, Survey, survey
from pipelines.tables.table import Table
from pipelines.tables.times import Order, moment

ISO = re.compile(rb"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?")
DAY = np.timedelta64(1, "D")
LARGEST = 3.4e38  # of a number; float32, in which models compute, ends there
LATEST = 2_932_897  # the days from 1970 to the year 10,000


@dataclasses.dataclass(frozen=True)
class Form:
    """How the cells of a column are read.

    Attributes:
        kind: numbers, times as days since 1970, or categories.
        decimal: the mark before decimals, where a cell may be read both ways.
        unit: that of most numbers; numbers of another unit are not read.
        order: of day and month, in dates that may be read both ways.

    """

    kind: Kind
    decimal: Mark = "."
    unit: str = ""
    order: Order = ""

    @property
    def words(self) -> frozenset[str]:
        """The words by which a cell says that nothing is known."""
        return ALWAYS if self.kind == "category" else NUMBER_WORDS


class Judged(NamedTuple):
    """What a column was found to be.

    Attributes:
        form: how its cells are read.
        how: for people, an example of what reading makes of its cells; "" where that is plain.
        open: whether nothing decides the order of day and month.

    """

    form: Form
    how: str = ""
    open: bool = False


def judged(table: Table) -> dict[str, Judged]:
    """What each column of a table is, and how its cells are read."""
    found = {
        name: Survey("category") if name in table.labels else survey(column)
        for name, column in table.columns.items()
    }
    proven = Counter(one.writing.proven for one in found.values())
    mark: Mark | None = "." if proven["."] > proven[","] else ","
    mark = None if proven["."] == proven[","] else mark
    orders = {one.order for one in found.values()} - {""}
    order: Order = orders.pop() if len(orders) == 1 else ""
    return {name: _judged(one, mark, order, table.separator) for name, one in found.items()}


def judge(column: AnyCells) -> Judged:
    """As `judged`, of a column alone."""
    return judged(Table({"": column}))[""]


def _judged(one: Survey, mark: Mark | None, order: Order, separator: str) -> Judged:
    if one.kind == "time":
        form = Form("time", order=one.order or order or ("mdy" if one.open else ""))
        undecided = one.open and not order
        return Judged(
            form, _how(one.example, form, "no cell proves the order" * undecided), undecided
        )
    if one.kind == "category":
        return Judged(Form("category"))
    decimal, why = decimal_of(one.writing, mark, separator)
    form = Form("number", decimal, unit_of(one.writing.units, MOSTLY))
    return Judged(form, _how(one.example, form, why))


def _how(example: bytes, form: Form, why: str) -> str:
    if not example:
        return ""
    value = read_cell(example, form)
    if np.isnan(value):
        return ""
    said = said_time(value) if form.kind == "time" else f"{value:.15g}"
    return f"{example.decode('utf-8', 'replace')!r} read as {said}" + f" ({why})" * bool(why)


def numbers(column: AnyCells, form: Form) -> np.ndarray:
    """The cells of a column of numbers or times as float64; NaN where one is missing or neither."""
    if column.dtype != object:
        given = raw.numbers_of(column)
        return np.where(np.abs(given) <= LARGEST, given, np.nan)
    if not isinstance(column, Cells):
        return _days(column, form) if form.kind == "time" else _numbers(column, form)
    if form not in column.readings:
        read = _days if form.kind == "time" else _numbers
        column.readings[form] = read(column, form)
    return column.readings[form]


def _numbers(column: AnyCells, form: Form) -> np.ndarray:
    plain = raw.numbers_of(column)
    again = form.decimal == "," and raw.holds(column, b".")
    bounded = np.abs(plain) <= LARGEST
    if not again and bounded.all():
        return plain
    found = np.array(plain)
    found[~bounded] = np.nan
    where = np.arange(len(found)) if again else np.flatnonzero(np.isnan(found))
    _read_again(column, where, form, found)
    return found


def _read_again(column: AnyCells, where: np.ndarray, form: Form, found: np.ndarray) -> None:
    if not len(where):
        return
    some = column[where].tolist()
    known = {cell: read_cell(cell, form) for cell in set(some)}
    found[where] = [known[cell] for cell in some]


def read_cell(cell: object, form: Form) -> float:
    """A cell of a column of numbers or times; NaN where it is missing or neither."""
    if not isinstance(cell, bytes) or len(cell) > 100 or is_missing(cell, NUMBER_WORDS):
        return float("nan")
    if form.kind == "time":
        day = moment(cell.decode("utf-8", "replace"))
        return day.days(form.order) if day else float("nan")
    one = numeral(cell.decode("utf-8", "replace"))
    value = one.value(form.decimal) * scale(one.unit, form.unit) if one else float("nan")
    return value if abs(value) <= LARGEST else float("nan")


def _days(column: AnyCells, form: Form) -> np.ndarray:
    found = np.full(len(column), np.nan)
    for start in range(0, len(column), raw.BLOCK):
        some = column[start : start + raw.BLOCK]
        plain = [cell if ISO.fullmatch(cell) else b"NaT" for cell in some.tolist()]
        try:
            moments = np.array(plain, "S").astype("U").astype("datetime64[us]")
        except ValueError:  # the 31st of February
            moments = np.full(len(some), np.datetime64("NaT"))
        found[start : start + raw.BLOCK] = (moments - np.datetime64(0, "D")) / DAY
    _read_again(column, np.flatnonzero(np.isnan(found)), form, found)
    return found


def said_time(days: float) -> str:
    """A time for people, and for files that are read again."""
    if not abs(days) < LATEST:
        return ""
    said = str((np.datetime64(0, "us") + np.timedelta64(round(days * 86_400e6), "us")).item())
    return said.removesuffix(" 00:00:00")


def written(value: float, form: Form) -> str:
    """A number as a cell that `numbers` reads again."""
    if np.isnan(value):
        return ""
    if form.kind == "time":
        return said_time(value)
    return repr(float(value)).replace(".", form.decimal)


def strange(column: AnyCells, read: np.ndarray, form: Form) -> np.ndarray:
    """The rows whose cell says something that `read`, its reading, does not know."""
    if column.dtype != object:
        return np.empty(0, "int64")
    where = np.flatnonzero(np.isnan(read))
    if not len(where):
        return where
    some = column[where].tolist()
    odd = {cell for cell in set(some) if not is_missing(cell, form.words)}
    return where[[cell in odd for cell in some]]
