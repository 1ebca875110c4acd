"""The check of labels: finds and lists probable label errors."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from data_checks.dataset import CheckedData
from data_checks.finding import Finding, Occurrence, counted, severity_of
from data_checks.label_errors.confident_learning import LabelErrors, find_label_errors
from data_checks.label_errors.out_of_fold import out_of_fold_probabilities
from pipelines.folds import NUM_FOLDS

MAX_EXAMPLES = 100_000  # of more a random sample is checked
MIN_EXAMPLES = 50
MIN_CLASS_EXAMPLES = 2 * NUM_FOLDS  # of a class whose labels are judged
MIN_CONFIDENCE = 0.9  # held-out probability of the other class
WARNING_SHARE = 0.02
MAX_LISTED = 100  # in the page
CHECK = "label errors"


def label_errors(data: CheckedData) -> Iterator[Finding]:
    """Labels that cross-validated models contradict (only with --labels)."""
    numbers = np.flatnonzero(~data.dropped)
    reason = _unsuitable(data, numbers)
    if reason:
        yield Finding(CHECK, "note", f"labels were not checked: {reason}", "", 0)
        return
    total = len(numbers)
    if total > MAX_EXAMPLES:
        draw = np.random.default_rng(0).choice(total, MAX_EXAMPLES, replace=False)
        numbers = numbers[np.sort(draw)]
    labels = data.targets[numbers]
    probabilities = out_of_fold_probabilities(data, numbers)
    found = _certain(find_label_errors(probabilities, labels), probabilities, labels)
    yield _finding(data, numbers, probabilities, found, total)


def _unsuitable(data: CheckedData, numbers: np.ndarray) -> str:
    if data.splits.is_multilabel:
        return "examples have several classes"
    if not data.splits.labels:
        return "the target is numbers; --labels is for classes"
    sizes = np.bincount(data.targets[numbers])
    if len(numbers) < MIN_EXAMPLES or (sizes >= MIN_CLASS_EXAMPLES).sum() < 2:
        return (
            f"it needs {MIN_EXAMPLES} examples, and two classes with {MIN_CLASS_EXAMPLES} examples"
        )
    return ""


def _certain(found: LabelErrors, probabilities: np.ndarray, labels: np.ndarray) -> LabelErrors:
    """Keep errors of high confidence, in classes with enough examples to know them."""
    sizes = np.bincount(labels, minlength=probabilities.shape[1])
    is_certain = probabilities[found.rows, found.probable] >= MIN_CONFIDENCE
    kept = is_certain & (sizes[labels[found.rows]] >= MIN_CLASS_EXAMPLES)
    return found._replace(rows=found.rows[kept], probable=found.probable[kept])


def _finding(
    data: CheckedData,
    numbers: np.ndarray,
    probabilities: np.ndarray,
    found: LabelErrors,
    total: int,
) -> Finding:
    count, share = len(found.rows), len(found.rows) / len(numbers)
    entries = [*_entries(data, numbers, probabilities, found)]
    low, high = found.interval
    message = (
        f"{counted(count, 'label is', 'labels are')} contradicted: models that had not seen the "
        f"example give another class at least {MIN_CONFIDENCE:.0%}. Confident learning estimates "
        f"that at most about {found.noise_rate:.1%} of all labels are wrong (95 % interval "
        f"{low:.1%} to {high:.1%}); where classes overlap, it also counts borderline examples"
    )
    in_test = np.isin(numbers[found.rows], data.numbers_of("test")).sum()
    if tested := np.isin(numbers, data.numbers_of("test")).sum() * bool(in_test):
        message += (
            f". {in_test:,} of {tested:,} test examples are among them: if all these labels are "
            f"wrong, the accuracy of a perfect model is {1 - in_test / tested:.1%}"
        )
    if len(numbers) < total:
        message += f". A random sample of {len(numbers):,} of {total:,} examples was checked"
    return Finding(
        CHECK,
        severity_of(share, warning=WARNING_SHARE),
        message,
        "Look at them, the first ones first: some are mislabelled, others only unusual. Correct "
        "the labels, or exclude the examples with --write-quarantine."
        if count
        else "",
        count,
        share,
        [
            Occurrence(one["split"], one["where"], _described(data, one, number), number)
            for one, number in zip(entries[:MAX_LISTED], numbers[found.rows].tolist(), strict=False)
        ],
        numbers[found.rows],
        reasons=[_reason(one) for one in entries],
        details={
            "labels": entries,
            "noise_rate": round(found.noise_rate, 6),
            "noise_interval": [round(end, 6) for end in found.interval],
            "checked": len(numbers),
        },
    )


def _entries(
    data: CheckedData, numbers: np.ndarray, probabilities: np.ndarray, found: LabelErrors
) -> Iterator[dict[str, Any]]:
    for row, probable in zip(found.rows.tolist(), found.probable.tolist(), strict=True):
        number = int(numbers[row])
        given = int(data.targets[number])
        yield {
            "split": data.locate(number)[0].split,
            "where": data.where(number),
            "given": data.target_text(given),
            "probable": data.target_text(probable),
            "confidence": round(float(probabilities[row, probable]), 4),
            "given_probability": round(float(probabilities[row, given]), 4),
        }


def _reason(one: dict[str, Any]) -> str:
    return (
        f"labelled {one['given']}, probably {one['probable']} (probability "
        f"{one['confidence']:.2f}, of the given class {one['given_probability']:.2f})"
    )


def _described(data: CheckedData, one: dict[str, Any], number: int) -> str:
    example = data.describe(number)
    return _reason(one) if example == one["given"] else f"{_reason(one)}: {example}"
