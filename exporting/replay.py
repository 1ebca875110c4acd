"""Replay stored inputs through an export, in a process that knows nothing of us.

    python replay.py EXPORT_DIRECTORY SAMPLES.npz ANSWERS.npz

Imports TensorFlow and NumPy alone. SAMPLES holds the inputs of each signature under
`SIGNATURE/input/NAME`; ANSWERS gets every output of each under `SIGNATURE/NAME`, texts as
bytes. Prints one JSON object: how many outputs there were.
"""

import json
import sys

import numpy as np

# TensorFlow imports Keras where it is there, which an export must not need.
sys.modules.setdefault("keras", None)  # type: ignore[arg-type]
import tensorflow as tf  # noqa: E402


def main(directory: str, samples_path: str, answers_path: str) -> None:
    """Write the answers."""
    loaded = tf.saved_model.load(directory)
    samples = dict(np.load(samples_path, allow_pickle=False))
    answers = {}
    for name in sorted({key.split("/")[0] for key in samples}):
        prefix = f"{name}/input/"
        inputs = {
            key.removeprefix(prefix): tf.constant(value)
            for key, value in samples.items()
            if key.startswith(prefix)
        }
        for key, given in loaded.signatures[name](**inputs).items():
            made = given.numpy()
            answers[f"{name}/{key}"] = made.astype("S") if made.dtype == object else made
    np.savez(answers_path, **answers)
    print(json.dumps({"outputs": len(answers)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
