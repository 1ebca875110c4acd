"""Questions that are images: signatures for the server, files from the user."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.examples import Batch
from pipelines.files import whole
from pipelines.images import decode
from pipelines.photos import Reading, reading
from serving.answers import named, parts, rows
from serving.portable import Portable, in_float32
from serving.reading import UnreadableError
from training.run import Run


def signatures(run: Run) -> dict[str, Any]:
    """Concrete functions over decoded pixels and over encoded files, with named outputs.

    TensorFlow Serving's REST interface reads an input whose name ends in
    `_bytes` as base64.
    """
    answer, fit = named(run), reading_of(run)

    @tf.function(
        input_signature=[tf.TensorSpec([None, *fit.shape], tf.uint8, "pixels")],
        autograph=False,
    )
    def pixels(pixels: Any) -> dict[str, Any]:
        return answer(pixels)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def encoded(image_bytes: Any) -> dict[str, Any]:
        fitted = tf.map_fn(
            lambda one: fit(decode(one)),
            image_bytes,
            fn_output_signature=tf.TensorSpec(fit.shape, tf.uint8),
        )
        return answer(fitted)

    return {"serving_default": pixels, "encoded": encoded}


def samples(raw: np.ndarray, run: Run) -> dict[str, np.ndarray]:  # noqa: ARG001
    """The same raw images as input of each signature, by `SIGNATURE/input/NAME`."""
    png = [tf.io.encode_png(image).numpy() for image in raw]
    return {"serving_default/input/pixels": raw, "encoded/input/image_bytes": np.array(png)}


def portable(run: Run) -> Portable:
    """Pixels that are decoded already."""
    model, shape = in_float32(run.model), reading_of(run).shape
    return Portable(
        lambda pixels: parts(run.passport["answer"], model(pixels, training=False)),
        (tf.TensorSpec([None, *shape], tf.uint8, "pixels"),),
        outside=(
            "Image files are decoded, and scaled to the size of `pixels`, by whoever asks; the "
            "SavedModel's signature `encoded` does both.",
        ),
        left_out={"encoded": "image files cannot be decoded there"},
    )


def about(run: Run) -> dict[str, Any]:
    """The size of a picture as the model sees it."""
    sizes = zip(("height", "width", "channels"), reading_of(run).shape, strict=True)
    return {"image": dict(sizes)}


def predict(run: Run, inputs: list[str]) -> list[dict[str, Any]]:
    """Of each image file the class, its probability, and the next two guesses."""
    raw = read([Path(name) for name in inputs], reading_of(run))
    return [{"input": name, **row} for name, row in zip(inputs, rows(run, raw), strict=True)]


def reading_of(run: Run) -> Reading:
    """How this run reads a picture of any size."""
    return reading(**run.passport["reading"])


def read(paths: list[Path], fit: Reading) -> np.ndarray:
    """Image files -> uint8 [n, height, width, channels]. Raises UnreadableError."""
    return np.stack([_read_one(path, fit) for path in paths])


def write(folder: Path, some: Batch, run: Run) -> list[str]:
    """One PNG an example, named by its number and class; returns their paths."""
    names = []
    for number, (image, target) in enumerate(zip(*some, strict=True)):
        label = "".join(c if c.isalnum() else "-" for c in run.passport["labels"][target])
        path = folder / f"{number}-{label}.png"
        with whole(path) as beside:
            beside.write_bytes(tf.io.encode_png(image).numpy())
        names.append(str(path))
    return names


def _read_one(path: Path, fit: Reading) -> np.ndarray:
    try:
        return fit(decode(path.read_bytes())).numpy()
    except OSError as error:
        reason = error.strerror or str(error)
    except (tf.errors.InvalidArgumentError, ValueError):
        reason = "its content is not that of an image, or is cut short"
    raise UnreadableError(
        f"Received the image {str(path)!r}: {reason}; expected a readable PNG, JPEG, GIF or BMP."
    )
