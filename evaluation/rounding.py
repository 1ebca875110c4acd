"""Numbers for people: as many digits as an interval supports, with thousands separators."""

import math

from apps.metrics import Metric

DIGITS = 4  # of a number of which no interval is known
MOST_DECIMALS = 6


def decimals(low: float, high: float) -> int:
    """Decimals, negative left of the point, that show half the interval's width in two digits."""
    half = (high - low) / 2
    if not half > 0 or not math.isfinite(half):
        return _decimals_of(max(abs(low), abs(high)))
    return min(1 - math.floor(math.log10(half)), MOST_DECIMALS)


def _decimals_of(value: float) -> int:
    """Decimals for DIGITS digits: at most as many, and all digits of a whole part."""
    size = math.floor(math.log10(value)) if value > 0 and math.isfinite(value) else 0
    return min(max(DIGITS - 1 - size, 0), DIGITS)


def rounded(value: float, places: int) -> str:
    """A number with so many decimals; with negative ones to tens, hundreds and so on."""
    return f"{round(value, places) + 0.0:,.{max(places, 0)}f}"  # 0.0 takes the sign off -0


def number(value: float) -> str:
    """A number of which no interval is known."""
    if value and abs(value) < 10.0 ** (1 - DIGITS):
        return f"{value:.2g}"
    return rounded(value, _decimals_of(abs(value)))


def with_interval(value: float, interval: tuple[float, float] | list[float]) -> str:
    """A score and its interval, such as `24,900 [21,500, 28,600]`."""
    places = decimals(*interval)
    low, high = (rounded(end, places) for end in interval)
    return f"{rounded(value, places)} [{low}, {high}]"


def with_spread(value: float, spread: float) -> str:
    """A mean and its standard deviation."""
    places = decimals(-spread, spread) if spread else _decimals_of(abs(value))
    return f"{rounded(value, places)} ± {rounded(spread, places)}"


def amount(difference: float, known: Metric) -> str:
    """A difference of a metric in two digits, such as `0.4 points` of a fraction."""
    if known.format == "fraction":
        return f"{_two_digits(100 * difference)} points"
    number_and_unit = f"{_two_digits(difference)} {known.unit_for('')}".rstrip()
    return f"{number_and_unit} ({known.name})"


def _two_digits(value: float) -> str:
    places = 1 - math.floor(math.log10(abs(value))) if value else 0
    shown = rounded(value, min(places, MOST_DECIMALS))
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def heading(name: str, units: dict[str, str]) -> str:
    """The name of a metric, and its unit where that is known."""
    return f"{name} ({units[name]})" if units.get(name) else name
