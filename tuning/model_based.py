"""Oracles that learn from earlier trials, and stop poor ones with Optuna's pruner."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import optuna
from keras_tuner.src.engine.trial import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuning.oracles import SCORE, JournaledOracle

optuna.logging.set_verbosity(optuna.logging.ERROR)
DIRECTIONS = {"min": StudyDirection.MINIMIZE, "max": StudyDirection.MAXIMIZE}
STATES = {"COMPLETED": TrialState.COMPLETE, "FAILED": TrialState.FAIL}
EpochBounds = Callable[[dict[str, Any]], tuple[int, int]]


class ModelBased(JournaledOracle):
    """Propose values from the scores of earlier trials, after some random ones.

    With W workers trial k uses the results of the trials before k - W + 1 only, and waits for
    them. The search therefore depends on its seed, not on which worker is faster.

    Args:
        directions: of several objectives, by name, "min" or "max".
        epoch_bounds: from a trial's values to the first epoch after which it may be pruned, and
            its last epoch.
        options: of keras_tuner.Oracle.

    """

    num_random_trials: ClassVar[int]
    """Number of random trials at the beginning, the one with the app's own values included."""
    percentile: ClassVar[float]
    """A trial is pruned unless it is among the best trials, this many per cent of all."""

    def __init__(
        self, *, directions: dict[str, str], epoch_bounds: EpochBounds, **options: Any
    ) -> None:
        super().__init__(**options)
        self.directions, self.epoch_bounds = directions, epoch_bounds
        self.pruner = optuna.pruners.PercentilePruner(
            self.percentile, n_startup_trials=self.num_random_trials
        )
        self.frozen_trials: dict[str, FrozenTrial] = {}

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return new values, or IDLE until the trials that they depend on have ended."""
        if self.replaying:  # A proposal changes no state, so it need not be repeated.
            return {"status": "RUNNING", "values": dict(self.recorded_values)}
        preceding_trials = self.preceding_trials(int(trial_id))
        if any(trial.status == "RUNNING" for trial in preceding_trials) and not self.limits_reached:
            return {"status": "IDLE"}
        return super().populate_space(trial_id)

    def random_values(self, number: int) -> dict[str, Any]:
        """Return random values, in place of proposals that repeat earlier trials."""
        self._seed_state = self.seed + number
        values = self._random_values()
        return {"status": "RUNNING", "values": values} if values else {"status": "STOPPED"}

    def should_stop(self, trial_id: str) -> bool:
        """Whether the pruner would stop a trial now."""
        if len(self.directions) > 1:
            return False  # a trial may be poor in one objective and good in another
        trial = self.trials[trial_id]
        warm_up, epochs = self.epoch_bounds(trial.hyperparameters.values)
        if not warm_up <= self.reports[trial_id][-1].step < epochs:
            return False
        return self.pruner.prune(self.study(int(trial_id)), to_optuna(self, trial))

    def preceding_trials(self, number: int) -> list[Trial]:
        """Return the trials on which trial `number` depends."""
        if number < self.num_random_trials:
            return []
        lag = self.lags.get(f"{number:04d}", self.limits.workers - 1)
        return [self.trials[name] for name in sorted(self.trials) if int(name) < number - lag]

    def study(self, number: int, sampler: Any = None) -> Any:
        """Return the preceding trials as a study of Optuna."""
        directions = [DIRECTIONS[direction] for direction in self.directions.values()]
        study = optuna.create_study(directions=directions, sampler=sampler)
        study.add_trials([self._to_optuna(trial) for trial in self.preceding_trials(number)])
        return study

    def _to_optuna(self, trial: Trial) -> FrozenTrial:
        if trial.trial_id not in self.frozen_trials:
            frozen = to_optuna(self, trial, self.directions)
            if trial.status == "RUNNING":
                return frozen
            self.frozen_trials[trial.trial_id] = frozen
        return self.frozen_trials[trial.trial_id]


def to_optuna(
    oracle: JournaledOracle, trial: Trial, names: Iterable[str] = (SCORE,)
) -> FrozenTrial:
    """Return a trial of any oracle in Optuna's form, with its last scores of these names."""
    reports = oracle.reports[trial.trial_id]
    state = STATES.get(trial.status, TrialState.RUNNING)
    if state == TrialState.COMPLETE and trial.trial_id in oracle.pruned:
        state = TrialState.PRUNED
    space = oracle.hyperparameters.space
    completed = state == TrialState.COMPLETE
    return create_trial(
        state=state,
        values=[reports[-1].scores[name] for name in names] if completed else None,
        params={hp.name: _param(hp, trial.hyperparameters.values[hp.name]) for hp in space},
        distributions={hp.name: distribution(hp) for hp in space},
        intermediate_values={report.step: report.scores[SCORE] for report in reports},
    )


def distribution(hp: Any) -> BaseDistribution:
    """Return Optuna's form of a hyperparameter; ordered values are represented by their index."""
    if is_ordered(hp):
        return IntDistribution(0, len(hp.values) - 1)
    if type(hp).__name__ == "Choice":
        return CategoricalDistribution(hp.values)
    kind = IntDistribution if type(hp).__name__ == "Int" else FloatDistribution
    return kind(hp.min_value, hp.max_value, log=hp.sampling == "log")


def _param(hp: Any, value: Any) -> Any:
    return hp.values.index(value) if is_ordered(hp) else value


def is_ordered(hp: Any) -> bool:
    """Whether a hyperparameter is a choice of ordered values."""
    return type(hp).__name__ == "Choice" and hp.ordered
