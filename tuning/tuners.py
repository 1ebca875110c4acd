"""KerasTuner's own oracles, with a journal."""

from typing import Any

import numpy as np
from keras_tuner.src.tuners.bayesian import BayesianOptimizationOracle
from keras_tuner.src.tuners.gridsearch import GridSearchOracle
from keras_tuner.src.tuners.hyperband import HyperbandOracle
from keras_tuner.src.tuners.randomsearch import RandomSearchOracle

from tuning.oracles import Journaled


class Random(Journaled, RandomSearchOracle):
    """Values drawn evenly."""


class Grid(Journaled, GridSearchOracle):
    """All values in turn, those of the app first."""

    begins_itself = True
    drawn_from = ("_populate_next", "_ordered_ids")

    def propose(self, trial_id: str) -> dict[str, Any]:
        """The next values, which do not have to wait for the last trial: the space never grows."""
        proposed = super().propose(trial_id)
        if proposed["status"] == "RUNNING":
            self._populate_next.append(trial_id)
        return proposed


class Bayesian(Journaled, BayesianOptimizationOracle):
    """A Gaussian process."""

    drawn_from = ("_seed_state", "_random_state")

    def _vector_to_values(self, vector: np.ndarray) -> dict[str, Any]:
        # KerasTuner takes 1 itself for the whole number behind the highest one.
        return super()._vector_to_values(np.minimum(vector, 1 - 1e-9))


class Hyperband(Journaled, HyperbandOracle):
    """Many short trainings, of which the best are trained for longer, each time anew."""

    begins_itself = True
    drawn_from = ("_seed_state", "_brackets", "_current_bracket", "_current_iteration")
