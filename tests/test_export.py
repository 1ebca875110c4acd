"""An export answers as in training, where nothing but TensorFlow is known, or is not published."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps import Finetune, Mnist
from serving import export as exporting
from serving.export import ParityError, export
from serving.images import UnreadableError, reading_of
from serving.predict import examples, predict

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


@pytest.fixture(scope="module")
def exports(exported, tmp_path_factory):
    """The folder of a run exported twice, with export/1 and export/2."""
    run = exported(Mnist)
    path = tmp_path_factory.mktemp("twice") / "run"
    shutil.copytree(run.path, path)
    export(type(run).load(path))
    return path / "export"


@pytest.fixture(scope="module")
def asked(exported, exports, tmp_path_factory):
    """Raw test images, and what a fresh process answers to them."""
    run = exported(Mnist)
    raw = run.splits.test.numpy(slice(20)).features
    encoded = [base64.b64encode(tf.io.encode_png(image).numpy()).decode() for image in raw]
    place = tmp_path_factory.mktemp("fresh") / "pictures.json"
    place.write_text(json.dumps(encoded))
    # -I: no directory of ours is on the path by chance; no site: nor is the editable install.
    output = subprocess.run(
        [sys.executable, "-I", "-c", FRESH, str(exports / "2"), str(place)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return raw, json.loads(output.splitlines()[-1])


def test_exports_are_numbered(exports):
    assert sorted(path.name for path in exports.iterdir()) == ["1", "2"]


@pytest.mark.parametrize("number", ["1", "2"])
def test_an_export_is_in_the_layout_of_tensorflow_serving(number, exports):
    names = {path.name for path in (exports / number).iterdir()}
    assert {"saved_model.pb", "variables", "parity.json", "labels.txt"} <= names
    assert not [name for name in names if name.startswith(".")]


def test_an_export_holds_its_proof(exports):
    parity = json.loads((exports / "1" / "parity.json").read_text())
    assert parity["passed"] is True
    assert set(parity["signatures"]) == {"serving_default", "encoded"}
    assert parity["max_abs_diff"] == max(parity["signatures"].values()) <= parity["tolerance"]
    assert (parity["tolerance"], parity["examples"]) == (1e-5, 64)


def test_an_export_holds_its_labels(exports):
    assert (exports / "1" / "labels.txt").read_text().split() == list("0123456789")


def test_signatures_name_their_inputs_and_outputs(exports):
    signatures = tf.saved_model.load(exports / "1").signatures
    wanted = {"serving_default": ("pixels", tf.uint8), "encoded": ("image_bytes", tf.string)}
    assert set(signatures) == set(wanted)
    for name, (argument, dtype) in wanted.items():
        (_, inputs), outputs = (
            signatures[name].structured_input_signature,
            signatures[name].structured_outputs,
        )
        assert {key: spec.dtype for key, spec in inputs.items()} == {argument: dtype}
        assert inputs[argument].shape[0] is None
        assert {key: spec.dtype for key, spec in outputs.items()} == {
            "class": tf.string,
            "probabilities": tf.float32,
        }


def test_the_fresh_process_knew_nothing_of_us(asked):
    _, output = asked
    ours = {"apps", "athanor", "pipelines", "training", "serving", "evaluation", "optimizers"}
    assert "tensorflow" in output["modules"]
    assert not ours & set(output["modules"])


@pytest.mark.parametrize("signature", ["serving_default", "encoded"])
def test_a_fresh_process_answers_as_training(signature, asked, exported):
    raw, output = asked
    given = output["answers"][signature]
    inside = np.asarray(exported(Mnist).model(raw))
    np.testing.assert_allclose(given["probabilities"], inside, atol=1e-5)
    labels = exported(Mnist).passport["labels"]
    assert given["class"] == [labels[k] for k in inside.argmax(1)]


@pytest.mark.parametrize("app", [Mnist, Finetune], ids=lambda app: app.name())
def test_an_export_reads_a_picture_of_any_size(app, exported):
    """Within a graph as TensorFlow makes it faster, and as `predict` does outside of one."""
    run = exported(app)
    image = run.splits.test.numpy([0]).features[0]
    sizes = [image.shape[:2], (40, 40), (31, 57), (5, 6)]
    resized = [tf.image.resize(image, size, method="nearest") for size in sizes]
    png = [tf.io.encode_png(tf.cast(one, tf.uint8)) for one in resized]
    encoded = tf.saved_model.load(run.path / "export" / "1").signatures["encoded"]
    fitted = tf.stack([reading_of(run)(tf.io.decode_png(one)) for one in png])
    given = encoded(image_bytes=tf.stack(png))["probabilities"]
    np.testing.assert_allclose(given, run.model(fitted), atol=1e-5)


def tampered(run, change):
    samples = dict(np.load(run.path / "samples.npz"))
    change(samples)
    np.savez(run.path / "samples.npz", **samples)
    return run


def other_answer(samples):
    samples["answers"][3, :2] += [0.01, -0.01]


def no_number(samples):
    samples["answers"][3, 0] = np.nan


@pytest.mark.parametrize("change", [other_answer, no_number])
def test_a_tampered_sample_closes_the_gate(change, exported, tmp_path):
    """Nothing is published, nothing left half-written, earlier exports stay."""
    shutil.copytree(exported(Mnist).path, tmp_path / "run")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(ParityError, match="not published"):
        export(tampered(type(exported(Mnist)).load(tmp_path / "run"), change))
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_process_that_fails_closes_the_gate(copied, monkeypatch):
    monkeypatch.setattr(exporting.replay, "__file__", str(copied.path / "nowhere.py"))
    with pytest.raises(ParityError, match="could not replay"):
        export(copied)
    assert list((copied.path / "export").iterdir()) == []


def test_a_fault_while_writing_leaves_nothing(copied, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(OSError, match="No space"):
        export(copied)
    assert list((copied.path / "export").iterdir()) == []


def test_predictions_name_the_class_and_the_next(copied):
    paths = examples(copied)
    answers = np.asarray(copied.model(copied.splits.test.numpy(slice(3)).features))
    for path, row, answer in zip(paths, predict(copied, paths), answers, strict=True):
        assert set(row) == {"input", "class", "probability", "next"}
        assert row["input"] == str(path)
        guesses = [row, *row["next"]]
        order = np.argsort(-answer)[:3]
        assert [guess["class"] for guess in guesses] == [str(k) for k in order]
        found = [guess["probability"] for guess in guesses]
        np.testing.assert_allclose(found, answer[order], atol=1e-5)


def test_example_files_are_named_by_their_class(copied):
    targets = copied.splits.test.numpy(slice(3)).target
    names = [Path(path).name for path in examples(copied)]
    assert names == [f"{number}-{target}.png" for number, target in enumerate(targets)]


def test_one_unreadable_file_stops_all_predictions(copied):
    good = Path(examples(copied)[0])
    bad = copied.path / "bad.png"
    bad.write_bytes(good.read_bytes()[:40])
    with pytest.raises(UnreadableError, match=r"bad\.png"):
        predict(copied, [str(good), str(bad)])


def test_the_saved_model_carries_no_optimizer(run):
    model = keras.saving.load_model(run.path / "model.keras")
    assert getattr(model, "optimizer", None) is None
