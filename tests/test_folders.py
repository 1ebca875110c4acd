"""Folders of pictures, as people have them."""

import numpy as np
import pytest
import tensorflow as tf

from pipelines import folders, looking
from pipelines.examples import DataError
from pipelines.photos import FitPhoto, reading, squares

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
def messy(tmp_path):
    """Class folders with a truncated JPEG, a text file, an empty file and a stray note."""
    write(tmp_path / "messy")
    whole = tmp_path / "messy" / "rose" / "0.jpg"
    (tmp_path / "messy" / "rose" / "cut.jpg").write_bytes(whole.read_bytes()[:200])
    (tmp_path / "messy" / "rose" / "empty.PNG").write_bytes(b"")
    (tmp_path / "messy" / "daisy" / "notes.txt").write_text("from the garden")
    (tmp_path / "messy" / "README").write_text("pictures")
    (tmp_path / "messy" / ".DS_Store").write_text("hidden")
    return tmp_path / "messy"


@pytest.mark.parametrize("again", [False, True])
def test_what_is_no_picture_is_named_and_skipped(messy, again, capfd):
    for _ in range(1 + again):
        source = folders.source(str(messy), squares(16), None)
    assert source.labels == CLASSES
    assert len(source.train) == 24
    assert source.train.features.shape[1:] == (16, 16, 3)
    damaged, foreign = source.notes
    assert "2 files damaged" in damaged and "rose/cut.jpg" in damaged and "empty.PNG" in damaged
    assert "2 files of other kinds" in foreign and "notes.txt" in foreign and "README" in foreign
    assert "JPEG" not in capfd.readouterr().err  # of the decoder, which speaks for itself


def test_every_picture_is_read_as_if_it_were_alone(tmp_path):
    for k in range(40):
        height, width, channels = 5 + k % 7, 6 + k % 5, (1, 3)[k % 2]
        encoded = tf.io.encode_png(photo(k, height, width, channels)).numpy()
        folder = tmp_path / CLASSES[k % 2]
        folder.mkdir(exist_ok=True)
        (folder / f"{k:02}.png").write_bytes(encoded[: len(encoded) // (1 + (k % 9 == 3))])
    told = []
    with looking.looking(lambda *said: told.append(said)) as look:
        folders.source(str(tmp_path), squares(16), None)
    ((_, listing),) = look.folders
    assert told == [("reading", 40, 40)]
    source = folders.source(str(tmp_path), squares(16), None).train
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
    np.testing.assert_array_equal(looking.thumbnails(pictures), np.round(parts.mean((2, 4))))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_folders_of_splits_are_kept(tmp_path, name):
    for start, split in ((0, "train"), (100, name), (200, "test")):
        write(tmp_path / split, 3, start)
    source = folders.source(str(tmp_path), squares(16), None)
    assert [len(part) for part in (source.train, source.valid, source.test)] == [6, 6, 6]


def test_a_class_may_be_called_train(tmp_path):
    write(tmp_path, 2)
    (tmp_path / "rose").rename(tmp_path / "train")
    assert folders.source(str(tmp_path), squares(16), None).labels == ("daisy", "train")


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match="no directory"):
        folders.source(str(tmp_path / "missing"), squares(0), None)
    with pytest.raises(DataError, match="holds no folders"):
        folders.source(str(tmp_path), squares(0), None)
    (tmp_path / "rose").mkdir()
    (tmp_path / "rose" / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match="no picture was found"):
        folders.source(str(tmp_path), squares(0), None)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_picture_becomes_colour_of_one_size(channels):
    fitted = FitPhoto((24, 24, 3))(photo(0, 50, 9, channels)).numpy()
    assert fitted.shape == (24, 24, 3) and fitted.dtype == np.uint8
    if channels < 3:
        np.testing.assert_array_equal(fitted[..., 0], fitted[..., 2])


def test_a_picture_of_the_right_size_passes_unchanged():
    image = photo(0, 24, 24)
    np.testing.assert_array_equal(FitPhoto((24, 24, 3))(image), image)


def test_a_side_suits_the_set():
    assert squares(0)(28).shape == (96, 96, 3)
    assert squares(0)(160).shape == (224, 224, 3)
    assert squares(64)(160).shape == (64, 64, 3)


def test_a_passport_tells_how_pictures_are_read():
    stored = {"way": "FitPhoto", "shape": [24, 24, 3]}
    assert reading(**stored) == FitPhoto((24, 24, 3))


@pytest.mark.slow
def test_photographs_of_several_sizes_load(load):
    pytest.importorskip("tensorflow_datasets")
    load("tfds:mnist")  # skips where there are no prepared sets
    from pipelines import tfds

    builder = tfds._prepared("tf_flowers160", None)
    side = tfds._usual_side(builder, builder.info.features["image"].shape)
    batch = next(tfds._batches(builder, "train", squares(64)(side)))
    assert side == 160
    assert batch.features.shape == (tfds.FITTED_CHUNK, 64, 64, 3)
    assert batch.features.dtype == np.uint8 and set(batch.target) <= set(range(5))
