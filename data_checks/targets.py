"""What is asked for: classes that are rare, missing or misspelt; numbers that cannot be."""

import difflib
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from data_checks.dataset import Subject
from data_checks.finding import Finding, Shown, counted

UNEVEN = 10  # times as many examples of the largest class as of the smallest
FEW = 10  # training examples of a class, from which little can be learnt
SHIFTED = 0.2  # of the examples would have to change class for train to be as test
ENOUGH = 50  # test examples from which on shares mean something
FAR = 20  # half-widths of the middle half from the median
SIMILAR = 0.88  # of the letters of two class names
ONE_VALUE = 0.5  # of all numbers
BEYOND = 0.03  # of the test targets lie outside those of train


def classes(subject: Subject) -> Iterator[Finding]:
    """Imbalance, rare and missing classes, names that mean one class."""
    labels = subject.splits.labels
    if not labels:
        return
    counts = {
        split: np.bincount(part.targets, minlength=len(labels))
        for split, part in (("train", subject.splits.train), ("test", subject.splits.test))
    }
    yield from _imbalance(labels, counts["train"])
    yield from _missing(labels, counts)
    yield from _shift(labels, counts)
    yield from _spellings(labels)
    yield from _misspelt(labels, counts["train"])


def _imbalance(labels: tuple[str, ...], counts: np.ndarray) -> Iterator[Finding]:
    there = counts[counts > 0]
    largest, smallest = counts.argmax(), np.where(counts > 0, counts, counts.max()).argmin()
    ratio = there.max() / there.min()
    if ratio >= UNEVEN:
        yield Finding(
            "class imbalance",
            "warning",
            f"{labels[largest]} has {there.max():,} training examples, {labels[smallest]} "
            f"{there.min():,}: {ratio:.0f} times as many",
            "Look at macro_f1 and the table of classes, not at accuracy alone; collect more of "
            "the rare ones.",
            int((counts * UNEVEN <= counts.max()).sum()),
            None,
            _named(labels, counts, np.argsort(np.where(counts > 0, counts, counts.max()))),
        )
    rare = np.flatnonzero((counts > 0) & (counts < FEW))
    if len(rare):
        yield Finding(
            "rare classes",
            "warning",
            f"{counted(len(rare), 'class has', 'classes have')} fewer than {FEW} training examples",
            "Add examples, join classes, or leave them out.",
            len(rare),
            len(rare) / len(labels),
            _named(labels, counts, rare),
        )


def _missing(labels: tuple[str, ...], counts: dict[str, np.ndarray]) -> Iterator[Finding]:
    unlearnt = np.flatnonzero((counts["train"] == 0) & (counts["test"] > 0))
    if len(unlearnt):
        share = counts["test"][unlearnt].sum() / counts["test"].sum()
        yield Finding(
            "classes unseen in train",
            "grave",
            f"{counted(len(unlearnt), 'class', 'classes')} of test "
            f"{'is' if len(unlearnt) == 1 else 'are'} not in train: no model can name them",
            "Add training examples of them, or take them out of test.",
            len(unlearnt),
            share,
            _named(labels, counts["test"], unlearnt),
        )
    unjudged = np.flatnonzero((counts["train"] > 0) & (counts["test"] == 0))
    if len(unjudged):
        yield Finding(
            "classes missing in test",
            "warning",
            f"{counted(len(unjudged), 'class of train is', 'classes of train are')} not in test: "
            "the score says nothing of them",
            "Add test examples of them.",
            len(unjudged),
            len(unjudged) / len(labels),
            _named(labels, counts["train"], unjudged),
        )


def _shift(labels: tuple[str, ...], counts: dict[str, np.ndarray]) -> Iterator[Finding]:
    shares = {split: some / some.sum() for split, some in counts.items()}
    moved = float(np.abs(shares["train"] - shares["test"]).sum() / 2)
    # By chance alone so many differ.
    chance = float(np.sqrt(len(labels) / counts["test"].sum()))
    if counts["test"].sum() >= ENOUGH and moved >= SHIFTED + chance / 2:
        order = np.argsort(-np.abs(shares["train"] - shares["test"]))[:8]
        yield Finding(
            "classes shifted",
            "warning",
            f"{100 * moved:.0f} % of the examples would have to change class for test to be as "
            "train",
            "Find out why: a test set of another origin, or a sorted file that was cut in the "
            "middle.",
            1,
            moved,
            [
                Shown("", labels[k], f"{shares['train'][k]:.1%} of train, {shares['test'][k]:.1%}")
                for k in order
            ],
        )


def _spellings(labels: tuple[str, ...]) -> Iterator[Finding]:
    alike = defaultdict(list)
    for label in labels:
        alike["".join(label.casefold().split()).replace("_", "").replace("-", "")].append(label)
    if same := [names for names in alike.values() if len(names) > 1]:
        yield Finding(
            "class names that mean one",
            "grave",
            f"{counted(len(same), 'class is', 'classes are')} written in several ways: "
            + "; ".join(" and ".join(map(repr, names)) for names in same[:4]),
            "Write each in one way: now they are learnt and judged as different classes.",
            len(same),
            None,
            [Shown("", " / ".join(map(repr, names))) for names in same[:8]],
        )


def _misspelt(labels: tuple[str, ...], counts: np.ndarray) -> Iterator[Finding]:
    for rare in np.flatnonzero(counts * 50 < counts.max()):
        usual = [
            label for label, count in zip(labels, counts, strict=True) if count > 50 * counts[rare]
        ]
        near = difflib.get_close_matches(labels[rare], usual, 1, SIMILAR)
        if near and len(labels[rare]) > 3 and not labels[rare][-1:].isdigit():
            yield Finding(
                "class names nearly the same",
                "warning",
                f"the rare class {labels[rare]!r} is spelt nearly as {near[0]!r}",
                "If it is a slip of the pen, mend it.",
                1,
                None,
                [Shown("", labels[rare], f"{counts[rare]} training examples")],
            )


def _named(labels: tuple[str, ...], counts: np.ndarray, which: np.ndarray) -> list[Shown]:
    return [Shown("", labels[k], counted(int(counts[k]), "example")) for k in which[:8]]


def numbers(subject: Subject) -> Iterator[Finding]:
    """A number to predict: constant, far out, heaped on one value, other in test than in train."""
    if subject.splits.labels or subject.app.modality == "ids":
        return
    train, test = subject.splits.train.targets, subject.splits.test.targets
    if np.ptp(train) == 0:
        yield Finding(
            "constant target",
            "grave",
            f"every training example has the target {train[0]:g}",
            "Choose another --target: there is nothing to learn.",
            len(train),
            1.0,
        )
        return
    yield from _far(subject)
    yield from _heaped(train)
    yield from _beyond(train, test)


def _far(subject: Subject) -> Iterator[Finding]:
    found = np.flatnonzero(far(subject.targets))
    if len(found):
        yield Finding(
            "target far out",
            "warning",
            f"{counted(len(found), 'target is', 'targets are')} far from all others, such as "
            f"{subject.targets[found[0]]:g}; the middle one is {np.median(subject.targets):g}",
            "Check their unit and the decimal point: a squared error sees little else.",
            len(found),
            len(found) / len(subject),
            subject.shown(found),
            found[subject.trains[found]],
        )


def far(values: np.ndarray) -> np.ndarray:
    """Which numbers are far out: the middle half of all is so much narrower than their distance.

    Those that many others continue to are a long tail, and none.
    """
    known = values[np.isfinite(values)].astype("float64")
    if len(known) < 20:
        return np.zeros(len(values), bool)
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
    half = max((high - low) / 2, 1e-12 * abs(middle), 1e-300)
    distance = np.abs(values - middle) / half
    with np.errstate(invalid="ignore"):
        out = distance > FAR
    if out.mean() > 0.005 or not out.any():
        return np.zeros(len(values), bool)
    # A gap of four times lies between them and what is usual.
    inner = float(np.nanmax(distance[~out & np.isfinite(distance)]))
    return out & (distance > 4 * max(inner, 1.0))


def _heaped(train: np.ndarray) -> Iterator[Finding]:
    values, counts = np.unique(train, return_counts=True)
    most = counts.argmax()
    if len(values) > 20 and counts[most] >= ONE_VALUE * len(train):
        yield Finding(
            "one target value",
            "warning",
            f"{counts[most] / len(train):.0%} of the training targets are {values[most]:g}",
            "Is it a word for unknown? Else ask first whether it is that value.",
            int(counts[most]),
            counts[most] / len(train),
        )
    for place, end in ((0, "smallest"), (-1, "largest")):
        usual = np.median(counts)
        if len(values) > 50 and counts[place] >= max(0.01 * len(train), 10 * usual, 10):
            yield Finding(
                "target cut off",
                "note",
                f"the {end} target, {values[place]:g}, is there {counts[place]:,} times",
                "Probably larger or smaller ones were cut off there: nothing beyond is learnt.",
                int(counts[place]),
                counts[place] / len(train),
            )


def _beyond(train: np.ndarray, test: np.ndarray) -> Iterator[Finding]:
    low, high = train.min(), train.max()
    beyond = float(((test < low) | (test > high)).mean())
    if beyond >= BEYOND and len(test) >= ENOUGH:
        yield Finding(
            "test targets beyond train",
            "warning" if beyond < 0.5 else "grave",
            f"{beyond:.0%} of the test targets lie outside {low:g} to {high:g}, the range of train",
            "Nothing is learnt of such targets. Is the unit the same? Was the file sorted?",
            round(beyond * len(test)),
            beyond,
        )
