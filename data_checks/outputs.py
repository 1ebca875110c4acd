"""Write the outputs of check-data: lines on the terminal, report page, quarantine list."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from apps.app import App
from data_checks import page, progress
from data_checks.examine import Diagnosis, examine
from data_checks.finding import Finding, Severity, counted
from data_checks.label_errors.check import label_errors
from data_checks.options import CheckDataOptions
from pipelines import quarantine
from pipelines.files import atomic_write
from pipelines.inspection import Progress


def check(app: App, options: CheckDataOptions, emit: Callable[[dict[str, Any]], None]) -> None:
    """Check the data, show and write the findings, and give them to `emit` as JSON.

    Raises UnsoundError if a finding is at least as severe as `options.fail_on`.
    """
    with progress.shown_progress() as report_progress:
        diagnosis, written = examine_and_write(app, options, report_progress)
    show(diagnosis)
    for name, path in written.items():
        print(f"{name}  {path}")
    emit(diagnosis.to_json() | written)
    require_sound(diagnosis, options.fail_on)


def examine_and_write(
    app: App, options: CheckDataOptions, report_progress: Progress
) -> tuple[Diagnosis, dict[str, str]]:
    """Check the data and write the report and the list; returns both paths by name."""
    extra = (label_errors,) if options.labels else ()
    diagnosis = examine(app, options.data_dir, report_progress, extra)
    return diagnosis, write(diagnosis, options)


class UnsoundError(Exception):
    """The data have findings that are too severe."""

    exit_status = 1


def require_sound(diagnosis: Diagnosis, fail_on: str) -> None:
    """Raise UnsoundError if a finding is at least as severe as `fail_on`."""
    severities: dict[str, list[Severity]] = {
        "error": ["error"],
        "grave": ["error"],  # the old name, for one release
        "warning": ["error", "warning"],
        "never": [],
    }
    wrong = [finding for finding in diagnosis.findings if finding.severity in severities[fail_on]]
    if wrong:
        raise UnsoundError(
            f"Received {diagnosis.app.data!r} with {counted(len(wrong), 'finding')} of "
            f"severity {' or '.join(severities[fail_on])}; expected none. See the lines above; "
            "with --fail-on never the exit status is 0."
        )


def show(diagnosis: Diagnosis) -> None:
    """Print a table on a terminal, or one line for each finding in a pipe."""
    rows = [
        (
            finding.severity,
            finding.check,
            finding.message,
            finding.occurrences[0].where if finding.occurrences else "",
        )
        for finding in diagnosis.findings
    ]
    title = f"{diagnosis.app.name()}: {diagnosis.app.data}"
    if sys.stdout.isatty() and rows:
        from rich import box, console, text
        from rich.table import Table

        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
        for name in ("", "check", "finding", "for example"):
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*map(text.Text, row))
        console.Console().print(table)
    else:
        print(title)
        for severity, check, message, where in rows:
            print(f"{severity:8} {check}: {message}" + f" ({where})" * bool(where))
    print(", ".join(f"{count} {name}" for name, count in diagnosis.counts.items()))


def write(diagnosis: Diagnosis, options: CheckDataOptions) -> dict[str, str]:
    """Write the report and the requested lists; returns their paths by name."""
    with atomic_write(options.report) as temporary:
        temporary.write_text(page.page(diagnosis), encoding="utf-8", errors="backslashreplace")
    written = {"report": str(options.report)}
    if options.write_quarantine is not None:
        quarantine.write(options.write_quarantine, entries(diagnosis))
        written["quarantine"] = str(options.write_quarantine)
    splits = diagnosis.data and diagnosis.data.splits
    if options.write_columns is not None and splits and splits.column_table:
        with atomic_write(options.write_columns) as temporary:
            temporary.write_text(splits.column_table.csv(splits.train), "utf-8")
        written["columns"] = str(options.write_columns)
    return written


def entries(diagnosis: Diagnosis) -> Iterator[quarantine.Entry]:
    """Yield an entry for each example that a finding names, with the first reason."""
    data = diagnosis.data
    listed: set[tuple[str, str]] = set()
    for finding in diagnosis.findings:
        for skipped in finding.unread:
            if ("", skipped.where) not in listed:
                listed.add(("", skipped.where))
                yield quarantine.Entry(
                    "", skipped.where, skipped.split, finding.check, _reason(finding)
                )
        if data is None:
            continue
        for index, number in enumerate(finding.to_quarantine.tolist()):
            key, where = quarantine.key_of(np.uint64(data.keys[number])), data.where(number)
            if (key, where) not in listed:
                listed.add((key, where))
                part, _ = data.locate(number)
                reason = finding.reasons[index] if finding.reasons else _reason(finding)
                yield quarantine.Entry(key, where, part.split, finding.check, reason)


def _reason(finding: Finding) -> str:
    return finding.message.partition(";")[0]
