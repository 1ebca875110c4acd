"""YAML files of fields, which hold plain values and nothing else."""

from pathlib import Path
from typing import Any

from apps.fields import FieldError

LARGEST = 2**20  # bytes; fields are a few hundred
DEEPEST = 8  # levels; the time to read more grows with their square


def read(path: Path, flag: str, expected: str) -> dict[str, Any]:
    """The fields in a YAML file.

    Raises FieldError, which names the flag and what was expected, where there is no such file,
    or no fields in it. Tags and aliases are refused: a few lines of aliases can stand for more
    values than a memory holds.
    """
    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1).decode()
        if len(text) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST:,} bytes")
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
    return fields


def _require_plain(text: str) -> None:
    import yaml

    depth = 0
    for token in yaml.scan(text):
        if isinstance(token, yaml.AliasToken):
            raise ValueError("it has an alias (*); write the value itself")
        name = type(token).__name__
        depth += name.endswith("StartToken") - name.endswith("EndToken")
        if depth > DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
