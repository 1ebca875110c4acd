"""Image folders: reading, skipped files, notes and errors."""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from corpus.folders import png_of
from PIL import Image

from pipelines.examples import DataError
from pipelines.images import folders
from pipelines.images.photos import FitPhoto, SquarePhotos, fitter_from_manifest
from pipelines.inspection import Inspection, thumbnails

CLASSES = ("daisy", "rose")


def photo(seed, height=20, width=30, channels=3):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width, channels), dtype=np.uint8)


def write(folder, count=12, start=0):
    """Class folders of distinct JPEG files."""
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(count):
            encoded = tf.io.encode_jpeg(photo(start + 1000 * number + k)).numpy()
            (folder / name / f"{k}.jpg").write_bytes(encoded)


@pytest.fixture
def place(tmp_path):
    """An empty directory."""
    (tmp_path / "set").mkdir()
    return tmp_path / "set"


@pytest.fixture
def messy(place):
    """Class folders with a truncated JPEG, a text file, an empty file and a stray note."""
    write(place / "messy")
    whole = place / "messy" / "rose" / "0.jpg"
    (place / "messy" / "rose" / "cut.jpg").write_bytes(whole.read_bytes()[:200])
    (place / "messy" / "rose" / "empty.PNG").write_bytes(b"")
    (place / "messy" / "daisy" / "notes.txt").write_text("from the garden")
    (place / "messy" / "README").write_text("pictures")
    (place / "messy" / ".DS_Store").write_text("hidden")
    return place / "messy"


@pytest.mark.parametrize("again", [False, True])
def test_other_files_are_skipped_and_noted(messy, again, capfd):
    for _ in range(1 + again):
        source = folders.source(str(messy), SquarePhotos(16), None)
    assert source.labels == CLASSES
    assert len(source.train) == 24
    assert source.train.features.shape[1:] == (16, 16, 3)
    assert source.notes == (
        "skipped 2 of 14 files of the class rose: 1 damaged, 1 empty: rose/cut.jpg, rose/empty.PNG",
        "skipped 1 of 13 files of the class daisy: 1 not an image: daisy/notes.txt",
        "skipped 1 file in no class folder: 1 not an image: README",
    )
    assert not capfd.readouterr().err  # of the decoder, which speaks for itself


def saved(kind, seed=0):
    file = io.BytesIO()
    Image.fromarray(photo(seed)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_image_formats_are_detected_by_content_not_by_name(place, kind):
    write(place, 3)
    (place / "tulip" / "deep" / "deeper").mkdir(parents=True)
    names = ("a", "b.PNG", "c.jpg", "d.txt", "e.data", "deep/deeper/f.WEBP")
    for seed, name in enumerate(names):
        (place / "tulip" / name).write_bytes(saved(kind, seed))
    source = folders.source(str(place), SquarePhotos(16), None)
    assert source.labels == (*CLASSES, "tulip") and not source.notes
    assert np.bincount(source.train.targets).tolist() == [3, 3, 6]


OTHERS = {
    "JPEG 2000": ("20 JPEG 2000", lambda: saved("JPEG2000")),
    "JPEG 2000 that is called JPEG": ("20 JPEG 2000", lambda: saved("JPEG2000")),
    "damaged TIFF": ("20 damaged", lambda: saved("TIFF")[:100]),
    "damaged": ("20 damaged", lambda: saved("JPEG")[:400]),
    "empty": ("20 empty", lambda: b""),
    "pages of errors": ("20 not an image", lambda: b"<html>404</html>"),
    "bombs": ("20 with too many pixels", lambda: png_of(20000, 20000)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_class_without_a_readable_image_is_refused(place, name):
    write(place, 2)
    (place / "tulip").mkdir()
    counted, make = OTHERS[name]
    ending = ".jp2" if name == "JPEG 2000" else ".jpg"
    for number in range(20):
        (place / "tulip" / f"{number:02}{ending}").write_bytes(make())
    said = rf"no picture of the class tulip \({counted}: tulip/00{ending}, .* and 15 more\) can be"
    with pytest.raises(DataError, match=said):
        folders.source(str(place), SquarePhotos(16), None)


def test_an_empty_class_folder_is_noted(place):
    write(place, 2)
    (place / "docs").mkdir()
    (place / "docs" / "a.txt").write_text("by hand")
    (place / "later").mkdir()
    source = folders.source(str(place), SquarePhotos(16), None)
    assert source.labels == CLASSES
    assert source.notes[0] == "class folders without a picture: docs/, later/"


def test_other_formats_are_counted_by_class(place):
    write(place, 2)
    for number in range(7):
        (place / "rose" / f"{number}.jp2").write_bytes(saved("JPEG2000"))
    (place / "rose" / "bomb.png").write_bytes(png_of(20000, 20000))
    said, remedy = folders.source(str(place), SquarePhotos(16), None).notes
    assert said.startswith(
        "skipped 8 of 10 files of the class rose: 7 JPEG 2000, 1 with too many pixels: "
    )
    assert remedy.startswith("athanor reads PNG, JPEG, GIF, BMP, WebP, AVIF")
    assert remedy.endswith("TIFF: convert the files of JPEG 2000")


def test_broken_links_are_skipped(place):
    write(place, 2)
    rose = place / "rose"
    (rose / "nowhere.jpg").symlink_to("nothing.jpg")
    (rose / "folder.png").mkdir()
    (rose / "all").symlink_to(rose, target_is_directory=True)
    os.mkfifo(rose / "pipe.jpg")  # it would wait for somebody to write
    source = folders.source(str(place), SquarePhotos(16), None)
    assert len(source.train) == 4
    assert source.notes[0].startswith("skipped 3 of 5 files of the class rose: ")


def test_a_folder_that_cannot_be_opened_is_named(place, monkeypatch):
    write(place, 2)
    closed = place / "rose" / "closed"
    closed.mkdir()
    scan = os.scandir

    def scandir(path):
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr("os.scandir", scandir)
    (note,) = folders.source(str(place), SquarePhotos(16), None).notes
    assert "1 folders that cannot be opened: rose/closed" in note


NAMES = ("猫 1", "a[1]*?", "100%", "x\ny", "b\udcff", "ünï")


def test_names_in_all_languages_are_read_and_listed(place):
    for number, name in enumerate(NAMES):
        folder = place / "set" / name
        folder.mkdir(parents=True)
        for k in range(2):
            (folder / f"{name} {k}.png").write_bytes(saved("PNG", 10 * number + k))
        (folder / f"{name} bad.png").write_bytes(b"no picture")
    for _ in range(2):  # from the files, then from the cache
        source = folders.source(str(place / "set"), SquarePhotos(16), None)
        labels = sorted(name.replace("\n", r"\n").replace("\udcff", r"\udcff") for name in NAMES)
        assert list(source.labels) == labels
        assert len(source.train) == 2 * len(NAMES)
        print(*source.labels, *source.notes, *source.train.files, sep="\n")
        assert all(len(note.splitlines()) == 1 for note in source.notes)


def case(name):
    folder = Path(__file__).resolve().parents[2] / "shared" / "cases" / name
    if not folder.is_dir():
        pytest.skip("needs ../shared/cases")
    return folder


@pytest.mark.parametrize(("name", "splits"), [("capital", 3), ("training", 2)])
def test_the_classes_are_those_within_the_splits(name, splits):
    source = folders.source(str(case("split-folders-as-classes") / name), SquarePhotos(32), None)
    assert source.labels == ("blue", "red") and not source.notes
    parts = [part for part in (source.train, source.valid, source.test) if part is not None]
    assert len(parts) == splits


def test_a_class_of_webp_is_a_class():
    source = folders.source(str(case("webp-class-vanishes") / "photos"), SquarePhotos(32), None)
    assert source.labels == ("blue", "green", "red") and not source.notes
    assert np.bincount(source.train.targets).tolist() == [20, 20, 20]


def test_a_decompression_bomb_in_training_is_skipped(place):
    write(place, 2)
    shutil.copy(case("webp-pixel-bomb") / "bomb.webp", place / "rose" / "photo.jpg")
    (note,) = folders.source(str(place), SquarePhotos(16), None).notes
    assert "1 of 3 files of the class rose: 1 with too many pixels: rose/photo.jpg" in note


def test_damaged_jpegs_write_no_message(place, capfd):
    write(place, 4)
    random = np.random.default_rng(0)
    whole = saved("JPEG")
    for number in range(40):
        rotten = bytearray(whole)
        for byte in random.integers(650, len(whole) - 2, 4):
            rotten[byte] = random.integers(256)
        cut = random.integers(200, len(whole))
        (place / "rose" / f"rotten {number}.jpg").write_bytes(bytes(rotten))
        (place / "rose" / f"cut {number}.jpg").write_bytes(whole[:cut])
    folders.source(str(place), SquarePhotos(16), None)
    assert not capfd.readouterr().err


def test_an_image_does_not_depend_on_its_batch(place):
    for k in range(40):
        height, width, channels = 5 + k % 7, 6 + k % 5, (1, 3)[k % 2]
        encoded = tf.io.encode_png(photo(k, height, width, channels)).numpy()
        folder = place / CLASSES[k % 2]
        folder.mkdir(exist_ok=True)
        (folder / f"{k:02}.png").write_bytes(encoded[: len(encoded) // (1 + (k % 9 == 3))])
    told = []
    inspection = Inspection(lambda *said: told.append(said))
    folders.source(str(place), SquarePhotos(16), None, inspection)
    ((_, listing),) = inspection.folders
    assert told == [("reading", 40, 40)]
    source = folders.source(str(place), SquarePhotos(16), None).train
    assert len(source) == 35
    pixels = iter(source.numpy().features)
    for path, shape in zip(listing.paths, listing.shapes, strict=True):
        k = int(path.stem)
        if k % 9 == 3:
            assert shape == (0, 0, 0)
            continue
        assert shape == (5 + k % 7, 6 + k % 5, (1, 3)[k % 2])
        picture = tf.io.decode_image(path.read_bytes())
        np.testing.assert_array_equal(next(pixels), FitPhoto((16, 16, 3))(picture))


@pytest.mark.parametrize("side", [64, 224, 1024])
def test_thumbnails_are_means(side):
    pictures = np.random.default_rng(0).integers(0, 256, (2, side, 2 * side, 3), dtype="uint8")
    parts = pictures.reshape(2, 32, side // 32, 32, side // 16, 3)
    np.testing.assert_array_equal(thumbnails(pictures), np.round(parts.mean((2, 4))))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_folders_of_splits_are_kept(place, name):
    for start, split in ((0, "train"), (100, name), (200, "test")):
        write(place / split, 3, start)
    source = folders.source(str(place), SquarePhotos(16), None)
    assert [len(part) for part in (source.train, source.valid, source.test)] == [6, 6, 6]


def test_a_class_may_be_called_train(place):
    write(place, 2)
    (place / "rose").rename(place / "train")
    assert folders.source(str(place), SquarePhotos(16), None).labels == ("daisy", "train")


def test_a_folder_without_images_is_refused(place):
    with pytest.raises(DataError, match="not a readable directory"):
        folders.source(str(place / "missing"), SquarePhotos(0), None)
    with pytest.raises(DataError, match="holds no folders"):
        folders.source(str(place), SquarePhotos(0), None)
    (place / "rose").mkdir()
    (place / "rose" / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match="no picture of the class rose"):
        folders.source(str(place), SquarePhotos(0), None)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_image_becomes_a_colour_image_of_one_size(channels):
    fitted = FitPhoto((24, 24, 3))(photo(0, 50, 9, channels)).numpy()
    assert fitted.shape == (24, 24, 3) and fitted.dtype == np.uint8
    if channels < 3:
        np.testing.assert_array_equal(fitted[..., 0], fitted[..., 2])


def test_an_image_of_the_right_size_is_unchanged():
    image = photo(0, 24, 24)
    np.testing.assert_array_equal(FitPhoto((24, 24, 3))(image), image)


def test_the_side_depends_on_the_set():
    assert SquarePhotos(0)([(28, 40, 1)]).shape == (96, 96, 3)
    assert SquarePhotos(0)([(160, 240, 3)]).shape == (224, 224, 3)
    assert SquarePhotos(64)([(160, 240, 3)]).shape == (64, 64, 3)


def test_a_manifest_restores_the_fitter():
    stored = {"way": "FitPhoto", "shape": [24, 24, 3]}
    assert fitter_from_manifest(**stored) == FitPhoto((24, 24, 3))


@pytest.mark.slow
def test_photographs_of_several_sizes_load(load):
    pytest.importorskip("tensorflow_datasets")
    load("tfds:mnist")  # skips where there are no prepared sets
    from pipelines import tfds

    builder = tfds._prepared("tf_flowers160", None)
    shapes = tfds._shapes(builder, builder.info.features["image"].shape)
    batch = next(tfds._batches(builder, "train", SquarePhotos(64)(shapes)))
    assert np.median([min(shape[:2]) for shape in shapes]) == 160
    assert batch.features.shape == (tfds.RESIZED_RECORDS_PER_CALL, 64, 64, 3)
    assert batch.features.dtype == np.uint8 and set(batch.target) <= set(range(5))
