"""What a check found: data, to be shown, written, counted and listed."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

Severity = Literal["grave", "warning", "note"]
# Worst first.
SEVERITIES: tuple[Severity, ...] = ("grave", "warning", "note")
NOBODY = np.empty(0, "int64")
MOST_SHOWN = 8  # examples of one finding


class Shown(NamedTuple):
    """One example of a finding, for people.

    Attributes:
        split: train, valid or test; empty for what was never cut.
        where: a file, a line of a file, or a record.
        said: what is there, or what is wrong with it.
        number: its place in the pool, where it is an example; -1 otherwise.

    """

    split: str
    where: str
    said: str = ""
    number: int = -1


class Lost(NamedTuple):
    """What reading left out, for the list: it has no content to be known by."""

    split: str
    where: str


@dataclasses.dataclass(frozen=True, eq=False)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        check: the short name of what was looked for, the same for all data.
        severity: grave (scores or models cannot be believed), warning (look at it), or note.
        said: what was found, in a sentence.
        advice: what to do about it.
        count: how many examples, files, columns or ids are concerned.
        share: of how many they are a part, from 0 to 1; None where that means nothing.
        shown: a few of them.
        out: numbers in the pool of what the list names; training leaves out what is not test.
        lost: what reading leaves out already, and the list names.

    """

    check: str
    severity: Severity
    said: str
    advice: str
    count: int = 1
    share: float | None = None
    shown: Sequence[Shown] = ()
    out: np.ndarray = dataclasses.field(default_factory=lambda: NOBODY)
    lost: Sequence[Lost] = ()

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "check": self.check,
            "severity": self.severity,
            "said": self.said,
            "advice": self.advice,
            "count": int(self.count),
            "share": None if self.share is None else round(float(self.share), 6),
            "examples": [
                {"split": one.split, "where": one.where, "said": one.said} for one in self.shown
            ],
        }


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """In the order of severity; what concerns more stands before what concerns less."""
    return sorted(
        findings, key=lambda one: (SEVERITIES.index(one.severity), -(one.share or 0), one.check)
    )


def graded(share: float, *, grave: float = 2.0, warning: float = 0.0) -> Severity:
    """The severity of a share: from `grave` on, from `warning` on, or a note."""
    if share >= grave:
        return "grave"
    return "warning" if share >= warning else "note"


def counted(count: int, what: str, plural: str = "") -> str:
    """A number and its noun: 1 row, 2,000 rows."""
    return f"{count:,} {what if count == 1 else plural or what + 's'}"
