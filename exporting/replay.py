"""Replay stored inputs through an export, in a process without athanor.

    python replay.py EXPORT_DIRECTORY SAMPLES.npz ANSWERS.npz

Imports TensorFlow and NumPy alone. SAMPLES holds the inputs of each signature under
`SIGNATURE/input/NAME`; the script writes every output to ANSWERS under `SIGNATURE/NAME`, texts as
bytes. It prints one JSON object with the number of outputs.
"""

import json
import sys

import numpy as np

# TensorFlow imports an installed Keras; an export must not need it.
sys.modules.setdefault("keras", None)  # type: ignore[arg-type]
import tensorflow as tf  # noqa: E402


def main(directory: str, samples_path: str, answers_path: str) -> None:
    """Write the outputs."""
    loaded = tf.saved_model.load(directory)
    samples = dict(np.load(samples_path, allow_pickle=False))
    outputs = {}
    for name in sorted({key.split("/")[0] for key in samples}):
        prefix = f"{name}/input/"
        inputs = {
            key.removeprefix(prefix): tf.constant(value)
            for key, value in samples.items()
            if key.startswith(prefix)
        }
        for key, given in loaded.signatures[name](**inputs).items():
            array = given.numpy()
            outputs[f"{name}/{key}"] = array.astype("S") if array.dtype == object else array
    np.savez(answers_path, **outputs)
    print(json.dumps({"outputs": len(outputs)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
