"""Replay stored inputs through an export, in a process that knows nothing of us.

    python replay.py EXPORT_DIRECTORY SAMPLES.npz

Imports TensorFlow and NumPy alone and prints one JSON object: for every
signature, the largest absolute difference from the stored answers, or null where
it is no number. SAMPLES holds the inputs of each signature under
`SIGNATURE/input/NAME` and the answers under `output/NAME`, or
`SIGNATURE/output/NAME` where a signature has its own. Floating point outputs are
compared; names are compared through the numbers they come from.
"""

import json
import sys

import numpy as np

# TensorFlow imports Keras where it is there, which an export must not need.
sys.modules.setdefault("keras", None)  # type: ignore[arg-type]
import tensorflow as tf  # noqa: E402


def main(directory: str, samples_path: str) -> None:
    """Print the differences."""
    loaded = tf.saved_model.load(directory)
    samples = dict(np.load(samples_path, allow_pickle=False))
    differences = {}
    for name in sorted({key.split("/")[0] for key in samples} - {"output"}):
        inputs = _under(samples, f"{name}/input/")
        expected = _under(samples, f"{name}/output/") or _under(samples, "output/")
        given = loaded.signatures[name](**{key: tf.constant(v) for key, v in inputs.items()})
        # NaN never passes: it differs from everything.
        worst = max(_difference(given[key].numpy(), value) for key, value in expected.items())
        differences[name] = worst if np.isfinite(worst) else None
    print(json.dumps(differences))


def _under(samples: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {
        key.removeprefix(prefix): value for key, value in samples.items() if key.startswith(prefix)
    }


def _difference(given: np.ndarray, expected: np.ndarray) -> float:
    if given.shape != expected.shape:
        return np.inf
    # Where both are minus infinity, a list has ended, they agree.
    with np.errstate(invalid="ignore"):
        return float(np.max(np.where(given == expected, 0.0, np.abs(given - expected))))


if __name__ == "__main__":
    main(*sys.argv[1:])
