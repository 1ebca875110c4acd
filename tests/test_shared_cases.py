"""Inputs from public bug reports, in the folders of ../shared/cases, are handled correctly."""

import json
from pathlib import Path

import numpy as np
import pytest

from apps import Finetune, Recommender, Regression, Text
from evaluation.tasks import task_of
from inference.modalities import texts
from pipelines.images import decoding
from training.train import train as train_app

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"
WITHOUT_FILES = {"gzip-request", "uneven-columns"}  # requests: see test_server_bodies.py
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")


def case(folder, name):
    return f"csv:{CASES / folder / name}"


@pytest.fixture
def train(run_cli):
    """A function that runs `train --json` and returns the JSON object and the messages."""

    def trained(app, data, *flags):
        words = (app, "train", "--data", data, "--epochs", "1", "--run-dir", "run", "--json")
        status, out, err = run_cli(*words, *flags)
        assert status == 0, err
        return json.loads(out), err

    return trained


LINEAR = ("--model", "linear", "--target")
TEXT = ("--width", "8", "--grams", "2")


def test_every_folder_has_a_test():
    text = Path(__file__).read_text()
    folders = {path.name for path in CASES.iterdir()} - WITHOUT_FILES
    assert [name for name in folders if f'"{name}"' not in text] == []


TABLES = [
    ("all-lines-broken-says-without-rows", "sep.csv", "price", 0.0),
    ("constant-with-gaps", "gaps.csv", "y", 0.999),
    ("dotted-thousands-read-as-decimals", "de.csv", "price", 0.999),
    ("float32-before-scaling", "ids.csv", "y", 0.999),
    ("float32-before-scaling", "epoch.csv", "y", 0.9),
    ("float32-before-scaling", "target.csv", "stamp", 0.9),
    ("missing-words-make-categories", "none.csv", "price", 0.7),
    ("missing-words-make-categories", "dash.csv", "price", 0.7),
    ("missing-words-make-categories", "hashna.csv", "price", 0.7),
    ("missing-words-make-categories", "inf.csv", "price", 0.6),
    ("nonlatin-column-names", "cyrillic.csv", "продажа", 0.0),
    ("nonlatin-column-names", "percent.csv", "price", -9.0),
    ("numbers-as-people-write-them", "brackets.csv", "y", 0.999),
    ("numbers-as-people-write-them", "currency.csv", "price", 0.999),
    ("numbers-as-people-write-them", "minus.csv", "y", 0.999),
    ("numbers-as-people-write-them", "nbsp.csv", "price", 0.999),
    ("numbers-as-people-write-them", "percent.csv", "price", 0.999),
    ("numbers-as-people-write-them", "thousands.csv", "price", 0.999),
    ("numbers-as-people-write-them", "thousands_target.csv", "price", 0.999),
    ("gz-and-zip", "plain.csv.gz", "price", 0.0),
    ("gz-and-zip", "plain.zip", "price", 0.0),
    ("wide-files", "wide300.csv", "y", -9.0),
]
FIRST = {folder: name for folder, name, *_ in reversed(TABLES)}


@pytest.mark.parametrize(
    ("folder", "name", "target", "min_r2"),
    [
        pytest.param(*table, marks=[] if FIRST[table[0]] == table[1] else pytest.mark.thorough)
        for table in TABLES
    ],
)
def test_a_linear_model_learns_the_table(folder, name, target, min_r2, tmp_path):
    app = Regression(data=case(folder, name), target=target, model="linear", epochs=1)
    run = train_app(app, run_dir=tmp_path / "run", verbose=0)
    task = task_of(run)
    assert task.metrics(task.predict_test_set(run))["r2"] >= min_r2


@pytest.mark.thorough
@pytest.mark.parametrize(("folder", "name", "target", "min_r2"), TABLES)
def test_the_command_line_learns_the_table(folder, name, target, min_r2, train):
    answer, _ = train("regression", case(folder, name), *LINEAR, target)
    assert answer["test"]["r2"] >= min_r2


def test_a_separator_inside_a_quoted_name_is_ignored():
    folder = "all-lines-broken-says-without-rows"
    splits = Regression(data=case(folder, "quoted.csv"), target="price").load_splits()
    assert sum(splits.sizes.values()) == 160


def test_two_columns_with_the_name_of_the_target_are_noted():
    splits = Regression(
        data=case("duplicate-target-name", "twice.csv"), target="price"
    ).load_splits()
    assert any("price_2" in note and "columns" not in note.split()[0] for note in splits.notes)


def test_rows_without_a_text_are_left_out():
    splits = Text(data=case("empty-texts-kept", "empty.csv")).load_splits()
    assert sum(splits.sizes.values()) == 160
    assert any("40" in note and "without a text" in note for note in splits.notes)


@pytest.mark.parametrize("name", ["mails.csv", "numbers.csv"])
def test_missing_labels_are_not_classes(name):
    splits = Text(data=case("text-labels-na-are-classes", name)).load_splits()
    assert len(splits.labels) == 2
    assert any("without a class" in note for note in splits.notes)


TEXT_FILES = ("new.csv", "NEW.CSV", "new.tsv", "new.TXT")


def test_a_file_of_texts_is_read_with_any_suffix():
    expected = (CASES / "file-name-classified" / "new.csv").read_text().splitlines()[1:]
    for name in TEXT_FILES:
        path = str(CASES / "file-name-classified" / name)
        assert texts.read(path, "text", print) == expected


@pytest.mark.thorough
def test_predict_reads_a_file_of_texts_with_any_suffix(train, run_cli):
    train("text", case("file-name-classified", "plain.csv"), *TEXT)
    for name in TEXT_FILES:
        path = CASES / "file-name-classified" / name
        status, out, err = run_cli("text", "predict", "run", path, "--json")
        assert status == 0, err
        classes = [row["class"] for row in json.loads(out)["predictions"]]
        assert classes == ["neg", "pos", "neg"]


def test_nul_bytes_after_a_table_are_noted():
    splits = Regression(data=case("gz-and-zip", "nul.csv"), target="price").load_splits()
    assert sum(splits.sizes.values()) == 160
    assert any("512 NUL bytes" in note for note in splits.notes)


def test_intervals_stay_in_range_and_contain_the_estimate(train):
    train("recommender", case("intervals-above-one", "plain.csv"))
    scores = json.loads(Path("run/scores.json").read_text())
    for name, value in scores["test"].items():
        low, high = scores["intervals"][name]
        assert 0 <= low <= value <= high
        assert name in ("rmse", "mae") or high <= 1


def test_equal_times_in_other_formats_give_the_same_test_pairs():
    splits_by_format = [
        Recommender(data=case("newest-by-text-order", name), split="time").load_splits()
        for name in ("iso.csv", "dmy.csv", "us.csv")
    ]
    assert len({splits.fingerprint() for splits in splits_by_format}) == 1


def test_one_invalid_byte_replaces_one_letter():
    splits = Text(data=case("one-bad-byte", "onebad.csv")).load_splits()
    assert splits.labels == ("négatif", "positif")
    assert any("line" in note for note in splits.notes)


@pytest.mark.parametrize("name", ["names.csv", "days.csv"])
def test_columns_without_information_are_refused_before_training(name, run_cli):
    target = "label" if name == "names.csv" else "y"
    data = case("only-rare-categories-crash", name)
    status, _, err = run_cli("regression", "train", "--data", data, *LINEAR, target)
    assert status in (0, 2) and "Unexpected" not in err
    assert name != "names.csv" or "learn" in err


def test_predict_names_unreadable_cells(train, run_cli):
    folder = "predict-says-nothing-of-bad-cells"
    train("regression", case(folder, "houses.csv"), *LINEAR, "price")
    status, out, err = run_cli("regression", "predict", "run", CASES / folder / "ask.csv", "--json")
    assert status == 0
    values = [one["value"] for one in json.loads(out)["predictions"]]
    np.testing.assert_allclose(values[:2], 3030, rtol=0.01)
    assert "'abc'" in err and "'rome'" in err and "'Paris'" in err


def test_a_test_set_with_units_is_read(train):
    folder = "predict-says-nothing-of-bad-cells"
    test = ("--test", case(folder, "test.csv"))
    answer, err = train("regression", case(folder, "houses.csv"), *LINEAR, "price", *test)
    assert answer["test"]["r2"] > 0.99 or "m2" in err


@pytest.mark.parametrize("name", ["one.csv", "tab.tsv", "two.csv"])
def test_an_unclosed_quote_loses_no_rows(name):
    splits = Text(data=case("quote-swallows-rows", name)).load_splits()
    assert sum(splits.sizes.values()) == 200
    assert any("quote" in note for note in splits.notes)


def test_only_items_without_a_rating_are_recommended(train, run_cli):
    train("recommender", case("seen-items-recommended", "plain.csv"))
    status, out, _ = run_cli("recommender", "predict", "run", "u1", "--json")
    rows = (CASES / "seen-items-recommended" / "plain.csv").read_text().splitlines()[1:]
    rated = {row.split(",")[1] for row in rows if row.startswith("u1,")}
    recommended = [one["item"] for one in json.loads(out)["predictions"]]
    assert status == 0 and len(rated) == 16
    assert recommended and not rated & set(recommended)


@pytest.mark.parametrize("name", ["capital", "training"])
def test_folders_of_splits_are_not_classes(name):
    place = CASES / "split-folders-as-classes" / name
    splits = Finetune(data=f"folder:{place}", size=32, weights="none").load_splits()
    assert splits.labels == ("blue", "red")


def test_a_class_of_webp_images_is_read():
    place = CASES / "webp-class-vanishes" / "photos"
    splits = Finetune(data=f"folder:{place}", size=32, weights="none").load_splits()
    assert splits.labels == ("blue", "green", "red")


def test_the_size_of_a_webp_image_is_read_before_decoding():
    content = (CASES / "webp-pixel-bomb" / "bomb.webp").read_bytes()
    assert tuple(map(int, decoding.image_size(content))) == (12_000, 12_000)
