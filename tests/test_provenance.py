"""Runs of other users are not loaded, and written files do not name the user."""

import ast
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from test_architecture import offenders

from apps import Mnist, Regression
from pipelines.files import expand_home, replace_home
from serving.addresses import Address
from serving.server import NothingServedError, Server, Settings
from training import provenance

VERBS = {
    "evaluate": ["mnist", "evaluate", "run"],
    "predict": ["mnist", "predict", "run", "picture.png"],
    "export": ["mnist", "export", "run"],
    "serve": ["serve", "run", "--port", "0"],
}
# What can run code, or more than data, when it reads a file.
NEVER = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@pytest.fixture
def here(exported, elsewhere, write_image):
    """A directory with a copy of an exported run, and an image."""
    shutil.copytree(exported(Mnist).path, elsewhere / "run")
    write_image(elsewhere / "picture.png")
    return elsewhere


@pytest.fixture
def stranger(here, monkeypatch, tmp_path):  # noqa: ARG001 - the run is made before
    """Use the key of another user than the one who made the run."""
    monkeypatch.setenv("ATHANOR_KEY_FILE", str(tmp_path / "another" / "key"))
    provenance._key.cache_clear()
    yield
    provenance._key.cache_clear()


def assert_refused(answer, *parts):
    status, output, error = answer
    assert (status, output) == (2, "")
    assert "--trust" in error
    assert len(error.splitlines()) == 1
    for part in parts:
        assert part in error


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("verb", VERBS)
def test_a_run_of_another_user_is_refused(verb, run_cli, here):
    assert_refused(run_cli(*VERBS[verb]), str(here / "run"), "another user")


@pytest.mark.parametrize("verb", VERBS)
def test_a_run_without_a_signature_is_refused(verb, run_cli, here):
    for mark in here.rglob(provenance.SIGNATURE_FILE):
        mark.unlink()
    assert_refused(run_cli(*VERBS[verb]), str(here / "run"), provenance.SIGNATURE_FILE)


@pytest.mark.parametrize(
    "name", [*provenance.RUN_FILES, "export/1/saved_model.pb", "export/1/about.json"]
)
def test_a_changed_file_is_detected(name, run_cli, here):
    path = here / "run" / name
    content = path.read_bytes()
    path.write_bytes(content + b" " if name.endswith("json") else content[:-1] + b"x")
    assert_refused(run_cli(*VERBS["serve" if "export" in name else "evaluate"]), "changed since")


def test_an_added_file_that_would_be_loaded_is_detected(run_cli, here):
    (here / "run" / "export" / "1" / "assets").mkdir(exist_ok=True)
    (here / "run" / "export" / "1" / "assets" / "more").write_text("")
    assert_refused(run_cli(*VERBS["serve"]), "changed since")


@pytest.mark.usefixtures("here", "stranger")
def test_a_trusted_run_is_loaded(run_cli):
    status, out, err = run_cli(*VERBS["predict"], "--trust", "--json")
    assert status == 0, err
    assert json.loads(out)["predictions"]


@pytest.mark.usefixtures("stranger")
def test_compare_reads_scores_without_a_valid_signature(run_cli, here):
    scores = {"test": {"loss": 0.1}, "intervals": {"loss": [0.0, 0.2]}}
    (here / "run" / "scores.json").write_text(json.dumps(scores))
    assert run_cli("compare", "run", "run")[0] == 0


@pytest.mark.usefixtures("stranger")
def test_a_new_version_of_another_user_is_not_served(exported, tmp_path):
    shutil.copytree(exported(Mnist).path / "export", tmp_path / "models")
    with pytest.raises(NothingServedError, match="--trust"):
        Server([f"m={tmp_path / 'models'}"], Settings(port=0, log=tmp_path / "log"))


@pytest.mark.usefixtures("stranger")
def test_only_the_user_can_read_the_key(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    provenance.sign(tmp_path, provenance.RUN_FILES)
    key = provenance.key_file()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 64
    provenance.require_signature(tmp_path, provenance.RUN_FILES)
    assert key.read_text() not in (tmp_path / provenance.SIGNATURE_FILE).read_text()


def test_an_unwritable_key_directory_gives_a_key_for_the_process(monkeypatch, tmp_path):
    monkeypatch.setenv("ATHANOR_KEY_FILE", "/dev/null/key")
    provenance._key.cache_clear()
    (tmp_path / "run.json").write_text("{}")
    provenance.sign(tmp_path, provenance.RUN_FILES)
    provenance.require_signature(tmp_path, provenance.RUN_FILES)
    provenance._key.cache_clear()
    with pytest.raises(provenance.ProvenanceError, match="another user"):
        provenance.require_signature(tmp_path, provenance.RUN_FILES)
    provenance._key.cache_clear()


def names(tree):
    """Yield all imported modules, attributes and names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            yield from node.module.split(".")
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id


def calls(tree):
    """Yield the source of each called expression, and its keyword arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = {one.arg: getattr(one.value, "value", None) for one in node.keywords}
            yield ast.unparse(node.func), given


def programs(tree, path):
    """Yield the parts of a source that load data as code, or may do so."""
    yield from NEVER & set(names(tree))
    for called, given in calls(tree):
        if path.name == "keras_issues.py":  # its own examples
            continue
        if called in ("eval", "exec", "compile", "os.system", "yaml.load"):
            yield called
        if called.endswith("np.load") and given.get("allow_pickle", ...) is not False:
            yield "say allow_pickle=False"
        loads = called.endswith("load_model") and path.parent.name != "conformance"
        if loads and given.get("safe_mode") is not True:
            yield "say safe_mode=True"
        if given.get("shell"):
            yield "no shell"
        if given.get("safe_mode") is False:
            yield "no safe_mode=False"


def test_no_source_loads_data_as_code():
    assert not offenders(lambda tree, path: list(programs(tree, path)))


SECRET = "a-secret-of-the-environment"


def as_user(home, *words):
    """Run the command line as a process of a user with a home directory and a key."""
    environment = os.environ | {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "ATHANOR_TOKEN": SECRET,
    }
    environment.pop("ATHANOR_KEY_FILE")
    command = [sys.executable, "-m", "athanor", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done


def holding(place, *texts):
    """Return the files that contain one of the texts, in bytes or in UTF-16."""
    wanted = [one for text in texts for one in (text.encode(), text.encode("utf-16-le"))]
    files = [path for path in place.rglob("*") if path.is_file()]
    assert len(files) > 5
    return {
        str(path.relative_to(place))
        for path in files
        if any(w in path.read_bytes() for w in wanted)
    }


@pytest.mark.slow
def test_written_files_do_not_name_the_user(elsewhere):
    """This holds even if the data address is a path in the user's home."""
    home = elsewhere / "home" / "somebody"
    home.mkdir(parents=True)
    rows = "\n".join(f"{k % 13},{k * k % 17},{k % 13 + k % 5}" for k in range(300))
    (home / "rows.csv").write_text(f"a,b,y\n{rows}\n")
    data = f"csv:{home / 'rows.csv'}"
    run = elsewhere / "run"
    fields = ["--model", "linear", "--epochs", "2", "--target", "y", "--data", data]
    as_user(home, "regression", "train", *fields, "--run-dir", run, "--profile")
    as_user(home, "regression", "evaluate", run)
    as_user(home, "regression", "export", run, "--format", "savedmodel,litert,onnx")
    assert holding(run, SECRET) == set()
    assert holding(run, (home / ".config" / "athanor" / "key").read_text()) == set()
    assert holding(run / "export", str(home), "somebody", str(elsewhere)) == set()
    assert holding(run, str(home)) == set()
    manifest = json.loads((run / "run.json").read_text())
    assert manifest["fields"]["data"] == "csv:~/rows.csv"


def test_a_home_directory_matches_only_whole_names(monkeypatch):
    monkeypatch.setenv("HOME", "/people/ann")
    told = {
        "csv:/people/ann/a.csv": "csv:~/a.csv",
        "Received '/people/ann', which": "Received '~', which",
        "folder:/people/ann": "folder:~",
        "It is in /people/ann.": "It is in ~.",
        "/people/ann.old/a.csv": "/people/ann.old/a.csv",
        "csv:/people/anna/a.csv": "csv:/people/anna/a.csv",
        "/disk/people/ann/a.csv": "/disk/people/ann/a.csv",
    }
    assert {text: replace_home(text) for text in told} == told
    assert Regression(data="csv:/people/ann/a.csv") == Regression(data="csv:~/a.csv")
    assert expand_home("~/a.csv") == Path("/people/ann/a.csv")


def test_served_names_are_not_paths(exported):
    """A name is a part of the server's URLs."""
    from serving.addresses import ServeError, addresses

    run = str(exported(Mnist).path)
    assert addresses([f"digits={run}"]) == [Address("digits", Path(run) / "export", Path(run))]
    for name in ("../digits", "a/b", "a:b", "a b", ""):
        with pytest.raises(ServeError):
            addresses([f"{name}={run}"])
