"""All checks of a kind of data, one after the other, and what they found together."""

import dataclasses
import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from apps.app import App
from data_checks import duplicates, reading
from data_checks import targets as answers
from data_checks.dataset import Subject
from data_checks.finding import SEVERITIES, Finding, worst_first
from pipelines.examples import AddressError, DataError
from pipelines.inspection import Progress, looking

Check = Callable[[Subject], Iterator[Finding]]
# Of every kind of question; each also has a module of its own.
SHARED: tuple[Check, ...] = (
    reading.broken_lines,
    duplicates.exact,
    duplicates.contradictions,
    answers.classes,
    answers.numbers,
)
KINDS = {
    "image": ("files", "blank", "shapes", "near", "giveaways", "lonely"),
    "row": ("cells", "columns", "categories", "outliers", "drift", "near", "leakage"),
    "text": ("targets", "empty", "encoding", "lengths", "near", "wording", "giveaways"),
    "ids": ("left_out", "names", "ratings", "raters", "few", "strangers", "times"),
}
MODULES = {
    "image": "data_checks.images.checks",
    "row": "data_checks.rows.checks",
    "text": "data_checks.texts.checks",
    "ids": "data_checks.ids.checks",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was examined, and what was found, worst first.

    `subject` is None where training would refuse the data.
    """

    app: App
    findings: list[Finding]
    subject: Subject | None
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        """Findings by severity."""
        return {
            severity: sum(one.severity == severity for one in self.findings)
            for severity in SEVERITIES
        }

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        splits = self.subject and self.subject.splits
        return {
            "app": self.app.name(),
            "data": self.app.data,
            "examples": splits.sizes if splits else {},
            "fingerprint": splits.fingerprint() if splits else None,
            "notes": list(splits.notes) if splits else [],
            "counts": self.counts,
            "findings": [finding.to_json() for finding in self.findings],
            "seconds": round(self.seconds, 3),
        }


def examine(app: App, data_dir: Path | None, progress: Progress) -> Diagnosis:
    """Read the data as training would, and check them.

    Data that training would refuse are a grave finding. Raises DataError and
    FieldError where an address, a column or a field is a mistake.
    """
    start = time.perf_counter()
    with looking(progress) as look:
        try:
            splits = app.load_splits(data_dir)
        except AddressError:
            raise
        except DataError as error:
            found = [*reading.refused(error), *reading.lines_of(look)]
            return Diagnosis(app, worst_first(found), None, time.perf_counter() - start)
        subject = Subject(app, splits, look)
        findings = list(_found(subject, progress))
    return Diagnosis(app, worst_first(findings), subject, time.perf_counter() - start)


def checks(question: str) -> tuple[Check, ...]:
    """Of a kind of question."""
    module = importlib.import_module(MODULES[question])
    return (*SHARED, *(getattr(module, name) for name in KINDS[question]))


def _found(subject: Subject, progress: Progress) -> Iterator[Finding]:
    every = checks(subject.app.modality)
    for done, check in enumerate(every):
        progress("checking", done, len(every))
        with np.errstate(all="ignore"):
            yield from check(subject)
    progress("checking", len(every), len(every))
