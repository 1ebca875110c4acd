"""Photographs are turned as the camera stored it in the file (EXIF)."""

import io
import json
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from apps import Finetune
from pipelines.images.decoding import decode
from pipelines.images.photos import FitPhoto, SquarePhotos
from training import manifest

ORIENTATION = 0x0112
LOSSLESS = {"JPEG": {"quality": 100, "subsampling": 0}, "PNG": {}, "WEBP": {"lossless": True}}
CALLS = {"eager": decode, "graph": tf.function(decode, autograph=False)}


def photograph(kind, orientation, more_tags=(), seed=0):
    """Return a file of 6 x 4 grey pixels with an orientation, and these as Pillow turns them."""
    grey = np.random.default_rng(seed).integers(0, 256, (4, 6, 1), "uint8").repeat(3, 2)
    exif = Image.Exif()
    for tag, value in more_tags:
        exif[tag] = value
    exif[ORIENTATION] = orientation
    place = io.BytesIO()
    Image.fromarray(grey).save(place, kind, exif=exif, **LOSSLESS[kind])
    content = place.getvalue()
    return content, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", LOSSLESS)
def test_every_orientation_is_that_of_pillow(kind, call):
    for orientation in range(1, 9):
        content, expected = photograph(kind, orientation)
        found = CALLS[call](tf.constant(content)).numpy()
        assert found.shape == expected.shape, orientation
        # TensorFlow decodes JPEG faster and less exactly than Pillow.
        assert np.abs(found.astype(int) - expected).mean() <= (12 if kind == "JPEG" else 0)


def test_the_orientation_may_be_ignored():
    content, _ = photograph("PNG", 6)
    assert decode(content, upright=False).shape == (4, 6, 3)
    assert decode(content).shape == (6, 4, 3)


def test_little_endian_files_and_further_tags():
    tags = (0x010F, "a camera"), (0x0131, "a program"), (0x8769, {0x9003: "2020:01:01 00:00:00"})
    content, expected = photograph("JPEG", 8, tags)
    assert decode(content).shape == expected.shape
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1)
    segment = b"Exif\0\0" + head + struct.pack("<HHIHH", ORIENTATION, 3, 1, 6, 0) + b"\0" * 4
    plain = photograph("JPEG", 1)[0]
    turned = plain[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + plain[2:]
    assert decode(turned).shape == (6, 4, 3)


def without(content, old, new):
    assert old in content
    return content.replace(old, new)


@pytest.mark.parametrize(
    "damage",
    [
        lambda exif: without(exif, b"Exif\0\0MM", b"Exif\0\0XX"),
        lambda exif: without(exif, b"Exif\0\0MM", b"exif\0\0II"),
        lambda exif: without(exif, struct.pack(">HHI", ORIENTATION, 3, 1), b"\0" * 8),
        lambda exif: without(exif, b"MM\0*\0\0\0\x08", b"MM\0*\xff\xff\xff\xff"),
        lambda exif: without(
            exif, struct.pack(">HHIH", ORIENTATION, 3, 1, 6), struct.pack(">HHIH", 274, 3, 1, 99)
        ),
    ],
    ids=["byte-order", "name", "no-tag", "offset", "value"],
)
def test_damaged_headers_leave_the_picture_as_it_is(damage):
    content, _ = photograph("JPEG", 6)
    assert decode(damage(content)).shape == (4, 6, 3)


def test_cut_files_end_the_search():
    content, _ = photograph("PNG", 6)
    for length in range(8, content.index(b"IDAT"), 3):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(content[:length])


def test_training_and_prediction_turn_alike(tmp_path):
    for name, orientation in (("a", 6), ("b", 6)):
        (tmp_path / name).mkdir()
        for number in range(12):
            (tmp_path / name / f"{number}.png").write_bytes(
                photograph("PNG", orientation, (), number + 50 * (name == "b"))[0]
            )
    for exif, fit in (("upright", FitPhoto((6, 6, 3))), ("ignore", FitPhoto((6, 6, 3), False))):
        app = Finetune(data=str(tmp_path), exif=exif, size=6, weights="none")
        splits = app.load_splits()
        assert app.make_input_decoder(splits) == fit
        assert SquarePhotos(6, upright=fit.upright)([(4, 6, 3)]) == fit
        pictures = {
            fit(decode(path.read_bytes(), upright=fit.upright)).numpy().tobytes()
            for path in tmp_path.rglob("*.png")
        }
        assert {picture.tobytes() for picture in splits.train.numpy().features} < pictures


def test_runs_of_older_versions_go_on_to_ignore_it(tiny_run, tmp_path):
    content = json.loads((tiny_run(Finetune).path / "run.json").read_text())
    assert content["reading"]["upright"] is True
    del content["reading"]["upright"], content["fields"]["exif"]
    (tmp_path / "run.json").write_text(json.dumps(content))
    read = manifest.read(tmp_path / "run.json")
    assert read["reading"]["upright"] is False
    assert read["fields"]["exif"] == "ignore"
