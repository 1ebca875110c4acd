"""Schedule-free learning: an average of the weights in place of a decaying learning rate."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from optimizers.rule import select
from optimizers.wrapper import Wrapper


@keras.saving.register_keras_serializable("athanor")
class ScheduleFree(Wrapper):
    """Wrapper that evaluates the average of the inner optimizer's weights.

        y <- (1 - beta) z + beta x          the weights at which the gradient is computed
        z <- z - eta step(g(y))             the inner optimizer
        x <- (1 - c) x + c z                with c = eta^2 / (sum of eta^2 so far)

    In training the model holds y; for evaluation it holds x. `fit` ends with x in the model.
    The callback `AveragedWeights()`, first in its list, puts x into the model also for
    validation, checkpoints and everything else after an epoch; it is needed to call `fit`
    again. Choose it if the length of training is unknown; use a constant learning rate after
    a warmup. Stores two arrays per variable in addition to the inner optimizer's. Statistics of
    batch normalization remain those of y.

    Args:
        inner: A new optimizer without momentum of its own; by default Adam with beta_1 0 as in
            the paper.
        momentum: beta; 0.9 as in the paper.
        name: Name of the optimizer.

    Raises:
        ValueError: If a number is outside of its range; see Wrapper for `inner`.

    References:
        Defazio et al., The Road Less Scheduled, NeurIPS 2024, equations 1 to 3 and
        algorithm 1.

    """

    def __init__(self, inner: Any = None, momentum: float = 0.9, name: str | None = None) -> None:
        inner = keras.optimizers.Adam(beta_1=0.0) if inner is None else inner
        super().__init__(inner, {"momentum": momentum}, name)
        if self.use_ema:
            raise ValueError(
                "Received use_ema; expected none, because weights are averaged already."
            )

    def build(self, variables: list[Any]) -> None:
        """Create the slots: z, x and the sum of eta^2."""
        if self.built:
            return
        super().build(variables)
        self._inner_weights = self.add_optimizer_variables(variables, "inner_weights")
        self._averages = self.add_optimizer_variables(variables, "average_weights")
        self._squares = self.add_variable(
            (), "zeros", "float32", name="squares", aggregation="only_first_replica"
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Apply the inner step to z, then update x and y."""
        index = self._get_variable_index(variable)
        z, averages = self._inner_weights[index], self._averages[index]
        has_begun = self.iterations > 0
        # At the first step: x <- w, z <- w
        x = select(has_begun, averages, variable)
        self.assign(variable, select(has_begun, z, variable))
        # z <- z - eta step(g(y))
        super().update_step(gradient, variable, learning_rate)
        self.assign(z, variable)
        # x <- (1 - c) x + c z
        total = self._squares + self._squared_rate()
        c = ops.cast(self._squared_rate() / ops.where(total > 0, total, 1.0), variable.dtype)
        x = x + c * (variable - x)
        self.assign(averages, x)
        # y <- (1 - beta) z + beta x
        self.assign(variable, variable + self.momentum * (x - variable))

    def _squared_rate(self) -> Any:
        # The argument of `update_step` may be scaled per layer.
        return ops.square(ops.cast(self.learning_rate, "float32"))

    def on_step_end(self) -> None:
        """Update the sum of eta^2."""
        super().on_step_end()
        self.assign_add(self._squares, self._squared_rate())

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Apply the inner weight decay to y, and the same change to z."""
        if not self.weight_decay:
            return
        originals = [variable + 0.0 for variable in variables]
        super()._apply_weight_decay(variables)
        for variable, original in zip(variables, originals, strict=True):
            z = self._inner_weights[self._get_variable_index(variable)]
            self.assign_add(z, variable - original)

    def to_eval(self) -> None:
        """Put x into the variables, for evaluation."""
        if self.built and int(ops.convert_to_numpy(self.iterations)):
            for variable, x in zip(self._trainable_variables, self._averages, strict=True):
                # Without a copy both would be one array on JAX, which the next step donates.
                variable.assign(ops.copy(x))

    def to_train(self) -> None:
        """Put y into the variables, for the next training step."""
        if self.built and int(ops.convert_to_numpy(self.iterations)):
            parts = (self._trainable_variables, self._inner_weights, self._averages)
            for variable, z, x in zip(*parts, strict=True):
                variable.assign(z + self.momentum * (x - z))

    def finalize_variable_values(self, var_list: Any) -> None:  # noqa: ARG002
        """Called at the end of `fit`: put x into the variables."""
        self.to_eval()


def _find_schedule_free(optimizer: Any) -> ScheduleFree | None:
    """Return the ScheduleFree inside an optimizer; None if there is none."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    while isinstance(optimizer, Wrapper) and not isinstance(optimizer, ScheduleFree):
        optimizer = optimizer.inner
    return optimizer if isinstance(optimizer, ScheduleFree) else None


@contextlib.contextmanager
def averaged_weights(optimizer: Any) -> Iterator[None]:
    """Put ScheduleFree's averaged weights into the variables within this context.

    It has no effect on other optimizers.
    """
    schedule_free = _find_schedule_free(optimizer)
    if schedule_free is None:
        yield
        return
    schedule_free.to_eval()
    yield
    schedule_free.to_train()


class AveragedWeights(keras.callbacks.Callback):
    """Callback that puts ScheduleFree's averaged weights into the model outside of training.

    Put it first, before callbacks that save. It has no effect on other optimizers.
    """

    def __init__(self) -> None:
        super().__init__()
        self._averaged = False

    @property
    def _optimizer(self) -> ScheduleFree | None:
        return _find_schedule_free(getattr(self.model, "optimizer", None))

    def _to_eval(self) -> None:
        if self._optimizer and not self._averaged:
            self._optimizer.to_eval()
            self._averaged = True

    def _to_train(self) -> None:
        if self._optimizer and self._averaged:
            self._optimizer.to_train()
            self._averaged = False

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Switch to y: an earlier `fit` or a loaded file holds x."""
        self._averaged = self._optimizer is not None
        self._to_train()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Switch to y for training."""
        self._to_train()

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Switch to x for validation."""
        self._to_eval()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Switch to x, so that later callbacks save it."""
        self._to_eval()

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Switch to x."""
        self._to_eval()
