"""Load model.keras safely: a file from elsewhere is refused rather than executed."""

import re
import zipfile
from pathlib import Path
from typing import Any

# What Keras writes for our models; none of our layers has files of its own.
MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
MAX_CONFIG_BYTES = 2**28  # it holds the ids of millions of users
CLASS = re.compile(r"<class '[\w.]*?(\w+)'>")  # as Keras prints what it read
MAX_COMPRESSION_RATIO = 200  # Keras does not compress


def read_model(path: Path) -> Any:
    """Load a model from a .keras file.

    Raises ValueError with a reason if the file is unsafe or damaged: an unknown member, a
    decompression bomb, a Lambda layer, a class that belongs neither to Keras nor to this project.
    """
    import keras
    import tensorflow as tf

    from apps import saved_layers  # noqa: F401 - registers the layers

    try:
        _require_members(path)
        # Eagerly even inside a tf.function, whose graph would not hold the weights.
        with tf.init_scope():
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # Training writes the file whole, so any error means that it is foreign or damaged.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(CLASS.sub(r"\1", lines[0])[:200]) from error


def _require_members(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        members = {one.filename: one for one in file.infolist()}
        if strange := sorted(members.keys() - set(MEMBERS)):
            raise ValueError(f"it holds {strange[0]!r:.80}")
        if missing := [name for name in MEMBERS if name not in members]:
            raise ValueError(f"it lacks {missing[0]}")
        for name, one in members.items():
            grown = one.file_size > MAX_COMPRESSION_RATIO * max(one.compress_size, 2**16)
            if grown or (name != MEMBERS[-1] and one.file_size > MAX_CONFIG_BYTES):
                raise ValueError(f"its {name} would take {one.file_size:,} bytes")
