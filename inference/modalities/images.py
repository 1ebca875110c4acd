"""Images: signatures over pixels and files, Grad-CAM, image files from the command line."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from apps.app import ModalityName
from inference.inputs import Note, UnreadableError
from inference.named_outputs import name_outputs, named_function, predict_rows
from inference.portable import Portable, as_float32
from inference.request_errors import RequestError
from inference.values import Predictions, as_paths, numbered
from pipelines.batches import inference_batch_size
from pipelines.examples import Batch
from pipelines.files import atomic_write
from pipelines.images import pixel_arrays
from pipelines.images.conversion import readable_names
from pipelines.images.decoding import decode_all, too_many_pixels_message
from pipelines.images.file_bytes import read_image_content
from pipelines.images.stderr_filter import suppress_decoder_messages
from training.run import Run

NAME: ModalityName = "image"


def signatures(run: Run) -> dict[str, Any]:
    """Return functions over decoded pixels and over encoded files, with named outputs.

    If the network has a feature map, `explain(image_bytes [n], class_index [n])` returns
    `heat` [n, h, w], the Grad-CAM of the class with this index (int32), from 0 to 1; and
    `image_bytes`, the decoded images of the model's size as PNG files, to draw it on.
    TensorFlow Serving's REST interface reads and writes names with `_bytes` as base64.
    """
    functions, explainer = _predict_functions(run), make_explainer(run)
    if explainer is None:
        return functions
    return functions | {"explain": _explain_function(explainer, reading_of(run))}


def vocabularies(run: Run) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing: images have no texts."""
    return {}


def predict_functions(run: Run) -> dict[str, Any]:
    """Return the function for `predict`, over encoded files."""
    return {"encoded": _predict_functions(run)["encoded"]}


def _predict_functions(run: Run) -> dict[str, Any]:
    predict_pixels, fit = named_function(run), reading_of(run)

    @tf.function(
        input_signature=[tf.TensorSpec([None, *fit.shape], tf.uint8, "pixels")],
        autograph=False,
    )
    def pixels(pixels: Any) -> dict[str, Any]:
        return predict_pixels(pixels)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def encoded(image_bytes: Any) -> dict[str, Any]:
        return predict_pixels(decode_all(image_bytes, fit))

    return {"serving_default": pixels, "encoded": encoded}


class Explainer(NamedTuple):
    """The parts of a model that Grad-CAM needs.

    Attributes:
        prepare: the preprocessing of raw pixels.
        network: the model from preprocessed pixels to logits.
        last: index of the network's layer with the last feature map.

    """

    prepare: Any
    network: Any
    last: int

    def heat(self, pixels: Any, classes: Any) -> Any:
        """Return the Grad-CAM of a class for each image, float32 [n, h, w] from 0 to 1."""
        from inference.modalities.grad_cam import heat_maps

        return heat_maps(self.network, self.last, self.prepare(pixels), classes)


def make_explainer(run: Run) -> Explainer | None:
    """Return the parts of a run's model for Grad-CAM; None if its network has no feature map."""
    import keras

    from inference.modalities.grad_cam import last_feature_map

    layers = run.model.layers
    index = next((k for k, x in enumerate(layers) if k and isinstance(x, keras.Model)), None)
    if index is None:
        return None
    prepare = keras.Model(run.model.input, layers[index - 1].output)
    last = last_feature_map(layers[index], prepare(run.samples.raw[:2]))
    return None if last is None else Explainer(prepare, layers[index], last)


def _explain_function(explainer: Explainer, fit: Any) -> Any:
    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "image_bytes"),
            tf.TensorSpec([None], tf.int32, "class_index"),
        ],
        autograph=False,
    )
    def explain(image_bytes: Any, class_index: Any) -> dict[str, Any]:
        decoded = decode_all(image_bytes, fit)
        png = tf.map_fn(tf.io.encode_png, decoded, fn_output_signature=tf.TensorSpec([], tf.string))
        return {"heat": explainer.heat(decoded, class_index), "image_bytes": png}

    return explain


def sample_inputs(raw: np.ndarray, run: Run) -> dict[str, np.ndarray]:
    """Return raw images as inputs of each signature; `explain` gets the predicted class."""
    png = np.array([tf.io.encode_png(image).numpy() for image in raw])
    inputs = {"serving_default/input/pixels": raw, "encoded/input/image_bytes": png}
    explainer = make_explainer(run)
    if explainer is None:
        return inputs
    predicted = run.samples.answers[: len(raw)].argmax(1).astype("int32")
    return inputs | {
        "explain/input/image_bytes": png,
        "explain/input/class_index": predicted,
        "explain/output/heat": explainer.heat(raw, predicted).numpy(),
        "explain/output/image_bytes": png,
    }


def synthetic_features(run: Run) -> np.ndarray:
    """Return three gradients of brightness: to the right, downwards, and diagonal."""
    height, width, channels = reading_of(run).shape
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    ramps = np.stack([across, down, (across + down) / 2])[..., None]
    return np.repeat(np.round(255 * ramps), channels, -1).astype("uint8")


def portable(run: Run) -> Portable:
    """Return the model of decoded pixels; other programs decode image files."""
    model, shape = as_float32(run.model), reading_of(run).shape
    left_out = {"encoded": "image files cannot be decoded there"}
    if make_explainer(run) is not None:
        left_out["explain"] = "it needs image files too"
    return Portable(
        lambda pixels: name_outputs(run.task, model(pixels, training=False)),
        (tf.TensorSpec([None, *shape], tf.uint8, "pixels"),),
        outside=(
            "Decode image files, and scale them to the size of `pixels`; the signature `encoded` "
            "of the SavedModel does both.",
        ),
        left_out=left_out,
    )


def model_info(run: Run, *, with_examples: bool = False) -> dict[str, Any]:  # noqa: ARG001
    """Return the size of images in the model, and whether photographs are turned upright."""
    fit = reading_of(run)
    sizes = zip(("height", "width", "channels"), fit.shape, strict=True)
    return {"image": {**dict(sizes), "upright": fit.upright}}


def predict(run: Run, inputs: list[str], note: Note) -> list[dict[str, Any]]:  # noqa: ARG001
    """Predict the class of each image file, its probability, and the next two classes.

    An unreadable file has an `error` instead; raises UnreadableError if no file is readable.
    """
    shape = run.manifest["reading"]["shape"]
    size = inference_batch_size((tuple(shape), "uint8"))
    blocks = [inputs[start : start + size] for start in range(0, len(inputs), size)]
    predictions = [row for block in blocks for row in _predict_block(run, block)]
    if predictions and all("error" in row for row in predictions):
        raise UnreadableError(predictions[0]["error"])
    return predictions


def predict_values(run: Run, values: Any, note: Note) -> Predictions:
    """Predict an array of images, or image files."""
    if not hasattr(values, "ndim"):
        return predict(run, as_paths(values, "an array of images, or image files"), note)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_pixels(values, Path(folder))
        return numbered(predict(run, paths, note), range(len(paths)))


def write_pixels(values: Any, folder: Path) -> list[str]:
    """Write an array of images as PNG files; return their paths."""
    paths = []
    for number, image in enumerate(pixel_arrays.pixels("images", values)):
        paths.append(str(folder / f"{number}.png"))
        Path(paths[-1]).write_bytes(tf.io.encode_png(image).numpy())
    return paths


def _predict_block(run: Run, names: list[str]) -> list[dict[str, Any]]:
    files: list[bytes] = []
    errors: dict[int, str] = {}
    for index, name in enumerate(names):
        try:
            files.append(read_image_content(Path(name)))
        except IsADirectoryError:
            files_in_it = Path(name) / "*"
            errors[index] = _unreadable(name, f"it is a folder; name its files, as {files_in_it}")
        except (OSError, ValueError) as error:
            errors[index] = _unreadable(name, getattr(error, "strerror", None) or str(error))
    predictions = iter(
        _predict_files(run, files, [n for k, n in enumerate(names) if k not in errors])
    )
    return [
        {"input": name, **({"error": errors[index]} if index in errors else next(predictions))}
        for index, name in enumerate(names)
    ]


def _predict_files(run: Run, files: list[bytes], names: list[str]) -> list[dict[str, Any]]:
    """Predict encoded files; halves them after an error, so that only unreadable files fail."""
    if not files:
        return []
    try:
        with suppress_decoder_messages():
            return predict_rows(run, "encoded", {"image_bytes": np.array(files, object)})
    except RequestError as error:
        if len(files) == 1:
            reason = (
                too_many_pixels_message(error)
                or "its content is not that of an image, or is cut short"
            )
            return [{"error": _unreadable(names[0], reason)}]
    halves = (slice(0, len(files) // 2), slice(len(files) // 2, None))
    return [row for half in halves for row in _predict_files(run, files[half], names[half])]


def _unreadable(name: str, reason: str) -> str:
    return f"Received the image {name!r}: {reason}; expected a readable {readable_names()}."


def reading_of(run: Run) -> Any:
    """Return the run's decoder of images of any size."""
    from pipelines.images.photos import fitter_from_manifest

    return fitter_from_manifest(**run.manifest["reading"])


def write_examples(folder: Path, batch: Batch, run: Run) -> list[str]:
    """Write a PNG file for each example, named by its number and class; returns the paths."""
    names = []
    for number, (image, target) in enumerate(zip(*batch, strict=True)):
        label = "".join(c if c.isalnum() else "-" for c in run.manifest["labels"][target])
        path = folder / f"{number}-{label}.png"
        with atomic_write(path) as temporary:
            temporary.write_bytes(tf.io.encode_png(image).numpy())
        names.append(str(path))
    return names
