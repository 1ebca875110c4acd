"""Where training stands, written every so often, and how it goes on from there bit for bit."""

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

# Of the time of a training, at most, that goes into its checkpoints.
CHECKPOINT_COST_SHARE = 0.02
MIN_CHECKPOINT_INTERVAL = 1.0  # seconds between two
NUM_KEPT_CHECKPOINTS = 2  # where the newest is damaged, the one before it serves
# What callbacks remember from one epoch to the next.
CALLBACK_STATE: dict[type, tuple[str, ...]] = {
    History: ("rows",),
    KeepBest: ("epoch", "score"),
    StopWhenDiverged: ("first",),
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    optimizers.AveragedWeights: ("_averaged",),
}


class Checkpoint(keras.callbacks.Callback):
    """Write a checkpoint every so often, and restore one at the beginning.

    It stands last among the callbacks: what it keeps is what the others have made
    of the step or epoch. A fit that only replays its epochs (apps.solving) needs no
    state. Where several machines train, each has part of what the metrics of an
    unfinished epoch know, so it writes between epochs there.

    Args:
        path: of the run directory; None where another worker writes.
        begin: what to go on from; at its own beginning a training has no state.
        callbacks: those that stand before it.
        every: seconds between two checkpoints; None for as often as costs 2 % of the time.
        amid: whether one may be written in the middle of an epoch.
        interrupts: tells when somebody wants the training to stop.

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
        self.found = begin
        self.restored = begin.position.epoch == begin.position.step == 0
        self.stage = self.first = self.epoch = self.steps_to_skip = 0
        self.kept_paths = [begin.path]
        self.written, self.cost = time.perf_counter(), 0.0
        self.history: History = next(one for one in callbacks if isinstance(one, History))
        self.best: KeepBest = next(one for one in callbacks if isinstance(one, KeepBest))

    @property
    def _replays(self) -> bool:
        return bool(self.params.get("replays"))

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: ARG002
        """Restore, or note that another stage of training begins."""
        self.interrupts.deferred = not self._replays
        self.first = -1
        if not self._replays:
            self._make_variables()
        if self.restored:
            self.stage += 1
            return
        self.restored, found = True, self.found
        self.stage, self.first = found.position.stage, found.position.stage_start
        self.best.weights = found.best
        for callback in self.callbacks:
            for name, value in found.remembered.get(type(callback).__name__, {}).items():
                setattr(callback, name, value)
        if not self._replays:
            self._restore_state(found)
        # A kill, or a disk, may have left older or newer ones than the checkpoint.
        self.history.write()
        self.best.write()

    def _restore_state(self, found: CheckpointState) -> None:
        assign_values(_training_state(self.model), found.state)
        if found.position.step:
            self.steps_to_skip = found.position.step // self.model.steps_per_execution

    def _make_variables(self) -> None:
        """Make those of the optimizer now, those of the metrics at the first call.

        Keras would make them while it traces the first step, and trace that once more.
        """
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        usual = self.model.train_function

        def first(iterator: Any) -> Any:
            if tf.distribute.get_strategy().num_replicas_in_sync == 1:
                _, target = iterator.element_spec
                self.model.compute_metrics(
                    None, _one_zero_example(target), _one_zero_example(self.model.output), None
                )
                self.model.reset_metrics()
            self.model.train_function = self._passing(usual) if self.steps_to_skip else usual
            return self.model.train_function(iterator)

        self.model.train_function = first

    def _skip_finished_calls(self, usual: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Let the calls of this epoch that were made before return at once."""

        def passing(iterator: Any) -> Any:
            if not self.steps_to_skip:
                self.model.train_function = usual
                return usual(iterator)
            assign_values(self.model.metrics_variables, self.found.metrics)
            return self.model.get_metrics_result()

        return passing

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """The first epoch of a stage is known when it comes."""
        self.first = epoch if self.first < 0 else self.first
        self.epoch = epoch
        if self.steps_to_skip:
            self.history.start -= self.found.spent

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Write in the middle of an epoch."""
        if self.steps_to_skip:
            self.steps_to_skip -= 1
        elif self.within_epochs and self._is_due():
            self._write(TrainingPosition(self.stage, self.first, self.epoch, step=batch + 1))
        self.interrupts.raise_if_pending()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Write between two epochs."""
        if self._is_due():
            stopped = bool(self.model.stop_training)
            self._write(TrainingPosition(self.stage, self.first, epoch + 1, stopped))
        self.interrupts.raise_if_pending()

    def on_train_end(self, logs: dict | None = None) -> None:  # noqa: ARG002
        """What follows may be stopped anywhere."""
        self.interrupts.deferred = False

    def _is_due(self) -> bool:
        if self.interrupts.pending_signal or not self.within_epochs:
            return True
        every = (
            max(MIN_CHECKPOINT_INTERVAL, self.cost / CHECKPOINT_COST_SHARE)
            if self.interval is None
            else self.interval
        )
        return time.perf_counter() - self.written >= every

    def _write(self, position: TrainingPosition) -> None:
        if self.path is None:
            return
        start = time.perf_counter()
        if not all(np.isfinite(one.numpy()).all() for one in self.model.trainable_variables):
            raise FloatingPointError("a weight")
        found = self.found._replace(
            position=position,
            remembered=self._callback_state(),
            spent=self.history.elapsed() if position.step else 0.0,
            state=[] if self._replays else read_values(_training_state(self.model)),
            metrics=read_values(self.model.metrics_variables) if position.step else [],
            best=self.best.weights,
            path=next_checkpoint_path(self.path),
        )
        resume.write(found.path, found)
        self.kept_paths = [*self.kept_paths, found.path][-NUM_KEPT_CHECKPOINTS:]
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
    """Weights, states of random layers, and all that the optimizer keeps, in a fixed order.

    A learning rate is no state: it follows from the fields.
    """
    passing = {id(one) for one in model.metrics_variables}  # of one epoch alone
    kept = [one for one in model.variables if id(one) not in passing]
    return [*kept, *(one for one in model.optimizer.variables if one.name != "learning_rate")]


def read_values(variables: Sequence[Any]) -> list[np.ndarray]:
    """Of each variable; of one that differs between replicas, theirs [replicas, ...]."""
    found = []
    for variable in variables:
        parts = [part.numpy() for part in _replica_values(variable)]
        same = all(np.array_equal(part, parts[0], equal_nan=True) for part in parts)
        found.append(parts[0] if same else np.stack(parts))
    return found


def assign_values(variables: Sequence[Any], saved: Sequence[np.ndarray]) -> None:
    """Give variables the values that they had. Raises RunError where they are others."""
    if len(saved) != len(variables) or not all(map(_shape_fits, variables, saved)):
        raise RunError(
            f"Received a checkpoint of {len(saved)} arrays whose shapes are not those of the "
            f"{len(variables)} variables to train; expected one of the same model. Leave out what "
            "was changed, or choose another --run-dir."
        )
    for variable, value in zip(variables, saved, strict=True):
        parts = _replica_values(variable)
        each = [value] * len(parts) if value.shape == tuple(variable.shape) else value
        for part, one in zip(parts, each, strict=True):
            part.assign(one)


def _shape_fits(variable: Any, value: np.ndarray) -> bool:
    shape = tuple(variable.shape)
    return value.shape in (shape, (len(_replica_values(variable)), *shape))


def _replica_values(variable: Any) -> Sequence[Any]:
    """What each replica here has of a variable; there is one where one device trains."""
    held = variable.value if isinstance(variable, keras.Variable) else variable
    return getattr(held, "values", None) or (held,)


def _one_zero_example(form: Any) -> Any:
    """One example of zeros of the form of a batch."""

    def zeros(one: Any) -> Any:
        return tf.zeros([1, *(size or 1 for size in one.shape[1:])], one.dtype)

    return tf.nest.map_structure(zeros, form)
