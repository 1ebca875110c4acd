"""YAML files of fields, which contain plain values and nothing else."""

from pathlib import Path
from typing import Any

from apps.fields import FieldError, with_current_names

MAX_BYTES = 2**20  # fields take a few hundred
MAX_DEPTH = 8  # levels of nesting; the time to read more grows with their square


def read(path: Path, flag: str, expected: str) -> dict[str, Any]:
    """Return the fields in a YAML file.

    Raises FieldError, which names the flag and what was expected, if there is no such file or
    it has no fields. Tags and aliases are refused: a few lines of aliases can stand for more
    values than fit into memory.
    """
    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode()
        if len(text) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        _require_plain(text)
        fields = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        raise FieldError(f"Received {flag} {str(path)!r}: {reason}; expected {expected}") from error
    if not isinstance(fields, dict) or not fields:
        raise FieldError(f"Received {flag} {str(path)!r} without fields; expected {expected}")
    for name in fields:
        if not isinstance(name, str):
            raise FieldError(
                f"Received {flag} {str(path)!r} with the name {name!r:.50}; expected {expected}"
            )
    return with_current_names(fields)


def _require_plain(text: str) -> None:
    import yaml

    depth = 0
    for token in yaml.scan(text):
        if isinstance(token, yaml.AliasToken):
            raise ValueError("it has an alias (*); write the value itself")
        name = type(token).__name__
        depth += name.endswith("StartToken") - name.endswith("EndToken")
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
