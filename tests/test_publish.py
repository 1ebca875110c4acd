"""A new export reaches a server that runs: by `latest`, by an app's runs, and by `publish`."""

import json
import os
import shutil

import pytest

from apps import Mnist
from serving.addresses import ServeError, addresses
from serving.publish import publish
from serving.versions import Model
from training.provenance import EXPORT_FILES, ProvenanceError, _key, require_signature


class Loaded:
    """A version without TensorFlow."""

    def __init__(self, directory, number):
        self.directory, self.number, self.idle = directory, number, True

    def close(self):
        self.directory = None


def exported_run(path, *, at, number=1):
    """A run with an export of a moment."""
    version = path / "export" / str(number)
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    (version / "about.json").write_text(json.dumps({"app": "finetune"}))
    os.utime(version / "saved_model.pb", (at, at))


def point(link, target):
    beside = link.with_name(".link")
    beside.symlink_to(target)
    beside.replace(link)


@pytest.fixture
def runs(tmp_path):
    path = tmp_path / "runs" / "finetune"
    exported_run(path / "one", at=1000)
    point(path / "latest", "one")
    return path


def served(asked):
    (address,) = addresses([asked])
    model = Model(address, Loaded, lambda *_, **__: None)
    model.refresh()
    return model


@pytest.mark.parametrize("asked", ["bugs={}/latest", "bugs={}", "{}/latest"])
def test_a_new_run_is_served_once_it_is_exported(asked, runs):
    model = served(asked.format(runs))
    first = model.current
    assert first.directory == runs / "one" / "export" / "1"
    (runs / "two").mkdir()
    point(runs / "latest", "two")
    model.refresh()
    assert model.current is first, "there is nothing to serve yet"
    exported_run(runs / "two", at=2000)
    model.refresh()
    assert model.current.directory == runs / "two" / "export" / "1"
    assert first.directory is None, "the one before is unloaded"
    assert [one.state for one in model.statuses()] == ["AVAILABLE"]


def test_a_version_of_a_higher_number_gives_way_to_a_newer_run(runs):
    exported_run(runs / "one", at=1500, number=7)
    model = served(f"bugs={runs}/latest")
    assert model.current.number == 7
    exported_run(runs / "two", at=2000)
    point(runs / "latest", "two")
    model.refresh()
    assert model.current.directory == runs / "two" / "export" / "1"
    assert {one.version: one.state for one in model.statuses()} == {1: "AVAILABLE", 7: "END"}


def test_a_run_that_goes_leaves_the_server_alone(runs):
    model = served(f"bugs={runs}/latest")
    shutil.rmtree(runs)
    model.refresh()
    assert model.current is not None


def test_a_run_by_its_own_name_stays(runs):
    model = served(f"bugs={runs}/one")
    exported_run(runs / "two", at=2000)
    point(runs / "latest", "two")
    model.refresh()
    assert model.current.directory == runs / "one" / "export" / "1"


def test_what_is_published_is_the_next_version_of_its_name(exported, elsewhere):
    run = exported(Mnist).path
    for number in (1, 2):
        found = publish(run, "digits", elsewhere / "models")
        assert found.version == elsewhere / "models" / "digits" / str(number)
        require_signature(found.version, EXPORT_FILES)
        assert (found.version / "saved_model.pb").is_file()
    model = served(f"digits={elsewhere}/models/digits")
    assert model.current.number == 2
    publish(run, "digits", elsewhere / "models")
    model.refresh()
    assert model.current.number == 3


def test_the_command_publishes(exported, elsewhere, ask):
    status, output, error = ask("publish", exported(Mnist).path, "digits", "--json")
    assert status == 0, error
    assert json.loads(output)["version"].endswith("models/digits/1")
    assert "athanor serve digits=models/digits" in error
    assert (elsewhere / "models" / "digits" / "1" / "saved_model.pb").is_file()


@pytest.mark.parametrize("name", ["a/b", "../digits", "", ".hidden", "a b"])
def test_a_name_that_is_none_is_refused(name, exported, elsewhere):
    with pytest.raises(ServeError, match="--models"):
        publish(exported(Mnist).path, name, elsewhere / "models")
    assert not (elsewhere / "models").exists()


def test_a_run_without_an_export_is_refused(elsewhere):
    with pytest.raises(ServeError, match="athanor export RUN"):
        publish(elsewhere, "digits", elsewhere / "models")


def test_an_export_of_somebody_else_is_not_published(exported, elsewhere, monkeypatch):
    run = exported(Mnist).path
    monkeypatch.setenv("ATHANOR_KEY_FILE", str(elsewhere / "another" / "key"))
    _key.cache_clear()
    try:
        with pytest.raises(ProvenanceError, match="--trust"):
            publish(run, "digits", elsewhere / "models")
        assert not list((elsewhere / "models").rglob("*"))
        assert publish(run, "digits", elsewhere / "models", trust=True).version.is_dir()
    finally:
        _key.cache_clear()
