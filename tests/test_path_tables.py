"""Images whose paths and classes are columns of a table."""

import csv

import pytest
from PIL import Image

from apps import Finetune
from pipelines.examples import AddressError, DataError

SIZE = {"size": 8, "weights": "none"}
NUM_IMAGES = 30


def colour(number):
    return (10 * (number % 25), 200 if number % 2 else 20, number)


@pytest.fixture
def images(tmp_path):
    """Write pictures, of which odd numbers are green, in a folder below the table."""
    (tmp_path / "photos").mkdir()
    for number in range(NUM_IMAGES):
        Image.new("RGB", (8, 8), colour(number)).save(tmp_path / f"photos/p{number}.png")
    return tmp_path


def write(folder, header, rows, name="labels.csv"):
    with (folder / name).open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(folder / name)


def kind_of(number):
    return "green" if number % 2 else "dark"


def pictures_of(splits):
    """Return the class of each picture by its last colour channel, which is its number."""
    parts = (splits.train, splits.valid, splits.test)
    return {
        int(picture[0, 0, 2]): splits.labels[label]
        for features, target in (part.numpy() for part in parts)
        for picture, label in zip(features, target, strict=True)
    }


@pytest.mark.parametrize(
    "cell",
    ["photos/p{}.png", "p{}.png", "p{}", "photos\\p{}.png", "{folder}/photos/p{}.png"],
    ids=["relative", "name", "stem", "backslash", "absolute"],
)
def test_paths_are_found_as_people_write_them(cell, images):
    rows = [(cell.format(n, folder=images), kind_of(n)) for n in range(NUM_IMAGES)]
    data = write(images, ("image_id", "breed"), rows)
    splits = Finetune(data=data, **SIZE).load_splits()
    assert pictures_of(splits) == {number: kind_of(number) for number in range(NUM_IMAGES)}
    assert "paths in 'image_id', classes in 'breed'" in splits.notes


def test_columns_are_named_by_flags_and_rows_without_use_are_counted(images):
    rows = [(n, f"photos/p{n}.png", "", kind_of(n)) for n in range(NUM_IMAGES)]
    rows += [
        (98, "photos/none.png", "", "green"),
        (96, "x" * 5000, "", "green"),
        (99, "photos/p0.png", "", ""),
    ]
    (images / "photos/damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    rows += [(97, "photos/damaged.png", "", "dark")]
    data = write(images, ("id", "where", "label", "kind"), rows)
    splits = Finetune(data=data, image="where", target="kind", **SIZE).load_splits()
    assert len(pictures_of(splits)) == NUM_IMAGES
    notes = " ".join(splits.notes)
    assert "2 rows without a file left out: 'photos/none.png'" in notes
    assert "1 rows without a class left out" in notes
    assert "skipped 1 of 16 files of the class dark: 1 damaged: photos/damaged.png" in notes


def test_a_column_of_splits_is_kept(images):
    words = ("Training", "val", "test set")
    rows = [(f"p{n}", kind_of(n), words[n // 10]) for n in range(NUM_IMAGES)]
    splits = Finetune(data=write(images, ("file", "label", "split"), rows), **SIZE).load_splits()
    assert splits.sizes == {"train": 10, "valid": 10, "test": 10}
    assert {int(picture[0, 0, 2]) for picture in splits.test.numpy().features} == {*range(20, 30)}


def test_a_test_table_has_the_classes_of_training(images):
    rows = [(f"p{n}", kind_of(n)) for n in range(NUM_IMAGES)]
    data = write(images, ("file", "label"), rows[:20])
    test = write(images, ("file", "label"), rows[20:], "test.csv")
    splits = Finetune(data=data, test=test, **SIZE).load_splits()
    assert splits.sizes["test"] == 10


@pytest.mark.parametrize(
    ("header", "row", "fields", "part"),
    [
        (("a", "b", "c"), ("p0", "x", "y"), {}, "no --image; expected the column of paths"),
        (("file", "b", "c"), ("p0", "x", "y"), {}, "no --target; expected the column of classes"),
        (("file", "label"), ("p0", "x"), {"image": "fil"}, "--image 'fil'; expected"),
        (("file", "label"), ("q0", "x"), {}, "no row has the path of a readable picture"),
        (("file", "label"), ("labels.csv", "x"), {}, "no row has the path of a readable picture"),
    ],
)
def test_tables_without_images_are_refused(header, row, fields, part, images):
    data = write(images, header, [row] * 3)
    app = Finetune(data=data, **fields, **SIZE)
    with pytest.raises((AddressError, DataError), match=part):
        app.require_data()
        app.load_splits()


def test_a_training_from_a_table(images, run_cli):
    rows = [(f"p{n}", kind_of(n)) for n in range(NUM_IMAGES)]
    data = write(images, ("file", "label"), rows)
    small = "--backbone", "digits", "--size", "8", "--epochs", "0", "--copies", "1"
    status, _, error = run_cli(
        "finetune", "train", "--data", data, *small, "--run-dir", images / "run"
    )
    assert status == 0, error
    status, output, _ = run_cli("finetune", "predict", images / "run", images / "photos/p1.png")
    assert status == 0
    assert "green" in output or "dark" in output
