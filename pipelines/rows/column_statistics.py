"""Statistics of the columns of training examples, which the preprocessing layer uses."""

import dataclasses
import functools
from collections import Counter

import numpy as np

from pipelines.examples import DataError, Examples
from pipelines.rows.column_kinds import MIN_CATEGORY_EXAMPLES
from pipelines.rows.encoder_fits import FittedEncoder, fit_encoders
from pipelines.rows.time_cycles import Cycle, find_cycles
from pipelines.tables.table import listed

MAX_CATEGORIES = 256  # of a column


@dataclasses.dataclass(frozen=True)
class ColumnStatistics:
    """The statistics that `PrepareColumns` learns from training examples; see its arguments.

    A dataclass and not a dict, because Keras wraps every list in the dicts of a layer, which
    takes seconds for thousands of columns.
    """

    numbers: dict[str, list[float]]
    gaps: list[str]
    categories: dict[str, list[str]]
    ends: dict[str, list[float]]
    encoders: list[FittedEncoder]
    cycles: list[Cycle]


@functools.lru_cache(maxsize=1)
def learn_statistics(train: Examples) -> ColumnStatistics:
    """Learn the statistics of training examples; cached for a network and its baselines."""
    return column_statistics(train, fit_encoders(train))


def column_statistics(train: Examples, encoders: list[FittedEncoder]) -> ColumnStatistics:
    """Learn the statistics of examples whose other columns have fitted encoders."""
    numbers, gaps, cycles = dict[str, list[float]](), list[str](), list[Cycle]()
    categories, ends = dict[str, list[str]](), dict[str, list[float]]()
    for name, stored in train.columns.items():
        column = stored[train.rows]
        if column.dtype == object:
            is_category = (train.kinds or {}).get(name, "category") == "category"
            categories[name] = _vocabulary(column) if is_category else []
            continue
        numbers[name], ends[name] = _statistics(column), usual_range(column)
        cycles += find_cycles(name, (train.kinds or {}).get(name, "number"), column)
        if np.isnan(column).any():
            gaps.append(name)
    if not numbers and not any(categories.values()) and not encoders:
        raise DataError(
            f"Received columns of categories ({listed(categories)}) of which none has "
            f"{MIN_CATEGORY_EXAMPLES} training examples, so that nothing can be learnt; expected "
            "fewer, wider categories, or columns of numbers. Add examples, or correct the cells."
        )
    return ColumnStatistics(numbers, gaps, categories, ends, encoders, cycles)


def _statistics(column: np.ndarray) -> list[float]:
    known = column[~np.isnan(column)].astype("float64")
    if not len(known):
        return [0.0, 0.0, 1.0]
    median = float(np.median(known))
    filled = np.where(np.isnan(column), median, column).astype("float64")
    # The squares of the largest numbers would overflow.
    unit = max(1.0, float(np.abs(filled).max()) / 1e100)
    mean, scale = unit * (filled / unit).mean(), unit * (filled / unit).std()
    return [median, float(mean), float(scale) or 1.0]


def _vocabulary(column: np.ndarray) -> list[str]:
    """Return the categories that are not rare, frequent ones first."""
    counts = sorted(Counter(column.tolist()).items(), key=lambda pair: (-pair[1], pair[0]))
    known = [text for text, count in counts if count >= MIN_CATEGORY_EXAMPLES]
    return [text.decode("utf-8", "replace") for text in known[:MAX_CATEGORIES]]


def usual_range(column: np.ndarray) -> list[float]:
    """Return the 1st and 99th percentile of known values; if they are equal, minimum and maximum.

    Both are values of the column, not interpolated.
    """
    known = column[np.isfinite(column)].astype("float64")
    if not len(known):
        return [0.0, 0.0]
    low, high = np.percentile(known, [1, 99], method="nearest")
    return [float(low), float(high)] if low < high else [float(known.min()), float(known.max())]
