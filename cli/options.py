"""The flags that only the command line has, and the default options of each verb."""

import dataclasses
from pathlib import Path

from cyclopts import Parameter

from apps.options import CommonOptions
from data_checks.options import CheckDataOptions
from evaluation.options import (
    CompareOptions,
    EvaluateOptions,
    GateOptions,
    LearningCurveOptions,
    ReplayOptions,
)
from exporting.options import ExportOptions
from inference.options import PredictOptions
from serving.options import ServeOptions
from training.options import CheckDistributeOptions, TrainOptions
from tuning.options import TuneOptions

# Each field becomes a flag; a boolean one has no --no-FLAG.
FLAGS = Parameter(name="*", negative_bool=())


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputFlags:
    """Flags of every command about its output."""

    json: bool = False
    """Print one JSON object on standard output and everything else on standard error."""
    debug: bool = False
    """Show the traceback of an error."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainFlags(TrainOptions):
    """Flags of `train` in addition to the app's fields."""

    folds: int | None = None
    """Number of folds: train once for each, and report the mean and spread of the scores."""
    seeds: int | None = None
    """Number of seeds, 3 or more: train once for each on the same splits, and report how much the
    scores vary with the seed."""
    resume: Path | None = None
    """Directory of a run that was stopped or killed; it continues with its own fields."""
    config: Path | None = None
    """A YAML file of fields; flags override it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneFlags(TuneOptions):
    """Flags of `tune` in addition to the app's fields."""

    config: Path | None = None
    """A YAML file of fields; flags override it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckDataFlags(CheckDataOptions):
    """Flags of `check-data` in addition to the app's fields."""

    config: Path | None = None
    """A YAML file of fields; flags override it."""


OUTPUT, COMMON = OutputFlags(), CommonOptions()
TRAIN, TUNE, CHECK_DATA = TrainFlags(), TuneFlags(), CheckDataFlags()
CHECK_DISTRIBUTE, EXPORT, PREDICT = CheckDistributeOptions(), ExportOptions(), PredictOptions()
SERVE, REPLAY, COMPARE = ServeOptions(), ReplayOptions(), CompareOptions()
GATE, EVALUATE = GateOptions(), EvaluateOptions()
LEARNING_CURVE = LearningCurveOptions()
