"""The section of the report about slices of the test examples: the worst first."""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evaluation.rounding import decimals, p_value, rounded, with_interval
from evaluation.run_report.tables import table
from evaluation.slices.search import Slice

MIN_SHOWN, MAX_SHOWN = 5, 12  # slices that are not folded
COLUMNS = ("slice", "examples", "{metric}", "in the rest", "corrected p")


def section(found: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield the section; nothing without slices."""
    if not found or not found["slices"]:
        return
    rows = [Slice.from_json(one) for one in found["slices"]]
    worse = found["worse"]
    yield "<h2>Slices</h2>"
    yield f"<p>{html.escape(_summary(rows, worse))}</p>"
    yield f'<p class="faint">{html.escape(_about(found))}</p>'
    columns = [name.format(metric=found["metric"]) for name in COLUMNS]
    count = min(max(worse, MIN_SHOWN), MAX_SHOWN)
    yield from _open_table(columns, rows[:count])
    if folded := rows[count:]:
        yield f"<details><summary>{len(folded):,} more slices</summary>"
        yield from _open_table(columns, folded)
        yield "</details>"


def _open_table(columns: Sequence[str], rows: Sequence[Slice]) -> Iterator[str]:
    """Yield a table that is not folded in itself, and whose names are wrapped on a phone."""
    for line in table(columns, _cells(rows)):
        if not line.startswith(("<details", "</details")):
            yield line.replace("<tr><td>", '<tr><td class="text">')


def _summary(rows: Sequence[Slice], worse: int) -> str:
    answers = sum(one.is_worse and one.of_answer for one in rows)
    if not worse:
        return "On no slice of the test examples is the model worse than on the rest beyond chance."
    noun = "one slice" if worse == 1 else f"{worse:,} slices"
    verb = "is" if answers == 1 else "are"
    classes = f"; {answers:,} of them {verb} by true class" if answers else ""
    listed = f" The {len(rows):,} least probable are listed." if worse > len(rows) else ""
    return f"The model is worse on {noun} than on the rest beyond chance{classes}.{listed}"


def _about(found: Mapping[str, Any]) -> str:
    sample = f", a sample of {found['examples']:,}" if found["sampled"] else ""
    return (
        f"Parts of the test examples{sample} with at least {found['min_examples']:,} examples, the "
        f"least probable first. 95 % intervals of each alone; p is the probability of a slice as "
        f"bad as this if none is worse, corrected for the {found['tested']:,} slices that were "
        "looked at (Benjamini and Hochberg)."
    )


def _cells(rows: Sequence[Slice]) -> list[list[str]]:
    return [
        [
            one.name,
            f"{one.examples:,}",
            with_interval(one.score, one.interval),
            "" if one.rest is None else rounded(one.rest, decimals(*one.interval)),
            p_value(one.p_corrected).removeprefix("p = ").removeprefix("p "),
        ]
        for one in rows
    ]
