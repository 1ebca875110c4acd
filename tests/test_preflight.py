"""A wrong address, path or column is refused before TensorFlow is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import apps
import athanor
from pipelines.examples import DataError
from pipelines.tables import csv_files

ROWS = "size,rooms,price\n1,2,3\n"
# The app and its fields; what is said.
REFUSED = [
    ("regression", {"data": "csv:nowhere.csv"}, "nowhere.csv"),
    ("regression", {"data": "nowhere.csv"}, "no existing file or folder"),
    ("regression", {"data": "cvs:rows.csv"}, "Did you mean 'csv:rows.csv'"),
    ("regression", {"data": "csv:rows.csv", "target": "prise"}, "Did you mean 'price'"),
    ("regression", {"data": "rows.csv", "target": "price", "drop": "romms"}, "--drop 'romms'"),
    ("regression", {"data": "rows.csv", "target": "price", "test": "csv:no.csv"}, "no.csv"),
    ("text", {"data": "csv:rows.csv", "text": "review"}, "--text 'review'"),
    ("text", {"data": "folder:here"}, "expected 'embedded', 'tfds:NAME', 'parquet:PATH', "),
    ("recommender", {"data": "csv:rows.csv"}, "no --user"),
    ("recommender", {"data": "csv:rows.csv", "user": "size", "item": "rom"}, "mean 'rooms'"),
    ("mnist", {"data": "npz:nowhere.npz"}, "nowhere.npz"),
    ("mnist", {"data": "csv:nowhere.csv"}, "nowhere.csv"),
    ("finetune", {"data": "folder:nowhere"}, "not a readable directory"),
    ("finetune", {"data": "embeded"}, "Did you mean 'embedded'"),
]
RESERVED_NAMES = [
    ("regression", {"data": "csv:rows.csv", "target": "price", "drop": "size"}),
    ("regression", {"data": "rows.csv", "target": "price"}),
    ("text", {"data": "csv:rows.csv", "text": "size", "target": "price"}),
    ("recommender", {"data": "rows.csv", "user": "size", "item": "rooms"}),
    ("finetune", {"data": "folder:pictures"}),
    ("mnist", {"data": "tfds:mnist"}),
]


@pytest.fixture(autouse=True)
def files(elsewhere):
    (elsewhere / "rows.csv").write_text(ROWS)
    (elsewhere / "pictures").mkdir()


@pytest.mark.parametrize(("name", "fields", "said"), REFUSED)
def test_mistakes_are_refused(name, fields, said):
    with pytest.raises(DataError, match=said.replace("(", r"\\(")):
        apps.get(name)(**fields).require_data()


@pytest.mark.parametrize(("name", "fields"), RESERVED_NAMES)
def test_possibly_valid_addresses_are_left_to_the_reader(name, fields):
    apps.get(name)(**fields).require_data()


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.__name__)
def test_defaults_are_accepted(app):
    app().require_data()


def test_a_header_is_refused_only_if_no_reader_finds_the_column(elsewhere):
    (elsewhere / "odd.csv").write_text('size,"price\nin euro",rooms\n1,2,3\n')
    apps.Regression(data="odd.csv", target="rooms").require_data()
    apps.Regression(data="odd.csv", target="price in euro").require_data()
    (elsewhere / "mark.csv").write_text("\ufeffsep=;\nGröße;preis\n1;2\n")
    apps.Regression(data="mark.csv", target="Größe", drop="preis").require_data()


WITHOUT = """
import sys, time
from cli import main
for words in {commands!r}:
    status = main._run(words)
    assert status == 2, (words, status)
    heavy = {{"tensorflow", "keras"}} & set(sys.modules)
    assert not heavy, (words, heavy)
assert time.process_time() < 3, time.process_time()  # 1 s for each is far more than it takes
"""


def test_a_pipe_is_left_to_its_reader():
    """A pipe can be read only once: --data <(zcat rows.csv.gz)."""
    reading, writing = os.pipe()
    os.write(writing, ROWS.encode())
    os.close(writing)
    address = f"csv:/dev/fd/{reading}"
    apps.get("regression")(data=address, target="price").require_data()
    assert len(csv_files.read(address.partition(":")[2]).train) == 1
    os.close(reading)


def test_tensorflow_is_not_imported_for_a_mistake():
    """One process runs all command lines."""
    commands = []
    for name, fields, _ in REFUSED:
        flags = [word for key, value in fields.items() for word in (f"--{key}", value)]
        commands += [[name, verb, *flags] for verb in ("train", "check-distribute", "check-data")]
    root = str(Path(athanor.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(commands=commands)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stderr.splitlines()) == len(commands)
