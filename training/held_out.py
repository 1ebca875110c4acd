"""Predictions for validation examples to which no part of the model was fitted: held_out.npz."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from apps.fit_data import HeldOut
from pipelines.batches import inference_batch_size, ordered_batches
from pipelines.examples import Examples
from pipelines.files import atomic_write
from pipelines.splits import Splits
from training.build import ModelParts

FILE = "held_out.npz"
MAX_EXAMPLES = 20_000  # more would hardly change a decision
MAX_VALUES = 4_000_000  # predicted numbers


class HeldOutPredictions(NamedTuple):
    """Predictions of a run's model for validation examples, as the model's output.

    Attributes:
        predictions: probabilities [n, classes]; numbers [n]; or [n, outputs], of which the first
            is the predicted rating, and the third its standard deviation if the model knows it.
        targets: class numbers [n], 1 or 0 for each class [n, classes], or numbers [n].
        weights: of the examples, [n]; None if all count the same.

    """

    predictions: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None = None

    @property
    def values_and_guides(self) -> tuple[np.ndarray, np.ndarray]:
        """The predicted numbers, and the numbers on which the spread of their errors depends."""
        return values_and_guides(self.predictions)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        arrays = {name: array for name, array in self._asdict().items() if array is not None}
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "HeldOutPredictions":
        """Read the file. Raises OSError or ValueError if it is missing or damaged."""
        try:
            with path.open("rb") as file:
                return cls(**np.load(file, allow_pickle=False))
        except OSError:
            raise
        except Exception as error:  # of archives, compression, pickles, names
            raise ValueError(str(error).splitlines()[0][:200] if str(error) else "empty") from error


def values_and_guides(predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted numbers [n], and those on which the spread of their errors depends."""
    if predictions.ndim == 1:
        return predictions, predictions
    return predictions[:, 0], predictions[:, 2 if predictions.shape[1] > 2 else 0]


def predict(splits: Splits, parts: ModelParts, kept: HeldOut | None) -> HeldOutPredictions:
    """Predict validation examples, from the outputs that a fit kept or with the trained network."""
    most = MAX_EXAMPLES
    if splits.labels:
        most = max(1, min(most, MAX_VALUES // len(splits.labels)))
    if kept is None:
        examples = splits.valid.sample(most)
        predictions = _predict(examples, parts)
    else:
        # The same places as of the examples.
        places = np.arange(len(kept.examples))[:: -(-len(kept.examples) // most)]
        examples = kept.examples.select(places)
        predictions = parts.finish(tf.constant(kept.outputs[places], tf.float32)).numpy()
    return HeldOutPredictions(predictions, examples.targets, examples.weights)


def _predict(examples: Examples, parts: ModelParts) -> np.ndarray:
    predict_batch = tf.function(
        lambda features: parts.finish(parts.network(features, training=False)),
        reduce_retracing=True,
        autograph=False,
    )
    batches = ordered_batches(
        examples,
        batch_size=inference_batch_size(examples.spec["features"]),
        prepare=parts.preprocessing,
    )
    return np.concatenate([predict_batch(features) for features, _ in batches])
