"""Several targets of one table: `--target a,b` trains one app for each."""

import dataclasses
from typing import Any

from apps.app import App
from apps.fields import FieldError


def column_list(names: str) -> list[str]:
    """Return the column names of a list with commas."""
    return [name.strip() for name in names.split(",") if name.strip()]


def apps_by_target(app: App) -> dict[str, App]:
    """Return an app for each of several targets, by the target; {} for a single one.

    All of them leave out the other targets and have the same splits. Raises FieldError if a
    target is named twice.
    """
    if not hasattr(app, "beside"):
        return {}
    targets = column_list(getattr(app, "target", ""))
    if len(targets) < 2:
        return {}
    repeated = [name for name in targets if targets.count(name) > 1]
    if repeated:
        raise FieldError(
            f"Received --target {','.join(targets)}, which names {repeated[0]!r} twice; expected "
            "different columns. Leave one out."
        )
    others = {
        name: [*(one for one in targets if one != name), *column_list(app.beside)]
        for name in targets
    }
    changes: dict[str, dict[str, Any]] = {
        name: {"target": name, "beside": ",".join(others[name])} for name in targets
    }
    return {name: dataclasses.replace(app, **fields) for name, fields in changes.items()}


def require_one(app: App) -> None:
    """Raise FieldError if an app has several targets."""
    targets = [*apps_by_target(app)]
    if targets:
        raise FieldError(
            f"Received --target {','.join(targets)}, several targets; expected one here: only "
            "train, by one process, takes several. Give one of them, and the others as --beside: "
            f"--target {targets[0]} --beside {','.join(targets[1:])}."
        )
