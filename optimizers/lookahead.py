"""Lookahead: slow weights that follow those of another optimizer."""

from typing import Any

import keras
from keras import ops

from optimizers.rule import select
from optimizers.wrapper import Wrapper


@keras.saving.register_keras_serializable("athanor")
class Lookahead(Wrapper):
    """Wrapper that averages the inner optimizer's weights with slow weights every few steps.

        every `sync_period` steps:   slow <- slow + slow_step_size (w - slow),   w <- slow

    In between, the inner optimizer updates w. Choose it where the inner optimizer is noisy: at
    large learning rates and with small batches. Stores one array per variable in addition to
    the inner optimizer's.

    Args:
        inner: A new optimizer of this package or of Keras that updates variable by variable.
        sync_period: k, steps between two updates of the slow weights; 5 as in the paper.
        slow_step_size: alpha, step size of the slow weights; 0.5 as in the paper.
        name: Name of the optimizer.

    Raises:
        ValueError: If a number is outside of its range; see Wrapper for `inner`.

    References:
        Zhang et al., Lookahead Optimizer: k steps forward, 1 step back, NeurIPS 2019,
        algorithm 1.

    """

    def __init__(
        self,
        inner: Any = "adam",
        sync_period: int = 5,
        slow_step_size: float = 0.5,
        name: str | None = None,
    ) -> None:
        if not (isinstance(sync_period, int) and sync_period >= 1):
            raise ValueError(
                f"Received sync_period={sync_period!r}; expected a whole number from 1."
            )
        hyperparameters = {"sync_period": sync_period, "slow_step_size": slow_step_size}
        super().__init__(inner, hyperparameters, name)

    def build(self, variables: list[Any]) -> None:
        """Create the slots of both optimizers and the slow weights."""
        if self.built:
            return
        super().build(variables)
        self._slow = self.add_optimizer_variables(variables, "slow")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply the inner step; at the end of a period, synchronise with the slow weights."""
        slow_variable = self._slow[self._get_variable_index(variable)]
        # The slow weights start at the first step: weights may be loaded after `build`.
        slow = select(self.iterations > 0, slow_variable, variable)
        super().update_step(gradient, variable, learning_rate)
        is_due = ops.equal((self.iterations + 1) % self.sync_period, 0)
        # slow <- slow + slow_step_size (w - slow)
        synchronized = slow + self.slow_step_size * (variable - slow)
        self.assign(slow_variable, select(is_due, synchronized, slow))
        # w <- slow
        change = select(is_due, synchronized - variable, ops.zeros_like(synchronized))
        self.assign_add(variable, change)
        self.on_external_update(variable, change)
