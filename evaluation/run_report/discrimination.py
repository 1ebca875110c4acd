"""The section of the report page on ROC and precision-recall curves, gain and lift."""

import html
from collections.abc import Iterator
from typing import Any

from evaluation import console_tables
from evaluation.rounding import number, with_interval
from evaluation.run_report.tables import table

FIGURES = {
    "roc.png": "ROC curve",
    "precision_recall.png": "Precision and recall",
    "gain.png": "Cumulative gain",
}


def section(found: dict[str, Any] | None) -> Iterator[str]:
    """Yield the HTML of the section; nothing for a run without classes."""
    if not found:
        return
    yield "<h2>ROC and precision-recall</h2>"
    yield f'<p class="faint">{html.escape(about(found))}</p>'
    columns, rows, _ = console_tables.discrimination_table(found)
    yield from table(columns, rows)
    if found["gain"]:
        yield "<h3>Gain and lift</h3>"
        text = (
            f"If the examples with the highest probabilities are selected: the share of all "
            f"{found['positive']} that is found, how many times as many that is as at random "
            f"(lift), and the share of the selected that is right (precision)."
        )
        yield f'<p class="faint">{html.escape(text)}</p>'
        yield from table(["selected", "found", "lift", "precision"], gain_rows(found["gain"]))
    if found["per_class"]:
        yield "<h3>Each class against all others</h3>"
        yield from table(["class", "AUC", "average precision", "examples"], _class_rows(found))


def about(found: dict[str, Any]) -> str:
    """Return what the areas mean, and for which class."""
    share = f"{number(100 * found['prevalence'])} %"
    if found["positive"]:
        which = f"The positive class is {found['positive']}, {share} of the test examples."
    else:
        which = (
            f"Means over the classes, each against all others; a class has {share} of the test "
            "examples on average."
        )
    return (
        f"{which} AUC is the probability that a positive example gets a higher probability than a "
        "negative one; 0.5 is chance. Average precision is the mean precision over all recalls; "
        f"{number(found['prevalence'])} is chance. 95 % intervals; gains over the baselines are "
        "measured on the same examples."
    )


def gain_rows(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return the cells of the table of gain and lift."""
    return [
        [
            f"{100 * row['selected']:.0f} %",
            with_interval(row["found"], row["found_interval"]),
            with_interval(row["lift"], row["lift_interval"]),
            number(row["precision"]),
        ]
        for row in rows
    ]


def _class_rows(found: dict[str, Any]) -> list[list[str]]:
    return [
        [
            row["class"],
            with_interval(row["auc"], row["auc_interval"]),
            with_interval(row["average_precision"], row["average_precision_interval"]),
            f"{row['examples']:,}",
        ]
        for row in found["per_class"]
    ]
