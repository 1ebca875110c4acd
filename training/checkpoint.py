"""Write checkpoints during training and restore them, so that training resumes bit for bit."""

import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import optimizers
from apps.fit_data import TrainingPosition
from training import resume
from training.callbacks import History, KeepBest, StopWhenDiverged
from training.directory import checkpoint_paths, next_checkpoint_path
from training.interrupts import Interrupts
from training.resume import CheckpointState
from training.run import RunError
from training.time_limit import TimeLimit

# Largest fraction of the training time that checkpoints may take.
CHECKPOINT_COST_SHARE = 0.02
MIN_CHECKPOINT_INTERVAL = 1.0  # seconds between two checkpoints
NUM_KEPT_CHECKPOINTS = 2  # if the newest is damaged, the one before it is used
# Attributes of callbacks that are part of a checkpoint.
CALLBACK_STATE: dict[type, tuple[str, ...]] = {
    History: ("rows",),
    KeepBest: ("epoch", "score"),
    StopWhenDiverged: ("first",),
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    optimizers.AveragedWeights: ("_averaged",),
    TimeLimit: ("stage", "paces", "endings"),
}


class Checkpoint(keras.callbacks.Callback):
    """Write checkpoints at intervals and restore one at the start.

    It must be the last callback, so that a checkpoint includes the state of the others after
    the step or epoch. A fit that only replays its epochs (apps.solving) stores no weights. With
    several workers each has only part of the metrics of an unfinished epoch, so checkpoints are
    written between epochs.

    Args:
        path: Run directory; None if another worker writes.
        begin: State to continue from; empty for a new training.
        callbacks: The callbacks before this one.
        interval: Seconds between two checkpoints; None for as often as takes 2 % of the time.
        within_epochs: Whether to write checkpoints in the middle of an epoch.
        interrupts: Signals that ask the training to stop.

    """

    def __init__(
        self,
        path: Path | None,
        begin: CheckpointState,
        callbacks: Sequence[Any],
        *,
        interval: float | None,
        within_epochs: bool,
        interrupts: Interrupts,
    ) -> None:
        super().__init__()
        self.path, self.callbacks = path, callbacks
        self.interval, self.within_epochs = interval, within_epochs
        self.interrupts = interrupts
        self.checkpoint = begin
        self.restored = begin.position.epoch == begin.position.step == 0
        self.stage = self.first = self.epoch = self.steps_to_skip = 0
        self.kept_paths = [begin.path]
        self.written, self.cost = time.perf_counter(), 0.0
        self.history: History = next(
            variable for variable in callbacks if isinstance(variable, History)
        )
        self.best: KeepBest = next(
            variable for variable in callbacks if isinstance(variable, KeepBest)
        )

    @property
    def _replays(self) -> bool:
        return bool(self.params.get("replays"))

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: ARG002
        """Restore a checkpoint, or count another stage of training."""
        self.interrupts.deferred = not self._replays
        self.first = -1
        if not self._replays:
            self._make_variables()
        if self.restored:
            self.stage += 1
            return
        self.restored, checkpoint = True, self.checkpoint
        self.stage, self.first = checkpoint.position.stage, checkpoint.position.stage_start
        self.best.weights = checkpoint.best
        for callback in self.callbacks:
            for name, value in checkpoint.remembered.get(type(callback).__name__, {}).items():
                setattr(callback, name, copy.deepcopy(value))  # the state stays as read
        if not self._replays:
            self._restore_state(checkpoint)
        # After a kill these files may be older or newer than the checkpoint.
        self.history.write()
        self.best.write()

    def _restore_state(self, checkpoint: CheckpointState) -> None:
        assign_values(_training_state(self.model), checkpoint.state)
        if checkpoint.position.step:
            self.steps_to_skip = checkpoint.position.step // self.model.steps_per_execution

    def _make_variables(self) -> None:
        """Create the optimizer's variables now and the metrics' variables at the first call.

        Keras would create them while tracing the first step, and then trace it again.
        """
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        train_function = self.model.train_function

        def first(iterator: Any) -> Any:
            if tf.distribute.get_strategy().num_replicas_in_sync == 1:
                _, *target_and_weights = iterator.element_spec
                target, *weights = map(_one_zero_example, target_and_weights)
                output = _one_zero_example(self.model.output)
                self.model.compute_metrics(None, target, output, *(weights or [None]))
                self.model.reset_metrics()
            skipping = self._skip_finished_calls(train_function)
            self.model.train_function = skipping if self.steps_to_skip else train_function
            return self.model.train_function(iterator)

        self.model.train_function = first

    def _skip_finished_calls(self, train_function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return at once from calls that the interrupted epoch already made."""

        def skip_or_train(iterator: Any) -> Any:
            if not self.steps_to_skip:
                self.model.train_function = train_function
                return train_function(iterator)
            assign_values(self.model.metrics_variables, self.checkpoint.metrics)
            return self.model.get_metrics_result()

        return skip_or_train

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Note the first epoch of the stage, and the time spent on it before."""
        self.first = epoch if self.first < 0 else self.first
        self.epoch = epoch
        if self.steps_to_skip:
            self.history.start -= self.checkpoint.spent

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Write a checkpoint in the middle of an epoch if one is due."""
        if self.steps_to_skip:
            self.steps_to_skip -= 1
        elif self.within_epochs and self._is_due():
            self._write(TrainingPosition(self.stage, self.first, self.epoch, step=batch + 1))
        self.interrupts.raise_if_pending()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Write a checkpoint between two epochs if one is due."""
        if self._is_due():
            stopped = bool(self.model.stop_training)
            self._write(TrainingPosition(self.stage, self.first, epoch + 1, stopped))
        self.interrupts.raise_if_pending()

    def on_train_end(self, logs: dict | None = None) -> None:  # noqa: ARG002
        """Let signals stop the process at once again."""
        self.interrupts.deferred = False

    def _is_due(self) -> bool:
        if not self.params.get("checkpoints", True):
            return False
        if self.interrupts.pending_signal or not self.within_epochs:
            return True
        interval = (
            max(MIN_CHECKPOINT_INTERVAL, self.cost / CHECKPOINT_COST_SHARE)
            if self.interval is None
            else self.interval
        )
        return time.perf_counter() - self.written >= interval

    def _write(self, position: TrainingPosition) -> None:
        if self.path is None:
            return
        start = time.perf_counter()
        if not all(
            np.isfinite(variable.numpy()).all() for variable in self.model.trainable_variables
        ):
            raise FloatingPointError("a weight")
        checkpoint = self.checkpoint._replace(
            position=position,
            remembered=self._callback_state(),
            spent=self.history.elapsed() if position.step else 0.0,
            state=[] if self._replays else read_values(_training_state(self.model)),
            metrics=read_values(self.model.metrics_variables) if position.step else [],
            best=self.best.weights,
            path=next_checkpoint_path(self.path),
        )
        resume.write(checkpoint.path, checkpoint)
        self.kept_paths = [*self.kept_paths, checkpoint.path][-NUM_KEPT_CHECKPOINTS:]
        for path in checkpoint_paths(self.path):
            if path not in self.kept_paths:
                path.unlink()
        self.written = time.perf_counter()
        self.cost = self.written - start

    def _callback_state(self) -> dict[str, dict[str, Any]]:
        return {
            type(callback).__name__: {name: getattr(callback, name) for name in names}
            for callback in self.callbacks
            for kind, names in CALLBACK_STATE.items()
            if isinstance(callback, kind)
        }


def _training_state(model: Any) -> list[Any]:
    """Return weights, states of random layers and optimizer variables, in a fixed order.

    The learning rate is left out: it follows from the app's fields.
    """
    metrics = {id(variable) for variable in model.metrics_variables}  # they belong to one epoch
    variables = [variable for variable in model.variables if id(variable) not in metrics]
    return [
        *variables,
        *(variable for variable in model.optimizer.variables if variable.name != "learning_rate"),
    ]


def read_values(variables: Sequence[Any]) -> list[np.ndarray]:
    """Return the value of each variable, as [replicas, ...] if it differs between replicas."""
    arrays = []
    for variable in variables:
        parts = [part.numpy() for part in _replica_values(variable)]
        same = all(np.array_equal(part, parts[0], equal_nan=True) for part in parts)
        arrays.append(parts[0] if same else np.stack(parts))
    return arrays


def assign_values(variables: Sequence[Any], saved: Sequence[np.ndarray]) -> None:
    """Assign saved values to variables. Raises RunError if their shapes differ."""
    if len(saved) != len(variables) or not all(map(_shape_fits, variables, saved)):
        raise RunError(
            f"Received a checkpoint of {len(saved)} arrays whose shapes are not those of the "
            f"{len(variables)} variables to train; expected one of the same model. Leave out what "
            "was changed, or choose another --run-dir."
        )
    for variable, value in zip(variables, saved, strict=True):
        parts = _replica_values(variable)
        values = [value] * len(parts) if value.shape == tuple(variable.shape) else value
        for part, array in zip(parts, values, strict=True):
            part.assign(array)


def _shape_fits(variable: Any, value: np.ndarray) -> bool:
    shape = tuple(variable.shape)
    return value.shape in (shape, (len(_replica_values(variable)), *shape))


def _replica_values(variable: Any) -> Sequence[Any]:
    """Return the copies of a variable on the replicas of this process."""
    value = variable.value if isinstance(variable, keras.Variable) else variable
    return getattr(value, "values", None) or (value,)


def _one_zero_example(form: Any) -> Any:
    """Make a batch of one example that contains only zeros."""

    def zeros(array: Any) -> Any:
        return tf.zeros([1, *(size or 1 for size in array.shape[1:])], array.dtype)

    return tf.nest.map_structure(zeros, form)
