"""Name the baselines that are better than a model, and advise the user what to do."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.app import App
from apps.metrics import metric
from evaluation.intervals import TAILS, Resamples
from evaluation.modalities.baselines import NOISE_FLOOR
from evaluation.rounding import decimals, rounded
from evaluation.tasks import Task
from evaluation.tasks.classification import BALANCED

DATA_FIELDS = ("data", "test", "task", "split", "multilabel")  # besides those that name columns
MIN_RELATIVE_DIFFERENCE = 1e-3  # of the baseline's metric from the model's


def remarks(
    app: App,
    task: Task[Any],
    predictions: Any,
    baselines: Mapping[str, Any],
    resamples: Resamples | None = None,
) -> list[str]:
    """Return sentences about the baselines that are significantly better than the model.

    A baseline is significantly better if it is better in some metric by MIN_RELATIVE_DIFFERENCE,
    and the 95 % interval of the difference lies above 0. The interval comes from a paired
    bootstrap on the same test examples. `resamples` is the result of the task's `bootstrap` for
    `predictions`; it is called by default.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8.

    """
    sentences = []
    own = resamples or {}
    for name, baseline in baselines.items():
        better = {} if name == NOISE_FLOOR else _better_metrics(task, predictions, baseline)
        if better:
            own = own or task.bootstrap(predictions)
            other = task.bootstrap(baseline)
            differences = (
                _significant_difference(metric_name, *scores, own[metric_name], other[metric_name])
                for metric_name, scores in better.items()
            )
            if significant := "; ".join(filter(None, differences)):
                title = name.replace("_", " ")
                sentences.append(f"This model loses to {title}: {significant}. {advice(app, name)}")
    return sentences


def _better_metrics(
    task: Task[Any], predictions: Any, baseline: Any
) -> dict[str, tuple[float, float]]:
    """Return the scores of model and baseline in each metric in which the baseline is better."""
    own, other = task.metrics(predictions), task.metrics(baseline)
    if BALANCED in own:  # a model of balanced classes gives up the accuracy of the others
        own = {name: own[name] for name in (BALANCED, "macro_f1")}
    return {
        name: (own[name], value)
        for name, value in other.items()
        if name in own
        and metric(name).measures_quality
        and metric(name).sign * (value - own[name]) > MIN_RELATIVE_DIFFERENCE * abs(own[name])
    }


def _significant_difference(
    name: str, own: float, other: float, own_resamples: np.ndarray, other_resamples: np.ndarray
) -> str:
    """Return both scores as text; empty if the difference is not significant."""
    low, high = np.quantile(metric(name).sign * (other_resamples - own_resamples), TAILS)
    if low <= 0:
        return ""
    num_decimals = max(decimals(low, high), decimals(own, other))
    texts = [rounded(value, num_decimals) for value in (own, other, low, high)]
    return (
        f"{name} {texts[0]} against {texts[1]} (95 % interval of the difference "
        f"{texts[2]} to {texts[3]})"
    )


def advice(app: App, baseline: str) -> str:
    """Return how to train the better baseline, or how to search for better fields."""
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
        f"--{name.replace('_', '-')}"
        for name in (*DATA_FIELDS, *app.column_fields)
        if getattr(app, name, None) != getattr(default, name, None)
    ]
    same = f", with the same {' and '.join(flags)}" if flags else ""
    return f"athanor {app.name()} tune{same}."
