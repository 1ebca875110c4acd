"""Files and directories may be called anything that the file system takes."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from apps import Mnist
from inference import saved_graph
from inference.servable import Servable
from training.run import Run

ROWS = "\n".join(f"{k % 13},{k * k % 17},{k % 13 + k % 5}" for k in range(120))
NAMES = {
    "pattern": "[1] a*b? {c}",
    "address": "csv:x=y, z; #1%20&2",
    "letters": "Größe 数据 🍎 e\u0301",
    "flag": "--seed",
    "lines": "two\nlines",
    "backslash": "back\\slash",
    "bytes": os.fsdecode(b"caf\xe9"),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "pattern" else pytest.mark.thorough) for name in NAMES],
)
def test_train_and_predict_work_in_a_directory_with_an_odd_name(name, run_cli, elsewhere):
    place = elsewhere / NAMES[name]
    place.mkdir()
    table, run = place / f"{NAMES[name]}.csv", place / "run [a]"
    table.write_text(f"a,b,y\n{ROWS}\n")
    flags = ["--target", "y", "--model", "linear", "--precision", "float32"]
    status, out, err = run_cli(
        "regression", "train", "--data", f"csv:{table}", *flags, "--run-dir", run, "--json"
    )
    assert status == 0, err
    assert json.loads(out)["run"] == str(run)
    status, out, err = run_cli("predict", run, table, "--json")
    assert status == 0, err
    assert len(json.loads(out)["predictions"]) == 120
    status, _, err = run_cli("evaluate", run)
    assert status == 0, err
    assert saved_graph.is_current(Run.load(run))
    assert len(list((run / "logs").rglob("events.*"))) > 0
    status, out, err = run_cli("export", run, "--json")
    assert status == 0, err
    version = Path(json.loads(out)["export"])
    assert {"serving_default"} <= {*Servable(version, 1).signatures}


@pytest.mark.parametrize(
    "name",
    [
        *("b*c", "数据"),
        *(
            pytest.param(name, marks=pytest.mark.thorough)
            for name in ("a[1]", "d?e", "with blanks")
        ),
    ],
)
def test_a_path_with_wildcards_is_not_expanded(name, exported, tmp_path):
    """TensorFlow would read `b*c` as every directory whose name begins with b and ends with c."""
    kept = exported(Mnist).path / "export" / "1"
    shutil.copytree(kept, tmp_path / name)
    shutil.copytree(kept, tmp_path / name.replace("*", "12").replace("?", "1"), dirs_exist_ok=True)
    pixels = {"pixels": Run.load(kept.parents[1]).samples.raw[:2]}
    answers = [
        one.run(one.signature(None), pixels)["probabilities"]
        for one in (Servable(place, 1) for place in (kept, tmp_path / name))
    ]
    np.testing.assert_array_equal(*answers)


def test_a_search_accepts_wildcards_and_refuses_a_name_that_is_not_utf8(run_cli, elsewhere):
    (elsewhere / "rows.csv").write_text(f"a,b,y\n{ROWS}\n")
    flags = ["--data", "rows.csv", "--target", "y", "--epochs", "1", "--trials", "1"]
    flags += ["--model", "mlp"]
    status, _, err = run_cli("regression", "tune", *flags, "--run-dir", elsewhere / "a[1]")
    assert status == 0, err
    refused = elsewhere / os.fsdecode(b"caf\xe9")
    status, _, err = run_cli("regression", "tune", *flags, "--run-dir", refused)
    assert status == 2
    assert "not UTF-8" in err and "--run-dir" in err
    assert not refused.exists()


@pytest.mark.thorough
def test_train_and_predict_read_image_folders_with_odd_names(run_cli, elsewhere):
    photos = elsewhere / os.fsdecode(b"photos\xe9 [1]")
    for label in ("oak", os.fsdecode(b"orm\xe9")):
        (photos / label).mkdir(parents=True)
        for number in range(12):
            image = np.zeros((8, 8, 3), "uint8") + 20 * number + (label == "oak")
            path = photos / label / os.fsdecode(b"\xff%d.png" % number)
            path.write_bytes(tf.io.encode_png(image).numpy())
    run = elsewhere / os.fsdecode(b"run\xe9*")
    status, _, err = run_cli(
        "mnist", "check-data", "--data", f"folder:{photos}", "--fail-on", "never"
    )
    assert status == 0, err
    status, _, err = run_cli(
        *["mnist", "train", "--data", f"folder:{photos}", "--epochs", "1", "--run-dir", run],
        *["--model", "softmax"],
    )
    assert status == 0, err
    status, out, err = run_cli("predict", run, next((photos / "oak").iterdir()), "--json")
    assert status == 0, err
    assert json.loads(out)["predictions"][0]["class"]
    for verb in ("evaluate", "export"):
        status, _, err = run_cli(verb, run)
        assert status == 0, err


@pytest.mark.thorough
def test_texts_and_ratings_in_files_whose_names_are_not_utf8(run_cli, elsewhere):
    texts, ratings = (elsewhere / os.fsdecode(name) for name in (b"t\xe9.csv", b"r\xe9.csv"))
    lines = [f"{'good' if k % 2 else 'bad'} film number {k},{k % 2}\n" for k in range(80)]
    texts.write_text("text,label\n" + "".join(lines))
    lines = [f"u{k % 12},i{k * 7 % 11},{k % 5 + 1}\n" for k in range(132)]
    ratings.write_text("user,item,rating\n" + "".join(lines))
    for app, path, asked in (("text", texts, "a film"), ("recommender", ratings, "u1")):
        run = elsewhere / os.fsdecode(b"\xe9" + app.encode())
        flags = ["--data", path, "--epochs", "1", "--run-dir", run]
        flags += ["--target", "label", "--width", "8", "--model", "cnn"] if app == "text" else []
        status, _, err = run_cli(app, "check-data", *flags[:2], *flags[6:8], "--fail-on", "never")
        assert status == 0, err
        status, _, err = run_cli(app, "train", *flags)
        assert status == 0, err
        # tests/test_export.py exports texts, and the test above into a directory of such a name.
        verbs = [["evaluate", run], ["predict", run, asked]]
        for words in verbs if app == "text" else [*verbs, ["export", run]]:
            status, _, err = run_cli(*words)
            assert status == 0, err
