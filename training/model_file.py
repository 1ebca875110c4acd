"""Load model.keras safely: a file from elsewhere is refused rather than executed."""

import re
import zipfile
from pathlib import Path
from typing import Any

# The files that Keras writes for our models; none of our layers adds files.
MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
MAX_CONFIG_BYTES = 2**28  # it may contain the ids of millions of users
CLASS = re.compile(r"<class '[\w.]*?(\w+)'>")  # as in Keras's messages
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
        # Eagerly even inside a tf.function, because a graph cannot store the weights.
        with tf.init_scope():
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # Training writes the file whole, so any error means that it is foreign or damaged.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(CLASS.sub(r"\1", lines[0])[:200]) from error


def _require_members(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        members = {member.filename: member for member in file.infolist()}
        if unknown := sorted(members.keys() - set(MEMBERS)):
            raise ValueError(f"it holds {unknown[0]!r:.80}")
        if missing := [name for name in MEMBERS if name not in members]:
            raise ValueError(f"it lacks {missing[0]}")
        for name, member in members.items():
            grown = member.file_size > MAX_COMPRESSION_RATIO * max(member.compress_size, 2**16)
            if grown or (name != MEMBERS[-1] and member.file_size > MAX_CONFIG_BYTES):
                raise ValueError(f"its {name} would take {member.file_size:,} bytes")
