"""Searches with --quarantine: each trial leaves out the examples of a list of check-data."""

import dataclasses
import json
import subprocess
import sys

import pytest

from apps import Mnist
from evaluation import replay, report
from exporting.export import export
from pipelines import quarantine
from pipelines.examples import AddressError
from pipelines.quarantine import Entry, key_of
from training.run import QUARANTINE, Run, RunError
from tuning import coordinator, search, search_spec, trial
from tuning.options import TuneOptions

TINY = dataclasses.replace(Mnist.tiny(), model="softmax", epochs=2)
TRAIN, VALID, TEST = 5, 3, 2


def tuned(directory, listed, **options):
    defaults = {"trials": 2, "tuner": "random", "precision": "float32", "quarantine": listed}
    given = {name: options.pop(name) for name in ("command", "watch") if name in options}
    return search.search(
        TINY, TuneOptions(run_dir=directory, **defaults, **options), verbose=False, **given
    )


def write(path, *counts):
    """Write a list of the first examples of train, valid and test, `counts` of each."""
    splits = TINY.load_splits()
    parts = zip((splits.train, splits.valid, splits.test), counts, strict=True)
    hashes = [key for part, count in parts for key in part.content_hashes()[:count]]
    quarantine.write(path, [Entry(key_of(key)) for key in hashes])
    return path


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    return write(tmp_path_factory.mktemp("lists") / "list.csv", TRAIN, VALID, TEST)


@pytest.fixture(scope="module")
def found(listed):
    """A finished search of two trials; the user edits the list while it runs."""
    before = listed.read_bytes()

    def watch(_):
        return lambda ended: listed.write_text("key,where\nedited,") if ended else None

    try:
        return tuned(listed.parent / "search", listed, watch=watch)
    finally:
        listed.write_bytes(before)


@pytest.mark.thorough
def test_every_trial_uses_the_list_as_it_was_when_the_search_began(found, listed):
    before = TINY.load_splits().sizes
    runs = [Run.load(path.parent) for path in found.directory.glob("trials/*/run.json")]
    for run in [*runs, found.best]:
        data = run.manifest["data"]
        assert data["quarantine"] == {
            "digest": quarantine.digest(listed),
            "entries": TRAIN + VALID + TEST,
            "train": TRAIN,
            "valid": VALID,
            "test": TEST,
            "unknown": 0,
        }
        assert data["sizes"]["train"] == before["train"] - TRAIN
        assert data["sizes"]["test"] == before["test"]
        assert (run.path / QUARANTINE).read_bytes() == listed.read_bytes()
    assert len(runs) == 2


@pytest.mark.thorough
def test_search_json_holds_the_digest_of_the_list(found, listed):
    stated = json.loads((found.directory / search_spec.SEARCH_JSON).read_text())
    remaining = quarantine.remove_listed(TINY.load_splits(), listed)
    assert stated["quarantine"] == quarantine.digest(listed)
    assert stated["data"] == remaining.fingerprint()
    assert (
        stated["valid"]
        == trial.validation_digest(remaining)
        != trial.validation_digest(TINY.load_splits())
    )


def test_the_same_command_continues_the_search(found, listed, monkeypatch):
    monkeypatch.setattr("tuning.trial.train", None)
    assert tuned(found.directory, listed).best.path == found.best.path


def test_another_list_makes_another_search(found, listed, tmp_path):
    other = write(tmp_path / "other.csv", TRAIN + 1, VALID, TEST)
    for given in (other, None):
        with pytest.raises(RunError, match=r"quarantine [0-9a-f]{32} there, "):
            tuned(found.directory, given)
    assert (found.directory / QUARANTINE).read_bytes() == listed.read_bytes()
    lists = (TuneOptions(quarantine=one) for one in (listed, other, None))
    specs = [search_spec.make(TINY, options) for options in lists]
    assert len({one.default_directory() for one in specs}) == 3


def test_a_worker_with_another_list_is_refused(found, listed, tmp_path, monkeypatch):
    for name, value in (
        (coordinator.TUNER_ID, "one"),
        (coordinator.ORACLE_IP, "127.0.0.1"),
        (coordinator.ORACLE_PORT, "1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(search, "_run_as_worker", lambda *_: None)
    other = write(tmp_path / "other.csv", TRAIN, VALID + 1, TEST)
    for given, now in ((other, quarantine.digest(other)), (None, None)):
        with pytest.raises(RunError, match=f"quarantine .* there, {now} now"):
            tuned(found.directory, given)
    copy = tmp_path / "copy.csv"
    copy.write_bytes(listed.read_bytes())
    assert tuned(found.directory, copy) is None


def test_an_unreadable_list_begins_no_search(elsewhere):
    with pytest.raises(AddressError, match=r"no\.csv"):
        tuned(None, elsewhere / "no.csv")
    assert list(elsewhere.iterdir()) == []


def test_the_best_run_leaves_out_the_listed_examples(found, run_cli, tmp_path):
    best = Run.load(found.directory / "best")
    assert best.splits.sizes == best.manifest["data"]["sizes"]
    assert report.score(best)["examples"] == TINY.load_splits().sizes["test"]
    assert replay.replay(best, tmp_path / "again", verbose=0).verdict == "bit-equal"
    status, output, _ = run_cli("mnist", "train", "--resume", best.path)
    assert (status, "is trained already" in output) == (0, True)


@pytest.mark.slow
def test_the_best_is_exported(found):
    best = Run.load(found.directory / "best")
    assert export(best)["parity"]["passed"]


@pytest.mark.slow
def test_workers_of_the_command_line_use_the_list(listed, elsewhere):
    words = ["--model=softmax", "--epochs=2", "--tuner=random", "--trials=3", "--batch-size=64"]
    words += ["--precision=float32", "--workers=2", "--quarantine", listed, "--run-dir=search"]
    subprocess.run([sys.executable, "-m", "athanor", "mnist", "tune", *words], check=True)
    lists = list((elsewhere / "search").glob(f"trials/*/{QUARANTINE}"))
    assert {one.read_bytes() for one in lists} == {listed.read_bytes()}
    assert len(lists) == 3
