"""How a training is made, besides what the app's fields say."""

import dataclasses
from pathlib import Path
from typing import Literal

from pipelines.splits import Fold
from training.distributed.cluster import Strategy
from training.precision import Precision

OnNan = Literal["stop", "halve"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class How:
    """What `train` is asked for.

    Attributes:
        precision: of the arithmetic; `auto` measures what is fast here.
        which: the fold that is held out as test; None for the data's own test or a cut.
        quarantine: a list of examples that train and validation leave out; test keeps them.
        strategy: whether several devices share the work; see training.distributed.strategy.choose.
        devices: how many of them; None for all.
        profile: also record what the second call's steps spend their time on.
        verbose: 0 silent, 1 a moving bar, 2 a line an epoch.
        force: go on also where fields, data or versions are not those that it began with.
        every: seconds between two checkpoints; None for as often as costs 2 % of the time.
        on_nan: where the loss diverges, stop, or go on from the last epoch with half the
            learning rate, at most three times.
        deterministic: let TensorFlow's operations add in one order, also where that is slower.

    """

    precision: Precision = "auto"
    which: Fold | None = None
    quarantine: Path | None = None
    strategy: Strategy = "one"
    devices: int | None = None
    profile: bool = False
    verbose: int = 2
    force: bool = False
    every: float | None = None
    on_nan: OnNan = "stop"
    deterministic: bool = False
