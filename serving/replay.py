"""Replay stored inputs through an export, in a process that knows nothing of us.

    python replay.py EXPORT_DIRECTORY SAMPLES.npz

Imports TensorFlow and NumPy alone and prints one JSON object: for every
signature, the largest absolute difference from the stored answers. SAMPLES
holds `answers` [n, ...] and, for each signature, its inputs under
`SIGNATURE/INPUT`. Floating point numbers are compared; names are compared by
the gate through the probabilities they come from.
"""

import json
import sys

import numpy as np
import tensorflow as tf


def main(directory: str, samples_path: str) -> None:
    """Print the differences."""
    loaded = tf.saved_model.load(directory)
    samples = dict(np.load(samples_path, allow_pickle=False))
    answers = samples.pop("answers")
    differences = {}
    for key, values in samples.items():
        signature, name = key.split("/")
        outputs = loaded.signatures[signature](**{name: tf.constant(values)})
        given = [value.numpy() for value in outputs.values() if value.dtype.is_floating]
        # NaN never passes: it differs from everything.
        worst = max(float(np.max(np.abs(value - answers))) for value in given)
        differences[signature] = worst if np.isfinite(worst) else None
    print(json.dumps(differences))


if __name__ == "__main__":
    main(*sys.argv[1:])
