"""Checks of the target: rare, missing or misspelt classes; outliers and shifted numbers."""

import difflib
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from data_checks.dataset import CheckedData
from data_checks.finding import Finding, Occurrence, counted

MAX_CLASS_RATIO = 10  # examples of the largest class to those of the smallest
MIN_CLASS_EXAMPLES = 10  # training examples
MAX_CLASS_SHIFT = 0.2  # total variation distance of the class shares of train and test
MIN_TEST_EXAMPLES = 50  # for a comparison of shares
OUTLIER_HALF_WIDTHS = 20  # distance from the median, in half interquartile ranges
MIN_NAME_SIMILARITY = 0.88  # difflib ratio of two class names
MAX_SHARE_OF_ONE_VALUE = 0.5  # of the training targets
MAX_SHARE_BEYOND = 0.03  # of the test targets, outside the range of train


def classes(data: CheckedData) -> Iterator[Finding]:
    """Class imbalance, rare and missing classes, several spellings of one class."""
    labels = data.splits.labels
    if not labels:
        return
    counts = {
        split: part.class_counts(len(labels))
        for split, part in (("train", data.splits.train), ("test", data.splits.test))
    }
    yield from _imbalance(labels, counts["train"])
    yield from _missing(labels, counts)
    yield from _shift(labels, counts)
    yield from _spellings(labels)
    yield from _misspelt(labels, counts["train"])


def _imbalance(labels: tuple[str, ...], counts: np.ndarray) -> Iterator[Finding]:
    present = counts[counts > 0]
    largest, smallest = counts.argmax(), np.where(counts > 0, counts, counts.max()).argmin()
    ratio = present.max() / present.min()
    if ratio >= MAX_CLASS_RATIO:
        yield Finding(
            "class imbalance",
            "warning",
            f"{labels[largest]} has {present.max():,} training examples, {labels[smallest]} "
            f"{present.min():,}: {ratio:.0f} times as many",
            "Read macro_f1 and the table of classes, not only accuracy; train with --balance, or "
            "collect more examples of the rare classes.",
            int((counts * MAX_CLASS_RATIO <= counts.max()).sum()),
            None,
            _named(labels, counts, np.argsort(np.where(counts > 0, counts, counts.max()))),
        )
    rare = np.flatnonzero((counts > 0) & (counts < MIN_CLASS_EXAMPLES))
    if len(rare):
        yield Finding(
            "rare classes",
            "warning",
            f"{counted(len(rare), 'class has', 'classes have')} fewer than {MIN_CLASS_EXAMPLES} "
            "training examples",
            "Add examples, merge classes, or remove them.",
            len(rare),
            len(rare) / len(labels),
            _named(labels, counts, rare),
        )


def _missing(labels: tuple[str, ...], counts: dict[str, np.ndarray]) -> Iterator[Finding]:
    untrained = np.flatnonzero((counts["train"] == 0) & (counts["test"] > 0))
    if len(untrained):
        share = counts["test"][untrained].sum() / counts["test"].sum()
        yield Finding(
            "classes unseen in train",
            "error",
            f"{counted(len(untrained), 'class', 'classes')} of test "
            f"{'is' if len(untrained) == 1 else 'are'} not in train: no model can predict them",
            "Add training examples of them, or remove them from test.",
            len(untrained),
            share,
            _named(labels, counts["test"], untrained),
        )
    untested = np.flatnonzero((counts["train"] > 0) & (counts["test"] == 0))
    if len(untested):
        yield Finding(
            "classes missing in test",
            "warning",
            f"{counted(len(untested), 'class of train is', 'classes of train are')} not in test: "
            "the score does not cover them",
            "Add test examples of them.",
            len(untested),
            len(untested) / len(labels),
            _named(labels, counts["train"], untested),
        )


def _shift(labels: tuple[str, ...], counts: dict[str, np.ndarray]) -> Iterator[Finding]:
    shares = {split: number / number.sum() for split, number in counts.items()}
    distance = float(np.abs(shares["train"] - shares["test"]).sum() / 2)
    # The distance expected by chance.
    chance = float(np.sqrt(len(labels) / counts["test"].sum()))
    if counts["test"].sum() >= MIN_TEST_EXAMPLES and distance >= MAX_CLASS_SHIFT + chance / 2:
        order = np.argsort(-np.abs(shares["train"] - shares["test"]))[:8]
        yield Finding(
            "classes shifted",
            "warning",
            f"the class shares of train and test differ by {100 * distance:.0f} % of the examples",
            "Find the cause: a test set of another origin, or a sorted file split in the middle.",
            1,
            distance,
            [
                Occurrence(
                    "", labels[k], f"{shares['train'][k]:.1%} of train, {shares['test'][k]:.1%}"
                )
                for k in order
            ],
        )


def _spellings(labels: tuple[str, ...]) -> Iterator[Finding]:
    alike = defaultdict(list)
    for label in labels:
        alike["".join(label.casefold().split()).replace("_", "").replace("-", "")].append(label)
    if same := [names for names in alike.values() if len(names) > 1]:
        yield Finding(
            "classes with several spellings",
            "error",
            f"{counted(len(same), 'class is', 'classes are')} written in several ways: "
            + "; ".join(" and ".join(map(repr, names)) for names in same[:4]),
            "Use one spelling: now each counts as a class of its own.",
            len(same),
            None,
            [Occurrence("", " / ".join(map(repr, names))) for names in same[:8]],
        )


def _misspelt(labels: tuple[str, ...], counts: np.ndarray) -> Iterator[Finding]:
    for rare in np.flatnonzero(counts * 50 < counts.max()):
        frequent = [
            label for label, count in zip(labels, counts, strict=True) if count > 50 * counts[rare]
        ]
        similar = difflib.get_close_matches(labels[rare], frequent, 1, MIN_NAME_SIMILARITY)
        if similar and len(labels[rare]) > 3 and not labels[rare][-1:].isdigit():
            yield Finding(
                "similar class names",
                "warning",
                f"the rare class {labels[rare]!r} is spelt like {similar[0]!r}",
                "If it is a typing error, correct it.",
                1,
                None,
                [Occurrence("", labels[rare], f"{counts[rare]} training examples")],
            )


def _named(labels: tuple[str, ...], counts: np.ndarray, selected: np.ndarray) -> list[Occurrence]:
    return [Occurrence("", labels[k], counted(int(counts[k]), "example")) for k in selected[:8]]


def numbers(data: CheckedData) -> Iterator[Finding]:
    """Numeric targets: constant, outliers, one frequent value, beyond the range of train."""
    if data.splits.labels or data.app.modality == "ids":
        return
    train, test = data.splits.train.targets, data.splits.test.targets
    if np.ptp(train) == 0:
        yield Finding(
            "constant target",
            "error",
            f"every training example has the target {train[0]:g}",
            "Choose another --target: a constant needs no model.",
            len(train),
            1.0,
        )
        return
    yield from _outliers(data)
    yield from _frequent_value(train)
    yield from _beyond(train, test)


def _outliers(data: CheckedData) -> Iterator[Finding]:
    outliers = np.flatnonzero(is_outlier(data.targets))
    if len(outliers):
        yield Finding(
            "target outliers",
            "warning",
            f"{counted(len(outliers), 'target is', 'targets are')} far from all others, such as "
            f"{data.targets[outliers[0]]:g}; the middle one is {np.median(data.targets):g}",
            "Check unit and decimal point: outliers dominate a squared error.",
            len(outliers),
            len(outliers) / len(data),
            data.occurrences(outliers),
            outliers[data.used_in_training[outliers]],
        )


def is_outlier(values: np.ndarray) -> np.ndarray:
    """Return which numbers are outliers: far from the median, and apart from all others.

    The distance counts in half interquartile ranges. Values of a long tail, which others
    connect to the rest, are no outliers.
    """
    known = values[np.isfinite(values)].astype("float64")
    if len(known) < 20:
        return np.zeros(len(values), bool)
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
    half = max((high - low) / 2, 1e-12 * abs(middle), 1e-300)
    distance = np.abs(values - middle) / half
    with np.errstate(invalid="ignore"):
        outlying = distance > OUTLIER_HALF_WIDTHS
    if outlying.mean() > 0.005 or not outlying.any():
        return np.zeros(len(values), bool)
    # Outliers lie four times as far out as any other value.
    inner = float(np.nanmax(distance[~outlying & np.isfinite(distance)]))
    return outlying & (distance > 4 * max(inner, 1.0))


def _frequent_value(train: np.ndarray) -> Iterator[Finding]:
    values, counts = np.unique(train, return_counts=True)
    mode = counts.argmax()
    if len(values) > 20 and counts[mode] >= MAX_SHARE_OF_ONE_VALUE * len(train):
        yield Finding(
            "one target value",
            "warning",
            f"{counts[mode] / len(train):.0%} of the training targets are {values[mode]:g}",
            "Is this a missing-value code? If not, model this value against all others first.",
            int(counts[mode]),
            counts[mode] / len(train),
        )
    for index, extreme in ((0, "smallest"), (-1, "largest")):
        typical = np.median(counts)
        if len(values) > 50 and counts[index] >= max(0.01 * len(train), 10 * typical, 10):
            yield Finding(
                "censored target",
                "note",
                f"the {extreme} target, {values[index]:g}, occurs {counts[index]:,} times",
                "Values beyond it were probably cut off (censored): no model can predict them.",
                int(counts[index]),
                counts[index] / len(train),
            )


def _beyond(train: np.ndarray, test: np.ndarray) -> Iterator[Finding]:
    low, high = train.min(), train.max()
    beyond = float(((test < low) | (test > high)).mean())
    if beyond >= MAX_SHARE_BEYOND and len(test) >= MIN_TEST_EXAMPLES:
        yield Finding(
            "test targets beyond train",
            "warning" if beyond < 0.5 else "error",
            f"{beyond:.0%} of the test targets lie outside {low:g} to {high:g}, the range of train",
            "Models seldom predict beyond that range. Is the unit the same? Was the file sorted?",
            round(beyond * len(test)),
            beyond,
        )
