"""Store raw inputs and predictions of training, for the parity check of exports."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.examples import Features
from pipelines.files import atomic_write


class Samples(NamedTuple):
    """Raw inputs and their predictions.

    Attributes:
        raw: Features, one array or a dict of arrays.
        answers: Predictions [n, ...].
        labels: Classes in the order of the predictions' last axis, as bytes; None if there
            are none.
        thresholds: Probability from which an example has each class, float32; None unless it
            may have several.

    """

    raw: Features
    answers: np.ndarray
    labels: np.ndarray | None = None
    thresholds: np.ndarray | None = None


def save(path: Path, samples: Samples) -> None:
    """Write samples as one .npz file, atomically; texts are compressed."""
    raw = samples.raw if isinstance(samples.raw, dict) else {"": samples.raw}
    columns = {f"raw/{name}": _packed(column) for name, column in raw.items()}
    named = {"labels": samples.labels, "thresholds": samples.thresholds}
    named = {name: array for name, array in named.items() if array is not None}
    texts = any(column.dtype.kind == "S" for column in columns.values())
    # Padding of short texts compresses well; pixels do not.
    savez = np.savez_compressed if texts else np.savez
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        savez(file, answers=samples.answers, **named, **columns)  # type: ignore[arg-type]


def load(path: Path, features: Any = None) -> Samples:
    """Read samples.

    Raises OSError or ValueError if they cannot be read or differ from `features` in the manifest:
    shape and dtype, by column if there are several.
    """
    try:
        with path.open("rb") as file:
            stored = dict(np.load(file, allow_pickle=False))
        answers, labels = stored.pop("answers"), stored.pop("labels", None)
        thresholds = stored.pop("thresholds", None)
    except OSError:
        raise
    except Exception as error:  # of archives, compression, pickles, or a memory too small
        raise ValueError(str(error).splitlines()[0][:200] if str(error) else "empty") from error
    if features is not None:
        _require(stored, answers, features)
    raw = {
        name.removeprefix("raw/"): column.astype(object) if column.dtype.kind == "S" else column
        for name, column in stored.items()
    }
    return Samples(raw.get("", raw), answers, labels, thresholds)


def _require(stored: dict[str, np.ndarray], answers: np.ndarray, features: Any) -> None:
    columns = features if isinstance(features, dict) else {"": features}
    expected = {
        f"raw/{name}": ((len(answers) if answers.ndim else -1, *shape), dtype)
        for name, (shape, dtype) in columns.items()
    }
    stored_types = {
        name: (column.shape, "string" if column.dtype.kind == "S" else str(column.dtype))
        for name, column in stored.items()
    }
    if expected != stored_types or answers.dtype.kind != "f":
        raise ValueError("their columns or shapes are not those of the run")


def as_bytes(labels: Sequence[str]) -> np.ndarray:
    """Convert labels to an array that needs no pickle."""
    return np.array([label.encode("utf-8", "surrogateescape") for label in labels], "S")


def _packed(column: np.ndarray) -> np.ndarray:
    return column.astype("S") if column.dtype == object else column
