"""What is compared of raw inputs, by modality: numbers or categories, one for each example."""

import io
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from apps.app import ModalityName
from inference.drift.known_values import KnownValues

Columns = dict[str, np.ndarray]  # float64 [n] for numbers, else an array of bytes
Known = Mapping[str, KnownValues]

WORD = re.compile(r"\w+")
MAX_CHARACTERS = 2_000  # of a text that are read
MAX_WORDS = 50_000  # known ones, the most frequent
THUMBNAIL_PIXELS = 32  # a side, of which brightness and contrast are measured
LUMINANCE = np.array([0.299, 0.587, 0.114], "float32")


class Compared(NamedTuple):
    """What is compared of a modality's inputs.

    Attributes:
        inputs: names of inputs of a signature, of which a request needs one; () for any.
        columns: returns the columns of inputs; `known` holds the words or ids of training.
        known: returns the words or ids of training examples that requests may lack.

    """

    inputs: tuple[str, ...]
    columns: Callable[[Mapping[str, Any], Known], Columns]
    known: Callable[[Mapping[str, Any]], dict[str, KnownValues | None]]


def _rows(inputs: Mapping[str, Any], known: Known) -> Columns:  # noqa: ARG001
    return {
        name: np.asarray(one) if one.dtype.kind in "OSU" else np.asarray(one, "float64")
        for name, one in inputs.items()
    }


def _words(text: bytes) -> list[bytes]:
    start = text[: 4 * MAX_CHARACTERS].decode("utf-8", "replace")[:MAX_CHARACTERS]
    return [word.encode() for word in WORD.findall(start.lower())]


def _texts(inputs: Mapping[str, Any], known: Known) -> Columns:
    words = [_words(text) for text in np.asarray(inputs["text"]).ravel()]
    columns = {"words": np.array([len(one) for one in words], "float64")}
    if vocabulary := known.get("words"):
        shares = (1 - vocabulary.contain(one).mean() if one else np.nan for one in words)
        columns["unknown words"] = np.fromiter(shares, "float64", len(words))
    return columns


def _known_words(inputs: Mapping[str, Any]) -> dict[str, KnownValues | None]:
    from collections import Counter

    counts = Counter(word for text in np.asarray(inputs["text"]) for word in _words(text))
    return {"words": KnownValues.of(word for word, _ in counts.most_common(MAX_WORDS))}


def _images(inputs: Mapping[str, Any], known: Known) -> Columns:  # noqa: ARG001
    if "pixels" in inputs:
        grey = _grey(np.asarray(inputs["pixels"]))
    else:
        grey = _decoded(np.asarray(inputs["image_bytes"]).ravel())
    return {"brightness": grey[0], "contrast": grey[1]}


def _grey(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the luminance of thumbnails, from 0 to 255."""
    height, width, channels = images.shape[1:]
    factor = max(1, min(height, width) // THUMBNAIL_PIXELS)
    rows, columns = height // factor, width // factor
    cells = images[:, : rows * factor, : columns * factor].reshape(
        len(images), rows, factor, columns, factor, channels
    )
    small = cells.mean((2, 4), dtype="float32")
    luminance = small @ LUMINANCE if channels == len(LUMINANCE) else small.mean(-1)
    flat = luminance.reshape(len(images), -1).astype("float64")
    return flat.mean(1), flat.std(1)


def _decoded(files: Iterable[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of encoded images; NaN of those that cannot be read."""
    from PIL import Image

    found = []
    for file in files:
        try:
            with Image.open(io.BytesIO(file)) as image:
                image.draft("L", (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
                grey = image.convert("L")
                grey = grey.reduce(max(1, min(grey.size) // THUMBNAIL_PIXELS))
                pixels = np.asarray(grey, "float64")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            pixels = np.full(1, np.nan)
        found.append((pixels.mean(), pixels.std()))
    brightness, contrast = np.array(found).reshape(-1, 2).T
    return brightness, contrast


def _ids(inputs: Mapping[str, Any], known: Known) -> Columns:
    columns = {}
    for side in ("user", "item"):
        if side in inputs:
            columns[side] = ids = np.asarray(inputs[side]).ravel()
            if side in known:
                is_known = known[side].contain(ids)
                columns[f"{side} known"] = np.where(is_known, b"known", b"unknown")
    return columns


def _known_ids(inputs: Mapping[str, Any]) -> dict[str, KnownValues | None]:
    return {side: KnownValues.of(inputs[side]) for side in ("user", "item") if side in inputs}


COMPARED: dict[ModalityName, Compared] = {
    "row": Compared((), _rows, lambda _: {}),
    "text": Compared(("text",), _texts, _known_words),
    "image": Compared(("pixels", "image_bytes"), _images, lambda _: {}),
    "ids": Compared(("user", "item"), _ids, _known_ids),
}
