"""Oracles of KerasTuner with a journal."""

from typing import Any

from keras_tuner.src.tuners.gridsearch import GridSearchOracle
from keras_tuner.src.tuners.hyperband import HyperbandOracle
from keras_tuner.src.tuners.randomsearch import RandomSearchOracle

from tuning.oracles import JournaledOracle


class Random(JournaledOracle, RandomSearchOracle):
    """Random search: values drawn uniformly."""


class Grid(JournaledOracle, GridSearchOracle):
    """Grid search: all combinations in turn, the app's own first."""

    proposes_first_trial = True
    proposal_state = ("_populate_next", "_ordered_ids")

    def propose(self, trial_id: str) -> dict[str, Any]:
        """Return the next values, without waiting for the last trial: the space never grows."""
        proposed = super().propose(trial_id)
        if proposed["status"] == "RUNNING":
            self._populate_next.append(trial_id)
        return proposed


class Hyperband(JournaledOracle, HyperbandOracle):
    """Hyperband: many short trainings, of which the best are trained again for longer."""

    proposes_first_trial = True
    proposal_state = ("_seed_state", "_brackets", "_current_bracket", "_current_iteration")
