"""Parse dates and times as people write them: 2019-03-21, 21.3.2019, Mar 21, 2019."""

import datetime
import math
import re
import unicodedata
from collections.abc import Iterable
from typing import Literal, NamedTuple

DateOrder = Literal["", "dmy", "mdy"]
DATE_ORDERS: tuple[DateOrder, ...] = ("dmy", "mdy")
ORDER_NAMES = {"dmy": "day/month/year", "mdy": "month/day/year"}
EPOCH = datetime.date(1970, 1, 1).toordinal()
DAY = 86_400.0  # seconds
FIRST_YEAR_OF_1900S = 69  # years of two digits from 69 to 99 are 1969 to 1999
MONTHS = {
    name: number
    for number, names in enumerate(
        (
            # English, then what German, French, Spanish, Italian, Portuguese and Dutch add.
            "jan january januar jänner janvier janv enero ene gennaio janeiro januari",
            "feb february februar février févr febrero febbraio fevereiro februari",
            "mar march märz mrz mars marzo março maart",
            "apr april avril avr abril abr aprile",
            "may mai mayo maggio maio mei",
            "jun june juni juin junio giugno junho",
            "jul july juli juillet juil julio luglio julho",
            "aug august août agosto ago augustus",
            "sep sept september septembre septiembre settembre setembro",
            "oct october oktober okt octobre octubre ottobre outubro",
            "nov november novembre noviembre novembro",
            "dec december dezember dez décembre déc diciembre dic dicembre dezembro",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
MONTH = rf"(?P<name>{'|'.join(sorted(MONTHS, key=len, reverse=True))})\.?"
WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
ZONE = r"(?P<zone>z|utc|gmt|(?:utc|gmt)?[+-]\d{2}(?::?\d{2})?)"
CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    rf"(?:\s*(?P<half>[ap])\.?m\.?)?(?:\s*{ZONE})?"
)
YEAR, DAY_OF = r"(?P<year>\d{4}|'?\d{2})", r"(?P<day>\d{1,2})(?:st|nd|rd|th|er)?"
DATES = (
    r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})",
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?=t)",
    r"(?P<year>\d{4})\s?[年년]\s?(?P<month>\d{1,2})\s?[月월]\s?(?P<day>\d{1,2})\s?[日일]",
    r"(?P<year>\d{4})\.\s(?P<month>\d{1,2})\.\s(?P<day>\d{1,2})\.?",  # in Korea
    r"(?P<year>\d{4})[\s-]?q(?P<quarter>[1-4])",
    r"q(?P<quarter>[1-4])[\s/-]?(?P<year>\d{4})",
    r"(?P<year>\d{4})-?w(?P<week>\d{2})(?:-?(?P<weekday>[1-7]))?",
    rf"(?P<one>\d{{1,2}})(?P<mark>[-/.])\s?(?P<two>\d{{1,2}})(?P=mark)\s?{YEAR}",
    rf"{DAY_OF}[\s./-]*(?:of\s+|de\s+)?{MONTH}[\s,/-]*(?:de\s+)?{YEAR}",
    rf"{MONTH}[\s-]*{DAY_OF},?[\s-]+{YEAR}",
    rf"(?P<year>\d{{4}})[\s-]+{MONTH}[\s-]+{DAY_OF}",
    r"(?P<year>\d{4})(?P<mark>[-/])(?P<month>\d{1,2})",
    r"(?P<year>\d{4})\s?年\s?(?P<month>\d{1,2})\s?月",
    rf"{MONTH}(?:[\s,-]+|\s+de\s+)(?P<year>\d{{4}})",
    rf"{MONTH}(?:-|\s?')(?P<year>\d{{2}})",  # as Excel writes a month
)
ISO_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
PATTERNS = tuple(
    re.compile(rf"{WEEKDAY}{date}(?:(?:\s*[t,:]\s*|\s+(?:at\s+)?){CLOCK})?") for date in DATES
)
HOUR = re.compile(CLOCK)  # a time without a day is one of 1970-01-01
# The format of C's ctime and of the command `date`.
C_TIME = re.compile(
    rf"{WEEKDAY}{MONTH}\s+{DAY_OF}\s+{CLOCK}(?:\s+[a-z]{{3,4}})?\s+(?P<year>\d{{4}})"
)
COMPACT = re.compile(r"(t\d{2})(\d{2})(\d{2})?")
CHINESE_CLOCK = re.compile(
    r"\s*(?P<half>[上下]午)?\s*(?P<hour>\d{1,2})(?:[:时時点點]\s?(?P<minute>\d{1,2})分?)"
    r"(?::?\s?(?P<second>\d{1,2})秒?)?$"
)


class ParsedTime(NamedTuple):
    """The parts of a written date.

    Attributes:
        year: the year, four digits.
        one: the month, or the first number of a date such as 3/4/2019.
        two: the day, or the second number.
        seconds: seconds of the day, in UTC if a zone is given.
        mark: the separator of numbers in unknown order; "" if the order is known.

    """

    year: int
    one: int
    two: int
    seconds: float
    mark: str = ""

    def days(self, order: DateOrder) -> float:
        """Return days since 1970; NaN if there is no such day."""
        month, day = (self.one, self.two) if not self.mark or order == "mdy" else self[2:0:-1]
        try:
            date = datetime.date(self.year, month, day)
        except ValueError:
            return float("nan")
        return date.toordinal() - EPOCH + self.seconds / DAY


def parse_time(text: str) -> ParsedTime | None:
    """Parse a text as a date or time; None if it is neither."""
    if match := ISO_DAY.fullmatch(text):  # the most frequent form, quickly
        year, month, day = map(int, match.groups())
        time = ParsedTime(year, month, day, 0.0)
        return time if year and _is_day(time, "") else None
    if not any(map(str.isdigit, text[:40])) or len(text) > 60:
        return None
    text = unicodedata.normalize("NFKC", text).strip().lower()
    if not text.isascii():
        text = CHINESE_CLOCK.sub(latin_clock, text)
    for pattern in (*PATTERNS, C_TIME, HOUR):
        if match := pattern.fullmatch(COMPACT.sub(_with_colons, text)):
            return _combine_parts(match.groupdict())
    return None


def latin_clock(match: re.Match) -> str:
    """Rewrite 下午3时5分 as 3:05 pm."""
    parts = [f"{match['hour']}:{match['minute']:0>2}"]
    if match["second"]:
        parts.append(f":{match['second']:0>2}")
    return " " + "".join(parts) + {"上午": " am", "下午": " pm", None: ""}[match["half"]]


def _with_colons(match: re.Match) -> str:
    return ":".join(part for part in match.groups() if part)


def _combine_parts(parts: dict[str, str | None]) -> ParsedTime | None:
    digits = (parts.get("year") or "1970").lstrip("'")
    year = int(digits)
    if len(digits) == 2:
        year += 1900 if year >= FIRST_YEAR_OF_1900S else 2000
    seconds = _seconds(parts)
    if seconds is None or not year:
        return None
    time = _dated(parts, year, seconds)
    return time if any(_is_day(time, order) for order in DATE_ORDERS) else None


def _dated(parts: dict[str, str | None], year: int, seconds: float) -> ParsedTime:
    if parts.get("one"):
        first, second = int(parts["one"] or 0), int(parts["two"] or 0)
        return ParsedTime(year, first, second, seconds, parts["mark"] or "")
    if parts.get("week"):
        return _of_week(year, int(parts["week"] or 0), int(parts["weekday"] or 1), seconds)
    if parts.get("quarter"):
        return ParsedTime(year, 3 * int(parts["quarter"] or 0) - 2, 1, seconds)
    name = parts.get("name")
    month = MONTHS[name] if name else int(parts.get("month") or 1)
    return ParsedTime(year, month, int(parts.get("day") or 1), seconds)


def _of_week(year: int, week: int, weekday: int, seconds: float) -> ParsedTime:
    """Return a day of a week of ISO 8601, or no day of the calendar."""
    try:
        date = datetime.date.fromisocalendar(year, week, weekday)
    except ValueError:
        return ParsedTime(year, 0, 0, seconds)
    return ParsedTime(date.year, date.month, date.day, seconds)


def _seconds(parts: dict[str, str | None]) -> float | None:
    """Return the seconds of the day; None for an impossible time."""
    if not parts.get("hour"):
        return 0.0
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    if half := parts["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "p")
    if hour > 24 or minute > 59 or second > 60:
        return None
    seconds = 3600 * hour + 60 * minute + second + float(f"0.{parts['part'] or 0}")
    return seconds - _utc_offset(parts["zone"] or "")


def _utc_offset(zone: str) -> float:
    """Return the offset of a zone from UTC in seconds."""
    match = re.search(r"([+-])(\d{2}):?(\d{2})?", zone)
    if not match:
        return 0.0
    size = 3600 * int(match[2]) + 60 * int(match[3] or 0)
    return float(size if match[1] == "+" else -size)


def infer_order(times: Iterable[tuple[ParsedTime, int]]) -> DateOrder:
    """Infer the order of day and month in a column; "" if its cells prove none.

    Each time is given with its number of cells. Dates with points have the day first, unless the
    numbers prove otherwise.
    """
    ambiguous = [(time, count) for time, count in times if time.mark]
    fits = {order: sum(n for time, n in ambiguous if _is_day(time, order)) for order in DATE_ORDERS}
    if fits["dmy"] != fits["mdy"]:
        return "dmy" if fits["dmy"] > fits["mdy"] else "mdy"
    same = all(time.mark == "." or time.one == time.two for time, _ in ambiguous)
    return "dmy" if ambiguous and same else ""


def _is_day(time: ParsedTime, order: DateOrder) -> bool:
    return not math.isnan(time.days(order))
