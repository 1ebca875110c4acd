"""Name the baselines that are better or as good in less time, and advise the user what to do."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from apps.app import App
from apps.metrics import metric
from evaluation.intervals import TAILS, Resamples
from evaluation.modalities.baselines import NOISE_FLOOR
from evaluation.rounding import decimals, rounded
from evaluation.tasks import Task
from evaluation.tasks.classification import BALANCED

DATA_FIELDS = ("task", "split", "multilabel")  # besides those that name columns
MIN_RELATIVE_DIFFERENCE = 1e-3  # of the baseline's metric from the model's
# A baseline is much faster if it takes this share of the model's time, and saves these seconds.
MAX_TIME_SHARE, MIN_SECONDS_SAVED = 1 / 3, 10.0


class Seconds(NamedTuple):
    """Seconds of training a model, and of training and predicting by each baseline."""

    training: float
    baselines: Mapping[str, float]


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


def time_remarks(
    app: App,
    task: Task[Any],
    predictions: Any,
    baselines: Mapping[str, Any],
    resamples: Resamples,
    seconds: Seconds,
) -> list[str]:
    """Return a sentence about the best baseline if it is much faster and as good.

    It is as good if the model is significantly better in no metric, by the paired bootstrap of
    `remarks`. The best baseline is that of the first metric.
    """
    first, *_ = own = task.metrics(predictions)
    others = {
        name: scores
        for name, baseline in baselines.items()
        if name != NOISE_FLOOR and first in (scores := task.metrics(baseline))
    }
    if not others:
        return []
    best = max(others, key=lambda name: metric(first).sign * others[name][first])
    saved = seconds.training - seconds.baselines[best]
    if saved < max(MIN_SECONDS_SAVED, (1 - MAX_TIME_SHARE) * seconds.training):
        return []
    theirs = task.bootstrap(baselines[best])
    gains = {
        name: np.quantile(metric(name).sign * (resamples[name] - theirs[name]), TAILS)
        for name in others[best]
        if name in own and metric(name).measures_quality
    }
    if any(low > 0 or high < 0 for low, high in gains.values()):  # `remarks` names a better one
        return []
    low, high = gains[first]
    num_decimals = max(decimals(low, high), decimals(own[first], others[best][first]))
    texts = [rounded(value, num_decimals) for value in (own[first], others[best][first], low, high)]
    return [
        f"This model took {seconds.training:.0f} s, {best.replace('_', ' ')} "
        f"{seconds.baselines[best]:.0f} s, and it is significantly better in no metric: {first} "
        f"{texts[0]} against {texts[1]} (95 % interval of the gain {texts[2]} to {texts[3]}). "
        f"{advice(app, best)}"
    ]


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
        for name in (*app.address_fields, *DATA_FIELDS, *app.column_fields)
        if getattr(app, name, None) != getattr(default, name, None)
    ]
    same = f", with the same {' and '.join(flags)}" if flags else ""
    return f"athanor {app.name()} tune{same}."
