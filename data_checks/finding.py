"""Findings of the data checks: what is wrong, how severe it is, and where it occurs."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")  # worst first
NO_NUMBERS = np.empty(0, "int64")
MAX_OCCURRENCES = 8  # listed for one finding


class Occurrence(NamedTuple):
    """One place in the data to which a finding applies.

    Attributes:
        split: train, valid or test; empty if the place belongs to no split.
        where: a file, a line of a file, or a record.
        detail: the content, or what is wrong with it.
        number: the example's index in `CheckedData`; -1 if it is no example.

    """

    split: str
    where: str
    detail: str = ""
    number: int = -1


class UnreadExample(NamedTuple):
    """A row or file that reading skipped; a quarantine list names it by its location only."""

    split: str
    where: str


@dataclasses.dataclass(frozen=True, eq=False)
class Finding:
    """One result of a check.

    Attributes:
        check: the short name of the check, the same for all data sets.
        severity: error (scores or models cannot be trusted), warning (look at it), or note.
        message: the finding as a sentence.
        advice: what the user can do.
        count: number of examples, files, columns or ids concerned.
        share: their share of all, from 0 to 1; None if a share has no meaning.
        occurrences: some places in the data to which the finding applies.
        to_quarantine: indices of the examples that the quarantine list names.
        unread: rows and files that reading skipped, which the list names too.
        reasons: a reason for each example of the list; by default the message.
        details: further entries of the JSON.

    """

    check: str
    severity: Severity
    message: str
    advice: str
    count: int = 1
    share: float | None = None
    occurrences: Sequence[Occurrence] = ()
    to_quarantine: np.ndarray = dataclasses.field(default_factory=lambda: NO_NUMBERS)
    unread: Sequence[UnreadExample] = ()
    reasons: Sequence[str] = ()
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON, for `--json`."""
        return {
            "check": self.check,
            "severity": self.severity,
            "said": self.message,
            "advice": self.advice,
            "count": int(self.count),
            "share": None if self.share is None else round(float(self.share), 6),
            "examples": [
                {"split": occurrence.split, "where": occurrence.where, "said": occurrence.detail}
                for occurrence in self.occurrences
            ],
            **self.details,
        }


def sort_by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """Sort findings by severity; within one severity the larger share comes first."""
    return sorted(
        findings,
        key=lambda finding: (
            SEVERITIES.index(finding.severity),
            -(finding.share or 0),
            finding.check,
        ),
    )


def severity_of(share: float, *, error: float = 2.0, warning: float = 0.0) -> Severity:
    """Return error if the share reaches `error`, warning if it reaches `warning`, else note."""
    if share >= error:
        return "error"
    return "warning" if share >= warning else "note"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun: 1 row, 2,000 rows."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
