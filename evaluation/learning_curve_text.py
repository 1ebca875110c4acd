"""What learning_curve.json says, in words."""

import json
from collections.abc import Mapping
from typing import Any

from apps.metrics import metric
from evaluation.decisive import worthwhile_gain
from evaluation.rounding import decimals, rounded
from training.run import Run

FILE, FIGURE = "learning_curve.json", "learning_curve.png"


def read(run: Run) -> dict[str, Any] | None:
    """Return the content of a finished learning_curve.json; None without one."""
    try:
        content = json.loads((run.path / FILE).read_text())
        return content if "text" in content and (run.path / FIGURE).is_file() else None
    except (OSError, ValueError, TypeError):
        return None


def sentence(content: Mapping[str, Any]) -> str:
    """Say what twice the training examples would bring, and what to do."""
    name, doubled = content["metric"], content["doubled"]
    definition, (low, high) = metric(name), doubled["gain_interval"]
    scale, unit = (100, "points") if definition.format == "fraction" else (1, content["unit"])
    places = decimals(scale * low, scale * high)
    gain, least, most = (rounded(scale * one, places) for one in (doubled["gain"], low, high))
    margin = worthwhile_gain(name, content["now"]["score"])
    if high < margin:
        advice = "More examples of this kind hardly help: better features or another model may."
    elif low > margin:
        advice = "Collecting more examples is worth it."
    else:
        advice = "Whether more examples are worth it remains open: more --fits narrow the interval."
    return (
        f"Twice the training examples, {doubled['examples']:,}, would improve {name} by about "
        f"{gain} {unit}".rstrip()
        + f" (95 % interval {least} to {most}). {advice}"
    )
