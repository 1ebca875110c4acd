"""Run all checks of a modality and collect their findings."""

import dataclasses
import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from apps.app import App
from data_checks import duplicates, reading, targets
from data_checks.dataset import CheckedData
from data_checks.finding import SEVERITIES, Finding, sort_by_severity
from pipelines.examples import AddressError, DataError
from pipelines.inspection import Progress, looking

Check = Callable[[CheckedData], Iterator[Finding]]
# For every modality; each also has checks of its own.
SHARED: tuple[Check, ...] = (
    reading.broken_lines,
    duplicates.exact,
    duplicates.contradictions,
    targets.classes,
    targets.numbers,
)
KINDS = {
    "image": ("files", "blank", "shapes", "near", "leakage", "label_errors"),
    "row": ("cells", "columns", "categories", "outliers", "drift", "near", "leakage"),
    "text": ("targets", "empty", "encoding", "lengths", "near", "boilerplate", "leakage"),
    "ids": (
        "dropped_rows",
        "names",
        "ratings",
        "suspicious_users",
        "rare_ids",
        "cold_start",
        "times",
    ),
}
MODULES = {
    "image": "data_checks.images.checks",
    "row": "data_checks.rows.checks",
    "text": "data_checks.texts.checks",
    "ids": "data_checks.ids.checks",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Diagnosis:
    """The findings of all checks, worst first.

    `data` is None if training would refuse the data.
    """

    app: App
    findings: list[Finding]
    data: CheckedData | None
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """Findings by severity."""
        return {
            severity: sum(one.severity == severity for one in self.findings)
            for severity in SEVERITIES
        }

    def to_json(self) -> dict[str, Any]:
        """The diagnosis as JSON, for `--json`."""
        splits = self.data and self.data.splits
        return {
            "app": self.app.name(),
            "data": self.app.data,
            "examples": splits.sizes if splits else {},
            "fingerprint": splits.fingerprint() if splits else None,
            "notes": list(splits.notes) if splits else [],
            # "grave" is the name of before, for one release.
            "counts": {**self.counts, "grave": self.counts["error"]},
            "findings": [finding.to_json() for finding in self.findings],
            "seconds": round(self.seconds, 3),
        }


def examine(app: App, data_dir: Path | None, progress: Progress) -> Diagnosis:
    """Read the data as training would, and check them.

    Data that training would refuse are an error among the findings. Raises DataError or
    FieldError for a wrong address, column or field.
    """
    start = time.perf_counter()
    with looking(progress) as look:
        try:
            splits = app.load_splits(data_dir)
        except AddressError:
            raise
        except DataError as error:
            found = [*reading.refused(error), *reading.lines_of(look)]
            return Diagnosis(app, sort_by_severity(found), None, time.perf_counter() - start)
        data = CheckedData(app, splits, look)
        findings = list(_found(data, progress))
    return Diagnosis(app, sort_by_severity(findings), data, time.perf_counter() - start)


def checks(question: str) -> tuple[Check, ...]:
    """Of a kind of question."""
    module = importlib.import_module(MODULES[question])
    return (*SHARED, *(getattr(module, name) for name in KINDS[question]))


def _found(data: CheckedData, progress: Progress) -> Iterator[Finding]:
    every = checks(data.app.modality)
    for done, check in enumerate(every):
        progress("checking", done, len(every))
        with np.errstate(all="ignore"):
            yield from check(data)
    progress("checking", len(every), len(every))
