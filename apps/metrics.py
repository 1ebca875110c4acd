"""The table of metrics: direction, range, unit and format of each, and nowhere else.

Training, tuning and evaluation look a metric up by its name.
"""

import math
from typing import Literal, NamedTuple

VALIDATION = "val_"  # prefix of validation scores in Keras
TARGET = "target"  # the unit of the predicted column

Format = Literal["number", "fraction"]


class Metric(NamedTuple):
    """The properties of a metric.

    Attributes:
        name: as in scores.json and history.csv.
        higher_is_better: the direction.
        low: the smallest possible value.
        high: the largest possible value.
        unit: "" for a pure number, TARGET for the unit of the target.
        format: how the user sees a difference; of fractions, in percentage points.
        measures_quality: whether a worse value means a worse model; other metrics describe it.
        of_export: whether it is measured on an exported model, not on predictions.

    """

    name: str
    higher_is_better: bool
    low: float = 0.0
    high: float = math.inf
    unit: str = ""
    format: Format = "number"
    measures_quality: bool = True
    of_export: bool = False

    @property
    def sign(self) -> float:
        """1 if higher is better, else -1."""
        return 1.0 if self.higher_is_better else -1.0

    @property
    def mode(self) -> Literal["min", "max"]:
        """The direction in Keras's words."""
        return "max" if self.higher_is_better else "min"

    def unit_for(self, target: str) -> str:
        """Return the unit, given the name of the target column."""
        return target if self.unit == TARGET else self.unit


def _fraction(name: str, *, measures_quality: bool = True) -> Metric:
    return Metric(name, True, high=1.0, format="fraction", measures_quality=measures_quality)


METRICS = {
    metric.name: metric
    for metric in (
        _fraction("accuracy"),
        _fraction("balanced_accuracy"),
        Metric("loss", False, unit="nats"),
        _fraction("micro_f1"),
        _fraction("macro_f1"),
        _fraction("subset_accuracy"),
        Metric("brier", False),
        Metric("rmse", False, unit=TARGET),
        Metric("mae", False, unit=TARGET),
        Metric("r2", True, low=-math.inf, high=1.0),
        _fraction("recall_at_10"),
        _fraction("ndcg_at_10"),
        _fraction("recall_at_20"),
        _fraction("ndcg_at_20"),
        _fraction("coverage", measures_quality=False),
        Metric("popularity_bias", False, measures_quality=False),
        Metric("latency", False, unit="ms", of_export=True),
        Metric("size", False, unit="MB", of_export=True),
    )
}
EXPORT_METRICS = tuple(name for name, metric in METRICS.items() if metric.of_export)


def metric(name: str) -> Metric:
    """Return the metric of this name, with or without `val_`. Raises ValueError if unknown."""
    entry = METRICS.get(name.removeprefix(VALIDATION))
    if entry is None:
        raise ValueError(
            f"Received the metric {name!r}; expected one of {', '.join(METRICS)}. Add it to "
            "METRICS in apps/metrics.py, with its direction, range, unit and format."
        )
    return entry
