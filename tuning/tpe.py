"""Optuna's tree-structured Parzen estimator as an oracle of KerasTuner.

References:
    Bergstra, Bardenet, Bengio and Kégl, "Algorithms for Hyper-Parameter Optimization", 2011.
    Ozaki, Tanigaki, Watanabe and Onishi, "Multiobjective Tree-Structured Parzen Estimator for
    Computationally Expensive Optimization Problems", 2020, for several objectives.

"""

from typing import Any

import numpy as np
import optuna

from tuning.model_based import ModelBased, distribution, is_ordered

MAX_DRAWS = 30  # of values that earlier trials had, before random ones are taken


class TPE(ModelBased):
    """Propose values that are likely among good trials and unlikely among the others."""

    num_random_trials = 10
    percentile = 50.0

    def propose(self, trial_id: str) -> dict[str, Any]:
        """Return values for a trial."""
        number = int(trial_id)
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=self.num_random_trials, multivariate=True, seed=seed
        )
        study, space = self.study(number, sampler), self.hyperparameters.space
        for _ in range(MAX_DRAWS):
            params = study.ask({hp.name: distribution(hp) for hp in space}).params
            values = {hp.name: _value(hp, params[hp.name]) for hp in space}
            if not self._duplicate(values):
                return {"status": "RUNNING", "values": values}
        return self.random_values(number)


def _value(hp: Any, param: Any) -> Any:
    return hp.values[param] if is_ordered(hp) else param
