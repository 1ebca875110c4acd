"""The error for a path without a run names the nearest run, or how to continue."""

import pytest

from serving.addresses import ServeError, addresses
from serving.publish import publish
from training.manifest import RunError
from training.run import Run


@pytest.fixture
def runs(tmp_path):
    """Runs of an app: one, folds, a search, several targets and seeds, and a stopped training."""
    names = ("20261130-101500", "folds/fold-1", "folds/fold-2", "tune-1/best")
    for name in (*names, "several/target-b", "several/target-a", "seeds/seed-4", "seeds/seed-3"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").touch()
    (tmp_path / "latest").symlink_to("20261130-101500")
    (tmp_path / "stopped/checkpoint").mkdir(parents=True)
    (tmp_path / "20261130-101500/export").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("folds", "folds/fold-1"),
        ("tune-1", "tune-1/best"),
        ("several", "several/target-a"),
        ("seeds", "seeds/seed-3"),
        (".", "latest"),
        ("20261130-101600", "20261130-101500"),
        ("nowhere", "latest"),
        ("20261130-101500/export/1", "20261130-101500"),
    ],
)
def test_the_nearest_run_is_named(path, nearest, runs):
    with pytest.raises(RunError) as raised:
        Run.load(runs / path)
    assert f"Did you mean '{runs / nearest}'?" in str(raised.value)


def test_the_error_for_a_stopped_training_names_resume(runs):
    with pytest.raises(RunError, match=f"train --resume {runs / 'stopped'}$"):
        Run.load(runs / "stopped")


def test_without_any_run_none_is_named(tmp_path):
    with pytest.raises(RunError) as raised:
        Run.load(tmp_path / "runs/nowhere")
    assert "Did you mean" not in str(raised.value)


@pytest.mark.parametrize("path", ["20261130-101500", "."])
def test_the_error_for_a_run_without_an_export_names_the_command(path, runs):
    run = runs / ("latest" if path == "." else path)
    for call in (
        lambda: addresses([str(runs / path)]),
        lambda: publish(runs / path, "digits", runs / "models"),
    ):
        with pytest.raises(ServeError, match=f"athanor export {run}$"):
            call()
