"""Names of the files in an exported version, and a reader of its JSON files."""

import json
from pathlib import Path
from typing import Any

ABOUT = "about.json"
RECORDS = Path("assets.extra") / "tf_serving_warmup_requests"


def read(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is none that can be read."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
