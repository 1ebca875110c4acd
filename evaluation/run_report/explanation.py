"""The section of the report about the explanation of the model, if `explain` wrote one."""

import html
import json
from collections.abc import Iterator, Mapping
from typing import Any

from evaluation.run_report.tables import picture
from training.run import Run

FILE = "explanation.json"


def load(run: Run) -> dict[str, Any] | None:
    """Return the lines and the pictures of the explanation; None without a whole one."""
    try:
        content = json.loads((run.path / FILE).read_text("utf-8"))
        found = {"lines": list(content["lines"]), "pictures": list(content["pictures"])}
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return found if all((run.path / name).is_file() for name in found["pictures"]) else None


def section(found: Mapping[str, Any] | None, pictures: Mapping[str, bytes]) -> Iterator[str]:
    """Yield the folded section; nothing without an explanation."""
    if not found or not found["pictures"]:
        return
    yield "<h2>Explanation</h2>"
    yield from (f"<p>{html.escape(line)}</p>" for line in found["lines"])
    yield f"<details><summary>{len(found['pictures'])} figures</summary>"
    for name in found["pictures"]:
        title = name.rpartition("/")[2].removesuffix(".png").replace("_", " ").capitalize()
        yield picture(title, pictures[name])
    yield "</details>"
