"""Round numbers to the digits that an interval supports, with thousands separators."""

import math

from apps.metrics import Metric

NUM_DIGITS = 4  # significant ones, of a number without an interval
MAX_DECIMALS = 6


def decimals(low: float, high: float) -> int:
    """Return the decimals that show half the interval in two digits; -1 rounds to tens."""
    half = (high - low) / 2
    if not half > 0 or not math.isfinite(half):
        return _decimals_of(max(abs(low), abs(high)))
    return min(1 - math.floor(math.log10(half)), MAX_DECIMALS)


def _decimals_of(value: float) -> int:
    """Return the decimals that show NUM_DIGITS digits; never round the whole part."""
    exponent = math.floor(math.log10(value)) if value > 0 and math.isfinite(value) else 0
    return min(max(NUM_DIGITS - 1 - exponent, 0), NUM_DIGITS)


def rounded(value: float, num_decimals: int) -> str:
    """Round to a number of decimals; -1 rounds to tens, -2 to hundreds and so on."""
    return f"{round(value, num_decimals) + 0.0:,.{max(num_decimals, 0)}f}"  # + 0.0 turns -0 into 0


def number(value: float) -> str:
    """Round a number without an interval."""
    if value and abs(value) < 10.0 ** (1 - NUM_DIGITS):
        return f"{value:.2g}"
    return rounded(value, _decimals_of(abs(value)))


def with_interval(value: float, interval: tuple[float, float] | list[float]) -> str:
    """Write a score and its interval, such as `24,900 [21,500, 28,600]`."""
    num_decimals = decimals(*interval)
    low, high = (rounded(end, num_decimals) for end in interval)
    return f"{rounded(value, num_decimals)} [{low}, {high}]"


def with_spread(value: float, spread: float) -> str:
    """Write a mean and its standard deviation."""
    num_decimals = decimals(-spread, spread) if spread else _decimals_of(abs(value))
    return f"{rounded(value, num_decimals)} ± {rounded(spread, num_decimals)}"


def p_value(p: float) -> str:
    """Write a p-value."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def amount(difference: float, metric: Metric) -> str:
    """Write a difference of a metric in two digits, such as `0.4 points` of a fraction."""
    if metric.format == "fraction":
        return f"{_two_digits(100 * difference)} points"
    number_and_unit = f"{_two_digits(difference)} {metric.unit_for('')}".rstrip()
    return f"{number_and_unit} ({metric.name})"


def _two_digits(value: float) -> str:
    num_decimals = 1 - math.floor(math.log10(abs(value))) if value else 0
    text = rounded(value, min(num_decimals, MAX_DECIMALS))
    return text.rstrip("0").rstrip(".") if "." in text else text


def heading(name: str, units: dict[str, str]) -> str:
    """Return the name of a metric, with its unit if it is known."""
    return f"{name} ({units[name]})" if units.get(name) else name
