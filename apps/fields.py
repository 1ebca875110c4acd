"""The fields of an app: allowed values, and the error for all others."""

import dataclasses
import math
import typing
from typing import Any


class FieldError(ValueError):
    """A field's value that cannot be: what was received, what was expected."""

    exit_status = 2


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers that a search may draw; whole ones where both ends are."""

    low: float
    high: float
    log: bool = False


def bounded(default: Any, low: float, below: float | None = None) -> Any:
    """A dataclass field whose number lies in low <= value < below.

    By default below what 32 bits hold: a whole number where `low` is one, else a float32.
    """
    most = 2**31 if isinstance(low, int) else 2.0**127
    return dataclasses.field(default=default, metadata={"low": low, "below": below or most})


def check(field: dataclasses.Field, hint: Any, value: Any) -> None:
    """Raise FieldError unless the value fits the type, the choices and the bounds of its field."""
    if type(None) in typing.get_args(hint):
        if value is None:
            return
        (hint,) = (one for one in typing.get_args(hint) if one is not type(None))
    choices = typing.get_args(hint)
    if choices and value not in choices:
        expected = f"one of {', '.join(choices)}"
    elif hint in (int, float) and not _is_number(value, hint):
        expected = "a whole number" if hint is int else "a number"
    elif hint in (str, bool) and not isinstance(value, hint):
        expected = "a text" if hint is str else "true or false"
    elif field.metadata and value < field.metadata["low"]:
        expected = f"at least {field.metadata['low']}"
    elif field.metadata and value >= field.metadata["below"]:
        expected = f"less than {field.metadata['below']}"
    else:
        return
    flag = field.name.replace("_", "-")
    raise FieldError(f"Received --{flag} {value!r}; expected {expected}.")


def _is_number(value: Any, hint: type) -> bool:
    kinds = (int,) if hint is int else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
