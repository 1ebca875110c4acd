"""Predictions for validation examples to which no part of the model was fitted: held_out.npz."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipelines.files import atomic_write

FILE = "held_out.npz"


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
