"""The last hidden layer of a network, in which similar inputs are near to each other."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from inference.explanations import neighbours
from inference.model_outputs import compiled
from training.run import Run


class NetworkParts(NamedTuple):
    """The parts of a run's model.

    Attributes:
        layers: the layers from raw input to the network's inputs.
        network: from these to logits.
        finish: the layers from logits to the model's output.

    """

    layers: tuple[Any, ...]
    network: Any
    finish: tuple[Any, ...]

    def prepare(self, raw: Any) -> Any:
        """Return the network's inputs of raw inputs."""
        for layer in self.layers:
            raw = layer(raw)
        return raw

    def outputs(self, prepared: Any) -> Any:
        """Return the model's output of prepared inputs."""
        x = self.network(prepared, training=False)
        for layer in self.finish:
            x = layer(x, training=False)
        return x


def parts_of(run: Run) -> NetworkParts | None:
    """Split a model at its network; None if it has no network of its own."""
    import keras

    layers = run.model.layers
    index = next((k for k, x in enumerate(layers) if k and isinstance(x, keras.Model)), None)
    if index is None:
        return None
    before = (x for x in layers[:index] if not isinstance(x, keras.layers.InputLayer))
    return NetworkParts((*before,), layers[index], tuple(layers[index + 1 :]))


def of(run: Run) -> Callable[[Any], np.ndarray] | None:
    """Return the function from raw inputs to the inputs of the last dense layer, [n, d].

    None if the network has no such layer.
    """
    import keras

    parts = parts_of(run)
    if parts is None:
        return None
    dense = [layer for layer in parts.network.layers if isinstance(layer, keras.layers.Dense)]
    if not dense:
        return None
    hidden = keras.Model(parts.network.input, dense[-1].input)
    predict = compiled(lambda raw, training: hidden(parts.prepare(raw), training=training))

    def features(raw: Any) -> np.ndarray:
        vectors = np.asarray(predict(raw), "float32")
        return vectors.reshape(len(vectors), -1)

    return features


def nearest_examples(
    run: Run, features: Callable[[Any], np.ndarray], vectors: np.ndarray
) -> list[list[dict[str, Any]]]:
    """Return the nearest training examples of each input: distance, targets, features."""
    found = neighbours.nearest(features, vectors, run.splits.train)
    labels = run.manifest["labels"]
    nearest = []
    for positions, distances in zip(found.positions, found.distances, strict=True):
        raw, targets = found.examples.numpy(positions)
        nearest.append(
            [
                {
                    "distance": float(distance),
                    "target": _names(target, labels),
                    "example": int(found.examples.rows[position]),
                    "features": one,
                }
                for distance, position, one, target in zip(
                    distances, positions, raw, targets, strict=True
                )
            ]
        )
    return nearest


def _names(target: Any, labels: list[str]) -> str:
    """Return the class of a target, or its classes if there may be several."""
    if np.ndim(target):
        return ", ".join(labels[k] for k in np.flatnonzero(target)) or "none"
    return labels[int(target)]
