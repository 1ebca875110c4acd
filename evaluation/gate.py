"""Hold the scores of a run to conditions, such as accuracy>=0.9."""

import difflib
import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from apps.fields import FieldError
from evaluation import decision_scores, scores_file
from evaluation.fairness.findings import gate_values
from training.run import Run

BETTER = "better_than_baselines"
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
CONDITION = re.compile(r"([\w.]+)\s*(>=|<=|>|<)\s*(\S+)")
EXAMPLE = f"'accuracy>=0.9, per_class.recall>=0.5, {BETTER}'"


class GateError(RuntimeError):
    """Raised for a run that falls short of a condition."""

    exit_status = 1


class Check(NamedTuple):
    """A condition, the value that it is about, and whether it holds."""

    condition: str
    value: str | float
    passes: bool


def check(run: Run, conditions: str | Path) -> list[Check]:
    """Check conditions with commas between, or those of a file, which has one on a line.

    A condition compares a number of scores.json: a metric, an end of its 95 % interval as
    `accuracy.low` or `accuracy.high`, `auc` and `average_precision` likewise, `ece` and `brier`,
    the worst class as `per_class.recall`, the worst slice as `worst_slice.accuracy`, the largest
    gap between groups of people as `fairness.tpr_gap`, or `examples`. `better_than_baselines`
    requires that verdict. Raises FieldError for an unknown name, and RunError for a run that is
    not evaluated.
    """
    wanted = _conditions(conditions)
    scores = scores_file.read(run)
    values = _values(scores)
    return [_checked(one, values, scores) for one in wanted]


def require(run: Run, conditions: str | Path) -> None:
    """Raise GateError if a run falls short of a condition."""
    require_all(run, check(run, conditions))


def require_all(run: Run, checks: list[Check]) -> None:
    """Raise GateError if a check fails."""
    failed = [f"{one.condition} (is {_text(one.value)})" for one in checks if not one.passes]
    if failed:
        raise GateError(
            f"Received the run {run.path}, which falls short of {len(failed)} of {len(checks)} "
            f"conditions: {'; '.join(failed)}. See the report for what to do: athanor report "
            f"{run.path}"
        )


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _conditions(given: str | Path) -> list[str]:
    """Split conditions, or read them from a file; lines that begin with # are comments."""
    text = given if isinstance(given, str) and _is_text(given) else _read(Path(given))
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise FieldError(f"Received no condition; expected some, such as {EXAMPLE}.")
    return found


def _is_text(given: str) -> bool:
    """Whether conditions were given, not the path of a file."""
    return bool(CONDITION.search(given) or re.fullmatch(r"[\w\s,]*", given))


def _read(path: Path) -> str:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise FieldError(
            f"Received {str(path)!r}, which is no condition, and cannot be read as a file "
            f"({reason}); expected conditions such as {EXAMPLE}, or a file of them."
        ) from error
    return ",".join(line for line in lines if not line.lstrip().startswith("#"))


def _values(scores: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of scores.json that a condition can name."""
    values = dict(scores["test"]) | {"examples": scores["examples"]}
    for name, (low, high) in scores["intervals"].items():
        values |= {f"{name}.low": low, f"{name}.high": high}
    calibration = scores.get("calibration") or {}
    values |= decision_scores.gate_values(scores.get("decision"))
    values |= _areas(scores.get("discrimination") or {})
    for name in ("ece", "brier"):
        if name in calibration:
            values[name] = calibration[name]
        if interval := calibration.get(f"{name}_interval"):
            values |= {f"{name}.low": interval[0], f"{name}.high": interval[1]}
    values |= gate_values(scores.get("fairness") or {})
    found = scores.get("slices") or {}
    if found.get("worst") is not None:
        values[f"worst_slice.{found['metric']}"] = found["worst"]
    rows = [row for row in scores.get("per_class", []) if row["examples"]]
    if rows:
        names = ("precision", "recall", "f1", "examples")
        values |= {f"per_class.{name}": min(row[name] for row in rows) for name in names}
    return values


def _areas(found: Mapping[str, Any]) -> dict[str, float]:
    """Return AUC and average precision, their intervals, and those of the worst class."""
    values = dict(found.get("test", {}))
    for name, (low, high) in found.get("intervals", {}).items():
        values |= {f"{name}.low": low, f"{name}.high": high}
    rows = found.get("per_class", [])
    names = tuple(found.get("test", {})) if rows else ()
    return values | {f"per_class.{name}": min(row[name] for row in rows) for name in names}


def _checked(condition: str, values: Mapping[str, float], scores: Mapping[str, Any]) -> Check:
    if condition == BETTER:
        outcome = (scores.get("verdict") or {}).get("outcome", "unknown: evaluate again")
        return Check(condition, outcome, outcome == "better")
    parts = CONDITION.fullmatch(condition)
    name = parts[1] if parts else re.split(r"[\s<>=!]", condition)[0]
    if name not in values:
        raise FieldError(_unknown(condition, name, [*values, BETTER]))
    try:
        bound = float(parts[3]) if parts else float("nan")
    except ValueError:
        bound = float("nan")
    if not parts or bound != bound:
        raise FieldError(
            f"Received the condition {condition!r}; expected a name, one of "
            f"{', '.join(OPERATORS)} and a number, such as {name}>=0.9."
        )
    return Check(condition, values[name], OPERATORS[parts[2]](values[name], bound))


def _unknown(condition: str, name: str, names: list[str]) -> str:
    matches = difflib.get_close_matches(name, names, 1, 0.5)
    hint = f" Did you mean {matches[0]!r}?" if matches else ""
    return (
        f"Received the condition {condition!r}, whose name {name!r} is unknown; expected one of "
        f"{', '.join(names)}.{hint}"
    )
