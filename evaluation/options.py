"""Options of `evaluate`, `report`, `compare`, `gate`, `learning-curve` and `replay`."""

import dataclasses
from pathlib import Path

from apps.options import CommonOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateOptions(CommonOptions):
    """What `evaluate` and `report` look at beside the scores."""

    sensitive: str = ""
    """Columns of groups of people, separated by commas, such as sex,age: compare how the model
    treats the groups. They may be columns that the model does not get (--drop)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareOptions(CommonOptions):
    """How `compare` treats runs that cannot be compared."""

    strict: bool = False
    """Exit with status 1 if the runs differ in their data, splits or folds."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateOptions(CommonOptions):
    """The conditions of `gate`."""

    require: str = ""
    """Conditions with commas between, such as 'accuracy>=0.9, better_than_baselines', or a file
    with one on each line."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReplayOptions(CommonOptions):
    """Where `replay` puts the second run."""

    run_dir: Path | None = None
    """A new or empty directory for the second run, which is removed by default."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearningCurveOptions(CommonOptions):
    """How exactly `learning-curve` measures."""

    fits: int = 2
    """Models of each size; more narrow the interval and take as many times as long."""
