"""LiteRT and ONNX answer as in training, where TensorFlow is not known, or are refused."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import apps
from apps import Mnist, Recommender, Regression, Text
from apps.fields import FieldError
from evaluation.tasks import classification
from exporting import edge, formats, quantized, replay_edge, savedmodel
from exporting.export import ParityError, export
from inference import portable as portables
from inference import saving
from inference.inputs import print_note, read_table
from inference.modalities import ids, modality_of, rows
from inference.portable import RefusedError
from pipelines.rows.packing import unpack_columns
from pipelines.rows.preprocessing import PrepareColumns
from training.run import Run

OTHERS = ["litert", "onnx"]
ALLOWED = {"litert": "ai_edge_litert", "onnx": "onnxruntime"}
for package in ("ai_edge_litert", "onnxruntime", "tf2onnx"):
    pytest.importorskip(package)


def copy(run, place):
    shutil.copytree(run.path, place, ignore=shutil.ignore_patterns("export"))
    return Run.load(place)


def carried(run):
    return modality_of(run).portable(run)


@pytest.fixture(scope="module")
def refreshed(tiny_run, tmp_path_factory):
    """A recommender published in all formats, which offers five known items of seven."""
    run = copy(tiny_run(Recommender), tmp_path_factory.mktemp("refreshed") / "run")
    items = run.path / "items.csv"
    known = [f"item {number}" for number in range(5)]
    items.write_text("\n".join(["item_id", "new a", *known, "new b", ""]))
    return export(run, format=",".join(OTHERS), refresh_items=items), known, run


@pytest.mark.parametrize(
    ("names", "quantize", "parts"),
    [
        ("litert,onx", None, ["onx", "Did you mean onnx"]),
        ("tflite", None, ["tflite", "savedmodel, litert, onnx"]),
        ("onnx", "int8", ["--quantize int8", "--format litert"]),
    ],
)
def test_a_wrong_format_is_refused(names, quantize, parts):
    with pytest.raises(FieldError) as raised:
        formats.parse_formats(names, quantize)
    for part in parts:
        assert part in str(raised.value)


def test_the_savedmodel_always_comes_first():
    assert formats.parse_formats("onnx, LiteRT,savedmodel,onnx") == ["savedmodel", "onnx", "litert"]
    assert formats.parse_formats("") == ["savedmodel"]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FieldError, match=r"without onnx and tf2onnx.*athanor\[edge\]"):
        formats.parse_formats("onnx")


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (["--format", "onxx"], "Did you mean onnx"),
        (["--quantize", "int8"], "--format litert"),
        (["--refresh-items", "items.csv"], "recommends no items"),
    ],
)
def test_the_command_line_refuses_wrong_options_without_tensorflow(flags, part, run_cli, copied):
    status, output, error = run_cli("mnist", "export", copied.path, *flags)
    assert (status, output) == (2, "")
    assert part in error
    assert not (copied.path / "export").exists()


def test_texts_are_refused_and_nothing_is_published(tiny_run, tmp_path):
    run = copy(tiny_run(Text), tmp_path / "run")
    for name in OTHERS:
        with pytest.raises(RefusedError, match=r"hashed.*Serve the SavedModel"):
            export(run, format=name)
    assert not (run.path / "export").exists()


@pytest.mark.parametrize("name", OTHERS)
def test_a_format_is_written_beside_the_savedmodel_with_its_parity(name, refreshed):
    answer, *_ = refreshed
    directory = Path(answer["export"])
    file = edge.FILE_NAMES[name]
    assert {"saved_model.pb", file, f"{file}.json"} <= {path.name for path in directory.iterdir()}
    given = answer["formats"][name]
    assert given["path"] == str(directory / file)
    assert given["bytes"] == (directory / file).stat().st_size
    proof = json.loads((directory / "parity.json").read_text())["formats"][name]
    assert proof["passed"] is True
    assert set(proof["signatures"]) == {"serving_default", "recommend"}
    assert max(proof["signatures"].values()) == proof["max_abs_diff"] <= proof["tolerance"]


@pytest.mark.parametrize("name", OTHERS)
def test_the_replay_imports_no_tensorflow(name, refreshed, tmp_path):
    answer, _, run = refreshed
    samples = edge.samples_of(run, carried(run))
    inputs = {key: value for key, value in samples.items() if "/input/" in key}
    np.savez(tmp_path / "samples.npz", **inputs)
    code = (
        f"import runpy, sys; sys.argv = [''] + {[name, answer['formats'][name]['path']]!r}"
        f" + [{str(tmp_path / 'samples.npz')!r}, {str(tmp_path / 'answers.npz')!r}]\n"
        f"runpy.run_path({replay_edge.__file__!r}, run_name='__main__')\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert ALLOWED[name] in loaded
    ours = {"apps", "pipelines", "training", "serving", "evaluation"}
    assert not loaded & {"tensorflow", "keras", "tf2onnx", *ours}


def documented(start, end):
    """Names in the first cells of a table of the page."""
    page = (Path(edge.__file__).parents[1] / "docs" / "formats.md").read_text()
    part = page.partition(start)[2].partition(end)[0]
    cells = re.findall(r"^\| (`[^|]*`) *\|", part, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_key_of_a_sidecar_is_documented(refreshed):
    told = edge.read_spec(Path(refreshed[0]["formats"]["litert"]["path"]))
    assert documented("## The JSON beside a model", "In Python") == {*told, "quantized"}


def test_every_key_of_about_json_is_documented(refreshed):
    told = json.loads(Path(refreshed[0]["export"], "about.json").read_text())
    assert documented("## about.json", "## Smaller") == {*told, "columns", "image"}


def test_unknown_items_are_left_out_with_a_note(refreshed):
    answer, known, run = refreshed
    loaded = tf.saved_model.load(answer["export"])
    given = loaded.signatures["recommend"](
        user=tf.constant(["user 1", "nobody"]), k=tf.constant(10), exclude_seen=tf.constant(False)
    )
    assert given["items"].shape[1] == 5
    for row in given["items"].numpy():
        assert sorted(item.decode() for item in row) == known
    assert any("2 items" in note and "new a, new b" in note for note in answer["notes"])
    # The run itself offers what it did.
    assert len(ids.ids_of(run.model).offered) > 5
    told = json.loads(Path(answer["export"], "model.onnx.json").read_text())
    assert sorted(told["recommend"]["candidates"]) == known
    assert told["left_out"]["rating"] == "it is serving_default"


@pytest.mark.parametrize("name", OTHERS)
def test_lists_without_seen_items_equal_those_of_the_savedmodel(name, refreshed):
    answer, *_ = refreshed
    path = answer["formats"][name]["path"]
    told = edge.read_spec(Path(path))
    user = max(told["recommend"]["met"], key=lambda user: len(told["recommend"]["met"][user]))
    users = np.array([user.encode(), b"nobody"])
    given = replay_edge.recommend(
        getattr(replay_edge, name)(path), told, users, 5, exclude_seen=True
    )
    wanted = tf.saved_model.load(answer["export"]).signatures["recommend"](
        user=tf.constant(users), k=tf.constant(5), exclude_seen=tf.constant(True)
    )
    assert given["items"].tolist() == wanted["items"].numpy().tolist()
    assert b"" in given["items"][0].tolist()
    np.testing.assert_allclose(given["scores"], wanted["scores"], atol=1e-5)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("item_id,name\nx,1\ny,2\n", ["none of them known", "x, y"]),
        ("thing,name\nx,1\ny,2\n", ["columns thing, name", "'item_id'"]),
        (None, ["items.csv"]),
    ],
)
def test_a_list_without_known_items_is_refused(content, parts, tiny_run, tmp_path, run_cli):
    run = copy(tiny_run(Recommender), tmp_path / "run")
    if content:
        (tmp_path / "items.csv").write_text(content)
    status, _, error = run_cli(
        "recommender", "export", run.path, "--refresh-items", tmp_path / "items.csv"
    )
    assert status == 2
    for part in parts:
        assert part in error
    assert not (run.path / "export").exists()


def test_interactions_larger_than_the_model_are_left_out_of_the_sidecar(
    tiny_run, tmp_path, monkeypatch
):
    monkeypatch.setattr(ids, "MAX_WRITTEN_INTERACTIONS", 10)
    run = tiny_run(Recommender)
    written = edge.write(run, tmp_path, carried(run), "litert")
    assert set(written.parity["signatures"]) == {"serving_default"}
    spec = edge.read_spec(written.path)
    assert set(spec["recommend"]) == {"candidates"}
    assert any("interactions are left out" in line for line in spec["outside"])


def swapped(portable, manifest, outputs, told=portables.sidecar):
    """Beside the model stands a table in which two texts have changed places."""
    content = told(portable, manifest, outputs)
    codes = content["inputs"][0]["codes"]
    first, second, *_ = codes
    codes[first], codes[second] = codes[second], codes[first]
    return content


def test_a_wrong_table_fails_the_parity_check(tiny_run, tmp_path, monkeypatch):
    run = copy(tiny_run(Recommender), tmp_path / "run")
    answers = run.samples.answers
    known = ids.ids_of(run.model).users[:2]
    run.samples.raw["user"][:2] = [name.encode() for name in known]
    answers[:] = run.model(run.samples.raw, training=False).numpy()
    monkeypatch.setattr(edge, "sidecar", swapped)
    with pytest.raises(ParityError, match="litert whose outputs differ"):
        edge.write(run, tmp_path, carried(run), "litert")


@pytest.mark.parametrize("name", OTHERS)
def test_other_outputs_fail_the_parity_check_of_each_format(name, tiny_run, tmp_path, monkeypatch):
    run = copy(tiny_run(Recommender), tmp_path / "run")
    run.samples.answers[3, 0] += 0.01
    monkeypatch.setattr(savedmodel, "write", lambda *_, **__: {"passed": True, "signatures": {}})
    with pytest.raises(ParityError, match=f"{name} whose outputs differ"):
        export(run, format=name)
    assert not (run.path / "export").exists()


@pytest.mark.parametrize("name", OTHERS)
def test_reversed_labels_fail_the_parity_check_of_each_format(name, run, tmp_path, monkeypatch):
    """The class comes from the JSON beside the one and from the graph of the other."""

    def reversed_labels(portable, manifest, outputs, told=portables.sidecar):
        return told(portable, manifest | {"labels": manifest["labels"][::-1]}, outputs)

    def renamed(model, labels, usual=edge.onnx._name_classes):
        usual(model, labels[::-1])

    monkeypatch.setattr(edge, "sidecar", reversed_labels)
    monkeypatch.setattr(edge.onnx, "_name_classes", renamed)
    with pytest.raises(ParityError, match=f"{name} whose outputs differ.*class"):
        edge.write(run, tmp_path, carried(run), name)


@pytest.mark.thorough
def test_a_quantized_file_is_compared_with_the_full_one(run, tmp_path):
    portable = carried(run)
    edge.write(run, tmp_path, portable, "litert")
    told = quantized.write(run, tmp_path, portable, "int8")
    before, after = told["before"], told["after"]
    own = classification.metrics(classification.predict_test_set(run))
    assert before["test"]["accuracy"] == pytest.approx(own["accuracy"])
    assert after["bytes"] < 0.5 * before["bytes"]
    assert abs(after["test"]["accuracy"] - before["test"]["accuracy"]) < 0.02
    assert 0 < told["max_abs_diff"] < 0.1
    assert min(before["milliseconds"], after["milliseconds"]) > 0
    beside = edge.read_spec(tmp_path / "model.int8.tflite")
    assert (beside["model"], beside["quantized"]) == ("model.int8.tflite", "int8")


def test_categories_may_be_given_by_index():
    prepare = PrepareColumns({}, [], {"cut": ["ideal", "fair"]})
    numbers = tf.zeros([3, 0])
    texts = prepare({"numbers": numbers, "texts": tf.constant([["fair"], ["odd"], ["ideal"]])})
    places = prepare({"numbers": numbers, "texts": tf.constant([[1], [-1], [0]])})
    texts, places = texts["flags"], places["flags"]
    assert texts.numpy().tolist() == places.numpy().tolist() == [[0, 1], [0, 0], [1, 0]]


def test_bytes_that_are_no_utf_8_have_codes():
    table = portables.CodeTable((b"caf\xe9".decode("utf-8", "surrogateescape"), "tea"), 1, 0)
    told = {"inputs": [{"name": "item", "dtype": "int32", "codes": table.codes, "unknown": 0}]}
    told = json.loads(json.dumps(told))
    given = replay_edge.encode(told, {"item": np.array([b"tea", b"caf\xe9", b"caf\xc3\xa9"])})
    assert given["item"].tolist() == [2, 1, 0]


@pytest.fixture
def shop(tmp_path):
    """A CSV file of numbers with gaps, and categories."""
    random = np.random.default_rng(0)
    size, kind = random.uniform(1, 5, 300), random.choice(["oak", "elm", "fir", ""], 300)
    price = 10 * size + 20 * (kind == "oak") + random.normal(0, 1, 300)
    lines = [
        f"{'' if n % 7 == 0 else f'{s:.3f}'},{k},{p:.2f}"
        for n, (s, k, p) in enumerate(zip(size, kind, price, strict=True))
    ]
    path = tmp_path / "shop.csv"
    path.write_text("\n".join(["size,kind,price", *lines, ""]))
    return path


@pytest.mark.slow
def test_rows_with_categories_and_gaps_in_all_formats(shop, tmp_path, run_cli):
    train = ["--data", f"csv:{shop}", "--target", "price", "--epochs", "2"]
    assert run_cli("regression", "train", *train, "--run-dir", tmp_path / "run")[0] == 0
    for way in ("int8", "float16"):
        flags = ["--format", "litert,onnx", "--quantize", way, "--json"]
        status, output, error = run_cli("regression", "export", tmp_path / "run", *flags)
        assert status == 0, error
        answer = json.loads(output)
        assert set(answer["formats"]) == set(OTHERS)
        assert answer["quantized"]["after"]["bytes"] < answer["quantized"]["before"]["bytes"]
    inputs = {
        name: edge.read_spec(Path(given["path"]))["inputs"]
        for name, given in answer["formats"].items()
    }
    assert set(inputs["litert"][1]["codes"]) == {"oak", "elm", "fir", ""}
    assert inputs["onnx"][1] == {"name": "kind", "dtype": "string", "shape": [None]}


@pytest.fixture
def words(tmp_path):
    """A CSV file whose columns are called as Python, or a graph, calls something else."""
    names = ["class", "from", "self", "Age", "age", "value", "None"]
    numbers = np.random.default_rng(0).uniform(1, 5, (60, len(names)))
    lines = [",".join(map("{:.3f}".format, row)) for row in [*numbers]]
    path = tmp_path / "words.csv"
    path.write_text("\n".join([",".join(names), *lines, ""]))
    return path


@pytest.fixture
def called(words, tmp_path, run_cli):
    """A run on it, and what was told of it."""
    train = ["--data", f"csv:{words}", "--target", "class", "--model", "linear"]
    status, output, error = run_cli("regression", "train", *train, "--run-dir", tmp_path / "run")
    assert status == 0, error
    return Run.load(tmp_path / "run"), " ".join((output + error).split())


def test_columns_may_have_names_that_python_reserves(called, tmp_path):
    run, told = called
    assert "class is called class_" in told
    assert "age is called age_2" in told
    names = ["from_", "self_", "Age", "age_2", "value_", "None_"]
    assert [column["name"] for column in rows.model_info(run)["columns"]] == names
    saving.save(run, tmp_path, rows.signatures(run))
    inputs = tf.saved_model.load(tmp_path).signatures["serving_default"]
    raw = rows.read(read_table(str(tmp_path / "words.csv")), run, print_note)
    columns = unpack_columns(raw, rows.kinds_of(run))
    given = inputs(**{name: tf.constant(column) for name, column in columns.items()})["value"]
    np.testing.assert_allclose(given, np.ravel(run.model(raw)), atol=1e-5)


@pytest.mark.slow
def test_columns_have_the_same_names_in_every_format(called, words, run_cli):
    run, _ = called
    status, _, error = run_cli("regression", "export", run.path, "--format", "litert,onnx")
    assert status == 0, error
    assert run_cli("regression", "predict", run.path, words)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.name())
def test_every_app_in_every_format(app, tiny_run, tmp_path):
    run = copy(tiny_run(app), tmp_path / "run")
    if app is Text:
        with pytest.raises(RefusedError):
            export(run, format=",".join(OTHERS))
        return
    answer = export(run, format=",".join(OTHERS), quantize="float16")
    assert set(answer["formats"]) == set(OTHERS)
    for proof in answer["formats"].values():
        assert proof["max_abs_diff"] <= proof["tolerance"]
        assert proof["examples"] == 64
    usual, smaller = answer["quantized"]["before"], answer["quantized"]["after"]
    assert smaller["bytes"] < usual["bytes"]
    for metric, value in usual["test"].items():
        assert smaller["test"][metric] == pytest.approx(value, rel=0.02, abs=0.02)


@pytest.mark.slow
def test_formats_of_a_bfloat16_run_compute_in_float32(tmp_path):
    from training.train import train

    run = train(Mnist.tiny(), run_dir=tmp_path / "run", precision="bfloat16", verbose=0)
    answer = export(run, format=",".join(OTHERS))
    for proof in answer["formats"].values():
        assert 0 < proof["max_abs_diff"] <= proof["tolerance"] == 2e-2


@pytest.mark.slow
def test_a_model_with_an_unsupported_operation_is_refused(tiny_run):
    """The reason is the converter's, in a line."""
    from exporting import litert, onnx

    run = tiny_run(Regression)

    def words(**columns):
        return {"value": tf.strings.length(tf.strings.as_string(columns["bmi"]))}

    strange = portables.Portable(words, carried(run).inputs)
    for convert in (litert.convert, lambda portable: onnx.convert(portable, [])):
        with pytest.raises(RefusedError) as raised:
            convert(strange)
        assert "\n" not in str(raised.value)
