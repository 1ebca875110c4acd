"""The law by which the error falls with the training examples: a power with a floor."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from apps.metrics import Metric
from evaluation.intervals import TAILS, Interval, Z

EXPONENTS = np.linspace(0.05, 1.5, 146)
FLOORS = np.linspace(0.0, 0.99, 100)  # as shares of the error of all training examples
NUM_PARAMETERS = 3  # of a law
MIN_NOISE = 0.002  # relative, of one score; equal scores of all seeds are no proof


class Point(NamedTuple):
    """The score of a model that was trained on a part of the training examples."""

    examples: int
    seed: int
    score: float


class Forecast(NamedTuple):
    """A score at a number of training examples, and its difference from that of all of them.

    Attributes:
        examples: number of training examples.
        score: expected score, the median of what the points allow.
        interval: 95 % interval of the score.
        gain: score minus that of the present number, positive if it is better.
        gain_interval: 95 % interval of the gain.

    """

    examples: int
    score: float
    interval: Interval
    gain: float
    gain_interval: Interval

    def to_json(self) -> dict[str, Any]:
        """Return the value in learning_curve.json."""
        pairs = {name: [*getattr(self, name)] for name in ("interval", "gain_interval")}
        return self._asdict() | pairs


class LearningLaw:
    """The laws `error = a (floor + (1 - floor) (n / N)^-exponent)` that the points allow.

    N is the present number of training examples, and the error the distance of the score from a
    perfect one. Logarithms of errors are taken as normal around the law. Estimates are those of
    the law with the smallest sum of squares. Intervals are by profile likelihood: they hold what
    any law says whose sum of squares is not significantly larger (Student's t), so that they are
    wide where four sizes do not tell a floor from a small exponent.

    References:
        Cortes et al., "Learning Curves: Asymptotic Values and Rate of Convergence", 1993.
        Hestness et al., "Deep Learning Scaling Is Predictable, Empirically", 2017.

    """

    def __init__(
        self, points: Sequence[Point], metric: Metric, num_test: int, sampling: float
    ) -> None:
        """Fit the laws.

        Args:
            points: scores of models by number of training examples.
            metric: of the scores.
            num_test: number of test examples, which bounds the smallest error of a share.
            sampling: standard deviation of a score over test sets.

        """
        self.perfect, self.sign = _perfect(metric), metric.sign
        self.present = max(point.examples for point in points)
        errors = np.abs(self.perfect - np.array([point.score for point in points]))
        errors = np.maximum(errors, 0.5 / num_test if metric.format == "fraction" else 1e-12)
        logs, count = np.log(errors), len(points)
        sizes = np.array([point.examples for point in points]) / self.present
        falls = np.log(_relative_error(EXPONENTS[:, None, None], FLOORS[:, None], sizes))
        means = (logs - falls).mean(-1)
        squares = np.square(logs - falls - means[..., None]).sum(-1) + MIN_NOISE**2 * count
        freedom = max(1, count - NUM_PARAMETERS)
        allowed = squares.min() * (1 + stdtrit(freedom, TAILS[1]) ** 2 / freedom)
        best = np.unravel_index(squares.argmin(), squares.shape)
        inside = np.nonzero(squares <= allowed)
        # The best law first. The level may move, too, as far as the sum of squares allows.
        cells = [np.append(one, positions) for one, positions in zip(best, inside, strict=True)]
        self.exponents, self.floors = EXPONENTS[cells[0]], FLOORS[cells[1]]
        self.levels = np.exp(means[tuple(cells)])
        spare = np.sqrt(np.maximum(allowed - squares[tuple(cells)], 0.0) / count)
        relative = Z * sampling / self.levels[0]
        self.shifts = np.exp(np.hypot(spare, min(relative, 1.0)))

    def forecast(self, examples: int) -> Forecast:
        """Return the expected score at a number of training examples."""
        errors = self.levels * _relative_error(self.exponents, self.floors, examples / self.present)
        gains = self.levels - errors
        interval = sorted(self._score(one) for one in self._ends(errors))
        low, high = self._ends(gains)
        return Forecast(
            examples,
            self._score(errors[0]),
            (interval[0], interval[1]),
            float(gains[0]),
            (low, high),
        )

    def _ends(self, values: np.ndarray) -> Interval:
        moved = np.stack([values / self.shifts, values * self.shifts])
        return float(moved.min()), float(moved.max())

    def _score(self, error: float) -> float:
        return float(self.perfect - self.sign * error)


def _relative_error(exponent: Any, floor: Any, size: Any) -> Any:
    """Return the error at a share `size` of the present examples, in units of the present error."""
    return floor + (1 - floor) * size**-exponent


def _perfect(metric: Metric) -> float:
    return metric.high if metric.higher_is_better else metric.low
