"""Rates by group: how often a model selects, and how often it is right."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from evaluation.intervals import wilson

MIN_EXAMPLES = 10  # that a rate of a group is about; with fewer it is shown, and not judged
NUM_DRAWS = 2000  # resamples of the rates


class Rate(NamedTuple):
    """How often something happens in each group.

    Attributes:
        name: such as `tpr`.
        hits: number of examples with the event, or the sum of their weights, [groups].
        totals: number of the examples that it may happen to, [groups].
        sizes: the same; with weights the effective number, [groups].

    """

    name: str
    hits: np.ndarray
    totals: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(
        cls,
        name: str,
        event: np.ndarray,
        among: np.ndarray,
        codes: np.ndarray,
        count: int,
        weights: np.ndarray | None = None,
    ) -> "Rate":
        """Count an event among some examples, by group; codes are from 0 to `count` - 1."""
        weights = np.ones(len(codes)) if weights is None else weights.astype("float64")
        inside = weights * among
        totals, hits = (np.bincount(codes, x, count) for x in (inside, inside * event))
        squares = np.bincount(codes, inside**2, count)
        sizes = np.divide(totals**2, squares, out=np.zeros(count), where=squares > 0)
        return cls(name, hits, totals, sizes)

    @property
    def values(self) -> np.ndarray:
        """The rate of each group; NaN without an example."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.hits / self.totals

    @property
    def is_judged(self) -> np.ndarray:
        """Whether a group has enough examples, bool [groups]."""
        return self.sizes >= MIN_EXAMPLES - 1e-9

    def of_group(self, group: int) -> dict[str, Any]:
        """Return the rate of a group as in scores.json; None without an example."""
        if not self.totals[group] > 0:
            return {"value": None, "interval": None, "examples": 0}
        value, size = float(self.values[group]), float(self.sizes[group])
        return {"value": value, "interval": [*wilson(value, size)], "examples": round(size)}


def binary_rates(
    selected: np.ndarray,
    truth: np.ndarray,
    codes: np.ndarray,
    count: int,
    weights: np.ndarray | None = None,
) -> list[Rate]:
    """Return the rates of two classes by group.

    Args:
        selected: whether the positive class is predicted, bool [n].
        truth: whether it is the true one, bool [n].
        codes: the group of each example, [n].
        count: number of groups.
        weights: of the examples.

    References:
        Hardt, Price and Srebro, "Equality of Opportunity in Supervised Learning", 2016.

    """
    all_examples = np.ones(len(codes), bool)
    table = {
        "selection_rate": (selected, all_examples),
        "tpr": (selected, truth),
        "fpr": (selected, ~truth),
        "precision": (truth, selected),
        "accuracy": (selected == truth, all_examples),
        "positive_rate": (truth, all_examples),
    }
    return [Rate.of(name, *pair, codes, count, weights) for name, pair in table.items()]


def class_rates(
    right: np.ndarray,
    truth: np.ndarray,
    hits: np.ndarray,
    labels: Sequence[str],
    codes: np.ndarray,
    count: int,
    weights: np.ndarray | None = None,
) -> list[Rate]:
    """Return the accuracy, and the recall of each class, by group.

    Args:
        right: whether an example is right, bool [n].
        truth: whether it has each class, bool [n, classes].
        hits: whether it has each class and the class is predicted, bool [n, classes].
        labels: of the classes.
        codes: the group of each example, [n].
        count: number of groups.
        weights: of the examples.

    """
    everyone = np.ones(len(codes), bool)
    found = [Rate.of("accuracy", right, everyone, codes, count, weights)]
    for k, label in enumerate(labels):
        name = f"recall of {label}"
        found.append(Rate.of(name, hits[:, k], truth[:, k], codes, count, weights))
    return found


def resampled(rate: Rate, seed: int = 0) -> np.ndarray:
    """Draw the rates of the judged groups again, from binomials of their sizes, [draws, groups]."""
    random, judged = np.random.default_rng(seed), rate.is_judged
    sizes = np.round(rate.sizes[judged]).astype("int64")
    return random.binomial(sizes, rate.values[judged].clip(0, 1), (NUM_DRAWS, len(sizes))) / sizes
