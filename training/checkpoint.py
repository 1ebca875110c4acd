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
from training.directory import checkpoints, next_checkpoint
from training.interrupts import Interrupts
from training.resume import Found
from training.run import RunError

# Of the time of a training, at most, that goes into its checkpoints.
SHARE = 0.02
SHORTEST = 1.0  # seconds between two
KEPT = 2  # where the newest is damaged, the one before it serves
# What callbacks remember from one epoch to the next.
REMEMBERED: dict[type, tuple[str, ...]] = {
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
        begin: Found,
        callbacks: Sequence[Any],
        *,
        every: float | None,
        amid: bool,
        interrupts: Interrupts,
    ) -> None:
        super().__init__()
        self.path, self.callbacks, self.every, self.amid = path, callbacks, every, amid
        self.interrupts = interrupts
        self.found = begin
        self.restored = begin.position.epoch == begin.position.step == 0
        self.stage = self.first = self.epoch = self.to_pass = 0
        self.kept = [begin.path]
        self.written, self.cost = time.perf_counter(), 0.0
        self.history: History = next(one for one in callbacks if isinstance(one, History))
        self.best: KeepBest = next(one for one in callbacks if isinstance(one, KeepBest))

    @property
    def _replays(self) -> bool:
        return bool(self.params.get("replays"))

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: ARG002
        """Restore, or note that another stage of training begins."""
        self.interrupts.patient = not self._replays
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

    def _restore_state(self, found: Found) -> None:
        restore(_variables(self.model), found.state)
        if found.position.step:
            self.to_pass = found.position.step // self.model.steps_per_execution

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
                self.model.compute_metrics(None, _zeros(target), _zeros(self.model.output), None)
                self.model.reset_metrics()
            self.model.train_function = self._passing(usual) if self.to_pass else usual
            return self.model.train_function(iterator)

        self.model.train_function = first

    def _passing(self, usual: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Let the calls of this epoch that were made before return at once."""

        def passing(iterator: Any) -> Any:
            if not self.to_pass:
                self.model.train_function = usual
                return usual(iterator)
            restore(self.model.metrics_variables, self.found.metrics)
            return self.model.get_metrics_result()

        return passing

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """The first epoch of a stage is known when it comes."""
        self.first = epoch if self.first < 0 else self.first
        self.epoch = epoch
        if self.to_pass:
            self.history.start -= self.found.spent

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Write in the middle of an epoch."""
        if self.to_pass:
            self.to_pass -= 1
        elif self.amid and self._is_due():
            self._write(TrainingPosition(self.stage, self.first, self.epoch, step=batch + 1))
        self.interrupts.heed()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Write between two epochs."""
        if self._is_due():
            stopped = bool(self.model.stop_training)
            self._write(TrainingPosition(self.stage, self.first, epoch + 1, stopped))
        self.interrupts.heed()

    def on_train_end(self, logs: dict | None = None) -> None:  # noqa: ARG002
        """What follows may be stopped anywhere."""
        self.interrupts.patient = False

    def _is_due(self) -> bool:
        if self.interrupts.asked or not self.amid:
            return True
        every = max(SHORTEST, self.cost / SHARE) if self.every is None else self.every
        return time.perf_counter() - self.written >= every

    def _write(self, position: TrainingPosition) -> None:
        if self.path is None:
            return
        start = time.perf_counter()
        if not all(np.isfinite(one.numpy()).all() for one in self.model.trainable_variables):
            raise FloatingPointError("a weight")
        found = self.found._replace(
            position=position,
            remembered=self._remembered(),
            spent=self.history.elapsed() if position.step else 0.0,
            state=[] if self._replays else values(_variables(self.model)),
            metrics=values(self.model.metrics_variables) if position.step else [],
            best=self.best.weights,
            path=next_checkpoint(self.path),
        )
        resume.write(found.path, found)
        self.kept = [*self.kept, found.path][-KEPT:]
        for path in checkpoints(self.path):
            if path not in self.kept:
                path.unlink()
        self.written = time.perf_counter()
        self.cost = self.written - start

    def _remembered(self) -> dict[str, dict[str, Any]]:
        return {
            type(callback).__name__: {name: getattr(callback, name) for name in names}
            for callback in self.callbacks
            for kind, names in REMEMBERED.items()
            if isinstance(callback, kind)
        }


def _variables(model: Any) -> list[Any]:
    """Weights, states of random layers, and all that the optimizer keeps, in a fixed order.

    A learning rate is no state: it follows from the fields.
    """
    passing = {id(one) for one in model.metrics_variables}  # of one epoch alone
    kept = [one for one in model.variables if id(one) not in passing]
    return [*kept, *(one for one in model.optimizer.variables if one.name != "learning_rate")]


def values(variables: Sequence[Any]) -> list[np.ndarray]:
    """Of each variable; of one that differs between replicas, theirs [replicas, ...]."""
    found = []
    for variable in variables:
        parts = [part.numpy() for part in _parts(variable)]
        same = all(np.array_equal(part, parts[0], equal_nan=True) for part in parts)
        found.append(parts[0] if same else np.stack(parts))
    return found


def restore(variables: Sequence[Any], saved: Sequence[np.ndarray]) -> None:
    """Give variables the values that they had. Raises RunError where they are others."""
    if len(saved) != len(variables) or not all(map(_fits, variables, saved)):
        raise RunError(
            f"Received a checkpoint of {len(saved)} arrays whose shapes are not those of the "
            f"{len(variables)} variables to train; expected one of the same model. Leave out what "
            "was changed, or choose another --run-dir."
        )
    for variable, value in zip(variables, saved, strict=True):
        parts = _parts(variable)
        each = [value] * len(parts) if value.shape == tuple(variable.shape) else value
        for part, one in zip(parts, each, strict=True):
            part.assign(one)


def _fits(variable: Any, value: np.ndarray) -> bool:
    shape = tuple(variable.shape)
    return value.shape in (shape, (len(_parts(variable)), *shape))


def _parts(variable: Any) -> Sequence[Any]:
    """What each replica here has of a variable; there is one where one device trains."""
    held = variable.value if isinstance(variable, keras.Variable) else variable
    return getattr(held, "values", None) or (held,)


def _zeros(form: Any) -> Any:
    """One example of zeros of the form of a batch."""

    def zeros(one: Any) -> Any:
        return tf.zeros([1, *(size or 1 for size in one.shape[1:])], one.dtype)

    return tf.nest.map_structure(zeros, form)
