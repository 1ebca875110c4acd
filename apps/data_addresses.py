"""Turn data of any kind, such as a path, a frame or standard input, into an address."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from apps.fields import FieldError


def as_address(value: Any, kinds: tuple[str, ...]) -> Any:
    """Return the address of data given as a path, a frame, arrays or on standard input.

    `kinds` are the kinds of addresses that the app reads. Other values are returned as they are.
    """
    if isinstance(value, str) and not value.endswith("-"):
        return value
    from pipelines import frames, standard_input

    if isinstance(value, str):
        if standard_input.is_standard_input(value):
            return standard_input.store_as_address(value, kinds)
        return value
    if isinstance(value, Path):
        return str(value)
    return frames.store_as_address(value, kinds) if frames.is_data(value) else value


def require_addresses(fields: dict[str, Any], names: Collection[str]) -> None:
    """Raise FieldError if a field of JSON has a value in place of an address."""
    for name in names:
        if isinstance(value := fields.get(name), list | dict):
            raise FieldError(f"Received {name} {value!r}; expected an address, as csv:PATH.")
