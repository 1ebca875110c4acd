"""Replay stored inputs through an export, in a process without athanor.

    python replay.py EXPORT_DIRECTORY SAMPLES.npz OUTPUTS.npz

The script imports only TensorFlow and NumPy. SAMPLES holds the inputs of each signature under
`SIGNATURE/input/NAME`. The script writes every output to OUTPUTS under `SIGNATURE/NAME`, texts as
bytes, and prints one JSON object with the number of outputs.
"""

import json
import sys

import numpy as np

# TensorFlow imports an installed Keras; an export must not need it.
sys.modules.setdefault("keras", None)  # type: ignore[arg-type]
import tensorflow as tf  # noqa: E402


def main(directory: str, samples_path: str, outputs_path: str) -> None:
    """Write the outputs of the export for the samples."""
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
        for key, tensor in loaded.signatures[name](**inputs).items():
            array = tensor.numpy()
            outputs[f"{name}/{key}"] = array.astype("S") if array.dtype == object else array
    np.savez(outputs_path, **outputs)
    print(json.dumps({"outputs": len(outputs)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
