"""The section of the report page on drift between training and test examples."""

import html
from collections.abc import Iterator
from typing import Any

from evaluation.run_report.tables import table


def section(found: dict[str, Any] | None) -> Iterator[str]:
    """Yield the HTML of the section; nothing for scores of an older version."""
    if not found or not found["columns"]:
        return
    yield "<h2>Training and test examples compared</h2>"
    natural = " The test examples are newer: some drift is natural." * (found["split"] == "time")
    text = (
        f"{found['train']:,} training and {found['test']:,} test examples, each column by itself. "
        "PSI is the population stability index: below 0.1 is usually called stable, above 0.25 a "
        f"large shift. p after Holm's correction for the number of columns.{natural}"
    )
    yield f'<p class="faint">{html.escape(text)}</p>'
    yield from table(["column", "PSI", "p", "test"], [_row(one) for one in found["columns"]])
    for side, share in found["cold"].items():
        yield f"<p>{share:.1%} of the test pairs have {side}s that training lacks.</p>"


def _row(one: dict[str, Any]) -> list[str]:
    kind = " (length)" if one["kind"] == "length" else ""
    p = "<0.001" if one["p_holm"] < 0.001 else f"{one['p_holm']:.3f}"
    return [f"{one['column']}{kind}", f"{one['psi']:.3f}", p, one["test"]]
