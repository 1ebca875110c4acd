"""A path that holds no run is answered by the run that was meant, or by how to go on."""

import pytest

from serving.addresses import ServeError, addresses
from serving.publish import publish
from training.manifest import RunError
from training.run import Run


@pytest.fixture
def runs(tmp_path):
    """Runs of an app: one, the folds of a cross-validation, a search, one that has not ended."""
    for name in ("20261130-101500", "folds/fold-1", "folds/fold-2", "tune-1/best"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").touch()
    (tmp_path / "latest").symlink_to("20261130-101500")
    (tmp_path / "stopped/checkpoint").mkdir(parents=True)
    (tmp_path / "20261130-101500/export").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("folds", "folds/fold-1"),
        ("tune-1", "tune-1/best"),
        (".", "latest"),
        ("20261130-101600", "20261130-101500"),
        ("nowhere", "latest"),
        ("20261130-101500/export/1", "20261130-101500"),
    ],
)
def test_the_run_that_was_meant_is_named(given, meant, runs):
    with pytest.raises(RunError) as raised:
        Run.load(runs / given)
    assert f"Did you mean '{runs / meant}'?" in str(raised.value)


def test_a_training_that_has_not_ended_is_answered_by_how_to_go_on(runs):
    with pytest.raises(RunError, match=f"train --resume {runs / 'stopped'}$"):
        Run.load(runs / "stopped")


def test_where_there_is_no_run_none_is_named(tmp_path):
    with pytest.raises(RunError) as raised:
        Run.load(tmp_path / "runs/nowhere")
    assert "Did you mean" not in str(raised.value)


@pytest.mark.parametrize("given", ["20261130-101500", "."])
def test_a_run_without_an_export_is_answered_by_the_command_that_writes_one(given, runs):
    run = runs / ("latest" if given == "." else given)
    for call in (
        lambda: addresses([str(runs / given)]),
        lambda: publish(runs / given, "digits", runs / "models"),
    ):
        with pytest.raises(ServeError, match=f"athanor export {run}$"):
            call()
