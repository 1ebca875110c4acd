"""LiteRT and ONNX files give the outputs of training without TensorFlow, or are refused."""

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

OTHER_FORMATS = ["litert", "onnx"]
RUNTIME_MODULES = {"litert": "ai_edge_litert", "onnx": "onnxruntime"}
for package in ("ai_edge_litert", "onnxruntime", "tf2onnx"):
    pytest.importorskip(package)


def copy(run, path):
    shutil.copytree(run.path, path, ignore=shutil.ignore_patterns("export"))
    return Run.load(path)


def portable_of(run):
    return modality_of(run).portable(run)


@pytest.fixture(scope="module")
def refreshed_export(tiny_run, tmp_path_factory):
    """A recommender in all formats, with a list of seven items, of which five are known."""
    run = copy(tiny_run(Recommender), tmp_path_factory.mktemp("refreshed") / "run")
    items = run.path / "items.csv"
    known_items = [f"item {number}" for number in range(5)]
    items.write_text("\n".join(["item_id", "new a", *known_items, "new b", ""]))
    return export(run, format=",".join(OTHER_FORMATS), refresh_items=items), known_items, run


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
    for name in OTHER_FORMATS:
        with pytest.raises(RefusedError, match=r"hashed.*Serve the SavedModel"):
            export(run, format=name)
    assert not (run.path / "export").exists()


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_a_format_is_written_beside_the_savedmodel_with_its_parity(name, refreshed_export):
    exported, *_ = refreshed_export
    directory = Path(exported["export"])
    file = edge.FILE_NAMES[name]
    assert {"saved_model.pb", file, f"{file}.json"} <= {path.name for path in directory.iterdir()}
    outputs = exported["formats"][name]
    assert outputs["path"] == str(directory / file)
    assert outputs["bytes"] == (directory / file).stat().st_size
    parity = json.loads((directory / "parity.json").read_text())["formats"][name]
    assert parity["passed"] is True
    assert set(parity["signatures"]) == {"serving_default", "recommend"}
    # The difference that uses most of its tolerance, which need not be the largest.
    assert parity["max_abs_diff"] in parity["signatures"].values()
    assert parity["max_abs_diff"] <= parity["tolerance"]


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_the_replay_imports_no_tensorflow(name, refreshed_export, tmp_path):
    exported, _, run = refreshed_export
    samples = edge.samples_of(run, portable_of(run))
    inputs = {key: value for key, value in samples.items() if "/input/" in key}
    np.savez(tmp_path / "samples.npz", **inputs)
    code = (
        f"import runpy, sys; sys.argv = [''] + {[name, exported['formats'][name]['path']]!r}"
        f" + [{str(tmp_path / 'samples.npz')!r}, {str(tmp_path / 'answers.npz')!r}]\n"
        f"runpy.run_path({replay_edge.__file__!r}, run_name='__main__')\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    process = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(process.stdout.splitlines()[-1].split())
    assert RUNTIME_MODULES[name] in loaded
    ours = {"apps", "pipelines", "training", "serving", "evaluation"}
    assert not loaded & {"tensorflow", "keras", "tf2onnx", *ours}


def documented_names(start, end):
    """Return the names in the first cells of a table of docs/formats.md."""
    page = (Path(edge.__file__).parents[1] / "docs" / "formats.md").read_text()
    part = page.partition(start)[2].partition(end)[0]
    cells = re.findall(r"^\| (`[^|]*`) *\|", part, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_key_of_a_sidecar_is_documented(refreshed_export):
    spec = edge.read_spec(Path(refreshed_export[0]["formats"]["litert"]["path"]))
    assert documented_names("## The JSON beside a model", "In Python") == {*spec, "quantized"}


def test_every_key_of_about_json_is_documented(refreshed_export):
    about = json.loads(Path(refreshed_export[0]["export"], "about.json").read_text())
    assert documented_names("## about.json", "## Smaller") == {
        *about,
        "columns",
        "image",
        "thresholds",
    }


def test_unknown_items_are_left_out_with_a_note(refreshed_export):
    exported, known_items, run = refreshed_export
    loaded = tf.saved_model.load(exported["export"])
    outputs = loaded.signatures["recommend"](
        user=tf.constant(["user 1", "nobody"]), k=tf.constant(10), exclude_seen=tf.constant(False)
    )
    assert outputs["items"].shape[1] == 5
    for row in outputs["items"].numpy():
        assert sorted(item.decode() for item in row) == known_items
    assert any("2 items" in note and "new a, new b" in note for note in exported["notes"])
    # The run itself still offers all its items.
    assert len(ids.ids_of(run.model).offered) > 5
    spec = json.loads(Path(exported["export"], "model.onnx.json").read_text())
    assert sorted(spec["recommend"]["candidates"]) == known_items
    assert spec["left_out"]["rating"] == "it is serving_default"


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_lists_without_seen_items_equal_those_of_the_savedmodel(name, refreshed_export):
    exported, *_ = refreshed_export
    path = exported["formats"][name]["path"]
    spec = edge.read_spec(Path(path))
    user = max(spec["recommend"]["met"], key=lambda user: len(spec["recommend"]["met"][user]))
    users = np.array([user.encode(), b"nobody"])
    outputs = replay_edge.recommend(
        getattr(replay_edge, name)(path), spec, users, 5, exclude_seen=True
    )
    expected = tf.saved_model.load(exported["export"]).signatures["recommend"](
        user=tf.constant(users), k=tf.constant(5), exclude_seen=tf.constant(True)
    )
    assert outputs["items"].tolist() == expected["items"].numpy().tolist()
    assert b"" in outputs["items"][0].tolist()
    np.testing.assert_allclose(outputs["scores"], expected["scores"], atol=1e-5)


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
    written = edge.write(run, tmp_path, portable_of(run), "litert")
    assert set(written.parity["signatures"]) == {"serving_default"}
    spec = edge.read_spec(written.path)
    assert set(spec["recommend"]) == {"candidates"}
    assert any("interactions are left out" in line for line in spec["outside"])


def swapped_codes(portable, manifest, outputs, original=portables.sidecar):
    """Return a sidecar in which two texts have exchanged codes."""
    content = original(portable, manifest, outputs)
    codes = content["inputs"][0]["codes"]
    first, second, *_ = codes
    codes[first], codes[second] = codes[second], codes[first]
    return content


def test_a_wrong_table_fails_the_parity_check(tiny_run, tmp_path, monkeypatch):
    run = copy(tiny_run(Recommender), tmp_path / "run")
    answers = run.samples.answers
    users = ids.ids_of(run.model).users[:2]
    run.samples.raw["user"][:2] = [name.encode() for name in users]
    answers[:] = run.model(run.samples.raw, training=False).numpy()
    monkeypatch.setattr(edge, "sidecar", swapped_codes)
    with pytest.raises(ParityError, match="litert whose outputs differ"):
        edge.write(run, tmp_path, portable_of(run), "litert")


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_other_outputs_fail_the_parity_check_of_each_format(name, tiny_run, tmp_path, monkeypatch):
    run = copy(tiny_run(Recommender), tmp_path / "run")
    run.samples.answers[3, 0] += 0.01
    monkeypatch.setattr(savedmodel, "write", lambda *_, **__: {"passed": True, "signatures": {}})
    with pytest.raises(ParityError, match=f"{name} whose outputs differ"):
        export(run, format=name)
    assert not (run.path / "export").exists()


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_reversed_labels_fail_the_parity_check_of_each_format(name, run, tmp_path, monkeypatch):
    """LiteRT takes the name of the class from the sidecar, ONNX from the graph."""

    def sidecar_with_reversed_labels(portable, manifest, outputs, original=portables.sidecar):
        return original(portable, manifest | {"labels": manifest["labels"][::-1]}, outputs)

    def name_reversed_classes(model, labels, original=edge.onnx._name_classes):
        original(model, labels[::-1])

    monkeypatch.setattr(edge, "sidecar", sidecar_with_reversed_labels)
    monkeypatch.setattr(edge.onnx, "_name_classes", name_reversed_classes)
    with pytest.raises(ParityError, match=f"{name} whose outputs differ.*class"):
        edge.write(run, tmp_path, portable_of(run), name)


@pytest.mark.thorough
def test_a_quantized_file_is_compared_with_the_full_one(run, tmp_path):
    portable = portable_of(run)
    edge.write(run, tmp_path, portable, "litert")
    result = quantized.write(run, tmp_path, portable, "int8")
    before, after = result["before"], result["after"]
    expected = classification.metrics(classification.predict_test_set(run))
    assert before["test"]["accuracy"] == pytest.approx(expected["accuracy"])
    assert after["bytes"] < 0.5 * before["bytes"]
    assert abs(after["test"]["accuracy"] - before["test"]["accuracy"]) < 0.02
    assert 0 < result["max_abs_diff"] < 0.1
    assert min(before["milliseconds"], after["milliseconds"]) > 0
    sidecar = edge.read_spec(tmp_path / "model.int8.tflite")
    assert (sidecar["model"], sidecar["quantized"]) == ("model.int8.tflite", "int8")


def test_categories_may_be_given_by_index():
    prepare = PrepareColumns({}, [], {"cut": ["ideal", "fair"]})
    numbers = tf.zeros([3, 0])
    texts = prepare({"numbers": numbers, "texts": tf.constant([["fair"], ["odd"], ["ideal"]])})
    places = prepare({"numbers": numbers, "texts": tf.constant([[1], [-1], [0]])})
    texts, places = texts["flags"], places["flags"]
    assert texts.numpy().tolist() == places.numpy().tolist() == [[0, 1], [0, 0], [1, 0]]


def test_bytes_that_are_no_utf_8_have_codes():
    table = portables.CodeTable((b"caf\xe9".decode("utf-8", "surrogateescape"), "tea"), 1, 0)
    spec = {"inputs": [{"name": "item", "dtype": "int32", "codes": table.codes, "unknown": 0}]}
    spec = json.loads(json.dumps(spec))
    outputs = replay_edge.encode(spec, {"item": np.array([b"tea", b"caf\xe9", b"caf\xc3\xa9"])})
    assert outputs["item"].tolist() == [2, 1, 0]


@pytest.fixture
def table_with_gaps(tmp_path):
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
def test_rows_with_categories_and_gaps_in_all_formats(table_with_gaps, tmp_path, run_cli):
    train = ["--data", f"csv:{table_with_gaps}", "--target", "price", "--epochs", "2"]
    assert run_cli("regression", "train", *train, "--run-dir", tmp_path / "run")[0] == 0
    for quantization in ("int8", "float16"):
        flags = ["--format", "litert,onnx", "--quantize", quantization, "--json"]
        status, output, error = run_cli("regression", "export", tmp_path / "run", *flags)
        assert status == 0, error
        exported = json.loads(output)
        assert set(exported["formats"]) == set(OTHER_FORMATS)
        assert exported["quantized"]["after"]["bytes"] < exported["quantized"]["before"]["bytes"]
    inputs = {
        name: edge.read_spec(Path(file["path"]))["inputs"]
        for name, file in exported["formats"].items()
    }
    assert set(inputs["litert"][1]["codes"]) == {"oak", "elm", "fir", ""}
    assert inputs["onnx"][1] == {"name": "kind", "dtype": "string", "shape": [None]}


@pytest.fixture
def reserved_names(tmp_path):
    """A CSV file with column names that Python or a TensorFlow graph reserves."""
    names = ["class", "from", "self", "Age", "age", "value", "None"]
    numbers = np.random.default_rng(0).uniform(1, 5, (60, len(names)))
    lines = [",".join(map("{:.3f}".format, row)) for row in [*numbers]]
    path = tmp_path / "words.csv"
    path.write_text("\n".join([",".join(names), *lines, ""]))
    return path


@pytest.fixture
def renamed_columns(reserved_names, tmp_path, run_cli):
    """A run on these columns, and the output of its training."""
    train = ["--data", f"csv:{reserved_names}", "--target", "class", "--model", "linear"]
    status, output, error = run_cli("regression", "train", *train, "--run-dir", tmp_path / "run")
    assert status == 0, error
    return Run.load(tmp_path / "run"), " ".join((output + error).split())


def test_columns_may_have_names_that_python_reserves(renamed_columns, tmp_path):
    run, output = renamed_columns
    assert "class is called class_" in output
    assert "age is called age_2" in output
    names = ["from_", "self_", "Age", "age_2", "value_", "None_"]
    assert [column["name"] for column in rows.model_info(run)["columns"]] == names
    saving.save(run, tmp_path, rows.signatures(run))
    inputs = tf.saved_model.load(tmp_path).signatures["serving_default"]
    raw = rows.read(read_table(str(tmp_path / "words.csv")), run, print_note)
    columns = unpack_columns(raw, rows.kinds_of(run))
    outputs = inputs(**{name: tf.constant(column) for name, column in columns.items()})["value"]
    np.testing.assert_allclose(outputs, np.ravel(run.model(raw)), atol=1e-5)


@pytest.mark.slow
def test_columns_have_the_same_names_in_every_format(renamed_columns, reserved_names, run_cli):
    run, _ = renamed_columns
    status, _, error = run_cli("regression", "export", run.path, "--format", "litert,onnx")
    assert status == 0, error
    assert run_cli("regression", "predict", run.path, reserved_names)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.name())
def test_every_app_in_every_format(app, tiny_run, tmp_path):
    run = copy(tiny_run(app), tmp_path / "run")
    if app is Text:
        with pytest.raises(RefusedError):
            export(run, format=",".join(OTHER_FORMATS))
        return
    exported = export(run, format=",".join(OTHER_FORMATS), quantize="float16")
    assert set(exported["formats"]) == set(OTHER_FORMATS)
    for parity in exported["formats"].values():
        assert parity["max_abs_diff"] <= parity["tolerance"]
        assert parity["examples"] == 64
    full, smaller = exported["quantized"]["before"], exported["quantized"]["after"]
    assert smaller["bytes"] < full["bytes"]
    for metric, value in full["test"].items():
        assert smaller["test"][metric] == pytest.approx(value, rel=0.02, abs=0.02)


@pytest.mark.slow
def test_formats_of_a_bfloat16_run_compute_in_float32(tmp_path):
    from training.train import train

    run = train(Mnist.tiny(), run_dir=tmp_path / "run", precision="bfloat16", verbose=0)
    exported = export(run, format=",".join(OTHER_FORMATS))
    for parity in exported["formats"].values():
        assert 0 < parity["max_abs_diff"] <= parity["tolerance"] == 2e-2


@pytest.mark.slow
def test_a_model_with_an_unsupported_operation_is_refused(tiny_run):
    """The message has the reason of the converter in one line."""
    from exporting import litert, onnx

    run = tiny_run(Regression)

    def count_characters(**columns):
        return {"value": tf.strings.length(tf.strings.as_string(columns["bmi"]))}

    unsupported = portables.Portable(count_characters, portable_of(run).inputs)
    for convert in (litert.convert, lambda portable: onnx.convert(portable, [])):
        with pytest.raises(RefusedError) as raised:
            convert(unsupported)
        assert "\n" not in str(raised.value)
