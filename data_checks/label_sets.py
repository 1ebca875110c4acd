"""Checks of targets with any number of classes: examples without one, classes that go together."""

from collections.abc import Iterator

import numpy as np

from data_checks.dataset import CheckedData
from data_checks.finding import Finding, Occurrence, counted, severity_of

MAX_SHARE_WITHOUT = 0.5  # of the training examples
MIN_CLASS_EXAMPLES = 10  # training examples of classes that are compared
MAX_LISTED = 8


def label_sets(data: CheckedData) -> Iterator[Finding]:
    """Many examples without a class, and classes that occur together only."""
    if not data.splits.is_multilabel:
        return
    targets = data.splits.train.targets
    yield from _without(targets)
    yield from _together(data.splits.labels, targets)


def _without(targets: np.ndarray) -> Iterator[Finding]:
    count = int((~targets.any(1)).sum())
    if count:
        share = count / len(targets)
        yield Finding(
            "examples without a class",
            severity_of(share, warning=MAX_SHARE_WITHOUT),
            f"{counted(count, 'training example has', 'training examples have')} no class",
            "Check that no class applies to them. If their classes are unknown, write NA or leave "
            "the rows out: a model learns from them that no class applies.",
            count,
            share,
        )


def _together(labels: tuple[str, ...], targets: np.ndarray) -> Iterator[Finding]:
    """Yield a finding on classes that all the same training examples have."""
    counts = targets.sum(0, dtype="int64")
    frequent = np.flatnonzero(counts >= MIN_CLASS_EXAMPLES)
    groups: dict[bytes, list[str]] = {}
    for k in frequent:
        groups.setdefault(np.packbits(targets[:, k]).tobytes(), []).append(labels[k])
    if same := [names for names in groups.values() if len(names) > 1]:
        yield Finding(
            "classes that always occur together",
            "warning",
            f"{counted(len(same), 'group of classes is', 'groups of classes are')} never apart: "
            + "; ".join(" and ".join(map(repr, names)) for names in same[:4]),
            "If they mean the same, merge them.",
            len(same),
            None,
            [Occurrence("", " / ".join(map(repr, names))) for names in same[:MAX_LISTED]],
        )
