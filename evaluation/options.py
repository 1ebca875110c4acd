"""Options of `evaluate`, `report`, `compare`, `decide`, `gate`, `learning-curve` and `replay`."""

import dataclasses
import math
import re
from pathlib import Path

from apps.fields import FieldError
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
class DecideOptions(CommonOptions):
    """How `decide` turns probabilities into an answer."""

    costs: str = ""
    """Costs of a false positive and a false negative, such as fp=1,fn=5; or a CSV file with a cost
    for each pair of a true class and an answer."""
    min_precision: float | None = None
    """Lowest precision of the positive class; the threshold has the highest recall with it."""
    min_recall: float | None = None
    """Lowest recall of the positive class; the threshold is the highest one with it."""
    positive: str = ""
    """The positive class of two; by default the rarer one."""
    abstain: float | None = None
    """Answer "unsure" if the largest probability is lower than this."""
    reset: bool = False
    """Remove the decision: the most probable class is the answer again."""

    @property
    def is_pair(self) -> bool:
        """Whether the costs are those of a false positive and a false negative."""
        return "=" in self.costs

    def asked(self) -> dict[str, float]:
        """Return the wanted numbers by name. Raises FieldError for costs that are none."""
        named = {name: getattr(self, name) for name in ("min_precision", "min_recall", "abstain")}
        pair = self._pair() if self.is_pair else {}
        return pair | {name: value for name, value in named.items() if value is not None}

    def _pair(self) -> dict[str, float]:
        parts = dict(
            part.split("=", 1) for part in re.split(r"[,\s]+", self.costs.strip()) if "=" in part
        )
        try:
            costs = {name: float(parts[name]) for name in ("fp", "fn")}
        except (KeyError, ValueError):
            costs = {}
        if len(parts) != 2 or not costs or not all(0 < one < math.inf for one in costs.values()):
            raise FieldError(
                f"Received --costs {self.costs!r}; expected the cost of a false positive and of a "
                "false negative, two numbers above 0, such as fp=1,fn=5. If one of them costs "
                "nothing, no model is needed."
            )
        return costs

    def check(self) -> None:
        """Raise FieldError for values out of range, or conditions that exclude each other."""
        conditions = {
            "--costs": bool(self.costs),
            "--min-precision": self.min_precision is not None,
            "--min-recall": self.min_recall is not None,
        }
        given = [flag for flag, is_given in conditions.items() if is_given]
        others = bool(given or self.positive or self.abstain is not None)
        if self.reset and others:
            raise FieldError("Received --reset with other flags; expected it alone.")
        if not self.reset and not others:
            raise FieldError(
                "Received no condition; expected --costs fp=1,fn=5, --min-precision 0.9, "
                "--min-recall 0.9, --abstain 0.8, or --reset."
            )
        if len(given) > 1:
            raise FieldError(f"Received {' and '.join(given)}; expected one of them.")
        for name, value in self.asked().items():
            if name not in ("fp", "fn") and not 0 < value < 1:
                flag = f"--{name.replace('_', '-')}"
                raise FieldError(f"Received {flag} {value:g}; expected a number between 0 and 1.")


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
