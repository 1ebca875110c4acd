"""What the user says about the cells of a column, in place of what its cells prove."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipelines.tables.inferred_column import RequestedKind
from pipelines.tables.numerals import DecimalMark, normalized_unit
from pipelines.tables.numeric_dates import NUMERIC_DATES
from pipelines.tables.times import DATE_ORDERS, DateOrder
from pipelines.tables.units import FRACTION

PLAIN_FRACTIONS = "fractions"  # beside percents
DECIMAL_MARKS: dict[str, DecimalMark] = {"comma": ",", "point": "."}
KINDS_WITH_DETAILS: tuple[RequestedKind, ...] = ("number", "time", "clock", "duration")


class KindRequest(NamedTuple):
    """The kind of a column, and details of its cells; the cells decide what is None or "".

    Attributes:
        kind: what its cells hold; "ignore" leaves the column out.
        decimal: the decimal mark of its numbers.
        unit: the unit of its numbers.
        order: the order of day and month in its dates.
        plain_unit: the unit of numbers without one, beside others with one.

    """

    kind: RequestedKind
    decimal: DecimalMark | None = None
    unit: str = ""
    order: DateOrder = ""
    plain_unit: str = ""


NO_REQUESTS: Mapping[str, KindRequest] = {}


def parse_details(kind: RequestedKind, words: Sequence[str]) -> KindRequest:
    """Parse the details of a kind. Raises ValueError, which says what was expected."""
    request = KindRequest(kind)
    for word in words:
        if kind == "number" and word in DECIMAL_MARKS:
            request = request._replace(decimal=DECIMAL_MARKS[word])
        elif kind == "number" and word == PLAIN_FRACTIONS:
            request = request._replace(plain_unit=FRACTION)
        elif kind == "number" and word and not request.unit:
            request = request._replace(unit=normalized_unit(word))
        elif (kind in ("time", "clock") and word in NUMERIC_DATES) or (
            kind == "duration" and word in ("hours", "minutes")
        ):
            request = request._replace(unit=word)
        elif kind in ("time", "clock") and word in DATE_ORDERS:
            request = request._replace(order=next(o for o in DATE_ORDERS if o == word))
        else:
            raise ValueError(f"the detail {word!r} is unknown; {_expected(kind)}.")
    return request


def details_of(decimal: DecimalMark, unit: str, order: DateOrder, plain_unit: str) -> str:
    """Return details of a column as text, for `parse_details`."""
    marks = [word for word, mark in DECIMAL_MARKS.items() if mark == decimal == ","]
    plain = PLAIN_FRACTIONS * bool(plain_unit)
    return " ".join(word for word in (*marks, unit, plain, order) if word)


def _expected(kind: RequestedKind) -> str:
    if kind == "number":
        return f"expected {' or '.join(DECIMAL_MARKS)} for the decimal mark, and one unit"
    if kind in ("time", "clock"):
        return (
            f"expected {' or '.join(DATE_ORDERS)} for the order of day, month and year, or what "
            f"numbers count: {', '.join(NUMERIC_DATES)}"
        )
    if kind == "duration":
        return "expected hours if 12:30 means hours and minutes, or minutes"
    return "expected none for this kind"
