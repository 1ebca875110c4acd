"""Bayesian optimisation: a Gaussian process over the scores of earlier trials.

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

from tuning.model_based import ModelBased
from tuning.oracles import SCORE

NUM_CANDIDATES = 1000  # random points of which one is proposed


class Bayesian(ModelBased):
    """Propose the random candidate with the greatest expected improvement.

    The process is fitted to the ranks of the scores, as normal quantiles, so that a diverged
    trial only ranks last. The score of a stopped trial is extrapolated from the others.
    """

    num_random_trials = 6
    percentile = 75.0

    def propose(self, trial_id: str) -> dict[str, Any]:
        """Return values for a trial."""
        number = int(trial_id)
        random = np.random.default_rng([self.seed, number])
        candidates = [
            self._from_unit_cube(draw) for draw in random.random((NUM_CANDIDATES, len(self._space)))
        ]
        fresh = [values for values in candidates if not self._duplicate(values)]
        if not fresh:
            return self.random_values(number)
        if not (preceding := self.preceding_trials(number)):
            return {"status": "RUNNING", "values": fresh[0]}
        points = self._to_unit_cube([trial.hyperparameters.values for trial in preceding])
        scores = self._final_scores([trial.trial_id for trial in preceding])
        improvement = _improvement(points, scores, self._to_unit_cube(fresh))
        return {"status": "RUNNING", "values": fresh[int(np.argmax(improvement))]}

    @property
    def _space(self) -> list[Any]:
        return self.hyperparameters.space

    def _from_unit_cube(self, draw: np.ndarray) -> dict[str, Any]:
        pairs = zip(self._space, draw, strict=True)
        return {hp.name: hp.prob_to_value(float(position)) for hp, position in pairs}

    def _to_unit_cube(self, values_of_trials: list[dict[str, Any]]) -> np.ndarray:
        """Return points in the unit cube; an unordered choice has a coordinate for each value."""
        columns: list[list[float]] = []
        for hp in self._space:
            given = [values[hp.name] for values in values_of_trials]
            if type(hp).__name__ == "Choice" and not hp.ordered:
                columns += [[float(value == choice) for value in given] for choice in hp.values]
            else:
                columns.append([hp.value_to_prob(value) for value in given])
        return np.array(columns).T

    def _final_scores(self, names: list[str]) -> np.ndarray:
        """Return the last score of each trial, extrapolated for a stopped one; lower is better.

        A trial without a score gets the worst of the others.
        """
        sign = -1.0 if self.objective.direction == "max" else 1.0
        curves = {
            name: {report.step: sign * report.scores[SCORE] for report in self.reports[name]}
            for name in names
        }
        complete = [curve for name, curve in curves.items() if curve and name not in self.pruned]
        scores = []
        for name, curve in curves.items():
            step, score = max(curve.items(), default=(0, np.nan))
            changes = [other[max(other)] - other[step] for other in complete if step in other]
            scores.append(score + (np.median(changes) if name in self.pruned and changes else 0.0))
        return np.nan_to_num(np.array(scores), nan=np.nanmax(scores))


def _improvement(points: np.ndarray, scores: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Return the expected improvement [n] on the least of the scores [m] at candidates [n, d]."""
    quantiles = stats.norm.ppf((stats.rankdata(scores) - 0.5) / len(scores))
    lengths = np.full(points.shape[1], 0.5)
    kernel = kernels.ConstantKernel() * kernels.Matern(lengths, (0.05, 5.0), nu=2.5)
    process = gaussian_process.GaussianProcessRegressor(
        kernel + kernels.WhiteKernel(0.05, (1e-3, 1.0))
    )
    with warnings.catch_warnings():
        # A length scale at its bound belongs to a field that matters little.
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        process.fit(points, quantiles)
    mean, deviation = process.predict(candidates, return_std=True)
    improvement = quantiles.min() - mean
    scaled = improvement / np.maximum(deviation, 1e-9)
    return improvement * stats.norm.cdf(scaled) + deviation * stats.norm.pdf(scaled)
