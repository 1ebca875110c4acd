"""`predict` uses a saved graph, without Keras, and its predictions equal those of the model."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import apps
from apps import Finetune, Mnist, Recommender, Regression, Text
from inference import saved_graph
from inference.predict import examples, predict
from training import provenance
from training.run import Run

ROOT = Path(__file__).resolve().parents[1]
MAX_SECONDS = 2.6  # of the processor, user and system

ONE = """
import json, os, resource, sys
import athanor
arguments = json.loads(sys.argv[1])
os._exit = lambda status: None
sys.argv = ["athanor", *arguments]
athanor.main()
used = resource.getrusage(resource.RUSAGE_SELF)
public = "tensorflow._api.v2.v2" in sys.modules or "tensorflow._api.v2.compat" in sys.modules
seen = {"keras": "keras" in sys.modules, "public": public}
print(json.dumps(seen | {"seconds": used.ru_utime + used.ru_stime}))
"""

# TensorFlow's public API and Keras after an answer that needed neither.
AFTER = """
assert not public and not seen["keras"]
import keras
import tensorflow as tf
assert tf.executing_eagerly() and tf.__version__.startswith("2.")
assert float(tf.reduce_sum(keras.layers.Dense(2, kernel_initializer="ones")(tf.ones([1, 3])))) == 6
print(json.dumps("both"))
"""


# A test that has asked the shared run before keeps a graph beside it.
WITHOUT_GRAPH = shutil.ignore_patterns("graph")


@pytest.fixture
def kept(tiny_run, made_once, tmp_path):
    """A function from an app to a copy of its run, with a graph."""

    def with_graph(app):
        def write(path):
            shutil.copytree(tiny_run(app).path, path, ignore=WITHOUT_GRAPH)
            saved_graph.save(Run.load(path))

        shutil.copytree(made_once(f"graph-{app.name()}", write), tmp_path / app.name())
        run = Run.load(tmp_path / app.name())
        assert saved_graph.is_current(run)
        run.model  # noqa: B018 - this object asks its model, another one the graph
        return run

    return with_graph


def asked_of(run):
    """Return inputs of a run; ids have a pair and a user."""
    return examples(run, 3)


def flat(rows):
    """Return the texts and the numbers of predictions, in order."""
    texts, numbers = [], []
    for row in rows:
        for value in row.values():
            if isinstance(value, list):
                inner = flat(one if isinstance(one, dict) else {"": one} for one in value)
                texts, numbers = texts + inner[0], numbers + inner[1]
            else:
                (numbers if isinstance(value, float) else texts).append(value)
    return texts, numbers


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.name())
def test_the_graph_predicts_as_the_model(app, kept):
    run = kept(app)
    inputs = asked_of(run)
    assert "model" in vars(run)
    by_model = predict(run, inputs)
    fresh = Run.load(run.path)
    by_graph = predict(fresh, inputs)
    assert vars(fresh)["graph"] is not None and "model" not in vars(fresh)
    (texts, numbers), (wanted_texts, wanted) = flat(by_graph), flat(by_model)
    assert texts == wanted_texts
    np.testing.assert_allclose(numbers, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "columns", ["size", "kind", pytest.param("size,kind", marks=pytest.mark.thorough)]
)
def test_rows_with_one_type_of_column_are_predicted(columns, tmp_path, run_cli):
    """Without numbers or without texts, one of the matrices has no columns."""
    names = columns.split(",")
    cells = {"size": [f"{k % 13}.5" for k in range(200)], "kind": ["oak", "elm"] * 100}
    lines = [
        ",".join([*row, str(k % 7)])
        for k, row in enumerate(zip(*map(cells.get, names), strict=True))
    ]
    (tmp_path / "rows.csv").write_text("\n".join([f"{columns},price", *lines, ""]))
    train = ["--data", f"csv:{tmp_path / 'rows.csv'}", "--target", "price", "--model", "linear"]
    status, _, err = run_cli("regression", "train", *train, "--run-dir", tmp_path / "run")
    assert status == 0, err
    run = Run.load(tmp_path / "run")
    assert saved_graph.is_current(run)
    given = predict(run, [str(tmp_path / "rows.csv")])
    assert vars(run)["graph"] is not None
    run.model  # noqa: B018 - from now on it is asked
    assert [row["value"] for row in given] == pytest.approx(
        [row["value"] for row in predict(run, [str(tmp_path / "rows.csv")])], rel=1e-5
    )


def test_a_graph_of_another_user_is_not_loaded(kept, monkeypatch):
    run = kept(Mnist)
    monkeypatch.setattr("inference.servable.Servable", None)
    inputs = asked_of(run)

    def answers_without_it():
        fresh = Run.load(run.path)
        assert not saved_graph.is_current(fresh)
        return predict(fresh, inputs)

    variables = next((run.path / "graph" / "variables").glob("*.data*"))
    content = variables.read_bytes()
    variables.write_bytes(content[:-1] + b"x")
    before = answers_without_it()
    variables.write_bytes(content)
    assert saved_graph.is_current(run)
    mark = run.path / "graph" / provenance.SIGNATURE_FILE
    mark.write_text("0" * 64)
    assert answers_without_it() == before


def test_a_graph_of_another_model_is_replaced(kept):
    run = kept(Mnist)
    told = run.path / "run.json"
    told.write_text(told.read_text() + " ")
    provenance.sign(run.path, provenance.RUN_FILES)
    assert not saved_graph.is_current(run)
    saved_graph.save(run)
    assert saved_graph.is_current(run)
    assert not list(run.path.glob(".graph-*"))


def test_a_graph_of_an_older_model_is_not_used(kept):
    """With --trust the changed model predicts, not the graph of the previous one."""
    run = kept(Mnist)
    with (run.path / "model.keras").open("ab") as file:
        file.write(b" ")
    assert not saved_graph.is_current(run)


@pytest.mark.parametrize(
    "app",
    [pytest.param(Mnist, marks=pytest.mark.thorough), Regression],
    ids=lambda app: app.name(),
)
def test_replacing_a_graph_while_it_is_opened_changes_no_prediction(app, kept, monkeypatch):
    """The checked file is the one that is loaded; if it is gone, the model predicts."""
    run = kept(app)
    inputs = asked_of(run)
    wanted = predict(run, inputs)
    require = provenance.require_signature

    def replaced(directory, patterns, **options):
        require(directory, patterns, **options)
        if directory.name == "graph" and (run.path / "graph").is_dir():
            shutil.rmtree(run.path / "graph")
            (run.path / "graph").mkdir()

    monkeypatch.setattr(provenance, "require_signature", replaced)
    (texts, numbers), (wanted_texts, expected) = map(
        flat, (predict(Run.load(run.path), inputs), wanted)
    )
    assert texts == wanted_texts
    np.testing.assert_allclose(numbers, expected, rtol=1e-5, atol=1e-5)


def test_no_graph_is_saved_in_a_run_of_another_user(tiny_run, tmp_path, monkeypatch):
    shutil.copytree(tiny_run(Mnist).path, tmp_path / "run", ignore=WITHOUT_GRAPH)
    run = Run.load(tmp_path / "run")
    monkeypatch.setenv("ATHANOR_KEY_FILE", str(tmp_path / "another" / "key"))
    provenance._key.cache_clear()
    try:
        saved_graph.save(run)
        assert not (run.path / "graph").exists()
    finally:
        provenance._key.cache_clear()


def source_of(module):
    """Return the file of a module or a package; None if it is not of Athanor."""
    path = ROOT / module.replace(".", "/")
    found = (path / "__init__.py", path.with_suffix(".py"))
    return next((one for one in found if one.is_file()), None)


def imported(module):
    """Yield the modules that a module imports, without imports inside functions."""
    for node in ast.parse(source_of(module).read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", ["inference.modalities", "inference.saved_graph"])
def test_predicting_does_not_import_keras(module):
    known, left = set(), {module}
    while left:
        one = left.pop()
        known.add(one)
        if source_of(one):
            left |= set(imported(one)) - known
    assert {"numpy", "training.run"} <= known
    assert not {"keras", "sklearn", "matplotlib"} & {one.partition(".")[0] for one in known}


def command(app, run, inputs):
    return json.dumps([app.name(), "predict", str(run.path), *inputs, "--json"])


def last_line(program, words):
    """Return the last line that a new process prints; it must print no warning."""
    done = subprocess.run(
        [sys.executable, "-c", program, words],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "app", [Finetune, Mnist, Recommender, Regression, Text], ids=lambda a: a.name()
)
def test_one_prediction_takes_less_than_three_processor_seconds(app, kept):
    run = kept(app)
    inputs = asked_of(run)[:1]
    if app is Regression:
        path = Path(inputs[0])
        path.write_text("\n".join(path.read_text().splitlines()[:2]) + "\n")
    used = [last_line(ONE, command(app, run, inputs)) for _ in range(2)]
    assert not used[-1]["keras"] and not used[-1]["public"]
    assert min(one["seconds"] for one in used) < MAX_SECONDS


@pytest.mark.thorough
def test_unused_modules_are_imported_on_first_use(kept):
    run = kept(Mnist)
    assert last_line(ONE + AFTER, command(Mnist, run, asked_of(run)[:1])) == "both"
