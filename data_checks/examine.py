"""Run all checks of a modality and collect their findings."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from apps.app import App, ModalityName
from data_checks import duplicates, label_sets, reading, targets
from data_checks.dataset import Check, CheckedData
from data_checks.finding import SEVERITIES, Finding, sort_by_severity
from data_checks.ids import checks as ids
from data_checks.images import checks as images
from data_checks.rows import checks as rows
from data_checks.texts import checks as texts
from pipelines.examples import AddressError, DataError
from pipelines.inspection import Inspection, Progress

# Checks of every modality; each modality also has its own checks.
SHARED: tuple[Check, ...] = (
    reading.broken_lines,
    duplicates.exact,
    duplicates.contradictions,
    targets.classes,
    label_sets.label_sets,
    targets.numbers,
)


class Modality(NamedTuple):
    """A modality and the checks that only its data need."""

    name: ModalityName
    checks: tuple[Check, ...]


MODALITIES = (
    Modality("image", images.CHECKS),
    Modality("row", rows.CHECKS),
    Modality("text", texts.CHECKS),
    Modality("ids", ids.CHECKS),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Diagnosis:
    """The findings of all checks, worst first.

    `data` is None if training would refuse the data.
    """

    app: App
    findings: list[Finding]
    data: CheckedData | None
    seconds: float
    checks: tuple[Check, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Findings by severity."""
        return {
            severity: sum(finding.severity == severity for finding in self.findings)
            for severity in SEVERITIES
        }

    def to_json(self) -> dict[str, Any]:
        """Return the diagnosis as JSON, for `--json`."""
        splits = self.data and self.data.splits
        return {
            "app": self.app.name(),
            "data": self.app.data,
            "examples": splits.sizes if splits else {},
            "fingerprint": splits.fingerprint() if splits else None,
            "notes": list(splits.notes) if splits else [],
            # "grave" is the old name of "error", for one release.
            "counts": {**self.counts, "grave": self.counts["error"]},
            "findings": [finding.to_json() for finding in self.findings],
            "seconds": round(self.seconds, 3),
        }


def examine(
    app: App, data_dir: Path | None, progress: Progress, extra: tuple[Check, ...] = ()
) -> Diagnosis:
    """Read the data as training would, and check them; also by `extra` checks.

    Data that training would refuse are an error among the findings. Raises DataError or
    FieldError for a wrong address, column or field.
    """
    start = time.perf_counter()
    inspection = Inspection(progress)
    try:
        splits = app.load_splits(data_dir, inspection)
    except AddressError:
        raise
    except DataError as error:
        findings = [*reading.refused(error), *reading.lines_of(inspection)]
        return Diagnosis(app, sort_by_severity(findings), None, time.perf_counter() - start)
    data = CheckedData(app, splits, inspection)
    all_checks = (*checks(app.modality), *extra)
    findings = list(_run_checks(data, all_checks, progress))
    seconds = time.perf_counter() - start
    return Diagnosis(app, sort_by_severity(findings), data, seconds, all_checks)


def checks(modality: ModalityName) -> tuple[Check, ...]:
    """Return all checks of a modality's data."""
    own_modality = next(kind for kind in MODALITIES if kind.name == modality)
    return (*SHARED, *own_modality.checks)


def _run_checks(
    data: CheckedData, all_checks: tuple[Check, ...], progress: Progress
) -> Iterator[Finding]:
    for done, check in enumerate(all_checks):
        progress("checking", done, len(all_checks))
        with np.errstate(all="ignore"):
            yield from check(data)
    progress("checking", len(all_checks), len(all_checks))
