"""A running server loads a new export by `latest`, by an app's runs, or after `publish`."""

import json
import os
import shutil

import pytest

from apps import Mnist
from serving.addresses import ServeError, addresses
from serving.publish import publish
from serving.versions import Model
from training.provenance import EXPORT_FILES, ProvenanceError, _key, require_signature


class FakeServable:
    """A loaded version without TensorFlow."""

    def __init__(self, directory, number):
        self.directory, self.number, self.idle = directory, number, True

    def close(self):
        self.directory = None


def write_export(path, *, modified, number=1):
    """Write a run with an export of this modification time."""
    version = path / "export" / str(number)
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    (version / "about.json").write_text(json.dumps({"app": "finetune"}))
    os.utime(version / "saved_model.pb", (modified, modified))


def point(link, target):
    temporary = link.with_name(".link")
    temporary.symlink_to(target)
    temporary.replace(link)


@pytest.fixture
def runs(tmp_path):
    path = tmp_path / "runs" / "finetune"
    write_export(path / "one", modified=1000)
    point(path / "latest", "one")
    return path


def served(argument):
    (address,) = addresses([argument])
    model = Model(address, FakeServable, lambda *_, **__: None)
    model.refresh()
    return model


@pytest.mark.parametrize("argument", ["bugs={}/latest", "bugs={}", "{}/latest"])
def test_a_new_run_is_served_once_it_is_exported(argument, runs):
    model = served(argument.format(runs))
    first = model.current
    assert first.directory == runs / "one" / "export" / "1"
    (runs / "two").mkdir()
    point(runs / "latest", "two")
    model.refresh()
    assert model.current is first, "the new run has no export yet"
    write_export(runs / "two", modified=2000)
    model.refresh()
    assert model.current.directory == runs / "two" / "export" / "1"
    assert first.directory is None, "the previous version is unloaded"
    assert [one.state for one in model.statuses()] == ["AVAILABLE"]


def test_a_newer_run_replaces_a_version_of_a_higher_number(runs):
    write_export(runs / "one", modified=1500, number=7)
    model = served(f"bugs={runs}/latest")
    assert model.current.number == 7
    write_export(runs / "two", modified=2000)
    point(runs / "latest", "two")
    model.refresh()
    assert model.current.directory == runs / "two" / "export" / "1"
    assert {one.version: one.state for one in model.statuses()} == {1: "AVAILABLE", 7: "END"}


def test_a_deleted_run_stays_served(runs):
    model = served(f"bugs={runs}/latest")
    shutil.rmtree(runs)
    model.refresh()
    assert model.current is not None


def test_a_run_given_by_its_own_path_stays(runs):
    model = served(f"bugs={runs}/one")
    write_export(runs / "two", modified=2000)
    point(runs / "latest", "two")
    model.refresh()
    assert model.current.directory == runs / "one" / "export" / "1"


def test_publish_writes_the_next_version_of_a_name(exported, elsewhere):
    run = exported(Mnist).path
    for number in (1, 2):
        published = publish(run, "digits", elsewhere / "models")
        assert published.version == elsewhere / "models" / "digits" / str(number)
        require_signature(published.version, EXPORT_FILES)
        assert (published.version / "saved_model.pb").is_file()
    model = served(f"digits={elsewhere}/models/digits")
    assert model.current.number == 2
    publish(run, "digits", elsewhere / "models")
    model.refresh()
    assert model.current.number == 3


def test_the_command_publishes(exported, elsewhere, run_cli):
    status, output, error = run_cli("publish", exported(Mnist).path, "digits", "--json")
    assert status == 0, error
    assert json.loads(output)["version"].endswith("models/digits/1")
    assert "athanor serve digits=models/digits" in error
    assert (elsewhere / "models" / "digits" / "1" / "saved_model.pb").is_file()


@pytest.mark.parametrize("name", ["a/b", "../digits", "", ".hidden", "a b"])
def test_an_invalid_name_is_refused(name, exported, elsewhere):
    with pytest.raises(ServeError, match="--models"):
        publish(exported(Mnist).path, name, elsewhere / "models")
    assert not (elsewhere / "models").exists()


def test_a_run_without_an_export_is_refused(elsewhere):
    with pytest.raises(ServeError, match="athanor export RUN"):
        publish(elsewhere, "digits", elsewhere / "models")


def test_an_export_of_another_user_is_not_published(exported, elsewhere, monkeypatch):
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
