"""Compare how a model treats groups of people, for scores.json."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from evaluation.fairness import errors, gaps, thresholds
from evaluation.fairness.errors import GroupErrors
from evaluation.fairness.groups import Groups, SensitiveGroups
from evaluation.fairness.rates import MIN_EXAMPLES, Rate, binary_rates, class_rates
from evaluation.fairness.thresholds import Outcomes
from evaluation.tasks.class_scores import positive_class
from inference.model_outputs import predict_all
from training.run import Run

JUDGED_RATES = ("selection_rate", "tpr", "fpr")  # of two classes
MAX_CLASSES = 30  # whose recalls are compared, the most frequent in the test examples


def of_run(run: Run, predictions: Any, sensitive: SensitiveGroups | None) -> dict[str, Any]:
    """Return `fairness` of scores.json; empty without sensitive columns."""
    if sensitive is None:
        return {}
    if not run.splits.labels:
        return _of_numbers(predictions, sensitive.test)
    if run.task == "classification" and len(run.splits.labels) == 2:
        return _of_two_classes(run, predictions, sensitive)
    return _of_classes(run, predictions, sensitive.test)


def _of_two_classes(run: Run, predictions: Any, sensitive: SensitiveGroups) -> dict[str, Any]:
    positive = positive_class(run.splits.train.targets)
    known = (predictions.probabilities, predictions.predicted, predictions.target)
    tests = [_outcomes(positive, *known, groups, predictions.weights) for groups in sensitive.test]
    columns = [of_outcomes(one) for one in tests]
    return {
        "kind": "two classes",
        "positive": run.splits.labels[positive],
        "min_examples": MIN_EXAMPLES,
        "columns": _corrected(columns),
        "thresholds": _thresholds(run, positive, sensitive.valid, tests),
    }


def _outcomes(
    positive: int,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    target: np.ndarray,
    groups: Groups,
    weights: np.ndarray | None,
) -> Outcomes:
    chosen, truth = predicted == positive, target == positive
    return Outcomes(probabilities[:, positive], chosen, truth, groups, weights)


def _thresholds(
    run: Run, positive: int, valid: Sequence[Groups], tests: Sequence[Outcomes]
) -> list[dict[str, Any]]:
    """Return the thresholds that even the rates of each column."""
    probabilities, part = predict_all(run.model, run.splits.valid), run.splits.valid
    known = (probabilities, probabilities.argmax(1), part.targets)
    found = []
    for groups, test in zip(valid, tests, strict=True):
        held_out = _outcomes(positive, *known, groups, part.weights)
        found += [thresholds.even(held_out, test, aim) for aim in thresholds.AIMS]
    return [one for one in found if one is not None]


def of_outcomes(outcomes: Outcomes) -> dict[str, Any]:
    """Return the entry of a sensitive column, for decisions about a positive class."""
    groups, weights = outcomes.groups, outcomes.weights
    count = len(groups.labels)
    rates = binary_rates(outcomes.selected, outcomes.truth, groups.codes, count, weights)
    entry = _of_rates(groups, rates, JUDGED_RATES)
    by_name = {rate.name: rate for rate in rates}
    odds = gaps.equalized_odds(by_name["tpr"], by_name["fpr"])
    if odds is not None:
        entry["gaps"].append(gaps.to_json(odds, groups.labels))
    weights = np.ones(len(groups.codes)) if weights is None else weights
    sums = np.bincount(groups.codes, weights * outcomes.probabilities, count)
    totals = np.bincount(groups.codes, weights, count)
    present = np.flatnonzero(np.bincount(groups.codes, minlength=count))
    for k, row in zip(present, entry["groups"], strict=True):
        row["mean_probability"] = float(sums[k] / totals[k]) if totals[k] else None
    entry["gaps"] += _calibration_gap(outcomes)
    return entry


def _calibration_gap(outcomes: Outcomes) -> list[dict[str, Any]]:
    """Return the largest difference of mean probability minus share of positives."""
    groups, weights = outcomes.groups, outcomes.weights
    residuals = outcomes.probabilities.astype("float64") - outcomes.truth
    gap = _widest(_by_group(residuals, weights, groups), "mean_error", groups.labels)
    return [gap | {"name": "calibration"}] if gap else []


def _of_rates(groups: Groups, rates: Sequence[Rate], judged: Sequence[str]) -> dict[str, Any]:
    """Return the entry of a column; its pairs are those of the rates that are judged."""
    count, labels = len(groups.labels), groups.labels
    examples = np.bincount(groups.codes, minlength=count)
    found = [gap for rate in rates if (gap := gaps.gap_of(rate)) is not None]
    return {
        "column": groups.column,
        "note": groups.note,
        "groups": [
            {
                "group": label,
                "examples": int(examples[k]),
                "judged": bool(examples[k] >= MIN_EXAMPLES),
                **{rate.name: rate.of_group(k) for rate in rates},
            }
            for k, label in enumerate(labels)
            if examples[k]
        ],
        "gaps": [gaps.to_json(gap, labels) for gap in found if gap.name != "positive_rate"],
        "pairs": [
            _pair(pair, labels) | {"values": [float(rate.values[k]) for k in pair.groups]}
            for rate in rates
            if rate.name in judged
            for pair in gaps.pairs_of(rate)
        ],
    }


def _pair(pair: Any, labels: Sequence[str]) -> dict[str, Any]:
    high, low = (labels[k] for k in pair.groups)
    return {
        "name": pair.name, "high": high, "low": low, "difference": pair.difference, "p": pair.p,
    }  # fmt: skip


def _corrected(columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Correct the p-values of all pairs of all columns together, and keep the significant ones."""
    pairs = [pair for column in columns for pair in column["pairs"]]
    for pair, p in zip(pairs, gaps.holm([pair["p"] for pair in pairs]), strict=True):
        pair["p_corrected"] = p
    for column in columns:
        column["compared"] = len(pairs)
        certain = [pair for pair in column["pairs"] if pair["p_corrected"] < 0.05]
        column["pairs"] = sorted(certain, key=lambda pair: -pair["difference"])
    return columns


def _of_classes(run: Run, predictions: Any, tests: Sequence[Groups]) -> dict[str, Any]:
    """Compare the accuracy and the recall of each class."""
    labels, target = run.splits.labels, predictions.target
    if target.ndim == 1:
        numbers = np.arange(len(labels))
        truth, chosen = target[:, None] == numbers, predictions.predicted[:, None] == numbers
        weights = predictions.weights
    else:
        truth, chosen, weights = target > 0, predictions.selected, None
    kept = np.sort(np.argsort(-truth.sum(0), kind="stable")[:MAX_CLASSES])
    right = (truth == chosen).all(1)
    names = [labels[k] for k in kept]
    columns = []
    for groups in tests:
        count = len(groups.labels)
        rates = class_rates(
            right, truth[:, kept], (truth & chosen)[:, kept], names, groups.codes, count, weights
        )
        columns.append(_of_rates(groups, rates, [rate.name for rate in rates]))
    return {
        "kind": "classes",
        "min_examples": MIN_EXAMPLES,
        "columns": _corrected(columns),
        "thresholds": [],
    }


def _of_numbers(predictions: Any, tests: Sequence[Groups]) -> dict[str, Any]:
    """Compare the RMSE and the mean error."""
    columns = [_errors_by_group(predictions, groups) for groups in tests]
    return {
        "kind": "numbers",
        "deviation": float(np.std(predictions.target.astype("float64"))),
        "min_examples": MIN_EXAMPLES,
        "columns": _corrected(columns),
        "thresholds": [],
    }


def _by_group(
    residuals: np.ndarray, weights: np.ndarray | None, groups: Groups
) -> list[GroupErrors | None]:
    """Return the errors of each group; None for one without examples."""
    members = (np.flatnonzero(groups.codes == k) for k in range(len(groups.labels)))
    return [
        GroupErrors.of(residuals[rows], None if weights is None else weights[rows])
        if len(rows)
        else None
        for rows in members
    ]


def _widest(
    found: Sequence[GroupErrors | None], name: str, labels: Sequence[str]
) -> dict[str, Any] | None:
    pairs = errors.pairs_of(found, name)
    if not pairs:
        return None
    pair = max(pairs, key=lambda one: one.difference)
    high, low = (labels[k] for k in pair.groups)
    interval = [*pair.interval]
    return {"name": name, "gap": pair.difference, "interval": interval, "high": high, "low": low}


def _errors_by_group(predictions: Any, groups: Groups) -> dict[str, Any]:
    found = _by_group(predictions.residuals, predictions.weights, groups)
    labels, examples = groups.labels, np.bincount(groups.codes, minlength=len(groups.labels))
    rows = zip(labels, found, examples.tolist(), strict=True)
    widest = (_widest(found, name, labels) for name in errors.NAMES)
    return {
        "column": groups.column,
        "note": groups.note,
        "groups": [_error_row(label, one, size) for label, one, size in rows if one is not None],
        "gaps": [gap for gap in widest if gap is not None],
        "pairs": [
            _pair(pair, labels) | {"values": [*pair.scores]}
            for name in errors.NAMES
            for pair in errors.pairs_of(found, name)
        ],
    }


def _error_row(label: str, found: GroupErrors, examples: int) -> dict[str, Any]:
    scores = {
        name: {"value": found.score(name), "interval": [*found.interval(name)]}
        for name in errors.NAMES
    }
    return {"group": label, "examples": examples, "judged": found.is_judged, **scores}
