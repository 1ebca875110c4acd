"""KerasTuner's own oracles, with a journal."""

from typing import Any

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


class Hyperband(Journaled, HyperbandOracle):
    """Many short trainings, of which the best are trained for longer, each time anew."""

    begins_itself = True
    drawn_from = ("_seed_state", "_brackets", "_current_bracket", "_current_iteration")
