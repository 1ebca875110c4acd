"""The recurring parts of dates and times of day: hour, weekday, day of the year."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.rows.packing import Kind

DAY, WEEK, YEAR = 1.0, 7.0, 365.2425  # days
MONDAY = 3.0  # days from a Monday to 1970-01-01, a Thursday
HOURS_OF_DAY = 24.0
MIN_YEARS = 1.0  # of a column whose day of the year is an input
MIN_DISTINCT_DAYS = 8  # of a column whose weekday is an input
NUMBERS_PER_CYCLE = 3
# Deviations of numbers that are uniform in [0, 1], and of their sine.
UNIFORM_DEVIATION, SINE_DEVIATION = 12**-0.5, 2**-0.5


class Cycle(NamedTuple):
    """A part of a column that recurs.

    Attributes:
        column: name of the column.
        period: in the unit of the column.
        shift: the cycle begins where a value plus the shift is a multiple of the period.

    """

    column: str
    period: float
    shift: float = 0.0

    def minus(self, offset: float) -> "Cycle":
        """Return the cycle of values from which an offset is subtracted."""
        return self._replace(shift=(self.shift + offset) % self.period)


def find_cycles(name: str, kind: Kind, column: np.ndarray) -> list[Cycle]:
    """Return the cycles of a column of training values that vary; none of other kinds."""
    known = column[np.isfinite(column)]
    if kind == "clock":
        return [Cycle(name, HOURS_OF_DAY)] if len(known) else []
    if kind != "time" or not len(known):
        return []
    days = np.unique(np.floor(known))
    cycles = []
    if len(np.unique(known - np.floor(known))) > 1:
        cycles.append(Cycle(name, DAY))
    if len(days) >= MIN_DISTINCT_DAYS and not _are_of_months(days):
        cycles.append(Cycle(name, WEEK, MONDAY))
    if np.ptp(days) >= MIN_YEARS * YEAR and len(np.unique(np.round(days % YEAR))) > 1:
        cycles.append(Cycle(name, YEAR))
    return cycles


def _are_of_months(days: np.ndarray) -> bool:
    """Whether all days are the same of their months, such as the first."""
    dates = days.astype("int64").astype("datetime64[D]")
    return bool((np.diff((dates - dates.astype("datetime64[M]")).astype("int64")) == 0).all())


def cycle_numbers(numbers: Any, positions: Sequence[int], cycles: Sequence[Cycle]) -> Any:
    """Return the place in each cycle, its sine and its cosine, of about unit variance.

    The place serves trees and piecewise functions, sine and cosine linear models: they have no
    jump at the end of a cycle.

    Args:
        numbers: values [batch, columns], without NaN.
        positions: the column of each cycle.
        cycles: their periods and shifts.

    """
    period = tf.constant([cycle.period for cycle in cycles], numbers.dtype)
    shift = tf.constant([cycle.shift for cycle in cycles], numbers.dtype)
    values = tf.gather(numbers, tf.constant(positions, "int32"), axis=1)
    place = tf.cast(tf.math.floormod(values + shift, period) / period, "float32")
    angle = 2 * math.pi * place
    parts = (
        (place - 0.5) / UNIFORM_DEVIATION,
        tf.sin(angle) / SINE_DEVIATION,
        tf.cos(angle) / SINE_DEVIATION,
    )
    return tf.concat(parts, 1)
