"""Runs side by side, and whether their scores can be compared."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from evaluation import report, rounding
from training.run import Run


class Sides(NamedTuple):
    """Runs side by side.

    Attributes:
        columns: the run, the fields in which the runs differ, their metrics, and more.
        rows: a dict a run, with full numbers; `intervals` holds those of the metrics.
        warnings: in words, why scores cannot be compared.
        units: of the metrics, where they are known.

    """

    columns: list[str]
    rows: list[dict[str, Any]]
    warnings: list[str]
    units: dict[str, str]

    def cells(self) -> list[list[Any]]:
        """The rows as people read them."""
        return [[_cell(row, name) for name in self.columns] for row in self.rows]


class NotComparableError(ValueError):
    """Runs whose scores cannot be compared."""

    exit_status = 1


def compare(runs: Sequence[Run]) -> Sides:
    """The fields in which runs differ beside their test scores.

    Raises RunError where a run was never judged.
    """
    manifests = [
        {"app": run.manifest["app"], **run.manifest["fields"], **run.manifest.get("chosen", {})}
        for run in runs
    ]
    names = list(dict.fromkeys(name for fields in manifests for name in fields))
    different = [name for name in names if len({str(fields.get(name)) for fields in manifests}) > 1]
    scores = [report.read(run) for run in runs]
    metrics = list(dict.fromkeys(name for scored in scores for name in scored["test"]))
    rows = [
        {
            "run": run.path.name,
            **{name: fields.get(name, "") for name in different},
            **{name: scored["test"].get(name) for name in metrics},
            "parameters": run.manifest["parameters"],
            "seconds": run.manifest["seconds"]["train"],
            "other_runs": (scored.get("test_set") or {}).get("other_runs"),
            "intervals": scored["intervals"],
        }
        for run, fields, scored in zip(runs, manifests, scores, strict=True)
    ]
    columns = ["run", *different, *metrics, "parameters", "seconds", "other_runs"]
    units = {name: unit for scored in scores for name, unit in scored.get("units", {}).items()}
    return Sides(columns, rows, _warnings(runs), units)


def require_comparable(runs: Sequence[Run]) -> None:
    """Raise NotComparableError where their data, splits or folds differ."""
    if warnings := _warnings(runs):
        raise NotComparableError(
            f"Received runs that cannot be compared: {' '.join(warnings)} Expected the same data, "
            "splits and fold. Train them anew on the same, or leave out --strict."
        )


def _warnings(runs: Sequence[Run]) -> list[str]:
    """In words, the parts of the data that are not the same for all runs."""
    differing = [part for part in ("test", "valid", "train") if _differs(runs, part)]
    if not differing:
        return []
    told = f"The runs differ in their {_listed(differing)} examples{_reason(runs)}."
    if "test" in differing:
        return [f"{told} Their scores say nothing of which is better."]
    return [f"{told} They were judged on the same test examples."]


def _differs(runs: Sequence[Run], part: str) -> bool:
    datas = [run.manifest["data"] for run in runs]
    if all("parts" in data for data in datas):
        return len({data["parts"].get(part) for data in datas}) > 1
    # Runs of an earlier version know the digest of all parts together.
    return len({data["fingerprint"] for data in datas}) > 1


def _reason(runs: Sequence[Run]) -> str:
    """The settings that differ and decide about the data, in parentheses."""
    found = []
    for name in ("data", "test", "split", "target"):
        values = {str(run.manifest["fields"].get(name, "")) for run in runs}
        if len(values) > 1:
            found.append(f"{name}: {' and '.join(sorted(repr(value) for value in values))}")
    folds = {_fold(run) for run in runs}
    if len(folds) > 1:
        found.append(f"folds: {' and '.join(sorted(folds))}")
    if len({str(run.manifest["data"].get("quarantine")) for run in runs}) > 1:
        found.append("quarantine lists")
    return f" ({'; '.join(found)})" if found else ""


def _fold(run: Run) -> str:
    fold = run.fold
    return f"{fold.number} of {fold.of}" if fold else "none"


def _listed(parts: list[str]) -> str:
    words = ["validation" if part == "valid" else part for part in parts]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _cell(row: dict[str, Any], name: str) -> Any:
    value = row[name]
    if value is None:
        return ""
    return (
        rounding.with_interval(value, interval)
        if (interval := row["intervals"].get(name))
        else value
    )
