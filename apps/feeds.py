"""What a fit consumes, and where it stands."""

import typing
from collections.abc import Callable
from typing import Any, NamedTuple

if typing.TYPE_CHECKING:
    from pipelines.splits import Splits


class Position(NamedTuple):
    """Where training stands: `epoch` epochs are done, in all its stages together.

    Attributes:
        stage: from 1; of training that has several.
        first: the number of epochs that were done when this stage began.
        epoch: epochs done.
        stopped: whether this stage ended before its last epoch.
        step: steps done in the epoch after these.

    """

    stage: int = 1
    first: int = 0
    epoch: int = 0
    stopped: bool = False
    step: int = 0

    def begin(self, epochs: range) -> int:
        """The epoch to go on with, of those of this stage; their end where none is left."""
        return epochs.stop if self.stopped else min(max(self.epoch, epochs.start), epochs.stop)

    def batches(self, epochs: range, steps: int) -> int:
        """Batches that were seen before it goes on, where an epoch of this stage has `steps`."""
        begin = self.begin(epochs)
        return begin * steps + (self.step if begin == self.epoch else 0)


BEGIN = Position()


class Feeds(NamedTuple):
    """What `fit` consumes: endless training batches, one pass of validation ones.

    The raw examples and the layer that prepares them stand beside, for a fit
    that is more than passes over batches; and how many examples a batch has, the most steps
    that a call may take, where an interrupted fit goes on, and a change of every training batch,
    for a fit that makes batches of its own.
    """

    train: Any
    valid: Any
    steps_per_epoch: int
    splits: "Splits"
    prepare: Any
    batch_size: int
    steps_a_call: int = 1
    position: Position = BEGIN
    change: Callable[[Any], Any] | None = None
