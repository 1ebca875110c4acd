"""Thresholds by group that even a rate, as an option with its price in accuracy."""

from typing import Any, Literal, NamedTuple

import numpy as np

from apps.metrics import metric
from evaluation.fairness.groups import Groups
from evaluation.fairness.rates import Rate
from evaluation.paired_comparison import mcnemar

MIN_EXAMPLES = 30  # validation examples of a group by which its threshold is chosen
Aim = Literal["tpr", "selection_rate"]
AIMS: tuple[Aim, ...] = ("tpr", "selection_rate")


class Outcomes(NamedTuple):
    """The positive class of two in a split.

    Attributes:
        probabilities: of the positive class, [n].
        selected: whether it is predicted, bool [n].
        truth: whether it is the true one, bool [n].
        groups: the group of each example.
        weights: of the examples, or None.

    """

    probabilities: np.ndarray
    selected: np.ndarray
    truth: np.ndarray
    groups: Groups
    weights: np.ndarray | None = None

    def among(self, aim: Aim) -> np.ndarray:
        """Return the examples of which a rate is a share, bool [n]."""
        return self.truth if aim == "tpr" else np.ones(len(self.truth), bool)

    def rate(self, aim: Aim, selected: np.ndarray) -> Rate:
        """Return the rate of these decisions by group."""
        codes, count = self.groups.codes, len(self.groups.labels)
        return Rate.of(aim, selected, self.among(aim), codes, count, self.weights)


def even(valid: Outcomes, test: Outcomes, aim: Aim) -> dict[str, Any] | None:
    """Choose thresholds on validation that even a rate, and measure them on test.

    Each group gets the threshold at which its rate in validation is that of all groups now.
    Groups with fewer than MIN_EXAMPLES keep their decisions. Returns None if fewer than two groups
    have as many.

    References:
        Hardt, Price and Srebro, "Equality of Opportunity in Supervised Learning", 2016.

    """
    thresholds = choose(valid, aim)
    if len(thresholds) < 2:
        return None
    changed = apply(test, thresholds)
    before, after = test.rate(aim, test.selected), test.rate(aim, changed)
    judged = before.is_judged
    right = [(chosen == test.truth).astype("float64") for chosen in (test.selected, changed)]
    accuracies = [float(np.average(one, weights=test.weights)) for one in right]
    price = mcnemar(right[1], right[0], metric("accuracy")) if test.weights is None else None
    return {
        "column": test.groups.column,
        "evens": aim,
        "groups": [
            {
                "group": label,
                "threshold": thresholds.get(k),
                "before": before.of_group(k),
                "after": after.of_group(k),
            }
            for k, label in enumerate(test.groups.labels)
        ],
        "gap": {"before": _gap(before, judged), "after": _gap(after, judged)},
        "accuracy": {
            "before": accuracies[0],
            "after": accuracies[1],
            "gain": accuracies[1] - accuracies[0],
            "interval": None if price is None else [*price.interval],
        },
    }


def choose(valid: Outcomes, aim: Aim) -> dict[int, float]:
    """Return the threshold of each group with enough validation examples."""
    among = valid.among(aim)
    if not among.any():
        return {}
    weights = valid.weights[among] if valid.weights is not None else None
    wanted = float(np.average(valid.selected[among], weights=weights))
    found = {}
    for group in range(len(valid.groups.labels)):
        inside = among & (valid.groups.codes == group)
        if inside.sum() >= MIN_EXAMPLES:
            found[group] = _threshold(valid.probabilities[inside], wanted)
    return found


def _threshold(probabilities: np.ndarray, share: float) -> float:
    """Return a threshold that about this share of the probabilities reaches."""
    ordered = np.sort(probabilities.astype("float64"))[::-1]
    number = round(share * len(ordered))
    above = ordered[number - 1] if number > 0 else 1.0
    below = ordered[number] if number < len(ordered) else 0.0
    return float((above + below) / 2)


def apply(outcomes: Outcomes, thresholds: dict[int, float]) -> np.ndarray:
    """Decide by the threshold of the group; groups without one keep their decisions."""
    selected = outcomes.selected.copy()
    for group, threshold in thresholds.items():
        inside = outcomes.groups.codes == group
        selected[inside] = outcomes.probabilities[inside] >= threshold
    return selected


def _gap(rate: Rate, judged: np.ndarray) -> float | None:
    values = rate.values[judged]
    return float(values.max() - values.min()) if len(values) > 1 else None
