"""What of a run others may read: no paths of the user's machine."""

import re
import shlex
from typing import Any

from apps.app import App
from apps.fields import flag_of
from pipelines.files import looks_like_path

# Of an absolute path within a text.
FOLDERS = re.compile(r"(?:(?<=[\s:'\"(,;=])|^)(?:~/|/(?=[^\s/]+/))(?:[^\s/'\",;]+/)*")


def address(value: str) -> str:
    """Return an address or a path without its folders: csv:houses.csv."""
    kind, colon, rest = value.rpartition(":")
    if kind == "tfds" or "/" not in rest:
        return value
    return f"{kind}{colon}{rest.rstrip('/').rpartition('/')[2]}"


def text(value: str) -> str:
    """Return a text in which absolute paths have lost their folders."""
    return FOLDERS.sub("", value)


def fields(app: App) -> dict[str, Any]:
    """Return the fields of an app that differ from the default, with public addresses."""
    default = type(app)().to_json()
    changed = {name: value for name, value in app.to_json().items() if value != default[name]}
    return {name: _public(app, name, value) for name, value in changed.items()}


def _public(app: App, name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return address(value) if name in app.address_fields or looks_like_path(value) else value


def command(app: App) -> str:
    """Return the command that trains this app again, with public addresses."""
    words = ["athanor", app.name(), "train"]
    for name, value in fields(app).items():
        flag = flag_of(name)
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag.removeprefix('--')}")
        else:
            words += [flag, str(value)]
    return shlex.join(words)
