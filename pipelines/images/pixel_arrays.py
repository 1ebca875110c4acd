"""Read NumPy archives (.npz) of small images: x_train, y_train and so on, or x, y."""

import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.examples import AddressError, DataError, Examples
from pipelines.files import expand_home
from pipelines.images.class_folders import SPLIT_WORDS
from pipelines.splits import Source

IMAGES = {"x", "image", "images", "data", "features", "pixels"}
LABELS = {"y", "label", "labels", "target", "targets", "class", "classes"}
EXPECTED = (
    "expected an archive of numpy.savez with x_train and y_train, optionally x_val, y_val, x_test "
    "and y_test; or x and y"
)


def source(name: str) -> Source:
    """Read images [n, height, width(, channels)] and labels of an archive by their names.

    Labels are whole numbers or strings. Raises DataError if the file or its arrays have another
    form; pickled objects, which could run code, are refused.
    """
    address = f"npz:{name}"
    arrays = _by_split(_read(expand_home(name), address), address)
    targets = {split: _labels(address, *pair) for split, pair in arrays.items()}
    labels = np.unique(np.concatenate(list(targets.values())))
    parts = {
        split: Examples.of(
            pixels(address, images), np.searchsorted(labels, targets[split]).astype("int64")
        )
        for split, (images, _) in arrays.items()
    }
    return Source(parts["train"], parts.get("valid"), parts.get("test"), tuple(map(str, labels)))


def pixels(address: str, images: np.ndarray) -> np.ndarray:
    """Convert numbers from 0 to 255, or from 0 to 1, to uint8 [n, height, width, channels].

    Raises DataError for other numbers and shapes.
    """
    if images.ndim == 2 and (side := round(images.shape[1] ** 0.5)) ** 2 == images.shape[1]:
        images = images.reshape(-1, side, side)
    if images.ndim == 2 or (images.ndim == 3 and images.shape[-1] in (1, 3)):
        raise DataError(
            f"Received {address}, whose images are {images.dtype} {list(images.shape)}; expected "
            "numbers [n, height, width], or with 1 or 3 channels last. A single image has the form "
            "image[None]."
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.dtype.kind not in "buif":
        raise DataError(
            f"Received {address}, whose images are {images.dtype} {list(images.shape)}; expected "
            "numbers [n, height, width], or with 1 or 3 channels last. Transpose them beforehand."
        )
    if images.dtype == np.uint8 or not images.size:
        return images.astype("uint8")
    lowest, highest = float(images.min()), float(images.max())
    if not (lowest >= 0 and highest <= 255):  # also true for NaN
        raise DataError(
            f"Received {address}, whose pixels lie between {lowest:g} and {highest:g}; expected 0 "
            "to 255, or 0 to 1. Scale them beforehand."
        )
    if highest <= 1 and images.dtype.kind in "bf":
        images = images.astype("float32") * 255
    return np.round(images).astype("uint8")


def _read(path: Path, address: str) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"Received {address}, which is no whole archive; {EXPECTED}.") from error
    except OSError as error:
        raise AddressError(
            f"Received {address}, which cannot be read ({error.strerror or 'damaged'}); {EXPECTED}."
        ) from error
    except ValueError as error:
        is_object = "pickle" in str(error)
        reason = "objects, whose reading could run code" if is_object else "no whole archive"
        raise DataError(
            f"Received {address}, which holds {reason}; {EXPECTED}. Save arrays of numbers, and "
            "strings as such (dtype str, not object)."
        ) from error


def _by_split(
    arrays: dict[str, np.ndarray], address: str
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Find images and labels of each split. Raises DataError if one of the two is missing."""
    arrays_of: dict[tuple[str, str], np.ndarray] = {}
    for name, array in arrays.items():
        words = set(re.findall(r"[a-z]+", name.lower()))
        role = "images" if words & IMAGES else "labels" if words & LABELS else ""
        split = next(
            (name for name, words_of_split in SPLIT_WORDS.items() if words & words_of_split),
            "train",
        )
        if role and (split, role) not in arrays_of:
            arrays_of[split, role] = array
    splits = {split for split, _ in arrays_of}
    lacking = [
        split for split in splits if not {(split, "images"), (split, "labels")} <= set(arrays_of)
    ]
    if "train" not in splits or lacking:
        names = ", ".join(sorted(arrays)) or "nothing"
        raise DataError(f"Received {address}, which holds {names}; {EXPECTED}.")
    return {
        split: (arrays_of[split, "images"], arrays_of[split, "labels"]) for split in sorted(splits)
    }


def _labels(address: str, images: np.ndarray, labels: np.ndarray) -> Any:
    """Return one label per image: whole numbers or strings."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind == "f" and np.array_equal(labels, np.round(labels)):
        labels = labels.astype("int64")
    if labels.ndim != 1 or labels.dtype.kind not in "buiU" or len(labels) != len(images):
        raise DataError(
            f"Received {address} with {len(images)} images and labels {labels.dtype} "
            f"{list(labels.shape)}; expected a whole number or a string for each image."
        )
    return labels
