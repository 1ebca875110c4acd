"""Options of `train` and `check-distribute`."""

import dataclasses
import math
from pathlib import Path
from typing import Literal

from apps.fields import FieldError
from apps.options import CommonOptions
from training.distributed.cluster import Strategy

Precision = Literal["auto", "float32", "bfloat16"]
OnNan = Literal["stop", "halve"]
MAX_WORKERS = 256  # processes on one machine


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainOptions(CommonOptions):
    """Options of `train`, in addition to the app's fields."""

    run_dir: Path | None = None
    """A new or empty directory for the run, or that of an interrupted one, which continues;
    runs/APP/DATE-TIME by default."""
    precision: Precision = "auto"
    """Number format of the arithmetic; auto takes bfloat16 where it is measured to be faster."""
    strategy: Strategy = "one"
    """One device; several that share every batch (mirrored); those of all processes that
    TF_CONFIG names (multiworker, see athanor launch); auto takes all that there are."""
    devices: int | None = None
    """How many GPUs, or parts of the CPU on a machine without one; all by default."""
    quarantine: Path | None = None
    """A list of check-data --write-quarantine: its examples are left out of training and
    validation, never out of test."""
    profile: bool = False
    """Record a profile of the steps for TensorBoard."""
    force: bool = False
    """Continue also with other fields, data, devices or versions than the run began with."""
    checkpoint_every: float | None = None
    """Seconds between two checkpoints; by default as often as takes 2 % of the time."""
    minutes: float | None = None
    """Minutes, at most, for reading the data, building the model and training; the learning-rate
    schedule then ends with them. At least one step is taken and validated. The scores of the test
    examples come after that. With --folds, minutes of all folds together."""
    coverage: float = 0.9
    """Share of prediction intervals, or of sets of classes, that contain the truth; validation
    examples set their widths."""
    on_nan: OnNan = "stop"
    """If the loss diverges: stop, or continue from the last epoch with half the learning rate,
    three times at most."""
    deterministic: bool = False
    """Let every operation add numbers in a fixed order, even if that is slower: on a GPU the same
    seed then gives the same results."""

    def __post_init__(self) -> None:
        super().__post_init__()
        seconds = self.checkpoint_every
        if seconds is not None and not 0 <= seconds < math.inf:
            raise FieldError(
                f"Received --checkpoint-every {seconds:g}; expected seconds, or 0 for after every "
                "call."
            )
        if not 0 < self.coverage < 1:
            raise FieldError(
                f"Received --coverage {self.coverage:g}; expected a share between 0 and 1."
            )
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise FieldError(f"Received --minutes {self.minutes:g}; expected a number above 0.")
        if self.minutes is not None and self.on_nan == "halve":
            raise FieldError(
                "Received --minutes with --on-nan halve; expected one of the two, because a second "
                "start would need more time. Leave one out."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckDistributeOptions(CommonOptions):
    """Options of `check-distribute`, in addition to the app's fields."""

    devices: int | None = None
    """How many GPUs, or parts of the CPU on a machine without one: 2 by default."""
    strategy: Literal["mirrored", "multiworker"] = "mirrored"
    """Devices of this process, or those of all that TF_CONFIG names (see athanor launch)."""
    precision: Precision = "float32"
    """Number format of the arithmetic."""

    @property
    def num_devices(self) -> int | None:
        """Devices to compare with one; None for all of several workers."""
        return self.devices if self.strategy == "multiworker" else self.devices or 2
