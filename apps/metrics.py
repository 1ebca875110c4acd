"""The table of metrics: which direction is better, in what range, in what unit.

Training, tuning and evaluation look a metric up here by its name; none of them
guesses from how the name is spelt.
"""

import math
from typing import NamedTuple

VALIDATION = "val_"  # what Keras writes before the name of a validation score
TARGET = "target"  # the unit of what is predicted


class Metric(NamedTuple):
    """What is known of a metric.

    Attributes:
        name: as in scores.json and history.csv.
        higher_is_better: the direction.
        low: the least value that it can take.
        high: the largest value that it can take.
        unit: of its values; "" for a pure number, TARGET for that of the target.
        judges: whether a model is worse for being worse by it; others only describe.

    """

    name: str
    higher_is_better: bool
    low: float = 0.0
    high: float = math.inf
    unit: str = ""
    judges: bool = True

    @property
    def sign(self) -> float:
        """1 where higher is better, else -1."""
        return 1.0 if self.higher_is_better else -1.0

    @property
    def mode(self) -> str:
        """The direction in the words of Keras: min or max."""
        return "max" if self.higher_is_better else "min"


METRICS = {
    one.name: one
    for one in (
        Metric("accuracy", True, high=1.0),
        Metric("loss", False, unit="nats"),
        Metric("macro_f1", True, high=1.0),
        Metric("rmse", False, unit=TARGET),
        Metric("mae", False, unit=TARGET),
        Metric("r2", True, low=-math.inf, high=1.0),
        Metric("recall_at_10", True, high=1.0),
        Metric("ndcg_at_10", True, high=1.0),
        Metric("coverage", True, high=1.0, judges=False),
        Metric("latency", False, unit="ms"),
        Metric("size", False, unit="MB"),
    )
}


def metric(name: str) -> Metric:
    """The metric of this name, with or without `val_`. Raises ValueError where none is known."""
    known = METRICS.get(name.removeprefix(VALIDATION))
    if known is None:
        raise ValueError(
            f"Received the metric {name!r}; expected one of {', '.join(METRICS)}. Add it, with "
            "its direction, to METRICS in apps/metrics.py."
        )
    return known
