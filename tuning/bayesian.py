"""Bayesian optimisation: a Gaussian process over the scores of the trials before.

References:
    Jones, Schonlau and Welch, "Efficient Global Optimization of Expensive Black-Box Functions",
    1998, equation 15, the expected improvement.
    Snoek, Larochelle and Adams, "Practical Bayesian Optimization of Machine Learning
    Algorithms", 2012, the Matérn kernel with a length for each value.

"""

import warnings
from typing import Any

import numpy as np
from scipy import stats
from sklearn import exceptions, gaussian_process
from sklearn.gaussian_process import kernels

from tuning.model_based import Learning
from tuning.oracles import SCORE

CANDIDATES = 1000


class Bayesian(Learning):
    """Proposes what promises the greatest improvement, among values drawn at random.

    The process sees the ranks of the scores, as normal quantiles: a diverged trial is the last one
    and no more. A trial that was stopped counts as if it had gone on as the others did.
    """

    startup = 6
    percentile = 75.0

    def propose(self, trial_id: str) -> dict[str, Any]:
        """Values for a trial."""
        number = int(trial_id)
        random = np.random.default_rng([self.seed, number])
        found = [self._values(draw) for draw in random.random((CANDIDATES, len(self._space)))]
        fresh = [values for values in found if not self._duplicate(values)]
        if not fresh:
            return self.any_values(number)
        if not (known := self.known(number)):
            return {"status": "RUNNING", "values": fresh[0]}
        places = self._places([one.hyperparameters.values for one in known])
        scores = self._expected([one.trial_id for one in known])
        gain = _improvement(places, scores, self._places(fresh))
        return {"status": "RUNNING", "values": fresh[int(np.argmax(gain))]}

    @property
    def _space(self) -> list[Any]:
        return self.hyperparameters.space

    def _values(self, draw: np.ndarray) -> dict[str, Any]:
        pairs = zip(self._space, draw, strict=True)
        return {one.name: one.prob_to_value(float(part)) for one, part in pairs}

    def _places(self, many: list[dict[str, Any]]) -> np.ndarray:
        """Points from 0 to 1 in each direction: one for a number, one each for other choices."""
        columns: list[list[float]] = []
        for one in self._space:
            given = [values[one.name] for values in many]
            if type(one).__name__ == "Choice" and not one.ordered:
                columns += [[float(value == choice) for value in given] for choice in one.values]
            else:
                columns.append([one.value_to_prob(value) for value in given])
        return np.array(columns).T

    def _expected(self, names: list[str]) -> np.ndarray:
        """The last score of each trial, less is better; of one that was stopped, what is likely.

        Where a trial has none, the worst of the others.
        """
        sign = -1.0 if self.objective.direction == "max" else 1.0
        curves = {
            name: {one.step: sign * one.scores[SCORE] for one in self.reports[name]}
            for name in names
        }
        whole = [curve for name, curve in curves.items() if curve and name not in self.pruned]
        found = []
        for name, curve in curves.items():
            step, score = max(curve.items(), default=(0, np.nan))
            rest = [one[max(one)] - one[step] for one in whole if step in one]
            found.append(score + (np.median(rest) if name in self.pruned and rest else 0.0))
        return np.nan_to_num(np.array(found), nan=np.nanmax(found))


def _improvement(places: np.ndarray, scores: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Expected improvement [n] over the least of the scores [m] at the points asked [n, d]."""
    quantiles = stats.norm.ppf((stats.rankdata(scores) - 0.5) / len(scores))
    lengths = np.full(places.shape[1], 0.5)
    kernel = kernels.ConstantKernel() * kernels.Matern(lengths, (0.05, 5.0), nu=2.5)
    process = gaussian_process.GaussianProcessRegressor(
        kernel + kernels.WhiteKernel(0.05, (1e-3, 1.0))
    )
    with warnings.catch_warnings():
        # A length at the end of its bounds: a value that matters little.
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        process.fit(places, quantiles)
    mean, deviation = process.predict(asked, return_std=True)
    gain = quantiles.min() - mean
    scaled = gain / np.maximum(deviation, 1e-9)
    return gain * stats.norm.cdf(scaled) + deviation * stats.norm.pdf(scaled)
