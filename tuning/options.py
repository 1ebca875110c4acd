"""Options of `tune`."""

import dataclasses
import importlib.util
from pathlib import Path
from typing import Literal

from apps.fields import FieldError
from apps.options import CommonOptions
from training.options import MAX_WORKERS, Precision, TrainOptions

Tuner = Literal["auto", "bayesian", "tpe", "random", "grid", "hyperband"]
BOUNDS = {
    "trials": (1, 1_000_000),
    "workers": (1, MAX_WORKERS),
    "keep": (1, 1_000_000),
    "minutes": (0.01, 10_000_000),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneOptions(CommonOptions):
    """How `tune` searches, besides the app's fields."""

    tuner: Tuner = "auto"
    """What proposes values: a Gaussian process (bayesian) or Optuna's TPE, which both stop poor
    trials early, or one of KerasTuner's; auto is bayesian, or tpe for several objectives."""
    trials: int = 20
    """Number of trials, at most."""
    minutes: float | None = None
    """Minutes of the search: no trial begins later."""
    workers: int = 1
    """Processes, each with trials of its own."""
    objective: str = ""
    """A validation score, by default the app's own; after it perhaps latency and size of the
    exported artifact, with commas between: accuracy,latency,size."""
    space: Path | None = None
    """A YAML file of fields and their values instead of the app's own space."""
    keep: int = 3
    """Number of the best trials that keep their models."""
    run_dir: Path | None = None
    """Directory of the search, new or to continue; by default its name is computed from the app,
    the space and the objectives."""
    quarantine: Path | None = None
    """A list of check-data --write-quarantine: its examples are left out of training and
    validation of every trial, never out of test."""
    precision: Precision = "auto"
    """Number format of the arithmetic."""
    strategy: Literal["one", "mirrored", "auto"] = "one"
    """One device a trial, or several that share every batch."""
    devices: int | None = None
    """Number of devices; all by default."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, (low, high) in BOUNDS.items():
            given = getattr(self, name)
            if given is not None and not low <= given <= high:
                raise FieldError(f"Received --{name} {given}; expected {low:,} to {high:,}.")

    def require_packages(self) -> None:
        """Raise FieldError without the packages of the extra `tune`."""
        missing = [name for name in ("keras_tuner", "optuna") if not importlib.util.find_spec(name)]
        if missing:
            raise FieldError(
                f"Received tune without {' and '.join(missing)}; expected the extra `tune`: "
                "pip install 'athanor[tune]'."
            )

    @property
    def train_options(self) -> TrainOptions:
        """The options that every trial is trained with."""
        return TrainOptions(
            data_dir=self.data_dir,
            trust=self.trust,
            precision=self.precision,
            strategy=self.strategy,
            devices=self.devices,
            quarantine=self.quarantine,
        )
