"""Quarantine lists: written by check-data, applied in training, evaluation and folds."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import made
import numpy as np
import planted
import pytest
import tensorflow as tf

from apps import Finetune, Mnist, Text
from data_checks import page
from data_checks.examine import examine
from evaluation import report
from pipelines import quarantine
from pipelines.examples import DataError
from pipelines.quarantine import Entry, key_of, remove_listed
from pipelines.splits import split_source
from training.run import Run
from training.train import train

ROOT = Path(__file__).resolve().parents[1]
TINY = ["--model", "softmax", "--epochs", "1", "--precision", "float32"]


@pytest.fixture
def splits():
    return split_source(made.source(100))


@pytest.fixture
def listed(elsewhere):
    """A function that writes a list of some keys."""

    def write(*entries):
        quarantine.write(elsewhere / "list.csv", entries)
        return elsewhere / "list.csv"

    return write


def keys(examples, *positions):
    return [Entry(key_of(examples.content_hashes()[k])) for k in positions]


def test_a_list_applies_to_training_and_validation_but_not_to_test(splits, listed):
    path = listed(
        *keys(splits.train, 0, 3), *keys(splits.valid, 1), *keys(splits.test, 2), Entry("00" * 8)
    )
    left = remove_listed(splits, path)
    honoured = tuple(left.quarantine.values())
    assert left.sizes == {
        "train": len(splits.train) - 2,
        "valid": len(splits.valid) - 1,
        "test": len(splits.test),
    }
    assert honoured == (quarantine.digest(path), 5, 2, 1, 1, 1)
    assert "1 of 5 lines name no example" in left.notes[-1]
    gone = splits.train.content_hashes()[[0, 3]]
    assert not np.isin(gone, left.train.content_hashes()).any()
    assert left.fingerprint() != splits.fingerprint()


def test_a_list_of_other_data_is_refused(splits, listed):
    other = made.random_images(5, seed=77)
    with pytest.raises(DataError, match=r"none of whose 2 lines .*; expected .*check-data"):
        remove_listed(splits, listed(*keys(other, 0, 1)))


def test_a_list_of_everything_is_refused(splits, listed):
    with pytest.raises(DataError, match="leaves the train split empty"):
        remove_listed(splits, listed(*keys(splits.train, *range(len(splits.train)))))


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "key,where\nnothex,\n"])
def test_other_files_are_refused_as_lists(content, splits, elsewhere):
    (elsewhere / "list.csv").write_text(content)
    with pytest.raises(DataError, match=r"Received .*; expected"):
        remove_listed(splits, elsewhere / "list.csv")


@pytest.mark.thorough
def test_a_run_with_a_list_can_be_evaluated_again(run_cli, elsewhere):
    status, out, err = run_cli("mnist", "check-data", "--write-quarantine", "list.csv", "--json")
    assert status == 0, err
    before = json.loads(out)["examples"]
    path = elsewhere / "list.csv"
    listed = quarantine.read(path)
    app = Mnist(model="softmax", epochs=1)
    made = train(app, run_dir=elsewhere / "run", precision="float32", quarantine=path, verbose=0)
    told = made.manifest["data"]
    assert told["quarantine"]["train"] + told["quarantine"]["valid"] == len(listed) > 0
    assert told["sizes"]["train"] == before["train"] - told["quarantine"]["train"]
    path.unlink()
    again = Run.load(made.path)
    assert again.splits.sizes == told["sizes"]
    assert report.score(again)["examples"] == before["test"]


def test_a_run_directory_has_a_copy_of_its_list(listed, elsewhere):
    path, kept = listed(Entry("00" * 8)), elsewhere / "kept.csv"
    quarantine.copy_list(path, kept)
    quarantine.copy_list(kept, kept)  # a run that goes on is given its own
    assert quarantine.digest(kept) == quarantine.digest(path)
    quarantine.copy_list(None, kept)
    assert not kept.exists()


def test_a_missing_list_writes_nothing(run_cli, elsewhere):
    status, _, err = run_cli("mnist", "train", *TINY, "--quarantine", "no.csv")
    assert status == 2
    assert "no.csv" in err
    assert list(elsewhere.iterdir()) == []


class Stopped(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        if epoch:
            raise KeyboardInterrupt


def test_a_resumed_run_uses_its_list(run_cli, elsewhere, listed):
    app = Mnist(model="softmax", epochs=2)
    path = listed(*keys(app.load_splits().train, 0, 1))
    how = {"precision": "float32", "quarantine": path, "verbose": 0, "checkpoint_every": 0}
    with pytest.raises(KeyboardInterrupt):
        train(app, run_dir=elsewhere / "run", callbacks=[Stopped()], **how)
    path.unlink()
    status, out, err = run_cli("mnist", "train", "--resume", "run")
    assert status == 0, err
    assert "continues after epoch 1" in out
    assert Run.load(elsewhere / "run").manifest["data"]["quarantine"]["train"] == 2


@pytest.mark.parametrize("content", [None, "key,where\n0123456789abcdef,"])
def test_folds_with_an_unusable_list_write_nothing(content, run_cli, elsewhere):
    if content:
        (elsewhere / "list.csv").write_text(content)
    flags = ["--folds", "2", "--quarantine", "list.csv", "--run-dir", "folds"]
    status, _, err = run_cli("mnist", "train", *TINY, *flags)
    assert status == 2
    assert "list.csv" in err
    assert not (elsewhere / "folds").exists()


@pytest.mark.thorough
def test_every_fold_leaves_listed_examples_out_of_training(run_cli, elsewhere, listed):
    splits = Mnist().load_splits()
    flags = ["--folds", "2", "--quarantine", listed(*keys(splits.train, 0, 1, 2))]
    status, _, err = run_cli("mnist", "train", *TINY, *flags, "--run-dir", "folds")
    assert status == 0, err
    runs = [Run.load(elsewhere / "folds" / f"fold-{number}") for number in (1, 2)]
    told = [run.manifest["data"]["quarantine"] for run in runs]
    assert [one["train"] + one["valid"] + one["test"] for one in told] == [3, 3]
    assert sum(one["test"] for one in told) == 3
    for run in runs:
        assert run.splits.sizes == run.manifest["data"]["sizes"]


@pytest.fixture
def texts(elsewhere):
    """Flags for texts with an error, two of which belong on a list."""
    held = planted.texts()
    for name in ("class of test alone", "empty text", "broken line"):
        planted.TEXT[name].plant(held)
    held.train[5][0] = "<script>alert(1)</script> & more"
    fields = planted.write(held, elsewhere)
    return ["text", "check-data", *(f"--{name}={value}" for name, value in fields.items())]


def test_errors_give_status_1_and_one_json_object(run_cli, texts, elsewhere):
    status, out, err = run_cli(*texts, "--json", "--write-quarantine", "list.csv")
    assert status == 1
    assert "1 finding of severity error" in err
    told = json.loads(out)
    assert told["counts"]["error"] == 1
    assert told["findings"][0]["check"] == "classes unseen in train"
    assert told["report"] == "data-report.html"
    with (elsewhere / "list.csv").open() as file:
        checks = {row["check"]: row["where"] for row in csv.DictReader(file)}
    assert checks == {"empty texts": "train.csv line 12", "broken lines": "train.csv line 8"}


@pytest.mark.parametrize(("level", "expected"), [("never", 0), ("warning", 1)])
def test_fail_on_chooses_the_failing_severity(level, expected, run_cli, texts):
    assert run_cli(*texts, "--fail-on", level)[0] == expected


def test_the_report_is_self_contained_and_escaped(run_cli, texts, elsewhere):
    run_cli(*texts)
    written = (elsewhere / "data-report.html").read_text()
    assert "<script" not in written
    assert "&lt;script&gt;" in written
    assert not re.search(r"(src|href)=\"(?!data:)|@import|https?://", written)
    assert run_cli(*texts)[0] == 1  # our own page is written anew


@pytest.mark.parametrize("flag", ["--report", "--write-quarantine"])
def test_files_of_the_user_are_not_overwritten(flag, run_cli, texts, elsewhere):
    (elsewhere / "mine").write_text("mine")
    status, _, err = run_cli(*texts, flag, "mine")
    assert status == 2
    assert "mine" in err
    assert (elsewhere / "mine").read_text() == "mine"
    assert not (elsewhere / "data-report.html").exists()


def test_data_that_training_refuses_are_a_finding(run_cli, elsewhere):
    (elsewhere / "one.csv").write_text("text,label\n" + "some words,good\n" * 30 + "a,b,c\n")
    status, out, _ = run_cli("text", "check-data", "--data", "csv:one.csv", "--json")
    assert status == 1
    told = json.loads(out)["findings"]
    assert {one["check"] for one in told} == {"refused by training", "broken lines"}


def test_a_wrong_address_is_a_usage_error(run_cli, elsewhere):
    status, out, err = run_cli("text", "check-data", "--data", "csv:none.csv")
    assert status == 2
    assert "none.csv" in err
    assert not out
    assert list(elsewhere.iterdir()) == []


def test_images_of_the_report_are_data_urls():
    diagnosis = examine(Mnist(), None, lambda *_: None)
    assert 'src="data:image/png;base64,' in page.page(diagnosis)


def test_a_text_is_named_by_its_line(tmp_path):
    held = planted.texts()
    diagnosis = examine(Text(**planted.write(held, tmp_path)), None, lambda *_: None)
    number = int(diagnosis.data.numbers_of("test")[4])
    assert diagnosis.data.where(number) == "test.csv line 6"


@pytest.mark.thorough
def test_file_names_that_are_not_utf_8_are_listed_and_applied(elsewhere):
    folder = elsewhere / "photos"
    random = np.random.default_rng(0)
    for name in (b"cats", b"d\xf6gs"):
        place = folder / os.fsdecode(name)
        place.mkdir(parents=True)
        for k in range(20):
            picture = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            made = tf.io.encode_png(picture).numpy()
            (place / os.fsdecode(b"%d-\xe9.png" % k)).write_bytes(made)
    (folder / "cats" / os.fsdecode(b"br\xf6ken.png")).write_bytes(b"no picture")
    command = [sys.executable, "-m", "athanor", "finetune"]
    where = ["--data", "folder:photos"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    asked = [*command, "check-data", *where, "--write-quarantine", "list.csv", "--fail-on", "never"]
    done = subprocess.run(asked, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"br\\udcf6ken.png" in done.stdout
    assert (elsewhere / "data-report.html").read_text(encoding="utf-8")
    assert [entry.where for entry in quarantine.read(elsewhere / "list.csv")] == [
        "cats/br\\udcf6ken.png"
    ]
    with (elsewhere / "list.csv").open("ab") as file:
        file.write(b",cats/3-\xe9.png,train,by hand,blurred\r\n")
    splits = Finetune(data="folder:photos").load_splits()
    left = remove_listed(splits, elsewhere / "list.csv")
    assert sum(left.sizes.values()) == sum(splits.sizes.values()) - 1 or (
        left.quarantine["test"] == 1
    )
