"""Checks of the fields of apps and options: type, choices and bounds."""

import dataclasses
import difflib
import math
import typing
from pathlib import Path
from typing import Any, Literal

if typing.TYPE_CHECKING:
    Address = Any  # data frames and arrays are accepted too, and become addresses
else:
    Address = str

# Files and commands made for older versions may use the old name of a field.
RENAMED_FIELDS = {"margin": "svm_c"}


class FieldError(ValueError):
    """A value that a field cannot have: what was received, what was expected."""

    exit_status = 2


@dataclasses.dataclass(frozen=True)
class Range:
    """A range of numbers from which a search draws; integers if both ends are."""

    low: float
    high: float
    log: bool = False


def with_current_names(fields: dict[str, Any]) -> dict[str, Any]:
    """Replace the old names of fields."""
    return {RENAMED_FIELDS.get(name, name): value for name, value in fields.items()}


def flag_of(name: str) -> str:
    """Return the flag of a field: --batch-size, and --as for as_, which Python does not allow."""
    return f"--{name.strip('_').replace('_', '-')}"


def known_fields(fields: dict[str, Any], app: Any, app_name: str) -> dict[str, Any]:
    """Return fields of an app with current names. Raises FieldError for an unknown name."""
    names = [field.name for field in dataclasses.fields(app)]
    fields = with_current_names(fields)
    for name in fields:
        if name not in names:
            matches = difflib.get_close_matches(name, names, 1)
            hint = f" Did you mean {matches[0]!r}?" if matches else ""
            raise FieldError(f"Received the field {name!r}; {app_name} has none.{hint}")
    return fields


def bounded(default: Any, low: float, below: float | None = None) -> Any:
    """Return a dataclass field whose value satisfies low <= value < below.

    `below` defaults to the limit of 32 bits: of an int32 if `low` is an integer, else of a
    float32.
    """
    limit = 2**31 if isinstance(low, int) else 2.0**127
    return dataclasses.field(default=default, metadata={"low": low, "below": below or limit})


def check(instance: Any) -> None:
    """Check every field of a dataclass against its type, choices and bounds.

    A text given for a path becomes a Path. Raises FieldError, which names the field as its flag.
    """
    hints = typing.get_type_hints(type(instance))
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        hint = _without_none(hints[field.name])
        if value is None and hint is not hints[field.name]:
            continue
        if hint is Path and isinstance(value, str):
            object.__setattr__(instance, field.name, value := Path(value))
        if expected := _expected(field, hint, value):
            raise FieldError(f"Received {flag_of(field.name)} {value!r}; expected {expected}.")


def _without_none(hint: Any) -> Any:
    """Return the type T of `T | None`; any other type as it is."""
    kinds = typing.get_args(hint)
    return next(kind for kind in kinds if kind is not type(None)) if type(None) in kinds else hint


def _expected(field: dataclasses.Field, hint: Any, value: Any) -> str:
    """Return what a field accepts, in words; "" if the value is valid."""
    choices = typing.get_args(hint) if typing.get_origin(hint) is Literal else ()
    if choices:
        return "" if value in choices else f"one of {', '.join(choices)}"
    if hint in (int, float) and not _is_number(value, hint):
        return "a whole number" if hint is int else "a number"
    if hint in (str, bool, Path) and not isinstance(value, hint):
        return {str: "a text", bool: "true or false", Path: "a path"}[hint]
    if field.metadata and value < field.metadata["low"]:
        return f"at least {field.metadata['low']}"
    if field.metadata and value >= field.metadata["below"]:
        return f"less than {field.metadata['below']}"
    return ""


def _is_number(value: Any, hint: type) -> bool:
    kinds = (int,) if hint is int else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
