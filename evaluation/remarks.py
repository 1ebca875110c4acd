"""Name the baselines that are better or as good in less time, and advise the user what to do."""

from collections.abc import Mapping
from typing import NamedTuple

from apps.app import App
from apps.metrics import metric
from evaluation.decisive import decisive_metrics
from evaluation.paired_comparison import Comparison, Comparisons
from evaluation.rounding import decimals, rounded

DATA_FIELDS = ("task", "split", "multilabel")  # besides those that name columns
LOSES = "This model loses to"
MIN_RELATIVE_DIFFERENCE = 1e-3  # of the baseline's metric from the model's
# A baseline is much faster if it takes this share of the model's time, and saves these seconds.
MAX_TIME_SHARE, MIN_SECONDS_SAVED = 1 / 3, 10.0

Scores = Mapping[str, float]


class Seconds(NamedTuple):
    """Seconds of training a model, and of training and predicting by each baseline."""

    training: float
    baselines: Mapping[str, float]


def remarks(
    app: App, own: Scores, baselines: Mapping[str, Scores], comparisons: Comparisons
) -> list[str]:
    """Return sentences about the baselines that are significantly better than the model.

    They are better in a decisive metric, by MIN_RELATIVE_DIFFERENCE at least.
    """
    sentences = []
    for title, compared in comparisons.items():
        lost = [
            _lost(name, compared[name], own[name], baselines[title][name])
            for name in decisive_metrics(own)
            if name in compared and _is_lost(compared[name], own[name])
        ]
        if lost:
            losses = "; ".join(lost)
            name = title.replace("_", " ")
            sentences.append(f"{LOSES} {name}: {losses}. {advice(app, title)}")
    return sentences


def time_remarks(
    app: App,
    own: Scores,
    baselines: Mapping[str, Scores],
    comparisons: Comparisons,
    seconds: Seconds,
) -> list[str]:
    """Return a sentence about the best baseline if it is much faster and as good.

    It is as good if the model is significantly better in no metric. The best baseline is that of
    the first metric.
    """
    first = next(iter(own))
    others = {title: baselines[title][first] for title, row in comparisons.items() if first in row}
    if not others:
        return []
    best = max(others, key=lambda title: metric(first).sign * others[title])
    saved = seconds.training - seconds.baselines[best]
    if saved < max(MIN_SECONDS_SAVED, (1 - MAX_TIME_SHARE) * seconds.training):
        return []
    compared = comparisons[best].values()
    if any(one.is_better or one.is_worse for one in compared):  # `remarks` names a better one
        return []
    return [
        f"This model took {seconds.training:.0f} s, {best.replace('_', ' ')} "
        f"{seconds.baselines[best]:.0f} s, and it is significantly better in no metric: {first} "
        f"{_against(comparisons[best][first], own[first], others[best], 'gain')}. "
        f"{advice(app, best)}"
    ]


def _is_lost(one: Comparison, own: float) -> bool:
    return one.is_worse and -one.gain > MIN_RELATIVE_DIFFERENCE * abs(own)


def _lost(name: str, one: Comparison, own: float, other: float) -> str:
    """Return both scores of a metric in which the baseline is better."""
    low, high = one.interval
    difference = one._replace(gain=-one.gain, interval=(-high, -low))
    return f"{name} {_against(difference, own, other, 'difference')}"


def _against(one: Comparison, own: float, other: float, title: str) -> str:
    low, high = one.interval
    num_decimals = max(decimals(low, high), decimals(own, other))
    texts = [rounded(value, num_decimals) for value in (own, other, low, high)]
    return f"{texts[0]} against {texts[1]} (95 % interval of the {title} {texts[2]} to {texts[3]})"


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
