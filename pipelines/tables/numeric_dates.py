"""Dates that are stored as numbers: seconds since 1970, 20190321, days of a spreadsheet."""

import numpy as np

SECONDS_PER_DAY = 86_400.0
YYYYMMDD, SPREADSHEET = "yyyymmdd", "spreadsheet"
SINCE_1970 = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
NUMERIC_DATES = (*SINCE_1970, YYYYMMDD, SPREADSHEET)
SPREADSHEET_EPOCH = 25_569.0  # 1970-01-01 in days since 1899-12-30
MIN_SPREADSHEET, MAX_SPREADSHEET = 18_264.0, 73_050.0  # the years 1950 and 2100
MIN_SECONDS, MAX_SECONDS = 315_532_800.0, 4_102_444_800.0  # 1980 and 2100


def numeric_form(numbers: np.ndarray) -> str:
    """Return how most of these numbers are dates; "" if they are none."""
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return ""
    middle = float(np.median(known))
    if np.isfinite(_days_of_digits(known)).mean() > 0.5:
        return YYYYMMDD
    if MIN_SPREADSHEET <= middle < MAX_SPREADSHEET:
        return SPREADSHEET
    sizes = SINCE_1970.items()
    return next((n for n, size in sizes if MIN_SECONDS <= middle / size < MAX_SECONDS), "")


def days_of(numbers: np.ndarray, form: str) -> np.ndarray:
    """Return days since 1970; NaN for numbers that are no dates."""
    if form == YYYYMMDD:
        return _days_of_digits(numbers)
    if form == SPREADSHEET:
        return numbers - SPREADSHEET_EPOCH
    return numbers / SINCE_1970[form] / SECONDS_PER_DAY


def number_of_days(days: float, form: str) -> float:
    """Return the number that `days_of` converts to these days."""
    if form == YYYYMMDD:
        return float(str(np.datetime64(int(days), "D")).replace("-", ""))
    if form == SPREADSHEET:
        return days + SPREADSHEET_EPOCH
    return days * SECONDS_PER_DAY * SINCE_1970[form]


def _days_of_digits(numbers: np.ndarray) -> np.ndarray:
    """Return days of numbers such as 20190321."""
    whole = np.where((numbers >= 1e7) & (numbers < 1e8), numbers, 0).astype("int64")
    year, month, day = whole // 10_000, whole // 100 % 100, whole % 100
    first = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]")
    first = first + np.clip(month - 1, 0, 11)
    date = first.astype("datetime64[D]") + (day - 1)
    is_day = (month >= 1) & (month <= 12) & (day >= 1) & (date.astype("datetime64[M]") == first)
    return np.where(is_day, date.astype("int64").astype("float64"), np.nan)
