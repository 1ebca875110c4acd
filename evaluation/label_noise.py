"""Signs of label errors in the test set: mistakes that do not become rarer with confidence."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from evaluation.finding import Finding
from evaluation.intervals import wilson

MIN_EXAMPLES = 200
MIN_MISTAKES = 3  # in the surest quarter
MIN_HALF, MIN_QUARTER = 0.02, 0.015  # lower ends of the intervals of both shares
MAX_HALF = 0.15  # a model that is wrong more often is no judge of labels
MIN_RATIO = 0.75  # of the share in the quarter to the mistakes in the half


def label_noise(probabilities: np.ndarray, target: np.ndarray) -> dict[str, Any]:
    """Return the shares of contradicted labels among the examples of which the model is surest.

    A label is contradicted if the model predicts another class, and gives the label less than half
    of the probability that its class has in the test set. The mistakes of a model become rarer
    with its confidence; wrong labels do not. `surest` has the shares in the surest half and
    quarter with their 95 % intervals, and the share of all mistakes.
    """
    frequency = np.bincount(target, minlength=probabilities.shape[1]) / max(1, len(target))
    given = probabilities[np.arange(len(target)), target]
    contradicted = (probabilities.argmax(1) != target) & (given < frequency[target] / 2)
    order = np.argsort(-probabilities.max(1), kind="stable")
    ordered, mistakes = contradicted[order], (probabilities.argmax(1) != target)[order]
    surest = {}
    for name, count in (("half", len(target) // 2), ("quarter", len(target) // 4)):
        if count:
            share = float(ordered[:count].mean())
            surest[name] = {
                "examples": count,
                "contradicted": int(ordered[:count].sum()),
                "share": share,
                "interval": list(wilson(share, count)),
                "mistakes": float(mistakes[:count].mean()),
            }
    return {"examples": len(target), "surest": surest}


def label_noise_findings(found: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Find a test set whose labels are contradicted however sure the model is."""
    if not found or found["examples"] < MIN_EXAMPLES:
        return
    half, quarter = found["surest"]["half"], found["surest"]["quarter"]
    if (
        quarter["contradicted"] >= MIN_MISTAKES
        and half["interval"][0] >= MIN_HALF
        and quarter["interval"][0] >= MIN_QUARTER
        and half["mistakes"] <= MAX_HALF
        and quarter["share"] >= MIN_RATIO * half["mistakes"]
    ):
        low, high = half["interval"]
        yield Finding(
            "label_errors",
            f"Labels may be wrong. In the half of the test examples of which the model is surest, "
            f"{half['contradicted']:,} of {half['examples']:,} have another label "
            f"({half['share']:.1%}, 95 % interval {low:.1%} to {high:.1%}), and in the surest "
            f"quarter {quarter['share']:.1%}: mistakes of a model become rarer when it is sure, "
            "wrong labels do not. If they are wrong in all parts of the data, even a perfect model "
            f"has an accuracy of about {1 - half['share']:.0%} here. List them with check-data "
            "--labels, and correct them in training and test.",
        )
