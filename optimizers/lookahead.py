"""Lookahead: weights that follow another optimizer's from afar."""

from typing import Any

import keras
from keras import ops

from optimizers.rule import choose
from optimizers.wrapper import Wrapper


@keras.saving.register_keras_serializable("athanor")
class Lookahead(Wrapper):
    """Every few steps goes back, half of the way that another optimizer came.

        every `period` steps:    slow <- slow + share (w - slow),   w <- slow

    between which w is what the inner optimizer makes of it. Choose it where the inner
    optimizer is restless: at large learning rates, in small batches. Keeps one array a variable
    beside the inner optimizer's.

    Args:
        inner: a new optimizer; any of ours or of Keras's that updates variable by
            variable.
        period: k, steps from one return to the next; the paper's 5.
        share: alpha, what is kept of the way; the paper's 0.5.
        name: of the optimizer.

    Raises:
        ValueError: for numbers outside of their range; see Wrapper for `inner`.

    References:
        Zhang et al., Lookahead Optimizer: k steps forward, 1 step back, NeurIPS 2019,
        algorithm 1.

    """

    def __init__(
        self, inner: Any = "adam", period: int = 5, share: float = 0.5, name: str | None = None
    ) -> None:
        if not (isinstance(period, int) and period >= 1):
            raise ValueError(f"Received period={period!r}; expected a whole number from 1.")
        super().__init__(inner, {"period": period, "share": share}, name)

    def build(self, variables: list[Any]) -> None:
        """The slow weights."""
        if self.built:
            return
        super().build(variables)
        self._slow = self.add_optimizer_variables(variables, "slow")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """The inner step; at the end of a period the way back."""
        kept = self._slow[self._get_variable_index(variable)]
        # The weights at the first step, not when this was built: some are loaded between.
        slow = choose(self.iterations > 0, kept, variable)
        super().update_step(gradient, variable, learning_rate)
        due = ops.equal((self.iterations + 1) % self.period, 0)
        # slow <- slow + share (w - slow)
        ahead = slow + self.share * (variable - slow)
        self.assign(kept, choose(due, ahead, slow))
        # w <- slow
        change = choose(due, ahead - variable, ops.zeros_like(variable))
        self.assign_add(variable, change)
        self.moved(variable, change)
