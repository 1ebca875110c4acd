"""What a diagnosis leaves on the disk: a page for people, a list for training."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from apps.app import App
from data_checks import page, progress
from data_checks.examine import Diagnosis, examine
from data_checks.finding import Finding, Severity, counted
from data_checks.options import CheckDataOptions
from pipelines import quarantine
from pipelines.files import atomic_write
from pipelines.inspection import Progress


def check(app: App, options: CheckDataOptions, emit: Callable[[dict[str, Any]], None]) -> None:
    """Examine data, show and write what was found, and give it to `emit`.

    Raises UnsoundError where something at least as severe as `options.fail_on` was found.
    """
    with progress.told() as tell:
        diagnosis, written = examine_and_write(app, options, tell)
    show(diagnosis)
    for name, path in written.items():
        print(f"{name}  {path}")
    emit(diagnosis.to_json() | written)
    require_sound(diagnosis, options.fail_on)


def examine_and_write(
    app: App, options: CheckDataOptions, tell: Progress
) -> tuple[Diagnosis, dict[str, str]]:
    """Examine data and write the page and the list; returns the paths of both by name."""
    diagnosis = examine(app, options.data_dir, tell)
    return diagnosis, write(diagnosis, options.report, options.write_quarantine)


class UnsoundError(Exception):
    """Data with findings that are too severe."""

    exit_status = 1


def require_sound(diagnosis: Diagnosis, fail_on: str) -> None:
    """Raise UnsoundError where something at least as severe was found."""
    severities: dict[str, list[Severity]] = {
        "grave": ["grave"],
        "warning": ["grave", "warning"],
        "never": [],
    }
    wrong = [one for one in diagnosis.findings if one.severity in severities[fail_on]]
    if wrong:
        raise UnsoundError(
            f"Received {diagnosis.app.data!r} with {counted(len(wrong), 'finding')} that "
            f"{'is' if len(wrong) == 1 else 'are'} {' or '.join(severities[fail_on])}; expected "
            "none. See the lines above; --fail-on never only tells."
        )


def show(diagnosis: Diagnosis) -> None:
    """A table on a terminal; a line a finding in a pipe."""
    rows = [
        (one.severity, one.check, one.said, one.shown[0].where if one.shown else "")
        for one in diagnosis.findings
    ]
    title = f"{diagnosis.app.name()}: {diagnosis.app.data}"
    if sys.stdout.isatty() and rows:
        from rich import box, console, text
        from rich.table import Table

        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
        for name in ("", "check", "found", "such as"):
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*map(text.Text, row))
        console.Console().print(table)
    else:
        print(title)
        for severity, check, said, where in rows:
            print(f"{severity:8} {check}: {said}" + f" ({where})" * bool(where))
    print(", ".join(f"{count} {name}" for name, count in diagnosis.counts.items()))


def write(diagnosis: Diagnosis, report: Path, listed: Path | None) -> dict[str, str]:
    """Write the page, and the list where one is wanted; their places by name."""
    with atomic_write(report) as beside:
        beside.write_text(page.page(diagnosis), encoding="utf-8", errors="backslashreplace")
    written = {"report": str(report)}
    if listed is not None:
        quarantine.write(listed, entries(diagnosis))
        written["quarantine"] = str(listed)
    return written


def entries(diagnosis: Diagnosis) -> Iterator[quarantine.Entry]:
    """Every example that a finding names, once, with the first reason."""
    subject = diagnosis.subject
    known: set[tuple[str, str]] = set()
    for finding in diagnosis.findings:
        for lost in finding.lost:
            if ("", lost.where) not in known:
                known.add(("", lost.where))
                yield quarantine.Entry("", lost.where, lost.split, finding.check, _reason(finding))
        if subject is None:
            continue
        for number in finding.out.tolist():
            key, where = quarantine.key_of(np.uint64(subject.keys[number])), subject.where(number)
            if (key, where) not in known:
                known.add((key, where))
                part, _ = subject.place(number)
                yield quarantine.Entry(key, where, part.split, finding.check, _reason(finding))


def _reason(finding: Finding) -> str:
    return finding.said.partition(";")[0]
