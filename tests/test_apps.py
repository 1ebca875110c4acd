"""Checks that every app has to pass."""

import ast
import configparser
import csv
import dataclasses
import importlib
import inspect
import itertools
import json
import sys
import typing
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import apps
import athanor
from apps.fields import Range, flag_of
from apps.temperature import Temperature
from cli import commands
from evaluation.tasks import task_of
from inference.named_outputs import name_outputs
from pipelines.batches import ordered_batches
from training.train import train

ROOT = Path(athanor.__file__).resolve().parent
MAX_FIELDS = 26
REPLACED_FIELDS = {"columns"}  # the value of another field takes their place


def field_docs(app):
    """Return the fields that have a docstring, in the source of the class and its parents."""
    documented = set()
    for cls in app.__mro__[:-1]:
        (body,) = (
            node.body
            for node in ast.walk(ast.parse(inspect.getsource(sys.modules[cls.__module__])))
            if isinstance(node, ast.ClassDef) and node.name == cls.__name__
        )
        for field, text in itertools.pairwise(body):
            is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
            if isinstance(field, ast.AnnAssign) and is_text:
                documented.add(field.target.id)
    return documented


def other_values(app):
    """Return a value other than the default for each field."""
    hints, default = typing.get_type_hints(app), app()
    return {
        field.name: _other(hints[field.name], getattr(default, field.name))
        for field in dataclasses.fields(app)
        if field.name not in REPLACED_FIELDS
    }


def _other(hint, value):
    if value is None:
        return 3 if hint == int | None else 0.25
    if choices := typing.get_args(hint):
        return next(choice for choice in reversed(choices) if choice != value)
    if hint is bool:
        return not value
    return f"{value}x" if hint is str else value + 1 if hint is int else value / 2 or 0.25


def flags(values):
    """Return field values as flags of the command line."""
    words = []
    for name, value in values.items():
        flag = flag_of(name)
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            words += [flag, str(value)]
    return words


def parsed(app, words):
    """Return the app that the command line makes of these arguments."""
    _, bound, _ = commands.command_line().parse_args(
        [app.name(), "train", *words], exit_on_error=False, print_error=False
    )
    bound.apply_defaults()
    return bound.arguments["app"]


def check_default_constructible(app):
    assert app() == app()


def check_frozen(app):
    with pytest.raises(dataclasses.FrozenInstanceError):
        app().epochs = 7


def check_fields_are_documented(app):
    missing = {field.name for field in dataclasses.fields(app)} - field_docs(app)
    assert not missing, f"{app.__name__}: document {sorted(missing)}"


def check_few_fields(app):
    assert len(dataclasses.fields(app)) <= MAX_FIELDS, f"{app.__name__}: too many flags"


def check_json_round_trip(app):
    changed = app(**other_values(app))
    assert changed != app()
    assert app.from_json(json.loads(json.dumps(changed.to_json()))) == changed


def check_command_line_round_trip(app):
    for name, value in other_values(app).items():
        assert parsed(app, flags({name: value})) == app(**{name: value}), f"--{name} is lost"
    values = other_values(app)
    assert parsed(app, flags(values)) == app(**values)


def check_command_line_defaults(app):
    assert parsed(app, []) == app()


def check_space_names_real_fields(app):
    unknown = app.space.keys() - {field.name for field in dataclasses.fields(app)}
    assert not unknown, f"{app.__name__}.space: {sorted(unknown)} are not fields"


def check_every_value_of_space_constructs(app):
    for name, values in app.space.items():
        for value in (values.low, values.high) if isinstance(values, Range) else values:
            assert getattr(app(**{name: value}), name) == value


def check_console_script(app):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"]["console_scripts"].split("\n")
    assert f"athanor-{app.name()} = athanor:main" in lines, "add a console script to setup.cfg"


def check_batches_match_the_network(run):
    prepare, network = run.app.make_preprocessing(run.splits), run.app.make_network(run.splits)
    features, _ = next(iter(ordered_batches(run.splits.train, batch_size=5, prepare=prepare)))
    inputs, batch = (keras.tree.flatten(part) for part in (network.input, features))
    for tensor, feature in zip(inputs, batch, strict=True):
        assert tf.TensorShape(tensor.shape[1:]).is_compatible_with(feature.shape[1:])
        assert keras.backend.standardize_dtype(feature.dtype) == tensor.dtype


def check_model_takes_raw_input(run):
    spec = keras.tree.map_structure(lambda one: (one.shape[1:], one.dtype), run.model.input)
    assert spec == run.splits.spec["features"]


def check_same_seed_same_scores(run, tmp_path):
    again = train(run.app, run_dir=tmp_path / "again", precision="float32", verbose=0)
    task = task_of(run)
    metrics = task.metrics
    assert metrics(task.predict_test_set(again)) == metrics(task.predict_test_set(run))
    assert history_of(again) == history_of(run)
    for weights, same in zip(again.model.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, same)


def check_other_seed_other_scores(run, tmp_path):
    app = dataclasses.replace(run.app, seed=run.app.seed + 1)
    other = train(app, run_dir=tmp_path / "other", precision="float32", verbose=0)
    assert history_of(other) != history_of(run)


def check_export_round_trip(run):
    """Preprocessed input through the network equals raw input through the export."""
    predict = tf.saved_model.load(run.path / "export" / "1").signatures["serving_default"]
    test = run.splits.test
    (only, *_) = predict.structured_input_signature[1]
    columns = test.columns or {only: test.features}
    raw = {name: column[test.rows[:100]] for name, column in columns.items()}
    exported = predict(**{name: tf.constant(column) for name, column in raw.items()})
    inside = predictions_of_the_network(run, 100)
    for name, value in name_outputs(run.task, inside).items():
        np.testing.assert_allclose(exported[name].numpy(), value, atol=1e-5, rtol=1e-5)


def history_of(run):
    with (run.path / "history.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(file)
        ]


def predictions_of_the_network(run, count):
    network = next(layer for layer in run.model.layers if isinstance(layer, keras.Model))
    few = run.splits.test.select(np.arange(min(count, len(run.splits.test))))
    prepared = ordered_batches(
        few, batch_size=count, prepare=run.app.make_preprocessing(run.splits)
    )
    outputs = network(next(iter(prepared))[0], training=False)
    output_layer = run.app.make_output_layer(run.splits)
    outputs = outputs if output_layer is None else output_layer(outputs)
    layers = [layer for layer in run.model.layers if isinstance(layer, Temperature)]
    return np.asarray(layers[0](outputs) if layers else outputs)


CLASS_CHECKS = [
    check_default_constructible,
    check_frozen,
    check_fields_are_documented,
    check_few_fields,
    check_json_round_trip,
    check_command_line_round_trip,
    check_command_line_defaults,
    check_space_names_real_fields,
    check_every_value_of_space_constructs,
    check_console_script,
]
RUN_CHECKS = [check_batches_match_the_network, check_model_takes_raw_input]
EXPORT_CHECKS = [check_export_round_trip]
TRAINING_CHECKS = [check_same_seed_same_scores]
SLOW_CHECKS = [check_other_seed_other_scores]  # each trains once more
# The app that trains in a second or two; the others are in the slow tests.
QUICK = (apps.Mnist,)


def members(checks, among=apps.ALL):
    pairs = [(app, check) for app in among for check in checks]
    ids = [f"{app.__name__}-{check.__name__}" for app, check in pairs]
    return pytest.mark.parametrize(("app", "check"), pairs, ids=ids)


@members(CLASS_CHECKS)
def test_class(app, check):
    check(app)


@members(RUN_CHECKS)
def test_run(app, check, tiny_run):
    check(tiny_run(app))


@members(EXPORT_CHECKS)
def test_export(app, check, exported):
    check(exported(app))


@members(TRAINING_CHECKS, among=QUICK)
def test_training(app, check, tiny_run, tmp_path):
    check(tiny_run(app), tmp_path)


@pytest.mark.slow
@members(TRAINING_CHECKS, among=[app for app in apps.ALL if app not in QUICK])
def test_longer_training(app, check, tiny_run, tmp_path):
    check(tiny_run(app), tmp_path)


@pytest.mark.slow
@members(SLOW_CHECKS)
def test_more_training(app, check, tiny_run, tmp_path):
    check(tiny_run(app), tmp_path)


def test_every_check_is_listed():
    written = {value for name, value in globals().items() if name.startswith("check_")}
    assert written == {*CLASS_CHECKS, *RUN_CHECKS, *EXPORT_CHECKS, *TRAINING_CHECKS, *SLOW_CHECKS}


def test_every_app_is_listed():
    for path in (ROOT / "apps").glob("*.py"):
        importlib.import_module(f"apps.{path.stem}" if path.stem != "__init__" else "apps")
    modules = {name for name in sys.modules if name.startswith("apps.")}
    written = {cls for cls in apps.App.__subclasses__() if cls.__module__ in modules}
    forgotten = {cls.__name__ for cls in written - set(apps.ALL)}
    assert not forgotten, f"apps/__init__.py: add {sorted(forgotten)} to ALL"


def test_names_are_unique_and_found():
    names = [app.name() for app in apps.ALL]
    assert len(set(names)) == len(names)
    assert [apps.get(name) for name in names] == list(apps.ALL)


def test_an_unknown_field_names_the_nearest():
    with pytest.raises(apps.FieldError, match="Did you mean 'learning_rate'"):
        apps.ALL[0].from_json({"learning_rat": 0.1})
