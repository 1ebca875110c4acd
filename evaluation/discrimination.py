"""How well probabilities tell the classes apart: AUC, average precision, gain and lift."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from evaluation import threshold_curves
from evaluation.areas import Area, areas, macro
from evaluation.intervals import TAILS
from evaluation.modalities.baselines import NOISE_FLOOR
from evaluation.paired_comparison import Comparison, Comparisons, holm
from evaluation.tasks import Task
from evaluation.tasks.class_scores import ClassScores
from pipelines.splits import Splits

AUC, AVERAGE_PRECISION = MEASURES = ("auc", "average_precision")
MAX_CELLS = 50_000_000  # examples times classes that are ranked
MIN_GAIN = 1e-5  # float32 probabilities have ties that float64 ones of the same model break
NONE = np.zeros(0)


class Ranking(NamedTuple):
    """The areas of a model.

    Attributes:
        overall: AUC and average precision of the positive class, or their means over the classes.
        classes: the areas of each class that has positive and negative examples, by column.

    """

    overall: dict[str, Area]
    classes: dict[int, dict[str, Area]]


def discrimination(
    task: Task[Any], predictions: Any, baselines: Mapping[str, Any], splits: Splits
) -> dict[str, Any]:
    """Return AUC, average precision, gain and lift as scores.json holds them.

    `positive` is the positive class of two: the rarer one in the training data. With several
    classes each is told from all others, and the means over the classes are given. The result is
    empty for a task without classes, and if no class has both positive and negative examples.

    Args:
        task: of the predictions.
        predictions: of the model, for the test examples.
        baselines: predictions of the baselines for the same examples.
        splits: with the training data and the labels.

    """
    scores = task.class_scores(predictions, splits)
    own = measure(scores)
    if scores is None or own is None:
        return {}
    others = {
        name: found
        for name, one in baselines.items()
        if name != NOISE_FLOOR and (found := measure(task.class_scores(one, splits)))
    }
    comparisons = compare(own, others)
    return {
        "positive": scores.positive,
        "prevalence": prevalence(scores),
        "examples": len(scores.truth),
        "test": {name: area.value for name, area in own.overall.items()},
        "intervals": {name: [*area.interval] for name, area in own.overall.items()},
        "baselines": {
            title: {name: area.value for name, area in found.overall.items()}
            for title, found in others.items()
        },
        "comparisons": {
            title: {name: one.to_json() for name, one in row.items()}
            for title, row in comparisons.items()
        },
        "per_class": _rows(scores, own) if not scores.positive else [],
        "gain": threshold_curves.gain_table(scores) if scores.positive else [],
    }


def measure(scores: ClassScores | None) -> Ranking | None:
    """Compute the areas of all classes; None if no class has positive and negative examples.

    None too if the examples and classes are too many to be ranked.
    """
    if scores is None or scores.scores.size > MAX_CELLS:
        return None
    classes: dict[int, dict[str, Area]] = {}
    sums = {name: np.zeros(len(scores.truth)) for name in MEASURES}
    for k in range(scores.scores.shape[1]):
        found = areas(scores.scores[:, k], scores.truth[:, k], scores.weights)
        if found is None:
            continue
        for name, area in zip(MEASURES, found, strict=True):
            sums[name] += area.influence
            classes.setdefault(k, {})[name] = area._replace(influence=NONE)
    if not classes:
        return None
    overall = {name: macro([row[name] for row in classes.values()], sums[name]) for name in sums}
    return Ranking(overall, classes)


def compare(own: Ranking, others: Mapping[str, Ranking]) -> Comparisons:
    """Compare the areas of a model with those of baselines, by the influences of each example."""
    found = {
        title: {
            name: by_influence(own.overall[name], other.overall[name])
            for name in MEASURES
            if own.classes.keys() == other.classes.keys()
        }
        for title, other in others.items()
    }
    return holm(found)


def by_influence(own: Area, other: Area) -> Comparison:
    """Compare two areas of the same examples; for the AUC this is DeLong's test.

    The interval and the p-value are Student's, with the degrees of freedom of the areas.
    """
    gain = own.value - other.value
    count, size = len(own.influence), max(own.size, 2.0)
    squares = np.square(own.influence - other.influence).sum() * size / (size - 1)
    error, freedom = float(np.sqrt(squares) / count), min(own.freedom, other.freedom)
    half = error * float(stdtrit(freedom, TAILS[1]))
    statistic = abs(gain) / error if error > 0 else np.inf
    p = float(2 * stdtr(freedom, -statistic)) if abs(gain) > MIN_GAIN else 1.0
    p = float(min(1.0, max(p, 2.0 ** (1 - count))))
    return Comparison(gain, (max(gain - half, -1.0), min(gain + half, 1.0)), p, p, "influence")


def prevalence(scores: ClassScores) -> float:
    """Return the mean share of positive examples, which is the average precision of chance."""
    shares = np.average(scores.truth, axis=0, weights=scores.weights)
    return float(shares[(shares > 0) & (shares < 1)].mean())


def _rows(scores: ClassScores, own: Ranking) -> list[dict[str, Any]]:
    counts = scores.truth.sum(0)
    return [
        {
            "class": scores.labels[k],
            **{name: area.value for name, area in row.items()},
            **{f"{name}_interval": [*area.interval] for name, area in row.items()},
            "examples": int(counts[k]),
        }
        for k, row in own.classes.items()
    ]
