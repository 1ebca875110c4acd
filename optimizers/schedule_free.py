"""Schedule-free learning: an average of the weights in place of a falling rate."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from optimizers.rule import choose
from optimizers.wrapper import Wrapper


@keras.saving.register_keras_serializable("athanor")
class ScheduleFree(Wrapper):
    """Any optimizer without momentum, whose answer is the average of where it was.

        y <- (1 - beta) z + beta x          where the gradient is taken
        z <- z - eta step(g(y))             the inner optimizer
        x <- (1 - c) x + c z                with c = eta^2 / (sum of eta^2 so far)

    In training the model's weights are y; its answer is x. `fit` ends with x in the model;
    the callback `AveragedWeights()`, first in its list, has x in the model also
    for validation, checkpoints and everything else after an epoch, and is needed to
    call `fit` again. Choose it where nobody knows how long training will last; with
    a constant learning rate, after a warm-up. Keeps two arrays a variable beside the inner
    optimizer's. Statistics of batch normalisation stay those of y.

    Args:
        inner: a new optimizer without momentum of its own; by default Adam with beta_1
            0, which the paper takes.
        momentum: beta; the paper's 0.9.
        name: of the optimizer.

    Raises:
        ValueError: for numbers outside of their range; see Wrapper for `inner`.

    References:
        Defazio et al., The Road Less Scheduled, NeurIPS 2024, equations 1 to 3 and
        algorithm 1.

    """

    def __init__(self, inner: Any = None, momentum: float = 0.9, name: str | None = None) -> None:
        inner = keras.optimizers.Adam(beta_1=0.0) if inner is None else inner
        super().__init__(inner, {"momentum": momentum}, name)
        if self.use_ema:
            raise ValueError("Received use_ema; expected none, for weights are averaged already.")

    def build(self, variables: list[Any]) -> None:
        """Where the inner optimizer is, and the average."""
        if self.built:
            return
        super().build(variables)
        self._inner_weights = self.add_optimizer_variables(variables, "inner_weights")
        self._averages = self.add_optimizer_variables(variables, "average_weights")
        self._squares = self.add_variable(
            (), "zeros", "float32", name="squares", aggregation="only_first_replica"
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """The inner step from z, then x and y."""
        place = self._get_variable_index(variable)
        z, average = self._inner_weights[place], self._averages[place]
        began = self.iterations > 0
        # x <- w, z <- w at the first step
        x = choose(began, average, variable)
        self.assign(variable, choose(began, z, variable))
        # z <- z - eta step(g(y))
        super().update_step(gradient, variable, learning_rate)
        self.assign(z, variable)
        # x <- (1 - c) x + c z
        total = self._squares + self._square()
        share = ops.cast(self._square() / ops.where(total > 0, total, 1.0), variable.dtype)
        x = x + share * (variable - x)
        self.assign(average, x)
        # y <- (1 - beta) z + beta x
        self.assign(variable, variable + self.momentum * (x - variable))

    def _square(self) -> Any:
        # Not of what `update_step` is given, which is a layer's own.
        return ops.square(ops.cast(self.learning_rate, "float32"))

    def end_step(self) -> None:
        """The sum of eta^2."""
        super().end_step()
        self.assign_add(self._squares, self._square())

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """As the inner optimizer's, from y; z goes the same way."""
        if not self.weight_decay:
            return
        before = [variable + 0.0 for variable in variables]
        super()._apply_weight_decay(variables)
        for variable, was in zip(variables, before, strict=True):
            z = self._inner_weights[self._get_variable_index(variable)]
            self.assign_add(z, variable - was)

    def average(self) -> None:
        """Put x into the variables, as the answer."""
        if self.built and int(self.iterations.numpy()):
            for variable, x in zip(self._trainable_variables, self._averages, strict=True):
                # On JAX both would be one array, which the next step hands over and deletes.
                variable.assign(ops.copy(x))

    def go_on(self) -> None:
        """Put y into the variables, for the next step."""
        if self.built and int(self.iterations.numpy()):
            parts = (self._trainable_variables, self._inner_weights, self._averages)
            for variable, z, x in zip(*parts, strict=True):
                variable.assign(z + self.momentum * (x - z))

    def finalize_variable_values(self, var_list: Any) -> None:  # noqa: ARG002
        """Called by `fit` at its end: x into the variables."""
        self.average()


def _schedule_free(optimizer: Any) -> ScheduleFree | None:
    """The ScheduleFree inside an optimizer, where there is one."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    while isinstance(optimizer, Wrapper) and not isinstance(optimizer, ScheduleFree):
        optimizer = optimizer.inner
    return optimizer if isinstance(optimizer, ScheduleFree) else None


@contextlib.contextmanager
def averaged(optimizer: Any) -> Iterator[None]:
    """Has the averaged weights of ScheduleFree in the variables; of another optimizer nothing."""
    found = _schedule_free(optimizer)
    if found is None:
        yield
        return
    found.average()
    yield
    found.go_on()


class AveragedWeights(keras.callbacks.Callback):
    """Has the averaged weights of ScheduleFree in the model whenever it is not being trained.

    Put it first, before callbacks that save. With another optimizer it does nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._averaged = False

    @property
    def _optimizer(self) -> ScheduleFree | None:
        return _schedule_free(getattr(self.model, "optimizer", None))

    def _average(self) -> None:
        if self._optimizer and not self._averaged:
            self._optimizer.average()
            self._averaged = True

    def _go_on(self) -> None:
        if self._optimizer and self._averaged:
            self._optimizer.go_on()
            self._averaged = False

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """An earlier run, or a loaded file, left the average."""
        self._averaged = self._optimizer is not None
        self._go_on()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """Training goes on."""
        self._go_on()

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Validation is of the average."""
        self._average()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """What later callbacks save is the average."""
        self._average()

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """The answer."""
        self._average()
