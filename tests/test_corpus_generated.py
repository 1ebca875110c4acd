"""Random inputs: each is accepted, or gets an error message."""

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import apps
from cli import output, tools, training
from serving import startup
from training import manifest, model_file, samples
from training.manifest import RunError

SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
SOME = settings(max_examples=40, deadline=None, suppress_health_check=SUPPRESSED, database=None)
FEW = settings(SOME, max_examples=8)
MANY = settings(SOME, max_examples=1500)

names = [app.name() for app in apps.ALL]
flags = [f"--{name.replace('_', '-')}" for app in apps.ALL for name in app().to_json()]
more = ["--config", "--json", "--run-dir", "--folds", "--precision", "--strategy", "--space", "--"]
numbers = ["-1", "0", "1.5", "nan", "1e400", "9" * 30, "0x10", "\u0661", "1_000", "true"]
# A shell can pass any character but NUL.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
words = st.one_of(
    st.sampled_from([*names, *flags, *more, *numbers, "train", "tune", "evaluate", "predict"]),
    st.sampled_from(
        ["export", "serve", "launch", "compare", "list", "check-optimizer", "embedded"]
    ),
    texts,
    st.tuples(st.sampled_from(flags), texts).map("=".join),
)
lines = st.one_of(
    st.lists(words, min_size=1, max_size=6),
    st.tuples(st.sampled_from(names), st.sampled_from(["train", "tune"]), st.lists(words)).map(
        lambda parts: [*parts[:2], *parts[2][:5]]
    ),
)
cells = st.one_of(
    st.sampled_from(
        ["", "1", "2.5", "-3", "nan", "inf", "1e400", "yes", "no", '"', "a,b", "\r", "é"]
    ),
    st.text(max_size=6),
    st.integers().map(str),
)
rows = st.lists(st.lists(cells, min_size=1, max_size=4), max_size=30)
heads = st.sampled_from(["y,a,b\n", "a;y\n", "text,label\n", "user_id,item_id,rating\n", '"y', ""])
csv_files = st.one_of(
    st.binary(max_size=300),
    st.tuples(heads, rows, st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "utf-7"])).map(
        lambda parts: (parts[0] + "\n".join(map(",".join, parts[1]))).encode(
            parts[2], "surrogatepass" if parts[2] != "utf-7" else "replace"
        )
    ),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
yaml_files = st.one_of(
    st.binary(max_size=80),
    st.text(st.sampled_from("epochs: 3\n-[]{}&*!#'\"|>%@`\t,?~"), max_size=60).map(str.encode),
    st.tuples(st.sampled_from(["epochs", "model", "dropout", "x"]), json_values).map(
        lambda pair: f"{pair[0]}: {json.dumps(pair[1])}\n".encode()
    ),
)


def assert_no_internal_error(status, error):
    assert status in (0, 2), error
    assert "Unexpected" not in error
    assert "Traceback" not in error
    assert len(error) < 1000


def check_line(words, run_cli, monkeypatch):
    for name in ("train", "tune", "launch", "replay", "check_distribute", "demonstrate"):
        monkeypatch.setattr(training, name, lambda *_, **__: {})
    monkeypatch.setattr(startup, "serve", lambda *_, **__: {})
    monkeypatch.setattr(tools, "doctor", lambda **_: None)
    if {"--debug", "demo", "doctor"} & set(words):
        return
    status, _, err = run_cli(*words)
    assert_no_internal_error(status, err)


@SOME
@given(words=lines)
def test_any_words(words, run_cli, monkeypatch):
    check_line(words, run_cli, monkeypatch)


@pytest.mark.slow
@MANY
@given(words=lines)
def test_many_words(words, run_cli, monkeypatch):
    check_line(words, run_cli, monkeypatch)


def check_table(content, directory):
    (directory / "any.csv").write_bytes(content)
    for app in (
        apps.Regression(data="csv:any.csv", target="y"),
        apps.Text(data="csv:any.csv"),
        apps.Recommender(data="csv:any.csv"),
    ):
        try:
            splits = app.load_splits()
        except ValueError as error:
            assert_no_internal_error(getattr(error, "exit_status", str(error)), str(error))
        else:
            assert all(splits.sizes.values())
            app.make_preprocessing(splits)


@SOME
@given(content=csv_files)
def test_any_table(content, elsewhere):
    check_table(content, elsewhere)


@pytest.mark.slow
@MANY
@given(content=csv_files)
def test_many_tables(content, elsewhere):
    check_table(content, elsewhere)


def check_fields(content, directory):
    (directory / "any.yaml").write_bytes(content)
    try:
        output.config_of(["mnist", "train", "--config", "any.yaml"])
    except apps.FieldError as error:
        assert_no_internal_error(2, str(error))


@SOME
@given(content=yaml_files)
def test_any_file_of_fields(content, elsewhere):
    check_fields(content, elsewhere)


@pytest.mark.slow
@MANY
@given(content=yaml_files)
def test_many_files_of_fields(content, elsewhere):
    check_fields(content, elsewhere)


def with_change(content, data, value):
    """Replace a random part of nested objects and lists."""
    at, path = content, content
    while isinstance(at, dict | list) and at:
        keys = sorted(at) if isinstance(at, dict) else range(len(at))
        path, key = at, data.draw(st.sampled_from(list(keys)))
        at = at[key]
        if data.draw(st.booleans()):
            break
    path[key] = value
    return content


def check_manifest(data, value, run, directory):
    content = with_change(json.loads((run.path / "run.json").read_text()), data, value)
    (directory / "run.json").write_text(json.dumps(content))
    try:
        parsed = manifest.read(directory / "run.json")
        apps.get(parsed["app"]).from_json(parsed["fields"])
    except (RunError, apps.FieldError) as error:
        assert_no_internal_error(2, str(error))


@SOME
@given(data=st.data(), value=json_values)
def test_any_manifest(data, value, run, elsewhere):
    check_manifest(data, value, run, elsewhere)


@pytest.mark.slow
@MANY
@given(data=st.data(), value=json_values)
def test_many_manifests(data, value, run, elsewhere):
    check_manifest(data, value, run, elsewhere)


def damaged(path, place, change):
    content = bytearray(path.read_bytes())
    at = min(int(place * len(content)), len(content) - 1)
    if change is None:
        return bytes(content[:at])
    content[at] ^= change
    return bytes(content)


changes = st.one_of(st.none(), st.integers(1, 255))


@FEW
@given(place=st.floats(0, 1), change=changes)
def test_any_damaged_model(place, change, run, elsewhere):
    (elsewhere / "model.keras").write_bytes(damaged(run.path / "model.keras", place, change))
    try:
        model_file.read_model(elsewhere / "model.keras")
    except ValueError as error:
        assert_no_internal_error(2, str(error))


@SOME
@given(place=st.floats(0, 1), change=changes)
def test_any_damaged_samples(place, change, run, elsewhere):
    shutil.copy(run.path / "samples.npz", elsewhere)
    path = elsewhere / "samples.npz"
    path.write_bytes(damaged(path, place, change))
    try:
        samples.load(path, run.manifest["data"]["spec"]["features"])
    except ValueError as error:
        assert_no_internal_error(2, str(error))
