"""Names the baselines that are better than a model, and what the user can do about it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.app import App
from apps.metrics import metric
from evaluation.intervals import TAILS, Resamples
from evaluation.modalities.baselines import NOISE_FLOOR
from evaluation.rounding import decimals, rounded
from evaluation.tasks import Task

DATA_FIELDS = ("data", "test", "task", "split")  # besides those that name columns
MIN_RELATIVE_DIFFERENCE = 1e-3  # of the metric: a smaller difference does not count


def remarks(
    app: App,
    task: Task[Any],
    predictions: Any,
    baselines: Mapping[str, Any],
    resamples: Resamples | None = None,
) -> list[str]:
    """Write a sentence about every baseline that is significantly better than the model.

    Significantly: the 95 % interval of the difference of some metric, by a paired bootstrap
    on the same test examples, lies above 0, and the difference is at least a thousandth.
    `resamples` are those of the task's `bootstrap`; by default they are made here.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8.

    """
    found = []
    own = resamples or {}
    for name, baseline in baselines.items():
        better = {} if name == NOISE_FLOOR else _better_metrics(task, predictions, baseline)
        if better:
            own = own or task.bootstrap(predictions)
            other = task.bootstrap(baseline)
            losses = [_loss(one, *pair, own[one], other[one]) for one, pair in better.items()]
            if lost := [loss for loss in losses if loss]:
                title = name.replace("_", " ")
                found.append(f"This model loses to {title}: {'; '.join(lost)}. {advice(app, name)}")
    return found


def _better_metrics(
    task: Task[Any], predictions: Any, baseline: Any
) -> dict[str, tuple[float, float]]:
    """By metric in which the baseline is better: the model's score and the baseline's."""
    own, other = task.metrics(predictions), task.metrics(baseline)
    return {
        name: (own[name], value)
        for name, value in other.items()
        if name in own
        and metric(name).measures_quality
        and metric(name).sign * (value - own[name]) > MIN_RELATIVE_DIFFERENCE * abs(own[name])
    }


def _loss(
    name: str, own: float, other: float, own_resamples: np.ndarray, other_resamples: np.ndarray
) -> str:
    """Write both scores; empty if the difference is not significant."""
    low, high = np.quantile(metric(name).sign * (other_resamples - own_resamples), TAILS)
    if low <= 0:
        return ""
    places = max(decimals(low, high), decimals(own, other))
    shown = [rounded(value, places) for value in (own, other, low, high)]
    return (
        f"{name} {shown[0]} against {shown[1]} (95 % interval of the difference "
        f"{shown[2]} to {shown[3]})"
    )


def advice(app: App, baseline: str) -> str:
    """Tell the user how to train a better baseline, or to search for better fields."""
    fields, search = app.baseline_fields.get(baseline), f"search for better fields: {_tune(app)}"
    if fields is None:
        return f"athanor trains no such model; {search}"
    flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in fields.items())
    if all(getattr(app, name) == value for name, value in fields.items()):
        return f"This run has {flags} already; {search}"
    return f"Take it with {flags}, or {search}"


def _tune(app: App) -> str:
    """Return the command that searches for better fields, and the flags that name the same data.

    Their values stay out: a server shows remarks to its clients.
    """
    default = type(app)()
    flags = [
        f"--{name}"
        for name in (*DATA_FIELDS, *app.column_fields)
        if getattr(app, name, None) != getattr(default, name, None)
    ]
    same = f", with the same {' and '.join(flags)}" if flags else ""
    return f"athanor {app.name()} tune{same}."
