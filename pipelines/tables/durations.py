"""Parse lengths of time (1:23:45, 1h 20m, P1DT2H, 3 days 04:05:06) and times of day (2 pm)."""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from pipelines.tables.times import CHINESE_CLOCK, CLOCK, latin_clock
from pipelines.tables.units import UNITS

MINUTE, HOUR, DAY, WEEK = 60.0, 3600.0, 86_400.0, 604_800.0  # seconds
MONTH, YEAR = UNITS["month"].factor, UNITS["year"].factor
NUMBER = r"\d+(?:[.,]\d+)?"
PARTS = r"(?P<one>\d+):(?P<two>[0-5]\d)(?::(?P<three>[0-5]\d))?(?:[.,](?P<fraction>\d{1,9}))?"
COLONS = re.compile(
    rf"(?P<sign>[-+])?(?:(?P<days>\d+)(?:\.(?=\d\d:)|\s*(?:d|days?|tage?|jours?)\s*(?P<plus>,?\s*\+|,)?\s*))?{PARTS}"
)
ISO = re.compile(
    rf"(?P<sign>[-+])?p(?!$)(?:(?P<y>{NUMBER})y)?(?:(?P<mo>{NUMBER})m)?(?:(?P<w>{NUMBER})w)?"
    rf"(?:(?P<d>{NUMBER})d)?(?:t(?=\d)(?:(?P<h>{NUMBER})h)?(?:(?P<min>{NUMBER})m)?(?:(?P<s>{NUMBER})s)?)?"
)
ISO_UNITS = {"y": YEAR, "mo": MONTH, "w": WEEK, "d": DAY, "h": HOUR, "min": MINUTE, "s": 1.0}
WORDS = {
    YEAR: "y yr yrs year years jahr jahre an ans año años",
    MONTH: "mo mos month months monat monate mois mes meses",
    WEEK: "w wk wks week weeks woche wochen semaine semaines semana semanas 周",
    DAY: "d day days tag tage tagen jour jours día días 天 日",
    HOUR: "h hr hrs hour hours std stunde stunden heure heures hora horas 小时 時間",
    MINUTE: "m min mins minute minutes minuten minuto minutos 分 分钟",
    1.0: "s sec secs second seconds sek sekunde sekunden seconde secondes segundo segundos 秒",
    1e-3: "ms msec millisecond milliseconds",
    1e-6: "us µs microsecond microseconds",
    1e-9: "ns nanosecond nanoseconds",
}
SECONDS = {
    unicodedata.normalize("NFKC", word): size
    for size, words in WORDS.items()
    for word in words.split()
}
PART = re.compile(
    rf"(?P<number>{NUMBER})\s*(?P<unit>{'|'.join(sorted(SECONDS, key=len, reverse=True))})"
    r"(?![^\W\d_])\.?(?:\s*,\s*|\s+(?:and|und|et|y)\s+|\s*)"
)
LAST_WITHOUT_UNIT = re.compile(r"(?P<hours>\d+)h(?P<minutes>[0-5]\d)")  # 1h20
CLOCKS = (
    re.compile(CLOCK),
    re.compile(r"(?P<hour>\d{1,2})\s*(?P<half>[ap])\.?m\.?"),
    re.compile(r"(?P<hour>\d{1,2})(?:[.:](?P<minute>[0-5]\d))?\s*uhr"),
    re.compile(r"(?P<hour>\d{1,2})\s?h(?:\s?(?P<minute>[0-5]\d))?"),
)
MAX_CLOCK_HOURS = 24
LEAST_AFTERNOON = 13 * HOUR  # of a column of 9h05 that holds times of day


class Duration(NamedTuple):
    """A length of time.

    Attributes:
        seconds: its length; of two parts as minutes and seconds.
        parts: the number of parts between colons: 2 or 3, or 0 without colons.
        like_clock: whether it may also be a time of day.
        single: whether it is one number with a unit, such as 90 min.

    """

    seconds: float
    parts: int = 0
    like_clock: bool = False
    single: bool = False


def parse_duration(text: str) -> Duration | None:
    """Parse a text as a length of time; None if it is none."""
    text = unicodedata.normalize("NFKC", text).strip().lower()
    if match := COLONS.fullmatch(text):
        return _of_colons(match)
    if match := ISO.fullmatch(text):
        sizes = {name: size for name, size in ISO_UNITS.items() if match[name]}
        seconds = sum(_number(match[name]) * size for name, size in sizes.items())
        return Duration(seconds * _sign(match["sign"])) if sizes else None
    if match := LAST_WITHOUT_UNIT.fullmatch(text):
        hours = int(match["hours"])
        seconds = hours * HOUR + int(match["minutes"]) * MINUTE
        return Duration(seconds, like_clock=hours < MAX_CLOCK_HOURS)
    return _of_words(text)


def _of_colons(match: re.Match) -> Duration:
    parts = [int(match[name] or 0) for name in ("one", "two", "three")]
    has_three = match["three"] is not None
    hours, minutes, seconds = parts if has_three or match["days"] else (0, *parts[:2])
    length = hours * HOUR + minutes * MINUTE + seconds + float(f"0.{match['fraction'] or 0}")
    sign = _sign(match["sign"])
    if match["days"]:
        # pandas writes -1 hour as -1 days +23:00:00, and Python as -1 day, 23:00:00.
        length = int(match["days"]) * DAY + (sign * length if match["plus"] else length)
    like_clock = (
        not (match["days"] or match["sign"])
        and parts[0] < MAX_CLOCK_HOURS
        and (has_three or not match["fraction"])
    )
    return Duration(sign * length, 2 + has_three, like_clock)


def _of_words(text: str) -> Duration | None:
    sign, text = (-1, text[1:].strip()) if text[:1] in "-\u2212" and text else (1, text)
    position, seconds, sizes = 0, 0.0, list[float]()
    while match := PART.match(text, position):
        position = match.end()
        sizes.append(SECONDS[match["unit"]])
        seconds += _number(match["number"]) * sizes[-1]
    # Each unit once, the longest first: 5'11" are feet, and 3 m 4 h no duration.
    if position < len(text) or not sizes or sizes != sorted({*sizes}, reverse=True):
        return None
    return Duration(sign * seconds, single=len(sizes) == 1)


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _sign(text: str | None) -> int:
    return -1 if text == "-" else 1


def parse_clock(text: str) -> float | None:
    """Parse a text as hours of the day; None if it is no time of day."""
    text = unicodedata.normalize("NFKC", text).strip().lower()
    if not text.isascii():
        text = CHINESE_CLOCK.sub(latin_clock, text).strip()
    match = next((match for clock in CLOCKS if (match := clock.fullmatch(text))), None)
    if match is None:
        return None
    parts = match.groupdict()
    hour, minute, second = (int(parts.get(name) or 0) for name in ("hour", "minute", "second"))
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half == "p")
    if hour > MAX_CLOCK_HOURS or minute > 59 or second > 60:
        return None
    second += float(f"0.{parts.get('part') or 0}")  # type: ignore[assignment]
    return (hour + minute / 60 + second / 3600) % MAX_CLOCK_HOURS


def are_durations(cells: Iterable[str], durations: Iterable[Duration]) -> bool:
    """Whether cells are lengths of time, and neither times of day nor numbers with a unit."""
    found = [*durations]
    if any(not one.like_clock and not one.single for one in found):
        return True
    # 1h20 and 0h45, but not 9h05 beside 14h30.
    if any(one.like_clock and not one.parts for one in found):
        return max(one.seconds for one in found) < LEAST_AFTERNOON
    of_colons = [cell for cell, one in zip(cells, found, strict=True) if one.parts]
    hours = [cell.strip().partition(":")[0] for cell in of_colons]
    three = [one for one in found if one.parts == 3]
    # 1:23:45 and 0:59:10, but not 09:05:00, nor 9:05:00 beside 14:30:00.
    return bool(three) and all(len(hour) == 1 for hour in hours)
