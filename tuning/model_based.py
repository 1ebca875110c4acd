"""Oracles that learn from the trials before, and stop poor ones by Optuna's pruner."""

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

from tuning.oracles import SCORE, Journaled

optuna.logging.set_verbosity(optuna.logging.ERROR)
DIRECTIONS = {"min": StudyDirection.MINIMIZE, "max": StudyDirection.MAXIMIZE}
STATES = {"COMPLETED": TrialState.COMPLETE, "FAILED": TrialState.FAIL}
When = Callable[[dict[str, Any]], tuple[int, int]]


class Learning(Journaled):
    """Proposes by what is known of other trials, after some at random.

    With W workers trial k knows the results of the trials before k - W + 1 and no other,
    and waits for them: so the search depends on its seed alone, not on who was faster.

    Args:
        directions: of several objectives, by name, "min" or "max".
        when: of a trial's values, the epochs before it is judged, and all that it has: after
            the last it is not stopped.
        options: of keras_tuner.Oracle.

    """

    startup: ClassVar[int]
    """So many trials are drawn at random, the app's own values among them."""
    percentile: ClassVar[float]
    """A trial goes on while it is among so many in a hundred."""

    def __init__(self, *, directions: dict[str, str], when: When, **options: Any) -> None:
        super().__init__(**options)
        self.directions, self.when = directions, when
        self.pruner = optuna.pruners.PercentilePruner(
            self.percentile, n_startup_trials=self.startup
        )
        self.ended_trials: dict[str, FrozenTrial] = {}

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """New values, or IDLE until the trials that they depend on have ended."""
        if self.replaying:  # nothing is kept from one proposal to the next
            return {"status": "RUNNING", "values": dict(self.told)}
        known = self.known(int(trial_id))
        if any(trial.status == "RUNNING" for trial in known) and not self.over:
            return {"status": "IDLE"}
        return super().populate_space(trial_id)

    def any_values(self, number: int) -> dict[str, Any]:
        """The answer where none of many values was new."""
        self._seed_state = self.seed + number
        values = self._random_values()
        return {"status": "RUNNING", "values": values} if values else {"status": "STOPPED"}

    def enough(self, trial_id: str) -> bool:
        """Whether the pruner would stop a trial now."""
        if len(self.directions) > 1:
            return False  # a trial may be poor in one and good in another
        trial = self.trials[trial_id]
        warm_up, epochs = self.when(trial.hyperparameters.values)
        if not warm_up <= self.reports[trial_id][-1].step < epochs:
            return False
        return self.pruner.prune(self.study(int(trial_id)), frozen(self, trial))

    def known(self, number: int) -> list[Trial]:
        """The trials on which trial `number` depends."""
        if number < self.startup:
            return []
        lag = self.lags.get(f"{number:04d}", self.limits.workers - 1)
        return [self.trials[name] for name in sorted(self.trials) if int(name) < number - lag]

    def study(self, number: int, sampler: Any = None) -> Any:
        """Those as Optuna knows them."""
        ways = [DIRECTIONS[way] for way in self.directions.values()]
        study = optuna.create_study(directions=ways, sampler=sampler)
        study.add_trials([self._frozen(trial) for trial in self.known(number)])
        return study

    def _frozen(self, trial: Trial) -> FrozenTrial:
        if trial.trial_id not in self.ended_trials:
            made = frozen(self, trial, self.directions)
            if trial.status == "RUNNING":
                return made
            self.ended_trials[trial.trial_id] = made
        return self.ended_trials[trial.trial_id]


def frozen(oracle: Journaled, trial: Trial, names: Iterable[str] = (SCORE,)) -> FrozenTrial:
    """A trial of any oracle as Optuna knows it, with its last scores of these names."""
    reports = oracle.reports[trial.trial_id]
    state = STATES.get(trial.status, TrialState.RUNNING)
    if state == TrialState.COMPLETE and trial.trial_id in oracle.pruned:
        state = TrialState.PRUNED
    space = oracle.hyperparameters.space
    done = state == TrialState.COMPLETE
    return create_trial(
        state=state,
        values=[reports[-1].scores[name] for name in names] if done else None,
        params={one.name: _param(one, trial.hyperparameters.values[one.name]) for one in space},
        distributions={one.name: distribution(one) for one in space},
        intermediate_values={report.step: report.scores[SCORE] for report in reports},
    )


def distribution(one: Any) -> BaseDistribution:
    """What Optuna draws a hyperparameter of KerasTuner from: the place of values with an order."""
    if ordered(one):
        return IntDistribution(0, len(one.values) - 1)
    if type(one).__name__ == "Choice":
        return CategoricalDistribution(one.values)
    kind = IntDistribution if type(one).__name__ == "Int" else FloatDistribution
    return kind(one.min_value, one.max_value, log=one.sampling == "log")


def _param(one: Any, value: Any) -> Any:
    return one.values.index(value) if ordered(one) else value


def ordered(one: Any) -> bool:
    """Whether a hyperparameter is one of some values with an order."""
    return type(one).__name__ == "Choice" and one.ordered
