"""Which simpler answers are better than a model, and what the user can do about it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.app import App
from apps.metrics import metric
from evaluation import kinds
from evaluation.intervals import TAILS, Resampled
from evaluation.rounding import decimals, rounded

LEAST = 1e-3  # of the metric: a smaller difference is none


def remarks(
    app: App,
    judge: Any,
    answers: Any,
    baselines: Mapping[str, Any],
    drawn: Resampled | None = None,
) -> list[str]:
    """In words, every baseline that is better than the model by some metric.

    Better beyond doubt: the 95 % interval of the difference, by a paired bootstrap on
    the same test examples, lies above 0, and the difference is not below a thousandth.
    `drawn` is what the judge's `resampled` gives for the answers, where it is known already.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8.

    """
    found = []
    own = drawn or {}
    for name, given in baselines.items():
        ahead = {} if name == kinds.FLOOR else _ahead(judge, answers, given)
        if ahead:
            own = own or judge.resampled(answers)
            other = judge.resampled(given)
            losses = [_lost(one, *pair, own[one], other[one]) for one, pair in ahead.items()]
            if lost := [loss for loss in losses if loss]:
                title = name.replace("_", " ")
                found.append(f"This model loses to {title}: {'; '.join(lost)}. {advice(app, name)}")
    return found


def _ahead(judge: Any, answers: Any, given: Any) -> dict[str, tuple[float, float]]:
    """The metrics by which the baseline looks better: the model's and its own."""
    own, other = judge.metrics(answers), judge.metrics(given)
    return {
        name: (own[name], value)
        for name, value in other.items()
        if name in own
        and metric(name).measures_quality
        and metric(name).sign * (value - own[name]) > LEAST * abs(own[name])
    }


def _lost(name: str, own: float, other: float, drawn: np.ndarray, beside: np.ndarray) -> str:
    """The two scores in words; empty where chance explains their difference."""
    low, high = np.quantile(metric(name).sign * (beside - drawn), TAILS)
    if low <= 0:
        return ""
    places = max(decimals(low, high), decimals(own, other))
    shown = [rounded(value, places) for value in (own, other, low, high)]
    return (
        f"{name} {shown[0]} against {shown[1]} (95 % interval of the difference "
        f"{shown[2]} to {shown[3]})"
    )


def advice(app: App, baseline: str) -> str:
    """What the user can do about a better baseline: a flag that exists, or none."""
    fields = app.baseline_fields.get(baseline)
    if fields is None:
        return f"athanor trains no such model; search for better fields: athanor {app.name()} tune."
    flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in fields.items())
    if all(getattr(app, name) == value for name, value in fields.items()):
        return f"This run has {flags} already; search for better fields: athanor {app.name()} tune."
    return f"Take it with {flags}, or search for better fields: athanor {app.name()} tune."
