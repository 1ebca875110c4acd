"""Search spaces: fields of an app and the values that a tuner may propose for each."""

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any

import keras_tuner

import optimizers
from apps import fields_file
from apps.app import App
from apps.fields import FieldError, Range
from pipelines.splits import Splits
from training.distributed import strategy as distribution

Space = dict[str, tuple | Range]
# These fields choose the examples, and scores on different examples cannot be compared.
NOT_TUNABLE = {"data", "test", "target", "seed", "drop", "split", "text"}
NOT_TUNABLE |= {"user", "item", "rating", "time"}


def read(path: Path) -> Space:
    """Return the space in a YAML file; raises FieldError.

    A list of values, or `{low: 0.001, high: 0.1, log: true}`, for each field.
    """
    content = fields_file.read(path, "--space", EXPECTED)
    return {name: _values(name, given) for name, given in content.items()}


EXPECTED = (
    "a YAML file with lines such as 'width: [64, 128]' or 'learning_rate: {low: 0.001, high: 0.1, "
    "log: true}'. It takes 1e-3 for a text: write 0.001 or 1.0e-3."
)


def _values(name: str, given: Any) -> tuple | Range:
    if isinstance(given, list) and given and all(isinstance(x, str | int | float) for x in given):
        types = {str if isinstance(value, str) else type(value) for value in given}
        if types == {int, float}:
            given = [float(value) for value in given]
        if len(types) == 1 or types == {int, float}:
            return tuple(dict.fromkeys(given))
    if isinstance(given, dict) and {"low", "high"} <= given.keys() <= {"low", "high", "log"}:
        bounds = Range(**given)
        numbers = all(isinstance(x, int | float) for x in (bounds.low, bounds.high))
        if numbers and bounds.low < bounds.high and (bounds.low > 0 or not bounds.log):
            return bounds
    raise FieldError(f"Received {name}: {str(given)[:60]} in the space; expected {EXPECTED}")


def check(app: App, space: Space) -> None:
    """Raise FieldError for an unknown field, one that cannot be tuned, or a wrong value.

    Also raises what `optimizers.get` raises.
    """
    known = app.to_json()
    for name, values in space.items():
        if name not in known:
            type(app).from_json({name: None})  # raises, with the nearest right name
        if name in NOT_TUNABLE:
            raise FieldError(
                f"Received {name} in the space; expected fields of the model, its training or its "
                "pipeline: scores on other examples cannot be compared."
            )
        for value in (values.low, values.high) if isinstance(values, Range) else values:
            dataclasses.replace(app, **{name: value})
            if name == "optimizer" and optimizers.get_solver(value) is None:
                optimizers.get(value, 0.1)  # raises for an unknown optimizer


def hyperparameters(app: App, space: Space) -> keras_tuner.HyperParameters:
    """Return the space in KerasTuner's form; the app's value is the default if the space has it."""
    hyperparameters = keras_tuner.HyperParameters()
    defaults = _app_values(app, space)
    for name, values in space.items():
        if isinstance(values, Range):
            sampling = "log" if values.log else "linear"
            whole = _is_integer(app, name)
            add, number = (hyperparameters.Int, int) if whole else (hyperparameters.Float, float)
            bounds = number(values.low), number(values.high)
            add(name, *bounds, sampling=sampling, default=defaults.get(name))
        else:
            ordered = not any(isinstance(value, str | bool) for value in values)
            default = defaults.get(name)
            hyperparameters.Choice(name, list(values), ordered=ordered, default=default)
    return hyperparameters


def _is_integer(app: App, name: str) -> bool:
    """Whether a field takes whole numbers only."""
    return typing.get_type_hints(type(app))[name] in (int, int | None)


def searchable(app: App, space: Space, splits: Splits) -> Space:
    """Return the space without fields of the app's own space that have no effect on these data.

    Raises FieldError if none is left: all trials would be equal.
    """
    if space != app.space:
        return space
    names = app.searchable_fields(splits)
    if not names:
        raise FieldError(
            f"Received {app.name()} tune of a model that uses none of {', '.join(space)} on these "
            f"data; expected one that does. Train it: athanor {app.name()} train; or choose "
            "another --model, or fields of your own by --space."
        )
    return {name: values for name, values in space.items() if name in names}


def with_batch_size(app: App, space: Space, count: int, replicas: int) -> tuple[App, Space]:
    """Return app and space for `count` training examples, with the automatic batch size filled in.

    The automatic size becomes a value of the app's own space, so that the first trial is the app
    as given; sizes above `count` leave the space.
    """
    values = space.get("batch_size")
    if values is None or app.batch_size is not None:
        return app, space
    chosen = distribution.batch_size(app, count, replicas)
    if isinstance(values, tuple) and values == app.space.get("batch_size"):
        values = tuple(sorted({chosen, *(size for size in values if size <= count)}))
    return dataclasses.replace(app, batch_size=chosen), space | {"batch_size": values}


def with_learning_rate(app: App, space: Space, steps: int) -> tuple[App, Space]:
    """Return app and space with the learning rate that `train` would choose for `steps` steps.

    The range in the app's own space suits a long run. A short run has a lower automatic learning
    rate, so both ends of the range are multiplied by the same factor.
    """
    values = space.get("learning_rate")
    if values is None or app.learning_rate is not None:
        return app, space
    peak = app.peak_learning_rate_for(steps)
    if isinstance(values, Range) and values == app.space.get("learning_rate"):
        factor = peak / app.peak_learning_rate
        values = dataclasses.replace(values, low=values.low * factor, high=values.high * factor)
    return dataclasses.replace(app, learning_rate=peak), space | {"learning_rate": values}


def default(app: App, space: Space) -> dict[str, Any] | None:
    """Return the app's own values; None unless the space holds all of them."""
    values = _app_values(app, space)
    return values if len(values) == len(space) else None


def _app_values(app: App, space: Space) -> dict[str, Any]:
    """Return the app's own values of the fields whose space holds them."""
    fields = app.to_json() | {"learning_rate": app.peak_learning_rate}
    return {name: fields[name] for name in space if _contains(space[name], fields[name])}


def _contains(values: tuple | Range, value: Any) -> bool:
    if isinstance(values, Range):
        return isinstance(value, int | float) and values.low <= value <= values.high
    return value in values


def with_values(app: App, values: dict[str, Any]) -> App:
    """Return the app with the values of a trial. Raises FieldError if they conflict."""
    fields = {name: value for name, value in values.items() if not name.startswith("tuner/")}
    # Hyperband gives most trials fewer epochs.
    fields |= {"epochs": values["tuner/epochs"]} if "tuner/epochs" in values else {}
    return dataclasses.replace(app, **fields)


def to_json(space: Space) -> dict[str, Any]:
    """Return the space in plain values."""
    plain = {
        name: dataclasses.asdict(values) if isinstance(values, Range) else list(values)
        for name, values in space.items()
    }
    return json.loads(json.dumps(plain))
