"""By which metrics a model is judged, and how large a gain must be to matter."""

from collections.abc import Mapping

from apps.metrics import metric

BALANCED = "balanced_accuracy"
# The smallest worthwhile gain, as a share of the baseline's distance from the end of the range.
MIN_WORTHWHILE_SHARE = 0.05


def decisive_metrics(metrics: Mapping[str, float]) -> list[str]:
    """Return the metrics by which a model is judged, the most important first.

    A model of balanced classes gives up the accuracy of the frequent classes on purpose.
    """
    if BALANCED in metrics:
        return [BALANCED, "macro_f1"]
    return [name for name in metrics if metric(name).measures_quality]


def worthwhile_gain(name: str, score: float) -> float:
    """Return the smallest gain over a score that is worth having.

    It is a share of the distance from the nearer end of the metric's range.
    """
    definition = metric(name)
    distances = [abs(end - score) for end in (definition.low, definition.high)]
    return MIN_WORTHWHILE_SHARE * min(distances)  # inf for a metric without that end
