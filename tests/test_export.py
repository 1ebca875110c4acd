"""An export gives the outputs of training in a process without athanor, or is not published."""

import base64
import dataclasses
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import apps
from apps import Finetune, Mnist
from exporting import model_info, parity_check, savedmodel, version_folders, warmup_records
from exporting.export import ParityError, export
from inference.artifacts import ABOUT, RECORDS
from inference.modalities.images import UnreadableError, reading_of
from inference.modalities.rows import kinds_of
from inference.named_outputs import training_outputs
from inference.predict import examples, predict
from pipelines.rows.packing import unpack_columns
from training.provenance import SIGNATURE_FILE
from training.train import train

FRESH = """
import base64, json, sys
import tensorflow as tf
directory, pictures = sys.argv[1:]
loaded = tf.saved_model.load(directory)
encoded = json.loads(open(pictures).read())
files = tf.constant([base64.b64decode(one) for one in encoded])
pixels = tf.stack([tf.io.decode_png(one) for one in files])
answers = {
    "serving_default": loaded.signatures["serving_default"](pixels=pixels),
    "encoded": loaded.signatures["encoded"](image_bytes=files),
}
print(json.dumps({
    "answers": {
        name: {
            "class": [text.decode() for text in given["class"].numpy()],
            "probabilities": given["probabilities"].numpy().tolist(),
        }
        for name, given in answers.items()
    },
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
}))
"""


@pytest.fixture
def version(exported):
    """An export of digits; only read it."""
    return exported(Mnist).path / "export" / "1"


@pytest.fixture(scope="module")
def fresh_outputs(exported, tmp_path_factory):
    """Raw test images, and the outputs of a fresh process for them."""
    run = exported(Mnist)
    raw = run.splits.test.numpy(slice(20)).features
    encoded = [base64.b64encode(tf.io.encode_png(image).numpy()).decode() for image in raw]
    path = tmp_path_factory.mktemp("fresh") / "pictures.json"
    path.write_text(json.dumps(encoded))
    # With -I the process cannot import athanor from the current directory.
    output = subprocess.run(
        [sys.executable, "-I", "-c", FRESH, str(run.path / "export" / "1"), str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return raw, json.loads(output.splitlines()[-1])


def test_concurrent_exports_get_different_numbers(copied, monkeypatch):
    numbers = iter("11")
    monkeypatch.setattr(
        version_folders, "_next_version", lambda folder: folder / next(numbers, "2")
    )
    (copied.path / "export" / "1").mkdir(parents=True)
    (copied.path / "export" / "1" / "model").touch()
    monkeypatch.setattr(savedmodel, "write", lambda *_, **__: {"passed": True, "signatures": {}})
    assert Path(export(copied)["export"]).name == "2"


def test_an_export_has_the_layout_of_tensorflow_serving(version):
    names = {path.name for path in version.iterdir()}
    assert {"saved_model.pb", "variables", "parity.json", "labels.txt", "about.json"} <= names
    assert not [name for name in names if name.startswith(".")]


def test_an_export_holds_the_result_of_its_parity_check(version):
    parity = json.loads((version / "parity.json").read_text())
    assert parity["passed"] is True
    assert set(parity["signatures"]) == {"serving_default", "encoded"}
    assert parity["max_abs_diff"] == max(parity["signatures"].values()) <= parity["tolerance"]
    assert (parity["tolerance"], parity["examples"]) == (1e-5, 64)


def test_an_export_holds_its_labels(version):
    assert (version / "labels.txt").read_text().split() == list("0123456789")


def test_signatures_name_their_inputs_and_outputs(version):
    signatures = tf.saved_model.load(version).signatures
    expected = {"serving_default": ("pixels", tf.uint8), "encoded": ("image_bytes", tf.string)}
    assert set(signatures) == set(expected)
    for name, (argument, dtype) in expected.items():
        (_, inputs), outputs = (
            signatures[name].structured_input_signature,
            signatures[name].structured_outputs,
        )
        assert {key: spec.dtype for key, spec in inputs.items()} == {argument: dtype}
        assert inputs[argument].shape[0] is None
        assert {key: spec.dtype for key, spec in outputs.items()} == {
            "class": tf.string,
            "classes": tf.bool,
            "probabilities": tf.float32,
        }


@pytest.mark.slow
def test_the_fresh_process_imports_nothing_of_athanor(fresh_outputs):
    _, output = fresh_outputs
    ours = {"apps", "athanor", "pipelines", "training", "serving", "evaluation", "optimizers"}
    assert "tensorflow" in output["modules"]
    assert not ours & set(output["modules"])


@pytest.mark.slow
@pytest.mark.parametrize("signature", ["serving_default", "encoded"])
def test_outputs_of_a_fresh_process_equal_those_of_training(signature, fresh_outputs, exported):
    raw, output = fresh_outputs
    outputs = output["answers"][signature]
    expected = np.asarray(exported(Mnist).model(raw))
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)
    labels = exported(Mnist).manifest["labels"]
    assert outputs["class"] == [labels[k] for k in expected.argmax(1)]


@pytest.mark.parametrize("app", [Mnist, Finetune], ids=lambda app: app.name())
def test_an_export_reads_images_of_any_size(app, exported):
    """The graph of the export resizes images as `predict` does."""
    run = exported(app)
    image = run.splits.test.numpy([0]).features[0]
    sizes = [image.shape[:2], (40, 40), (31, 57), (5, 6)]
    resized = [tf.image.resize(image, size, method="nearest") for size in sizes]
    png = [tf.io.encode_png(tf.cast(one, tf.uint8)) for one in resized]
    encoded = tf.saved_model.load(run.path / "export" / "1").signatures["encoded"]
    fitted = tf.stack([reading_of(run)(tf.io.decode_png(one)) for one in png])
    outputs = encoded(image_bytes=tf.stack(png))["probabilities"]
    np.testing.assert_allclose(outputs, run.model(fitted), atol=1e-5)


def tampered(run, change):
    samples = dict(np.load(run.path / "samples.npz"))
    change(samples)
    np.savez(run.path / "samples.npz", **samples)
    return run


def other_answer(samples):
    samples["answers"][3, :2] += [0.01, -0.01]


def no_number(samples):
    samples["answers"][3, 0] = np.nan


@pytest.mark.parametrize("change", [other_answer, pytest.param(no_number, marks=pytest.mark.slow)])
def test_a_tampered_sample_fails_the_parity_check(change, exported, tmp_path):
    """Nothing is published or left incomplete, and earlier exports stay."""
    shutil.copytree(exported(Mnist).path, tmp_path / "run")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(ParityError, match="not published"):
        export(tampered(type(exported(Mnist)).load(tmp_path / "run"), change))
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("encoded", "explain", "passes"),
    [
        (1e-6, 9e-3, True),
        (1e-6, 2e-2, False),
        (9e-3, 1e-6, False),
        (1e-6, np.nan, False),
    ],
)
def test_explanations_have_their_own_tolerance(encoded, explain, passes, run, monkeypatch):
    """A heat map is divided by its own peak, which may be small."""
    expected, _ = training_outputs(run)
    answers = {"encoded/class": expected["class"], "explain/heat": np.float32([[0.5 + explain]])}
    answers["encoded/classes"] = expected["classes"]
    answers["encoded/probabilities"] = expected["probabilities"] + np.float32(encoded)
    monkeypatch.setattr(parity_check, "replay_in_process", lambda *_: (answers, {}))
    samples = {"encoded/input/image_bytes": 0, "explain/input/image_bytes": 0}
    samples["explain/output/heat"] = np.float32([[0.5]])
    if passes:
        result = parity_check.check_parity(run, "an export", [], samples)
        assert result["max_abs_diff"] == pytest.approx(1e-6, abs=1e-7)
        assert result["tolerance"] == 1e-5
        assert result["tolerances"] == {"explain": 1e-2}
        assert result["compared"]["encoded"] == ["class", "classes", "probabilities"]
        return
    with pytest.raises(ParityError, match="not published"):
        parity_check.check_parity(run, "an export", [], samples)


def test_changed_labels_fail_the_parity_check(copied):
    """Also if the manifest of the run holds the changed labels."""
    copied.manifest["labels"].reverse()
    with pytest.raises(ParityError, match=r"class \[0\] is '\d', in training '\d'"):
        export(copied)
    assert not (copied.path / "export").exists()


@pytest.mark.slow
def test_a_convolutional_network_in_bfloat16_is_published(tmp_path):
    app = dataclasses.replace(Mnist.tiny(), model="cnn")
    run = train(app, run_dir=tmp_path / "run", precision="bfloat16", verbose=0)
    parity = export(run)["parity"]
    assert parity["signatures"]["explain"] <= parity["tolerances"]["explain"] == 1e-1


def test_a_failing_process_fails_the_parity_check(copied, monkeypatch):
    monkeypatch.setattr(savedmodel.replay, "__file__", str(copied.path / "nowhere.py"))
    with pytest.raises(ParityError, match="could not replay"):
        export(copied)
    assert not (copied.path / "export").exists()


def test_an_error_while_writing_leaves_no_files(copied, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(OSError, match="No space"):
        export(copied)
    assert not (copied.path / "export").exists()


def test_files_of_killed_exports_are_removed_and_running_exports_are_not(copied, monkeypatch):
    def write(*_, **__):
        (folder,) = (copied.path / "export").glob(".writing-*")
        (folder / "saved_model.pb").touch()
        if not (copied.path / "inner").exists():
            (copied.path / "inner").touch()
            monkeypatch.setattr(savedmodel, "write", lambda *_, **__: {"signatures": {}})
            assert Path(export(copied)["export"]).name == "1"
            assert (folder / "saved_model.pb").is_file()
        return {"signatures": {}}

    abandoned = copied.path / "export" / ".writing-killed"
    (abandoned / "variables").mkdir(parents=True)
    monkeypatch.setattr(savedmodel, "write", write)
    assert Path(export(copied)["export"]).name == "2"
    assert sorted(path.name for path in (copied.path / "export").iterdir()) == ["1", "2"]


def test_a_version_is_synced_before_and_after_its_rename(copied, monkeypatch):
    synced = []
    monkeypatch.setattr(
        version_folders, "_fsync", lambda path: synced.append((path.name, path.exists()))
    )
    monkeypatch.setattr(savedmodel, "write", lambda *_, **__: {"signatures": {}})
    export(copied)
    *files, written, folder = synced
    assert {name for name, _ in files} == {"parity.json", SIGNATURE_FILE}
    assert written[0].startswith(".writing-")
    assert folder == ("export", True)


def read_about(run):
    return json.loads((run.path / "export" / "1" / ABOUT).read_text())


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.name())
def test_about_json_describes_the_export(app, exported):
    run = exported(app)
    content, directory = read_about(run), run.path / "export" / "1"
    for name in ("app", "question", "answer", "labels"):
        assert content[name] == run.manifest[name]
    loaded = tf.saved_model.load(directory)
    assert set(content["signatures"]) == set(loaded.signatures)
    for name, signature in loaded.signatures.items():
        described = content["signatures"][name]
        (_, inputs), outputs = signature.structured_input_signature, signature.structured_outputs
        for side, specs in ((described["inputs"], inputs), (described["outputs"], outputs)):
            assert {key: spec["dtype"] for key, spec in side.items()} == {
                key: spec.dtype.name for key, spec in specs.items()
            }
            for key, spec in specs.items():
                assert side[key]["shape"] == spec.shape.as_list()
    signature_name = content["example_signature"]
    assert len(content["examples"]) == 3
    for row in content["examples"]:
        assert set(row) == set(content["signatures"][signature_name]["inputs"])
    request = json.loads((directory / savedmodel.SAMPLE_REQUEST).read_text())
    assert request == {"signature_name": signature_name, "instances": content["examples"]}


def test_about_json_has_the_entries_of_the_modality(exported):
    image, row, ids = (
        read_about(exported(app)) for app in (Mnist, apps.Regression, apps.Recommender)
    )
    assert image["image"] == {"height": 8, "width": 8, "channels": 1, "upright": True}
    assert base64.b64decode(image["examples"][0]["image_bytes"]["b64"])[1:4] == b"PNG"
    assert [column["name"] for column in row["columns"]] == [*kinds_of(exported(apps.Regression))]
    columns = {column.pop("name"): column for column in row["columns"]}
    sex = columns["sex"]
    assert sex.pop("format") == {"kind": "number", "decimal": "."}
    assert sex == {"title": "sex", "kind": "number", "typical": 1.0, "low": 1.0, "high": 2.0}
    assert all(column["low"] < column["high"] for column in columns.values())
    assert row["target"] == {"name": "target", "unit": ""}
    assert ids["target"] is None
    assert (len(ids["users"]), len(ids["items"])) == (0, 20)


def published_bytes(version):
    """Return the content of all files that a server publishes."""
    names = (ABOUT, savedmodel.SAMPLE_REQUEST, RECORDS)
    return b"".join((version / name).read_bytes() for name in names if (version / name).exists())


@pytest.mark.parametrize(
    "app", [apps.Regression, apps.Text, apps.Recommender, Mnist], ids=lambda app: app.name()
)
def test_an_export_publishes_no_example_of_the_data(app, exported):
    run = exported(app)
    content, raw = published_bytes(run.path / "export" / "1"), run.samples.raw
    about = read_about(run)
    assert about["examples_from"] == "schema"
    if app is apps.Recommender:
        assert not [user for user in run.splits.train.numpy().features["user"] if user in content]
    elif app is apps.Text:
        assert not [text for text in raw if text in content]
    elif app is Mnist:
        encoded = [base64.b64encode(tf.io.encode_png(one).numpy()) for one in raw]
        assert not [one for one in encoded if one in content]
    else:
        columns = unpack_columns(raw, run.manifest["data"]["spec"]["columns"])
        rows = set(zip(*(column.tolist() for column in columns.values()), strict=True))
        shown = [tuple(one[name] for name in columns) for one in about["examples"]]
        assert len(shown) == 3 and not rows & set(shown)


def test_with_examples_an_export_publishes_examples_of_the_data(exported, tmp_path):
    run = exported(apps.Recommender)
    savedmodel.write(run, tmp_path, with_examples=True)
    about = json.loads((tmp_path / ABOUT).read_text())
    assert about["examples_from"] == "data"
    assert about["users"][0] == "user 0"
    assert about["examples"][0]["user"] == run.samples.raw["user"][0].decode()


def test_about_json_has_the_score_of_an_evaluated_run(copied):
    assert model_info.describe(copied, {}, {})["score"] is None
    intervals = {"accuracy": [0.4, 0.6], "loss": [1.0, 3.0]}
    scores = {"test": {"accuracy": 0.5, "loss": 2.0}, "intervals": intervals}
    (copied.path / "scores.json").write_text(json.dumps(scores))
    expected = {"metric": "accuracy", "value": 0.5, "low": 0.4, "high": 0.6}
    assert model_info.describe(copied, {}, {})["score"] == expected


def test_about_json_has_the_remarks_of_the_evaluation(copied):
    assert model_info.describe(copied, {}, {})["remarks"] == []
    scores = {"test": {"accuracy": 0.5}, "intervals": {"accuracy": [0.4, 0.6]}}
    remarks = ["This model loses to softmax regression."]
    (copied.path / "scores.json").write_text(json.dumps(scores | {"remarks": remarks}))
    assert model_info.describe(copied, {}, {})["remarks"] == remarks


def test_missing_numbers_become_typical_values_in_json():
    rows = {"size": np.float32([np.nan, 0.1]), "kind": np.array([b"oak", b"caf\xe9"])}
    assert model_info.instances(rows, {"size": 2.5}) == [
        {"size": 0.1, "kind": "caf\ufffd"},
        {"size": 2.5, "kind": "oak"},
    ]


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.name())
def test_warm_up_requests_call_every_signature(app, exported):
    """TensorFlow Serving can parse the records, and every signature accepts its request."""
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    directory = exported(app).path / "export" / "1"
    signatures = tf.saved_model.load(directory).signatures
    called = set()
    for record in tf.data.TFRecordDataset(str(directory / RECORDS)):
        request = logs.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == app.name()
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        name = request.model_spec.signature_name
        signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        called.add(name)
    assert called == set(signatures)


def test_without_the_extra_a_note_replaces_the_warm_up_requests(copied, monkeypatch, tmp_path):
    monkeypatch.setattr(warmup_records, "available", lambda: False)
    warmup_records.write(tmp_path / "nowhere", "mnist", {})
    assert not (tmp_path / "nowhere").exists()
    monkeypatch.setattr(savedmodel, "write", lambda *_, **__: {"passed": True, "signatures": {}})
    assert export(copied)["notes"] == [warmup_records.MISSING_NOTE]


def test_the_curl_command_quotes_any_directory():
    _, _, data, _ = shlex.split(savedmodel.curl("mnist", Path("/my runs/it's/1")))
    assert data == "@/my runs/it's/1/sample-request.json"


def test_predictions_name_the_three_most_probable_classes(copied):
    paths = examples(copied)
    answers = np.asarray(copied.model(copied.splits.test.numpy(slice(3)).features))
    for path, row, answer in zip(paths, predict(copied, paths), answers, strict=True):
        assert set(row) == {"input", "class", "probability", "next", "classes"}
        assert row["class"] == row["classes"][0]
        assert row["input"] == str(path)
        guesses = [row, *row["next"]]
        order = np.argsort(-answer)[:3]
        assert [guess["class"] for guess in guesses] == [str(k) for k in order]
        probabilities = [guess["probability"] for guess in guesses]
        np.testing.assert_allclose(probabilities, answer[order], atol=1e-5)


def test_example_files_are_named_by_their_class(copied):
    targets = copied.splits.test.numpy(slice(3)).target
    names = [Path(path).name for path in examples(copied)]
    assert names == [f"{number}-{target}.png" for number, target in enumerate(targets)]


def test_an_unreadable_file_does_not_stop_other_predictions(copied, run_cli):
    good, other, _ = map(Path, examples(copied))
    bad, words = copied.path / "bad.png", copied.path / "words.png"
    bad.write_bytes(good.read_bytes()[:40])
    words.write_text("words")
    paths = [str(path) for path in (good, bad, words, other, copied.path / "none.png")]
    alone = predict(copied, [str(good), str(other)])
    rows = predict(copied, paths)
    assert [row["input"] for row in rows] == paths
    assert [row for row in rows if "error" not in row] == alone
    for row, reason in ((rows[1], "cut short"), (rows[2], "not that of"), (rows[4], "No such")):
        assert reason in row["error"] and row["input"] in row["error"]
    status, output, error = run_cli("mnist", "predict", copied.path, *paths, "--json")
    assert status == 1
    assert [row.get("class") for row in json.loads(output)["predictions"]] == [
        row.get("class") for row in rows
    ]
    assert "bad.png" in error and "words.png" in error
    status, output, error = run_cli("mnist", "predict", copied.path, bad, "--json")
    assert (status, output) == (2, "")
    with pytest.raises(UnreadableError, match=r"bad\.png"):
        predict(copied, [str(bad)])


def test_an_image_with_too_many_pixels_is_refused(copied):
    picture = Path(examples(copied)[0])
    content = bytearray(picture.read_bytes())
    content[16:24] = (2**20).to_bytes(4) * 2
    picture.write_bytes(content)
    with pytest.raises(UnreadableError, match="1048576 x 1048576 pixels; expected at most"):
        predict(copied, [str(picture)])


def test_the_saved_model_holds_no_optimizer(run):
    model = keras.saving.load_model(run.path / "model.keras")
    assert getattr(model, "optimizer", None) is None
