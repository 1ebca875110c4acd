"""The section of the report page about intervals of numbers and sets of classes."""

from collections.abc import Iterator
from typing import Any

from evaluation.rounding import number, with_interval
from evaluation.run_report.tables import table


def section(found: dict[str, Any] | None, has_classes: bool) -> Iterator[str]:
    """Yield how often intervals, or sets of classes, contain the truth, by their sizes."""
    if not found:
        return
    title = "Sets of classes" if has_classes else "Prediction intervals"
    size = "classes" if has_classes else "width"
    yield f"<h2>{title}</h2>"
    yield (
        f"<p>Every prediction has {'a set' if has_classes else 'an interval'}, made to contain the "
        f"truth in {found['level']:.0%} of the cases"
        f"{', or more often, since a set has one class at least' if has_classes else ''}. In the "
        f"test set it does in {with_interval(found['covered'], found['interval'])} of "
        f"{found['examples']:,} cases. Mean {'number of classes' if has_classes else 'width'}: "
        f"{number(found['mean_size'])}.</p>"
    )
    rows = [
        [
            " to ".join(dict.fromkeys(map(number, one["sizes"]))),
            with_interval(one["covered"], one["interval"]),
            f"{one['examples']:,}",
        ]
        for one in found["parts"]
    ]
    yield from table([size, "contain the truth", "predictions"], rows)
