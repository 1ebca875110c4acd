"""Cut the test examples by a property: a column, a length, a class."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from evaluation.rounding import decimals, rounded
from pipelines.tables.cell_formats import format_time
from pipelines.tables.timelines import MAX_PLAUSIBLE_TIME, MIN_PLAUSIBLE_TIME, UNITS

MAX_BINS = 5  # of numbers, with about the same number of examples each
MIN_BIN_EXAMPLES = 40  # test examples in a bin
MAX_VALUES = 10  # different numbers that are not binned
MAX_CATEGORIES = 20  # parts of a cut: the most frequent categories
MAX_QUANTILE_SAMPLE = 100_000  # values from which the bounds of bins are computed
MAX_LABEL_LENGTH = 40  # characters of a category
MIN_DAYS_OF_HOURS = 1 / 24  # of a time of day that is not always the same
MAX_YEARS = 20
SECONDS_PER_DAY = 86_400
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
HOURS = ("0 to 5 h", "6 to 11 h", "12 to 17 h", "18 to 23 h")


class Cut(NamedTuple):
    """A cut of the test examples into parts by one property.

    Attributes:
        subject: the property, such as a column; cuts of one subject are not combined.
        codes: the part of each example, [n]; -1 for none.
        labels: what the examples of each part have in common, such as `age > 52`.
        of_answer: whether the true answer decides, as for a class.
        pair: the two cuts whose parts are combined, or None.

    """

    subject: str
    codes: np.ndarray
    labels: tuple[str, ...]
    of_answer: bool = False
    pair: "tuple[Cut, Cut] | None" = None

    def conditions(self, number: int) -> tuple[str, ...]:
        """Return what the examples of a part have in common: one label, or two of a pair."""
        if self.pair is None:
            return (self.labels[number],)
        first, second = self.pair
        row, column = divmod(number, len(second.labels))
        return first.labels[row], second.labels[column]

    def select(self, rows: np.ndarray) -> "Cut":
        """Return the cut of the examples at these positions."""
        return self._replace(codes=self.codes[rows])


def by_number(name: str, values: np.ndarray, text: Callable[[float], str] | None = None) -> Cut:
    """Cut by ranges of numbers with about as many examples; few different numbers are not binned.

    NaN is a part of its own. `text` writes a bound; by default it is rounded to the digits that
    tell the bins apart, and the rounded bound is used.
    """
    missing = np.isnan(values)
    known = values[~missing]
    distinct = _few_distinct(known)
    if distinct is not None:
        codes = np.searchsorted(distinct, values)
        labels = [f"{name} = {(text or _exact)(value)}" for value in distinct]
    else:
        edges, shown = _edges(known, text)
        codes, labels = np.searchsorted(edges, values), _range_labels(name, shown)
    return _with_missing(name, codes, labels, missing)


def _few_distinct(known: np.ndarray) -> np.ndarray | None:
    """Return the different numbers if they are few; None if they are many."""
    if len(np.unique(known[: 50 * MAX_VALUES])) > MAX_VALUES:
        return None
    distinct = np.unique(known)
    return distinct if len(distinct) <= MAX_VALUES else None


def _edges(
    known: np.ndarray, text: Callable[[float], str] | None
) -> tuple[np.ndarray, Sequence[str]]:
    """Return the upper bounds of all bins but the last, and how they are written."""
    sample = known[:: -(-len(known) // MAX_QUANTILE_SAMPLE)]
    num_bins = min(max(len(known) // MIN_BIN_EXAMPLES, 2), MAX_BINS)
    shares = np.arange(1, num_bins) / num_bins
    exact = np.unique(np.quantile(sample, shares, method="lower"))
    exact = exact[exact < sample.max()]
    if not len(exact):  # nearly all are the largest number
        exact = np.array([np.max(sample[sample < sample.max()])])
    if text is not None:
        return exact, [text(edge) for edge in exact]
    places = decimals(*np.quantile(sample, [0.1, 0.9]))
    if (sample == np.round(sample)).all():
        places = min(places, 0)
    edges = np.unique(np.round(exact, places))
    if len(edges) < len(exact):
        return exact, [_exact(edge) for edge in exact]
    return edges, [rounded(edge, places) for edge in edges]


def _exact(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.10g}"


def _range_labels(name: str, edges: Sequence[str]) -> list[str]:
    between = [f"{low} < {name} ≤ {high}" for low, high in itertools.pairwise(edges)]
    return [f"{name} ≤ {edges[0]}", *between, f"{name} > {edges[-1]}"]


def _with_missing(name: str, codes: np.ndarray, labels: list[str], missing: np.ndarray) -> Cut:
    if missing.any():
        codes = np.where(missing, len(labels), codes)
        labels = [*labels, f"{name} is missing"]
    return Cut(name, codes.astype("int16"), tuple(labels))


def by_category(name: str, names: Sequence[str], codes: np.ndarray) -> Cut:
    """Cut by the most frequent categories; the name "" is a missing one.

    Args:
        name: the property.
        names: of all categories.
        codes: the category of each example.

    """
    counts = np.bincount(codes, minlength=len(names))
    kept = np.argsort(-counts, kind="stable")[:MAX_CATEGORIES]
    position = np.full(len(names), -1, "int16")
    position[kept] = np.arange(len(kept))
    labels = (f"{name} = {shortened(names[k])}" if names[k] else f"{name} is missing" for k in kept)
    return Cut(name, position[codes], tuple(labels))


def shortened(text: str) -> str:
    """Return the beginning of a long text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_LABEL_LENGTH else f"{text[: MAX_LABEL_LENGTH - 3]}..."


def by_time(name: str, days: np.ndarray) -> Iterator[Cut]:
    """Cut by ranges of time, and by year, month, weekday and hours; days since 1970."""
    yield by_number(name, days, format_time)
    known = np.isfinite(days)
    if not known.any():
        return
    stamps = (np.where(known, days, 0.0) * 86_400e6).round().astype("int64").astype("<M8[us]")
    years = stamps.astype("<M8[Y]").astype("int64") + 1970
    first, last = int(years[known].min()), int(years[known].max())
    months = stamps.astype("<M8[M]").astype("int64") % 12
    weekdays = (stamps.astype("<M8[D]").astype("int64") + 3) % 7  # 1970-01-01 is a Thursday
    hours = (days % 1.0 * 24 / 6).clip(0, 3)
    parts = [("month", months, MONTHS), ("weekday", weekdays, WEEKDAYS)]
    if last - first < MAX_YEARS:
        year_names = tuple(map(str, range(first, last + 1)))
        parts.insert(0, ("year", years - first, year_names))
    if np.ptp(days[known] % 1.0) > MIN_DAYS_OF_HOURS:
        parts.append(("hours", np.where(known, hours, 0), HOURS))
    for part, codes, labels in parts:
        if len(np.unique(codes[known])) > 1:
            numbered = np.where(known, codes, -1).astype("int16")
            yield Cut(name, numbered, tuple(f"{part} of {name} = {label}" for label in labels))


def by_class(name: str, targets: np.ndarray, labels: Sequence[str]) -> Cut:
    """Cut by the true class."""
    texts = (f"{name} = {shortened(label)}" for label in labels)
    return Cut(name, targets.astype("int32"), tuple(texts), of_answer=True)


def by_timeline(name: str, times: np.ndarray) -> Iterator[Cut]:
    """Cut by times as examples have them: seconds since 1970, or numbers of an unknown unit."""
    times = np.where(np.isfinite(times), times, np.nan)
    known = times[np.isfinite(times)]
    if not len(known):
        return
    middle = float(np.median(known))
    sizes = [size for _, size in UNITS if MIN_PLAUSIBLE_TIME <= middle / size < MAX_PLAUSIBLE_TIME]
    if sizes:
        yield from by_time(name, times / sizes[0] / SECONDS_PER_DAY)
    else:
        yield by_number(name, times)
