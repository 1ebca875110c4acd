"""What a run's decision is worth: precision, recall and cost, and the share that is answered."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from evaluation.finding import Finding
from evaluation.intervals import TAILS, Interval, effective_size, wilson
from training.decision import Decision
from training.run import Run

Weights = np.ndarray | None


def judge(
    decision: Decision,
    labels: list[str],
    probabilities: np.ndarray,
    target: np.ndarray,
    weights: Weights = None,
) -> dict[str, Any]:
    """Judge a decision on examples, as scores.json holds it under `decision`.

    `rows` has the scores of the decision and of the most probable class, which is the threshold
    0.5 of two classes. `gain` is what the decision saves in cost per example. `abstaining` has
    the share that is answered, and the accuracy of these answers and of all.

    Args:
        decision: to judge.
        labels: of the classes.
        probabilities: [n, classes].
        target: class numbers, [n].
        weights: of the examples, [n]; None if all count the same.

    """
    chosen, usual = decision.classes(probabilities, labels), probabilities.argmax(1)
    costs = cost_table(decision, labels)
    rows = []
    if decision.threshold is not None or costs is not None:
        rules = (("decision", decision.threshold, chosen), ("most probable class", 0.5, usual))
        for name, threshold, classes in rules:
            row: dict[str, Any] = {"rule": name}
            if decision.threshold is not None:
                row["threshold"] = threshold
            row |= _two_classes(decision, labels, classes, target, weights)
            if costs is not None:
                cost, interval = _mean_cost(costs[target, classes], costs, weights)
                row |= {"cost": cost, "cost_interval": [*interval]}
            rows.append(row)
    gain = None
    if costs is not None:
        gain = saved(costs[target, usual] - costs[target, chosen], weights)
    return {
        "text": decision.text,
        "positive": decision.positive,
        "asked": dict(decision.asked),
        "rows": rows,
        "gain": gain,
        "abstaining": _abstaining(decision, probabilities, chosen == target, weights),
    }


def judge_run(run: Run, predictions: Any) -> dict[str, Any] | None:
    """Judge the decision of a run on its predicted test examples; None without one."""
    if run.decision is None:
        return None
    labels, probabilities = list(run.manifest["labels"]), predictions.probabilities
    return judge(run.decision, labels, probabilities, predictions.target, predictions.weights)


def cost_table(decision: Decision, labels: list[str]) -> np.ndarray | None:
    """Return the cost of each answer for each true class, [true, answer]; None without costs."""
    if decision.costs is not None:
        return np.array(decision.costs, "float64")
    if "fp" not in decision.asked or decision.positive is None:
        return None
    positive, costs = labels.index(decision.positive), np.zeros((2, 2))
    costs[1 - positive, positive] = decision.asked["fp"]
    costs[positive, 1 - positive] = decision.asked["fn"]
    return costs


def share_of(right: np.ndarray, weights: Weights) -> tuple[float, Interval] | None:
    """Return the share of true values and its 95 % interval; None for no values."""
    if not len(right) or (weights is not None and not weights.sum()):
        return None
    share = min(float(np.average(right, weights=weights)), 1.0)
    return share, wilson(share, len(right) if weights is None else effective_size(weights))


def _two_classes(
    decision: Decision, labels: list[str], chosen: np.ndarray, target: np.ndarray, weights: Weights
) -> dict[str, Any]:
    """Return precision, recall and share of the positive class."""
    if decision.positive is None:
        return {}
    positive = labels.index(decision.positive)
    found, true = chosen == positive, target == positive
    parts = {
        "precision": (true[found], None if weights is None else weights[found]),
        "recall": (found[true], None if weights is None else weights[true]),
        "selected": (found, weights),
    }
    row: dict[str, Any] = {}
    for name, (right, own) in parts.items():
        if measured := share_of(right, own):
            row |= {name: measured[0], f"{name}_interval": [*measured[1]]}
    return row


def _mean_cost(costs: np.ndarray, possible: np.ndarray, weights: Weights) -> tuple[float, Interval]:
    """Return the mean cost and its 95 % interval.

    The mean is the sum of each possible cost times its share. The distances of the shares from the
    ends of their Wilson intervals are added as squares.

    References:
        Zou and Donner, "Construction of Confidence Limits about Effect Measures: A General
        Approach", 2008.

    """
    size = len(costs) if weights is None else effective_size(weights)
    squares = np.zeros(2)
    for cost in np.unique(possible[possible > 0]):
        share = min(float(np.average(costs == cost, weights=weights)), 1.0)
        squares += np.square(cost * (np.array(wilson(share, size)) - share))
    mean = float(np.average(costs, weights=weights))
    low, high = mean + np.sqrt(squares) * (-1, 1)
    return mean, (max(float(low), float(possible.min())), min(float(high), float(possible.max())))


def saved(differences: np.ndarray, weights: Weights = None) -> dict[str, Any]:
    """Return the mean of paired differences of cost, its 95 % interval and p-value: Student's."""
    size = len(differences) if weights is None else effective_size(weights)
    mean = float(np.average(differences, weights=weights))
    variance = float(np.average(np.square(differences - mean), weights=weights))
    error, freedom = np.sqrt(variance / max(size - 1, 1.0)), max(size - 1, 1.0)
    half = float(error * stdtrit(freedom, TAILS[1]))
    p = float(2 * stdtr(freedom, -abs(mean) / error)) if error > 0 else 1.0
    return {"saved": mean, "interval": [mean - half, mean + half], "p": p}


def _abstaining(
    decision: Decision, probabilities: np.ndarray, right: np.ndarray, weights: Weights
) -> dict[str, Any] | None:
    if decision.abstain is None:
        return None
    answered = decision.answered(probabilities)
    found: dict[str, Any] = {"confidence": decision.abstain}
    parts = {
        "answered": (answered, weights),
        "accuracy": (right[answered], None if weights is None else weights[answered]),
        "accuracy_of_all": (right, weights),
    }
    for name, (values, own) in parts.items():
        measured = share_of(values, own)
        found[name], interval = measured or (0.0, (0.0, 1.0))
        found[f"{name}_interval"] = [*interval]
    return found


def gate_values(found: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the numbers that a condition of `gate` can name, such as decision.precision."""
    values: dict[str, float] = {}
    sources: list[tuple[dict[str, Any], tuple[str, ...]]] = []
    if found and found["rows"]:
        sources.append((found["rows"][0], ("precision", "recall", "selected", "cost")))
    if found and found["abstaining"]:
        sources.append((found["abstaining"], ("answered", "accuracy")))
    for source, names in sources:
        for name in names:
            if name in source:
                low, high = source[f"{name}_interval"]
                key = f"decision.{name}"
                values |= {key: source[name], f"{key}.low": low, f"{key}.high": high}
    return values


def decision_findings(found: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Find a decision that does not hold on the test examples."""
    if not found or not found["rows"]:
        return
    row, asked = found["rows"][0], found["asked"]
    for name in ("precision", "recall"):
        wanted = asked.get(f"min_{name}")
        if wanted is not None and name in row and row[f"{name}_interval"][1] < wanted:
            yield Finding(
                "decision_missed",
                f"The threshold {row['threshold']:g} was chosen for a {name} of {wanted:g}. It has "
                f"{row[name]:.3f} on the test examples, which are unlike the validation examples. "
                "Look at the data with check-data, and choose again with athanor decide.",
            )
    if found["gain"] and found["gain"]["interval"][1] < 0:
        yield Finding(
            "decision_costs_more",
            f"The decision costs {-found['gain']['saved']:.3g} more per test example than the most "
            "probable class. Remove it: athanor decide RUN --reset.",
        )
