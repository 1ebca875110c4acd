"""Optuna's tree-structured Parzen estimator and its pruner, as an oracle of KerasTuner.

References:
    Bergstra, Bardenet, Bengio and Kégl, "Algorithms for Hyper-Parameter Optimization", 2011.
    Ozaki, Tanigaki, Watanabe and Onishi, "Multiobjective Tree-Structured Parzen Estimator for
    Computationally Expensive Optimization Problems", 2020, for several objectives.

"""

from collections.abc import Iterable
from typing import Any

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
STARTUP = 10  # trials drawn at random, the app's own values among them
TRIES = 30  # for values that are new
DIRECTIONS = {"min": StudyDirection.MINIMIZE, "max": StudyDirection.MAXIMIZE}
STATES = {"COMPLETED": TrialState.COMPLETE, "FAILED": TrialState.FAIL}


class TPE(Journaled):
    """Draws what is likely among good trials and unlikely among the others.

    With W workers trial k knows the results of the trials before k - W + 1 and no other,
    and waits for them: so the search depends on its seed alone, not on who was faster.

    Args:
        directions: of several objectives, by name, "min" or "max".
        epochs: of a whole trial; after the last none is judged.
        warm_up: epochs before any is judged.
        options: of keras_tuner.Oracle.

    """

    def __init__(
        self, *, directions: dict[str, str], epochs: int, warm_up: int, **options: Any
    ) -> None:
        super().__init__(**options)
        self.directions, self.epochs = directions, epochs
        self.pruner = optuna.pruners.PercentilePruner(
            50.0, n_startup_trials=STARTUP, n_warmup_steps=warm_up
        )

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """New values, or IDLE until the trials that they depend on have ended."""
        number = int(trial_id)
        known = self._known(number)
        if any(trial.status == "RUNNING" for trial in known) and not self.over:
            return {"status": "IDLE"}
        return super().populate_space(trial_id)

    def propose(self, trial_id: str) -> dict[str, Any]:
        """Values for a trial."""
        number = int(trial_id)
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=STARTUP, multivariate=True, seed=self.seed * 10_000 + number
        )
        study, space = self._study(number, sampler), self.hyperparameters.space
        for _ in range(TRIES):
            params = study.ask({one.name: _distribution(one) for one in space}).params
            values = {one.name: _value(one, params[one.name]) for one in space}
            if not self._duplicate(values):
                return {"status": "RUNNING", "values": values}
        values = self._random_values()
        return {"status": "RUNNING", "values": values} if values else {"status": "STOPPED"}

    def enough(self, trial_id: str) -> bool:
        """Whether the pruner would stop a trial now."""
        if len(self.directions) > 1:
            return False  # a trial may be poor in one and good in another
        if self.reports[trial_id][-1].step >= self.epochs:
            return False
        study = self._study(int(trial_id), None)
        return self.pruner.prune(study, frozen(self, self.trials[trial_id]))

    def _known(self, number: int) -> list[Trial]:
        if number < STARTUP:
            return []
        lag = self.lags.get(f"{number:04d}", self.limits.workers - 1)
        return [self.trials[name] for name in sorted(self.trials) if int(name) < number - lag]

    def _study(self, number: int, sampler: Any) -> Any:
        ways = [DIRECTIONS[way] for way in self.directions.values()]
        study = optuna.create_study(directions=ways, sampler=sampler)
        study.add_trials([frozen(self, trial, self.directions) for trial in self._known(number)])
        return study


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
        distributions={one.name: _distribution(one) for one in space},
        intermediate_values={report.step: report.scores[SCORE] for report in reports},
    )


def _param(one: Any, value: Any) -> Any:
    """As Optuna has it: the place of a value where the values have an order."""
    return one.values.index(value) if _ordered(one) else value


def _value(one: Any, param: Any) -> Any:
    return one.values[param] if _ordered(one) else param


def _ordered(one: Any) -> bool:
    return type(one).__name__ == "Choice" and one.ordered


def _distribution(one: Any) -> BaseDistribution:
    if _ordered(one):
        return IntDistribution(0, len(one.values) - 1)
    if type(one).__name__ == "Choice":
        return CategoricalDistribution(one.values)
    kind = IntDistribution if type(one).__name__ == "Int" else FloatDistribution
    return kind(one.min_value, one.max_value, log=one.sampling == "log")
