"""The batches that `App.fit` consumes, and the position at which it continues."""

import typing
from collections.abc import Callable
from typing import Any, NamedTuple

if typing.TYPE_CHECKING:
    import numpy as np

    from pipelines.examples import Examples
    from pipelines.splits import Splits


class TrainingPosition(NamedTuple):
    """How far training is, over all its stages.

    Attributes:
        stage: number of the current stage, from 1.
        stage_start: epochs that were done when this stage began.
        epoch: epochs done.
        stage_stopped: whether this stage ended before its last epoch.
        step: steps done in the current epoch.

    """

    stage: int = 1
    stage_start: int = 0
    epoch: int = 0
    stage_stopped: bool = False
    step: int = 0

    def initial_epoch(self, epochs: range) -> int:
        """First epoch still to run in this stage, or `epochs.stop`."""
        if self.stage_stopped:
            return epochs.stop
        return min(max(self.epoch, epochs.start), epochs.stop)

    def initial_batch(self, epochs: range, steps_per_epoch: int) -> int:
        """Return the number of the first batch still to run, from 0 at the start of training."""
        initial_epoch = self.initial_epoch(epochs)
        done = self.step if initial_epoch == self.epoch else 0
        return initial_epoch * steps_per_epoch + done


START = TrainingPosition()


class PreparedExamples(NamedTuple):
    """Examples as they are before batching.

    Attributes:
        prepare: makes a network's input from the features of a batch; None if they are it.
        train: training examples.
        valid: validation examples.
        lengths: the length of each training example, to batch similar ones; None if equal.

    """

    prepare: Callable[[Any], Any] | None
    train: "Examples"
    valid: "Examples"
    lengths: "np.ndarray | None" = None


class HeldOut(NamedTuple):
    """Examples that a network was not fitted to, and its outputs for them, [n, ...]."""

    examples: "Examples"
    outputs: "np.ndarray"


class FitData(NamedTuple):
    """What `App.fit` consumes.

    Attributes:
        train: endless training batches, prepared.
        valid: one pass of validation batches, prepared.
        steps_per_epoch: training batches in an epoch.
        splits: the raw examples, for a fit that does not only pass over batches.
        prepare: the preprocessing layer.
        batch_size: examples in a training batch.
        steps_per_execution: maximum number of steps in one call of TensorFlow.
        position: where an interrupted fit continues.
        transform: a function to apply to every training batch, for a fit that makes its own.
        restore_best: puts the best weights so far into the model.
        keep_held_out: takes the outputs for validation examples, from a fit that goes on to fit
            the network to these too.

    """

    train: Any
    valid: Any
    steps_per_epoch: int
    splits: "Splits"
    prepare: Any
    batch_size: int
    steps_per_execution: int = 1
    position: TrainingPosition = START
    transform: Callable[[Any], Any] | None = None
    restore_best: Callable[[], None] = lambda: None
    keep_held_out: Callable[[HeldOut], None] = lambda _: None
