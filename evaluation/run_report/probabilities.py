"""The section of the report page about probabilities."""

from collections.abc import Iterator
from typing import Any

from evaluation.rounding import number, with_interval
from evaluation.run_report.tables import table


def section(found: dict[str, Any] | None) -> Iterator[str]:
    """Yield whether probabilities are frequencies, and were so before the model's temperature."""
    if not found:
        return
    yield "<h2>Probabilities</h2>"
    yield (
        f"<p>Brier score {with_interval(found['brier'], found['brier_interval'])}; expected "
        f"calibration error {with_interval(found['ece'], found['ece_interval'])}. A calibrated "
        f"model would have an error of at most {number(found['ece_of_calibrated'])} in 99 of 100 "
        f"cases. Mean confidence {number(found['confidence'])}, right {number(found['right'])}.</p>"
    )
    if before := found.get("before"):
        yield (
            f'<p class="faint">The model divides its logits by a temperature of '
            f"{number(found['temperature'])}, chosen on validation examples. Without it the Brier "
            f"score is {number(before['brier'])}, the calibration error "
            f"{number(before['ece'])}.</p>"
        )
    rows = [
        [
            number(one["confidence"]),
            with_interval(one["right"], one["interval"]),
            f"{one['predictions']:,}",
        ]
        for one in found["bins"]
    ]
    yield from table(["confidence", "right", "predictions"], rows)
