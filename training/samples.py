"""Raw inputs and the answers of training, kept for the gate of every export."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipelines.examples import Features
from pipelines.files import whole


class Samples(NamedTuple):
    """Raw features, one array or a dict of them, and the answers [n, ...] to them."""

    raw: Features
    answers: np.ndarray


def save(path: Path, samples: Samples) -> None:
    """Write samples as one .npz file, whole or not at all; texts are packed."""
    raw = samples.raw if isinstance(samples.raw, dict) else {"": samples.raw}
    columns = {f"raw/{name}": _packed(column) for name, column in raw.items()}
    texts = any(column.dtype.kind == "S" for column in columns.values())
    # The room behind shorter texts is empty; pixels would not get smaller.
    savez = np.savez_compressed if texts else np.savez
    with whole(path) as beside, beside.open("wb") as file:
        savez(file, answers=samples.answers, **columns)  # type: ignore[arg-type]


def load(path: Path) -> Samples:
    """Read samples. Raises OSError or ValueError where they cannot be read."""
    try:
        with path.open("rb") as file:
            stored = dict(np.load(file, allow_pickle=False))
        answers = stored.pop("answers")
    except (KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from error
    raw = {
        name.removeprefix("raw/"): column.astype(object) if column.dtype.kind == "S" else column
        for name, column in stored.items()
    }
    return Samples(raw.get("", raw), answers)


def _packed(column: np.ndarray) -> np.ndarray:
    return column.astype("S") if column.dtype == object else column
