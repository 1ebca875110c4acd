"""Questions that are images: signatures for the server, files from the user."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.examples import Batch
from pipelines.files import whole
from pipelines.images import FitImage, decode


class UnreadableError(ValueError):
    """An input of the user's that is no image."""

    exit_status = 2


def signatures(answer: Any, reading: FitImage) -> dict[str, Any]:
    """Concrete functions over decoded pixels and over encoded files.

    `answer` takes uint8 [n, height, width, channels] and returns named outputs.
    TensorFlow Serving's REST interface reads an input whose name ends in
    `_bytes` as base64.
    """

    @tf.function(
        input_signature=[tf.TensorSpec([None, *reading.shape], tf.uint8, "pixels")],
        autograph=False,
    )
    def pixels(pixels: Any) -> dict[str, Any]:
        return answer(pixels)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def encoded(image_bytes: Any) -> dict[str, Any]:
        fitted = tf.map_fn(
            lambda one: reading(decode(one)),
            image_bytes,
            fn_output_signature=tf.TensorSpec(reading.shape, tf.uint8),
        )
        return answer(fitted)

    return {"serving_default": pixels, "encoded": encoded}


def samples(raw: np.ndarray) -> dict[str, np.ndarray]:
    """The same raw images as input of each signature, by `SIGNATURE/INPUT`."""
    png = [tf.io.encode_png(image).numpy() for image in raw]
    return {"serving_default/pixels": raw, "encoded/image_bytes": np.array(png)}


def read(paths: list[Path], reading: FitImage) -> np.ndarray:
    """Image files -> uint8 [n, height, width, channels]. Raises UnreadableError."""
    return np.stack([_read_one(path, reading) for path in paths])


def write(folder: Path, some: Batch, labels: list[str]) -> list[Path]:
    """One PNG an example, named by its number and class; returns their paths."""
    paths = []
    for number, (image, target) in enumerate(zip(*some, strict=True)):
        label = "".join(c if c.isalnum() else "-" for c in labels[target])
        path = folder / f"{number}-{label}.png"
        with whole(path) as beside:
            beside.write_bytes(tf.io.encode_png(image).numpy())
        paths.append(path)
    return paths


def _read_one(path: Path, reading: FitImage) -> np.ndarray:
    try:
        return reading(decode(path.read_bytes())).numpy()
    except OSError as error:
        reason = error.strerror or str(error)
    except (tf.errors.InvalidArgumentError, ValueError):
        reason = "its content is not that of an image, or is cut short"
    raise UnreadableError(
        f"Received the image {str(path)!r}: {reason}; expected a readable PNG, JPEG, GIF or BMP."
    )
