"""Runs side by side."""

from collections.abc import Sequence
from typing import Any

from evaluation import report
from training.run import Run


def compare(runs: Sequence[Run]) -> tuple[list[str], list[list[Any]]]:
    """Column names and a row a run: the fields in which they differ, and their test scores.

    Raises RunError where a run was never judged.
    """
    passports = [
        {"app": run.passport["app"], **run.passport["fields"], **run.passport.get("chosen", {})}
        for run in runs
    ]
    names = list(dict.fromkeys(name for fields in passports for name in fields))
    different = [name for name in names if len({str(fields.get(name)) for fields in passports}) > 1]
    scores = [report.read(run) for run in runs]
    metrics = list(dict.fromkeys(name for scored in scores for name in scored["test"]))
    rows = [
        [
            run.path.name,
            *(fields.get(name, "") for name in different),
            *(_with_interval(scored, name) for name in metrics),
            run.passport["parameters"],
            run.passport["seconds"]["train"],
        ]
        for run, fields, scored in zip(runs, passports, scores, strict=True)
    ]
    return ["run", *different, *metrics, "parameters", "seconds"], rows


def _with_interval(scored: dict[str, Any], name: str) -> str:
    if name not in scored["test"]:
        return ""
    low, high = scored["intervals"][name]
    return f"{scored['test'][name]:.4f} [{low:.4f}, {high:.4f}]"
