"""Files of exported versions: their numbers, names and JSON."""

import json
from pathlib import Path
from typing import Any

ABOUT = "about.json"
# Outputs of a signature that returns ranked lists, the best item first.
RANKED_LIST_OUTPUTS = {"items", "scores"}
# Outputs of a signature that also says why each item is in a list.
REQUESTED_LIST_OUTPUTS = RANKED_LIST_OUTPUTS | {"reasons", "similarities", "unknown"}
RECORDS = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_VERSION = 2**63 - 1  # in TensorFlow Serving


def read(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; empty if it cannot be read."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def versions(directory: Path) -> list[int]:
    """Return the numbers of the versions in a directory."""
    try:
        names = [path.name for path in directory.iterdir() if path.name.isdecimal()]
    except OSError:
        return []
    # 7 is a version, 007 is not.
    numbers = [int(name) for name in names if name.isascii() and name == str(int(name[:19]))]
    numbers = [number for number in numbers if number <= MAX_VERSION]
    return [number for number in numbers if (directory / str(number) / "saved_model.pb").is_file()]
