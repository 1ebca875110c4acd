"""The scores of single units, from which the scores of slices of the test set are computed."""

from typing import Any, NamedTuple

import numpy as np


class UnitScores(NamedTuple):
    """The terms of a score that is a ratio of two sums over units, or its square root.

    The accuracy is the number of right examples over that of all; the RMSE is the root of the sum
    of squared errors over the number of examples.

    Attributes:
        metric: the name of the score.
        numerators: the terms of the sum above, [n].
        denominators: the terms of the sum below, [n].
        is_root: whether the score is the square root of the ratio.
        clusters: a number for each unit, equal for units that depend on each other, such as the
            ratings of a user; None if all are independent.

    """

    metric: str
    numerators: np.ndarray
    denominators: np.ndarray
    is_root: bool = False
    clusters: np.ndarray | None = None

    @classmethod
    def of_mean(
        cls, name: str, values: np.ndarray, weights: np.ndarray | None = None, **options: Any
    ) -> "UnitScores":
        """Return the terms of a mean, or of a weighted mean."""
        weights = np.ones(len(values)) if weights is None else weights.astype("float64")
        return cls(name, values * weights, weights, **options)

    def select(self, rows: np.ndarray) -> "UnitScores":
        """Return the scores of the units at these positions."""
        clusters = None if self.clusters is None else self.clusters[rows]
        return self._replace(
            numerators=self.numerators[rows],
            denominators=self.denominators[rows],
            clusters=clusters,
        )

    @property
    def are_shares(self) -> bool:
        """Whether the score is the share of units whose value is 1, without weights."""
        values = self.numerators
        return bool((self.denominators == 1).all() and ((values == 0) | (values == 1)).all())


def no_class_cuts(predictions: Any, labels: tuple[str, ...]) -> list[Any]:  # noqa: ARG001
    """Return nothing, for a task without classes."""
    return []
