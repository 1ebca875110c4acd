"""The Python API: the names of `import athanor`, and the examples of docs/python.md."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import athanor
from apps import FieldError, Mnist, Recommender, Regression, Text
from inference.inputs import UnreadableError
from training.run import RunError

ROOT = Path(athanor.__file__).resolve().parent
PAGE = (ROOT / "docs" / "python.md").read_text()
LAZY = """
import sys, time
start = time.process_time()
import athanor
seconds = time.process_time() - start
heavy = {"tensorflow", "keras", "numpy", "cyclopts"} & set(sys.modules)
assert not heavy and seconds < 0.1, (heavy, seconds)
athanor.Regression(data="csv:nowhere.csv")
assert not {"tensorflow", "keras"} & set(sys.modules)
"""


def test_import_is_light():
    subprocess.run([sys.executable, "-c", LAZY], check=True, cwd=ROOT)


def test_names_are_sorted_and_documented():
    assert athanor.__all__ == sorted(athanor.__all__) == dir(athanor)
    names_of_modules = [name for names in athanor.MODULES.values() for name in names]
    assert sorted(names_of_modules) == athanor.__all__
    for name in athanor.__all__:
        assert getattr(athanor, name).__doc__, name


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "athanor.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name for node in block.body for alias in node.names}
    assert imported == set(athanor.__all__)


def test_an_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        athanor.fit  # noqa: B018


def test_a_run_has_a_text_and_an_html_form(tiny_run):
    run = athanor.Run.of(tiny_run(Mnist))
    assert repr(run).startswith(f"mnist run {run.path}")
    assert "embedded" in run._repr_html_()


def test_scores_have_a_text_and_an_html_form(copied):
    scores = athanor.evaluate(copied.path, trust=True)
    assert scores["test"]["accuracy"] > 0.5
    assert "this model" in repr(scores)
    html = scores._repr_html_()
    assert html.count("<img ") == len(scores["pictures"])
    assert "this model" in html
    assert "this model" in repr(athanor.Run.load(copied.path))
    table = athanor.compare(copied.path, copied.path)
    assert [row["accuracy"] for row in table] == [scores["test"]["accuracy"]] * 2


def test_rows_may_be_columns_or_dicts(tiny_run):
    run = tiny_run(Regression)
    names = list(run.manifest["reading"]["forms"])
    part = {name: values.tolist()[:3] for name, values in _columns(run).items()}
    predictions = athanor.predict(run, part)
    assert [row["input"] for row in predictions] == [0, 1, 2]
    rows = [dict(zip(part, row, strict=True)) for row in zip(*part.values(), strict=True)]
    assert athanor.predict(run, rows) == predictions
    # A row alone: the sums of a matrix product have another order.
    alone = athanor.predict(run, rows[0])[0]
    for name in ("value", "interval"):
        assert alone[name] == pytest.approx(predictions[0][name], rel=1e-5)
    assert set(names) <= set(part)
    assert "value" in repr(predictions)
    assert "<td" in predictions._repr_html_()
    # A row without any value is left out; the other rows keep their numbers.
    part = {name: [values[0], None, values[2]] for name, values in part.items()}
    assert [row["input"] for row in athanor.predict(run, part)] == [0, 2]


def test_notes_name_the_rows_of_a_frame(tiny_run, capsys):
    run = tiny_run(Regression)
    part = {name: values.tolist()[:3] for name, values in _columns(run).items()}
    name = next(iter(part))
    athanor.predict(run, part | {name: [*part[name][:2], "odd"]})
    assert f"column {name}: 1 cell such as 'odd' (row 2) is not a number" in capsys.readouterr().err


def _columns(run):
    from pipelines.rows.packing import unpack_columns

    return unpack_columns(
        run.splits.test.numpy(slice(0, 3)).features, run.manifest["data"]["spec"]["columns"]
    )


@pytest.mark.thorough
def test_images_may_be_arrays(tiny_run):
    run = tiny_run(Mnist)
    images = run.samples.raw[:3]
    predictions = athanor.predict(run, images)
    assert [row["input"] for row in predictions] == [0, 1, 2]
    labels = np.array(run.manifest["labels"])
    assert [row["class"] for row in predictions] == list(labels[run.samples.answers[:3].argmax(1)])


@pytest.mark.thorough
def test_texts_may_be_strings_or_files(tiny_run, tmp_path):
    run = tiny_run(Text)
    texts = ["not good at all", "notes.txt"]  # a text, though it looks like the name of a file
    predictions = athanor.predict(run, texts)
    assert [row["input"] for row in predictions] == texts
    (tmp_path / "texts.txt").write_text("not good at all\n")
    (same,) = athanor.predict(run, [tmp_path / "texts.txt"])
    assert same == predictions[0]


def test_ids_may_be_users_or_pairs(tiny_run):
    run = tiny_run(Recommender)
    known = run.splits.test.numpy(slice(0, 1)).features
    user, item = (known[name][0].decode() for name in ("user", "item"))
    assert athanor.predict(run, [user])[0]["input"] == user
    (pair,) = athanor.predict(run, [(user, item)])
    assert pair["item"] == item
    with pytest.raises(ValueError, match="training has not seen"):
        athanor.predict(run, [("nobody", item)], strict=True)


@pytest.mark.parametrize("values", [3, [3]])
def test_other_inputs_raise_an_error(tiny_run, values):
    with pytest.raises(UnreadableError, match="expected an array of images"):
        athanor.predict(tiny_run(Mnist), values)


def test_mistakes_raise_the_messages_of_the_command_line(tiny_run, tmp_path):
    with pytest.raises(RunError, match=r"holds no run\.json"):
        athanor.evaluate(tmp_path)
    with pytest.raises(FieldError, match="Received --precision 'float8'; expected one of auto"):
        athanor.train(Mnist(), precision="float8")
    with pytest.raises(TypeError, match="precison"):
        athanor.train(Mnist(), precison="float32")
    with pytest.raises(FieldError, match="--strict for mnist"):
        athanor.predict(tiny_run(Mnist), [], strict=True)
    with pytest.raises(FieldError, match=r"--refresh-items .* for mnist"):
        athanor.export(tiny_run(Mnist), refresh_items="items.csv")
    with pytest.raises(FieldError, match="athanor mnist tune --workers 2"):
        athanor.tune(Mnist.tiny(), workers=2)


def test_check_data_returns_its_findings(tmp_path):
    data = {"x": [1.0, 2.0, 3.0] * 40, "y": [0.5, 1.5, 2.5] * 40}
    table = athanor.check_data(Regression(data=data, target="y"), report=str(tmp_path / "r.html"))
    assert table[0]["severity"] in ("error", "warning", "note")
    assert table.notes == [f"report: {tmp_path / 'r.html'}"]


@pytest.mark.slow
def test_a_search_returns_an_ordinary_run(tmp_path):
    result = athanor.tune(Mnist.tiny(), trials=2, tuner="random", run_dir=tmp_path / "search")
    assert result.best.scores["test"]["accuracy"] > 0.5
    assert len(result.trials) == 2
    assert "trials" in repr(result)


@pytest.mark.slow
def test_the_examples_of_the_documentation_run_as_a_notebook():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        *lines, last = ast.parse(block).body
        exec(compile(ast.Module(lines, []), "python.md", "exec"), names)
        if isinstance(last, ast.Expr):  # a notebook shows its value
            value = eval(compile(ast.Expression(last.value), "python.md", "eval"), names)
            assert getattr(value, "_repr_html_", value.__repr__)()
        else:
            exec(compile(ast.Module([last], []), "python.md", "exec"), names)
    assert Path(names["version"]).is_dir()
    assert names["predictions"][0]["input"] == 0
    # The same call loads the finished run.
    again = athanor.train(names["run"].app, run_dir=str(names["run"].path), verbose=0)
    assert again.path == names["run"].path
