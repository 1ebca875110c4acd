"""Small images in folders, NumPy archives and tables of pixels."""

import bz2
import gzip
import io

import numpy as np
import pytest
from PIL import Image

from apps import Mnist
from pipelines.examples import DataError
from pipelines.images import pixel_arrays, pixel_tables

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (40, 8, 8), "uint8")
CLASSES = np.arange(40) % 2


def saved(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


ARCHIVES = {
    "keras": {"x_train": IMAGES, "y_train": CLASSES, "x_test": IMAGES[:9], "y_test": CLASSES[:9]},
    "medmnist": {
        "train_images": IMAGES, "train_labels": CLASSES[:, None],
        "test_images": IMAGES[:9], "test_labels": CLASSES[:9, None],
    },
    "upper case": {
        "X_train": IMAGES, "Y_train": CLASSES, "X_test": IMAGES[:9], "Y_test": CLASSES[:9],
    },
}  # fmt: skip


@pytest.mark.parametrize("names", ARCHIVES)
def test_an_archive_holds_splits_by_their_names(tmp_path, names):
    source = pixel_arrays.source(saved(tmp_path / "a.npz", **ARCHIVES[names]))
    np.testing.assert_array_equal(source.train.features[..., 0], IMAGES)
    np.testing.assert_array_equal(source.train.targets, CLASSES)
    assert source.labels == ("0", "1") and len(source.test) == 9 and source.valid is None


FORMS = {
    "from 0 to 1": (IMAGES / 255, CLASSES),
    "float32 to 255": (IMAGES.astype("float32"), CLASSES),
    "int64": (IMAGES.astype("int64"), CLASSES),
    "flat": (IMAGES.reshape(40, 64), CLASSES),
    "one channel": (IMAGES[..., None], CLASSES),
    "labels as floats": (IMAGES, CLASSES.astype("float32")),
}


@pytest.mark.parametrize("form", FORMS)
def test_pixels_and_labels_have_several_forms(tmp_path, form):
    x, y = FORMS[form]
    source = pixel_arrays.source(saved(tmp_path / "a.npz", x=x, y=y))
    assert source.train.features.dtype == np.uint8
    np.testing.assert_array_equal(source.train.features[..., 0], IMAGES)
    np.testing.assert_array_equal(source.train.targets, CLASSES)


def test_labels_may_be_strings_and_images_colour(tmp_path):
    colour = np.repeat(IMAGES[..., None], 3, -1)
    names = np.array(["猫", "a dog"])[CLASSES]
    source = pixel_arrays.source(saved(tmp_path / "a.npz", x=colour, y=names))
    assert source.labels == ("a dog", "猫") and source.train.features.shape == (40, 8, 8, 3)
    assert source.train.targets.tolist() == (1 - CLASSES).tolist()


WRONG_ARCHIVES = {
    "objects": ({"x": IMAGES, "y": np.array([1, "a"] * 20, object)}, "could run code"),
    "no labels": ({"x": IMAGES}, "which holds x; expected"),
    "test alone": ({"x_test": IMAGES, "y_test": CLASSES}, "which holds x_test, y_test"),
    "lengths": ({"x": IMAGES, "y": CLASSES[:7]}, "40 images and labels int64"),
    "one-hot": ({"x": IMAGES, "y": np.eye(2)[CLASSES]}, "a whole number or a string"),
    "a single image": ({"x": IMAGES[0, ..., None], "y": CLASSES[:8]}, r"image\[None\]"),
    "channels first": ({"x": IMAGES[:, None], "y": CLASSES}, "channels last"),
    "negative": ({"x": IMAGES - 100.0, "y": CLASSES}, "expected 0 to 255"),
    "not a number": ({"x": np.full((4, 8, 8), np.nan), "y": CLASSES[:4]}, "expected 0 to 255"),
    "16 bits": ({"x": IMAGES.astype("uint16") * 257, "y": CLASSES}, "expected 0 to 255"),
    "no square": ({"x": IMAGES.reshape(40, 64)[:, :50], "y": CLASSES}, "with 1 or 3 channels"),
}


@pytest.mark.parametrize("fault", WRONG_ARCHIVES)
def test_an_archive_of_another_form_is_refused(tmp_path, fault):
    arrays, said = WRONG_ARCHIVES[fault]
    with pytest.raises(DataError, match=said):
        pixel_arrays.source(saved(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 cut", b"words", b"\x93NUMPY"], ids=repr)
def test_other_files_are_refused_as_archives(tmp_path, content):
    with pytest.raises(DataError, match="expected an archive of"):
        pixel_arrays.source(written(tmp_path / "a.npz", content))
    with pytest.raises(DataError, match="cannot be read"):
        pixel_arrays.source(str(tmp_path / "missing.npz"))


def table(names=True, label=0, separator=",", labels=CLASSES):
    """The images as text, the label in this column."""
    rows = [list(map(str, image.ravel())) for image in IMAGES]
    heads = [f"pixel{k}" for k in range(64)]
    for row, of in zip([heads, *rows], ["label", *labels], strict=True):
        row.insert(label, str(of))
    lines = ([heads] if names else []) + rows
    return "\n".join(separator.join(line) for line in lines) + "\n"


TABLES = {
    "with names": table(),
    "without names": table(names=False),
    "label last": table(label=64),
    "semicolons": table(separator=";"),
    "quoted": '"' + table().replace(",", '","').replace("\n", '"\n"').rstrip('"'),
    "gzip": gzip.compress(table().encode()),
    "marked": b"\xef\xbb\xbf" + table().encode(),
    "of Windows": table().replace("\n", "\r\n"),
    "with fractions": table().replace(",7,", ",7.0,"),
    "of Excel": "sep=;\n" + table(separator=";"),
    "UTF-16": table().encode("utf-16"),
    "bzip2": bz2.compress(table().encode()),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_holds_a_label_and_pixels(tmp_path, kind):
    name = "a.csv.gz" if kind == "gzip" else "a.csv"
    source = pixel_tables.source(written(tmp_path / name, TABLES[kind]))
    np.testing.assert_array_equal(source.train.features[..., 0], IMAGES)
    np.testing.assert_array_equal(source.train.targets, CLASSES)
    assert source.labels == ("0", "1")


def test_a_first_row_of_numbers_is_not_a_header(tmp_path):
    """numpy.savetxt writes every number as 5.000000000000000000e+00."""
    rows = np.concatenate([CLASSES[:, None], IMAGES.reshape(len(IMAGES), -1)], 1)
    np.savetxt(tmp_path / "a.csv", rows, delimiter=",")
    source = pixel_tables.source(str(tmp_path / "a.csv"))
    np.testing.assert_array_equal(source.train.features[..., 0], IMAGES)
    np.testing.assert_array_equal(source.train.targets, CLASSES)


def test_rows_without_a_label_are_left_out_and_noted(tmp_path):
    labels = ["", *CLASSES[1:]]
    source = pixel_tables.source(written(tmp_path / "a.csv", table(labels=labels)))
    np.testing.assert_array_equal(source.train.features[..., 0], IMAGES[1:])
    assert source.labels == ("0", "1")
    assert source.notes == ("1 rows without a label left out",)


def test_labels_of_a_table_are_words_or_numbers_in_order(tmp_path):
    words = np.array(["猫", "dog"])[CLASSES]
    assert pixel_tables.source(written(tmp_path / "a.csv", table(labels=words))).labels == (
        "dog",
        "猫",
    )
    numbers = np.array([9, 10])[CLASSES]
    source = pixel_tables.source(written(tmp_path / "b.csv", table(labels=numbers)))
    assert source.labels == ("9", "10")
    np.testing.assert_array_equal(source.train.targets, CLASSES)


WRONG_TABLES = {
    "no rows": ("label,a,b,c,d\n", "no row of pixels"),
    "empty": ("", "no row of pixels"),
    "no square": ("label,a,b,c\n1,2,3,4\n", "with 3 columns of pixels"),
    "a word": ("label,a,b,c,d\n1,2,3,4,5\n1,2,x,4,5\n", "could not convert string 'x'"),
    "uneven": ("label,a,b,c,d\n1,2,3,4,5\n1,2,3\n", "columns"),
    "too large": ("label,a,b,c,d\n1,2,3,4,500\n", "expected 0 to 255"),
}


@pytest.mark.parametrize("fault", WRONG_TABLES)
def test_a_table_of_another_form_is_refused(tmp_path, fault):
    content, said = WRONG_TABLES[fault]
    with pytest.raises(DataError, match=said):
        pixel_tables.source(written(tmp_path / "a.csv", content))


def folder(root, sizes, mode="L"):
    for number, size in enumerate(sizes):
        place = root / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        file = io.BytesIO()
        noise = RANDOM.integers(0, 256, (*size, 3), "uint8")
        Image.fromarray(noise).convert(mode).save(file, "PNG")
        (place / f"{number}.png").write_bytes(file.getvalue())
    return f"folder:{root}"


def test_folders_of_small_images_stay_as_they_are(tmp_path):
    app = Mnist(data=folder(tmp_path / "set", [(10, 12)] * 60))
    splits = app.load_splits()
    assert splits.spec["features"] == ((10, 12, 1), "uint8") and splits.labels == ("a", "b")
    place = next((tmp_path / "set" / "a").iterdir())
    read = app.make_input_decoder(splits)(np.asarray(Image.open(place))[..., None])
    assert any(np.array_equal(read, image) for part in (splits.train, splits.valid, splits.test)
               for image in part.numpy().features)  # fmt: skip


@pytest.mark.parametrize("before", ["folder:", ""])
def test_predict_reads_files_as_training_does(tmp_path, before):
    """What is drawn on black, away from the middle, stays there in files of any size."""
    for number in range(60):
        place = tmp_path / "ab"[number % 2]
        place.mkdir(exist_ok=True)
        image = np.zeros((14 + 2 * (number % 3),) * 2, "uint8")
        image[1 : 3 + number % 4, 2:5] = 200 + number % 50
        Image.fromarray(image).save(place / f"{number}.png")
    app = Mnist(data=f"{before}{tmp_path}")
    splits = app.load_splits()
    read = app.make_input_decoder(splits)(image[..., None]).numpy()
    parts = (splits.train, splits.valid, splits.test)
    assert any(np.array_equal(read, one) for part in parts for one in part.numpy().features)


def test_small_images_of_several_sizes_become_squares(tmp_path):
    app = Mnist(data=folder(tmp_path / "set", [(10, 12), (12, 12), (14, 12)] * 20, "RGB"))
    assert app.load_splits().spec["features"] == ((12, 12, 3), "uint8")
    with pytest.raises(DataError, match="Use athanor finetune"):
        Mnist(data=folder(tmp_path / "large", [(200, 300), (300, 200)])).load_splits()


def test_an_archive_trains_and_a_folder_tests(tmp_path):
    held = np.load(saved(tmp_path / "a.npz", x=IMAGES, y=np.array(["a", "b"])[CLASSES]))
    assert held.files == ["x", "y"]
    test = folder(tmp_path / "set", [(20, 20)] * 6)
    splits = Mnist(data=f"npz:{tmp_path}/a.npz", test=test).load_splits()
    assert len(splits.test) == 6 and splits.test.spec == splits.train.spec


def test_a_test_set_cut_from_training_is_noted(tmp_path):
    other = 255 - IMAGES[:9]
    held = {"x_train": IMAGES, "y_train": CLASSES, "x_val": other, "y_val": CLASSES[:9]}
    splits = Mnist(data=f"npz:{saved(tmp_path / 'a.npz', **held)}").load_splits()
    assert len(splits.valid) == 9 and len(splits.train) + len(splits.test) == 40
    said = f"there is no test split: {len(splits.test)} of the 40 training examples are the test"
    assert splits.notes[0].startswith(said)
    held |= {"x_test": IMAGES[:9] // 2, "y_test": CLASSES[:9]}
    assert not Mnist(data=f"npz:{saved(tmp_path / 'b.npz', **held)}").load_splits().notes
