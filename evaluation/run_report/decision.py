"""The section of the report page on the decision of a run: threshold, costs, abstaining."""

import html
from collections.abc import Iterator
from typing import Any

from evaluation.rounding import decimals, number, p_value, rounded, with_interval
from evaluation.run_report.tables import table

COLUMNS = ("precision", "recall", "selected", "cost")


def section(found: dict[str, Any] | None) -> Iterator[str]:
    """Yield the HTML of the section; nothing for a run without a decision."""
    if not found:
        return
    yield "<h2>Decision</h2>"
    yield (
        f"<p>{html.escape(found['text'])}. It was chosen on validation examples and is judged on "
        "the test examples here; all other scores are those of the most probable class.</p>"
    )
    if found["rows"]:
        yield from table(*rows_table(found))
    for line in sentences(found):
        yield f"<p>{html.escape(line)}</p>"


def rows_table(found: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the columns and the cells of the scores of the decision and the usual rule."""
    rows = found["rows"]
    names = [name for name in COLUMNS if any(name in row for row in rows)]
    titles = {"selected": "share selected", "cost": "cost per example"}
    cells = [
        [
            _title(row),
            *(
                with_interval(row[one], row[f"{one}_interval"]) if one in row else ""
                for one in names
            ),
        ]
        for row in rows
    ]
    return ["", *(titles.get(name, name) for name in names)], cells


def _title(row: dict[str, Any]) -> str:
    threshold = f", threshold {row['threshold']:g}" if "threshold" in row else ""
    return f"{row['rule']}{threshold}"


def sentences(found: dict[str, Any]) -> Iterator[str]:
    """Yield what the decision saves, and what abstaining does."""
    if gain := found["gain"]:
        low, high = gain["interval"]
        texts = [rounded(value, decimals(low, high)) for value in (gain["saved"], low, high)]
        yield (
            f"The decision saves {texts[0]} per test example against the most probable class (95 % "
            f"interval {texts[1]} to {texts[2]}; {p_value(gain['p'])}), on the same examples."
        )
    if part := found["abstaining"]:
        answered, right, of_all = (
            with_interval(part[name], part[f"{name}_interval"])
            for name in ("answered", "accuracy", "accuracy_of_all")
        )
        yield (
            f"Below a confidence of {number(part['confidence'])} the answer is unsure. A share of "
            f"{answered} is answered; of these answers {right} are right. If all were answered, "
            f"{of_all} would be."
        )
