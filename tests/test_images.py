"""Images of any size and colour become like those of the training set."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from made import random_images, source, splits
from PIL import Image

from apps import Mnist
from pipelines.examples import DataError, Examples
from pipelines.images import pixelwise
from pipelines.images.decoding import decode
from pipelines.images.file_bytes import read_image_bytes
from pipelines.images.photos import FitPhoto
from pipelines.images.preprocessing import FitImage, Standardize, require_classes
from pipelines.splits import split_source

NUM_DIGITS = 40
CLOSE = 12  # of 255, mean absolute difference


def grey_and_alpha(image):
    """Move an image to the alpha channel, as drawing programs do."""
    return np.concatenate([np.zeros_like(image), image], axis=-1)


def ten_times(image):
    height, width, _ = image.shape
    large = tf.image.resize(image, (10 * height, 10 * width), method="bicubic")
    return tf.cast(tf.clip_by_value(tf.round(large), 0, 255), tf.uint8).numpy()


def on_a_large_sheet(image):
    """Enlarge ten times, in the corner of a sheet."""
    large = ten_times(image)
    return np.pad(large, ((20, 300), (30, 200), (0, 0)))


CHANGES = {
    "same": lambda image: image,
    "colour": lambda image: np.repeat(image, 3, axis=-1),
    "colour and alpha": lambda image: np.concatenate(
        [np.repeat(image, 3, axis=-1), np.full_like(image, 255)], axis=-1
    ),
    "grey and alpha": grey_and_alpha,
    "inverted": lambda image: 255 - image,
    "ten times": ten_times,
    "ten times, inverted": lambda image: 255 - ten_times(image),
    "ten times, colour": lambda image: np.repeat(ten_times(image), 3, axis=-1),
    "on a large sheet": on_a_large_sheet,
}
EXACT = {"same", "colour", "colour and alpha", "inverted"}


@pytest.fixture(scope="module")
def mnist(load):
    made = load("tfds:mnist")
    return FitImage.adapted(made.train), made.test.numpy(slice(NUM_DIGITS)).features


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_digit_is_restored_close_to_the_original(change, mnist):
    fit, digits = mnist
    fitted = np.stack([fit(CHANGES[change](digit)).numpy() for digit in digits])
    assert (fitted.shape, fitted.dtype) == (digits.shape, digits.dtype)
    if change in EXACT:
        assert np.abs(fitted.astype(int) - digits).max() <= 1
    else:
        assert np.abs(fitted.astype(int) - digits).mean() < CLOSE


@pytest.mark.thorough
def test_the_distance_distinguishes_images(mnist):
    """Another digit, and an empty image, are not close."""
    _, digits = mnist
    assert np.abs(digits[1:].astype(int) - digits[:-1]).mean() > 2 * CLOSE
    assert np.abs(digits.astype(int)).mean() > 2 * CLOSE


@pytest.mark.parametrize("change", sorted(EXACT))
def test_an_embedded_digit_of_the_right_size_is_unchanged(change, load):
    made = load("embedded")
    fit = FitImage.adapted(made.train)
    digits = made.test.numpy(slice(NUM_DIGITS)).features
    fitted = np.stack([fit(CHANGES[change](digit)).numpy() for digit in digits])
    assert np.abs(fitted.astype(int) - digits).max() <= 1


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_of_every_kind_become_colour_images(channels):
    fit = FitImage.adapted(random_images(50, (16, 16, 3)))
    fitted = fit(random_images(1, (40, 40, channels)).features[0])
    assert (fitted.shape, fitted.dtype) == ((16, 16, 3), tf.uint8)


def test_colours_are_kept():
    fit = FitImage.adapted(random_images(50, (16, 16, 3)))
    red = np.full((40, 40, 3), (200, 10, 30), np.uint8)
    np.testing.assert_allclose(fit(red).numpy(), np.full((16, 16, 3), (200, 10, 30)), atol=1)


def test_a_colour_image_of_the_right_size_is_unchanged():
    examples = random_images(50, (16, 16, 3))
    fit = FitImage.adapted(examples)
    np.testing.assert_array_equal(fit(examples.features[3]), examples.features[3])


@pytest.mark.parametrize("shape", [(20, 30, 1), (30, 20, 3)], ids=str)
@pytest.mark.parametrize("size", [(5, 60), (60, 5), (1, 1), (400, 300)], ids=str)
def test_training_images_need_not_be_square(shape, size):
    for examples in (random_images(20, shape), on_black(shape)):
        fit = FitImage.adapted(examples)
        assert fit(random_images(1, (*size, 1)).features[0]).shape == shape


@pytest.mark.parametrize(
    "channels", [4, *(pytest.param(number, marks=pytest.mark.thorough) for number in (1, 2, 3))]
)
def test_processing_in_blocks_changes_no_bit(channels, monkeypatch):
    """An image is laid on white in blocks: as float32 one of 67 megapixels took 2.4 GB."""
    size = (41, 23, channels)
    image = tf.constant(np.random.default_rng(0).integers(0, 256, size, "uint8"))
    fits = [FitImage((8, 8, 1), 96.5, 0.7), FitImage((8, 8, 3), None, 1.0), FitPhoto((8, 8, 3))]
    whole = [fit(image).numpy() for fit in fits]
    colour = [pixelwise.recoloured(image, number).numpy() for number in (1, 3)]
    values = image.numpy().astype("float32")
    alpha = (
        values[..., -1:] / np.float32(255) if channels % 2 == 0 else np.ones_like(values[..., :1])
    )
    laid = values[..., :3] if channels > 2 else np.repeat(values[..., :1], 3, -1)
    np.testing.assert_array_equal(colour[1], np.round(laid * alpha + 255 * (1 - alpha)))
    monkeypatch.setattr(pixelwise, "MAX_BLOCK_PIXELS", 37)
    for fit, expected in zip(fits, whole, strict=True):
        np.testing.assert_array_equal(fit(image), expected)
        in_graph = tf.function(fit.__call__, autograph=False)
        np.testing.assert_array_equal(in_graph(image), expected)
    for number, expected in zip((1, 3), colour, strict=True):
        np.testing.assert_array_equal(pixelwise.recoloured(image, number), expected)


def on_black(shape):
    """Bright blocks on black."""
    features = np.zeros((20, *shape), np.uint8)
    features[:, 5:-5, 5:-5] = random_images(20, (shape[0] - 10, shape[1] - 10, shape[2])).features
    return Examples.of(features, np.zeros(20, int))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_image_is_accepted(level, load):
    fit = FitImage.adapted(load("embedded").train)
    assert fit(np.full((50, 70, 3), level, np.uint8)).shape == (8, 8, 1)


def test_proportions_are_kept():
    """A tall bar stays tall: as many times as high as wide, within a pixel."""
    fit = FitImage.adapted(on_black((30, 30, 1)))
    sheet = np.zeros((300, 300, 1), np.uint8)
    sheet[50:250, 100:140] = 255
    drawn = fit(sheet).numpy()[..., 0] > 100
    height, width = drawn.any(1).sum(), drawn.any(0).sum()
    assert height / width == pytest.approx(5, rel=0.3)


@pytest.mark.parametrize("encode", ["png", "jpeg", "gif", "bmp"])
def test_files_of_every_format_are_decoded(encode, load):
    digit = load("embedded").test.numpy([0]).features[0]
    colour = np.repeat(digit, 3, axis=-1)
    decoded = decode(ENCODE[encode](colour))
    assert decoded.shape[:2] == (8, 8)
    # JPEG loses a little.
    assert np.abs(decoded.numpy().astype(int) - colour).mean() < (8 if encode == "jpeg" else 0.5)


def by_pillow(kind):
    def encoded(image):
        file = io.BytesIO()
        Image.fromarray(image).save(file, kind)
        return file.getvalue()

    return encoded


ENCODE = {
    "png": lambda image: tf.io.encode_png(image),
    "jpeg": lambda image: tf.io.encode_jpeg(image, quality=100),
    "gif": by_pillow("GIF"),
    "bmp": by_pillow("BMP"),
}


def test_standardize_gives_mean_0_and_deviation_1():
    examples = random_images(100)
    pixels = Standardize.adapted(examples)(examples.features).numpy()
    assert pixels.dtype == np.float32
    assert pixels.mean() == pytest.approx(0, abs=1e-4)
    assert pixels.std() == pytest.approx(1, abs=1e-4)


def test_standardize_survives_images_of_one_colour():
    flat = Examples.of(np.full((5, 8, 8, 1), 9, np.uint8), np.zeros(5, int))
    assert np.isfinite(Standardize.adapted(flat)(flat.features)).all()


def test_standardize_config_round_trip():
    layer = Standardize.adapted(random_images(10))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is Standardize
    assert again.get_config() == layer.get_config()
    images = random_images(3, seed=5).features
    np.testing.assert_array_equal(again(images), layer(images))


def test_standardize_computes_in_float32_under_every_policy():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert (
            Mnist().make_preprocessing(splits((8, 8, 1)))(random_images(2).features).dtype
            == tf.float32
        )
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("shape", [(8, 8, 2), (8, 8, 4)], ids=str)
def test_images_of_other_channels_are_refused(shape):
    with pytest.raises(DataError, match="expected images"):
        require_classes(splits(shape), "made")


def test_a_single_class_is_refused():
    with pytest.raises(DataError, match="all of one class"):
        require_classes(split_source(source(classes=1)), "made")


def test_a_jpeg_with_a_truncated_header_is_detected_without_the_decoder(tmp_path):
    path, place, notes = tmp_path / "a.jpg", io.BytesIO(), Image.Exif()
    notes[0x010E] = "a garden"
    Image.fromarray(np.zeros((8, 16, 3), "uint8")).save(place, "JPEG", exif=notes, progressive=True)
    content = place.getvalue()
    scan = content.index(b"\xff\xda")
    header = scan + 2 + int.from_bytes(content[scan + 2 : scan + 4])
    for end in range(2, header):
        path.write_bytes(content[:end])
        with pytest.raises(ValueError, match="cut within the header"):
            read_image_bytes(path)
    odd = content[:2] + b"\xff" + content[2:]  # as some cameras fill it
    for whole in (content[:header], content, odd, b"", b"\xff", b"\x89PNG"):
        path.write_bytes(whole)
        assert read_image_bytes(path) == whole
    assert decode(odd).shape == (8, 16, 3)
