"""model.keras, read so that a stranger's file can do no more than be refused."""

import importlib
import re
import zipfile
from pathlib import Path
from typing import Any

import apps

# What Keras writes for our models; none of our layers has files of its own.
MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
LARGEST_CONFIG = 2**28  # bytes; the ids of millions of users stand there
CLASS = re.compile(r"<class '[\w.]*?(\w+)'>")  # as Keras prints what it read
MOST_TIMES = 200  # as large as its member may get, which Keras does not compress


def load_model(path: Path) -> Any:
    """The model in a file that Keras wrote.

    Raises ValueError, with a reason, where it is no such file: a member that is none of
    Keras's, one that grows beyond measure, a Lambda layer, a class that is neither Keras's
    nor ours.
    """
    import keras
    import tensorflow as tf

    for module in apps.LAYER_MODULES:
        importlib.import_module(module)
    try:
        _require_members(path)
        # Eagerly also where a tf.function asks first: its graph would not hold the weights.
        with tf.init_scope():
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        # Whatever Keras makes of it: training wrote it whole, so it is another's or damaged.
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
            grown = one.file_size > MOST_TIMES * max(one.compress_size, 2**16)
            if grown or (name != MEMBERS[-1] and one.file_size > LARGEST_CONFIG):
                raise ValueError(f"its {name} would take {one.file_size:,} bytes")
