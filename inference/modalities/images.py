"""Questions that are images: signatures for the server, files from the user."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from apps.app import ModalityName
from inference.inputs import UnreadableError
from inference.named_outputs import named, parts, rows
from inference.portable import Portable, in_float32
from inference.request_errors import RequestError
from pipelines.batches import inference_batch_size
from pipelines.examples import Batch
from pipelines.files import atomic_write
from pipelines.images.decoder_messages import without_decoder_messages
from pipelines.images.decoding import content_of, decode_all, too_many
from pipelines.images.formats import READ_NAMES
from training.run import Run

NAME: ModalityName = "image"


def signatures(run: Run) -> dict[str, Any]:
    """Concrete functions over decoded pixels and over encoded files, with named outputs.

    Where the network has a map of places, `explain(image_bytes [n], class_index [n])`
    gives `heat` [n, h, w]: how much each place speaks for the class of this number (int32),
    from 0 to 1; and `image_bytes`: the pictures as the network saw them, as PNG
    files, on which the heat lies. TensorFlow Serving's REST interface reads and
    writes what is named `_bytes` as base64.
    """
    known, looks = _answering(run), looking(run)
    return known if looks is None else known | {"explain": _explaining(looks, reading_of(run))}


def vocabularies(run: Run) -> dict[str, Any]:  # noqa: ARG001
    """Nothing: the answers say all that `predict` has to know."""
    return {}


def predict_functions(run: Run) -> dict[str, Any]:
    """The functions by which `predict` asks."""
    return {"encoded": _answering(run)["encoded"]}


def _answering(run: Run) -> dict[str, Any]:
    answer, fit = named(run), reading_of(run)

    @tf.function(
        input_signature=[tf.TensorSpec([None, *fit.shape], tf.uint8, "pixels")],
        autograph=False,
    )
    def pixels(pixels: Any) -> dict[str, Any]:
        return answer(pixels)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def encoded(image_bytes: Any) -> dict[str, Any]:
        return answer(decode_all(image_bytes, fit, fit.shape))

    return {"serving_default": pixels, "encoded": encoded}


class Looking(NamedTuple):
    """The parts of a model that tell where it looked.

    Attributes:
        prepare: from raw pixels to what the network takes.
        network: from there to logits.
        last: the number of its layer with the last map of places.

    """

    prepare: Any
    network: Any
    last: int

    def heat(self, pixels: Any, classes: Any) -> Any:
        """How much each place speaks for a class, float32 [n, h, w] from 0 to 1."""
        from inference.modalities.grad_cam import regions

        return regions(self.network, self.last, self.prepare(pixels), classes)


def looking(run: Run) -> Looking | None:
    """The parts of a run that tell where it looked; None where it has no map of places."""
    import keras

    from inference.modalities.grad_cam import last_map

    layers = run.model.layers
    place = next((k for k, x in enumerate(layers) if k and isinstance(x, keras.Model)), None)
    if place is None:
        return None
    prepare = keras.Model(run.model.input, layers[place - 1].output)
    last = last_map(layers[place], prepare(run.samples.raw[:2]))
    return None if last is None else Looking(prepare, layers[place], last)


def _explaining(looks: Looking, fit: Any) -> Any:
    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "image_bytes"),
            tf.TensorSpec([None], tf.int32, "class_index"),
        ],
        autograph=False,
    )
    def explain(image_bytes: Any, class_index: Any) -> dict[str, Any]:
        seen = decode_all(image_bytes, fit, fit.shape)
        png = tf.map_fn(tf.io.encode_png, seen, fn_output_signature=tf.TensorSpec([], tf.string))
        return {"heat": looks.heat(seen, class_index), "image_bytes": png}

    return explain


def sample_inputs(raw: np.ndarray, run: Run) -> dict[str, np.ndarray]:
    """The same raw images as input of each signature, by `SIGNATURE/input/NAME`.

    What is explained is the answer that training gave.
    """
    png = np.array([tf.io.encode_png(image).numpy() for image in raw])
    known = {"serving_default/input/pixels": raw, "encoded/input/image_bytes": png}
    looks = looking(run)
    if looks is None:
        return known
    said = run.samples.answers[: len(raw)].argmax(1).astype("int32")
    return known | {
        "explain/input/image_bytes": png,
        "explain/input/class_index": said,
        "explain/output/heat": looks.heat(raw, said).numpy(),
        "explain/output/image_bytes": png,
    }


def synthetic_features(run: Run) -> np.ndarray:
    """Three pictures that nobody took: a ramp across, one down, and one from corner to corner."""
    height, width, channels = reading_of(run).shape
    down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    ramps = np.stack([across, down, (across + down) / 2])[..., None]
    return np.repeat(np.round(255 * ramps), channels, -1).astype("uint8")


def portable(run: Run) -> Portable:
    """Pixels that are decoded already."""
    model, shape = in_float32(run.model), reading_of(run).shape
    left_out = {"encoded": "image files cannot be decoded there"}
    if looking(run) is not None:
        left_out["explain"] = "it takes image files, too"
    return Portable(
        lambda pixels: parts(run.task, model(pixels, training=False)),
        (tf.TensorSpec([None, *shape], tf.uint8, "pixels"),),
        outside=(
            "Image files are decoded, and scaled to the size of `pixels`, by whoever asks; the "
            "SavedModel's signature `encoded` does both.",
        ),
        left_out=left_out,
    )


def model_info(run: Run, *, with_examples: bool = False) -> dict[str, Any]:  # noqa: ARG001
    """The size of a picture as the model sees it."""
    sizes = zip(("height", "width", "channels"), reading_of(run).shape, strict=True)
    return {"image": dict(sizes)}


def predict(run: Run, inputs: list[str]) -> list[dict[str, Any]]:
    """Of each image file the class, its probability, and the next two guesses.

    One that cannot be read has an `error` in their place; raises UnreadableError where none can.
    """
    shape = run.manifest["reading"]["shape"]
    size = inference_batch_size((tuple(shape), "uint8"))
    blocks = [inputs[start : start + size] for start in range(0, len(inputs), size)]
    answers = [row for block in blocks for row in _answered(run, block)]
    if answers and all("error" in row for row in answers):
        raise UnreadableError(answers[0]["error"])
    return answers


def _answered(run: Run, names: list[str]) -> list[dict[str, Any]]:
    files: list[bytes] = []
    wrong: dict[int, str] = {}
    for place, name in enumerate(names):
        try:
            files.append(content_of(Path(name)))
        except (OSError, ValueError) as error:
            wrong[place] = _unreadable(name, getattr(error, "strerror", None) or str(error))
    read = iter(_rows_of(run, files, [n for k, n in enumerate(names) if k not in wrong]))
    return [
        {"input": name, **({"error": wrong[place]} if place in wrong else next(read))}
        for place, name in enumerate(names)
    ]


def _rows_of(run: Run, files: list[bytes], names: list[str]) -> list[dict[str, Any]]:
    """The answers to some files, of which one that cannot be read takes no other with it."""
    if not files:
        return []
    try:
        with without_decoder_messages():
            return rows(run, "encoded", {"image_bytes": np.array(files, object)})
    except RequestError as error:
        if len(files) == 1:
            reason = too_many(error) or "its content is not that of an image, or is cut short"
            return [{"error": _unreadable(names[0], reason)}]
    halves = (slice(0, len(files) // 2), slice(len(files) // 2, None))
    return [row for half in halves for row in _rows_of(run, files[half], names[half])]


def _unreadable(name: str, reason: str) -> str:
    return f"Received the image {name!r}: {reason}; expected a readable {READ_NAMES}."


def reading_of(run: Run) -> Any:
    """How this run reads a picture of any size."""
    from pipelines.images.photos import reading

    return reading(**run.manifest["reading"])


def write_examples(folder: Path, some: Batch, run: Run) -> list[str]:
    """One PNG an example, named by its number and class; returns their paths."""
    names = []
    for number, (image, target) in enumerate(zip(*some, strict=True)):
        label = "".join(c if c.isalnum() else "-" for c in run.manifest["labels"][target])
        path = folder / f"{number}-{label}.png"
        with atomic_write(path) as beside:
            beside.write_bytes(tf.io.encode_png(image).numpy())
        names.append(str(path))
    return names
