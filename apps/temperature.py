"""A layer that makes probabilities more or less certain by one factor, the temperature."""

from typing import Any

import keras
import tensorflow as tf

from apps.calibration import MIN_PROBABILITY


@keras.saving.register_keras_serializable("athanor")
class Temperature(keras.layers.Layer):
    """Divide the logits of probabilities by a temperature; the order of the classes stays.

    Above 1 the probabilities come closer to each other, below 1 they go apart. At first the
    temperature is 1; `training.calibration` sets it.

    Args:
        several: whether an example may have several classes, each with a probability of its own.

    References:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.

    """

    def __init__(self, several: bool = False, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.several = several

    def build(self, shape: Any) -> None:  # noqa: ARG002
        """Create the temperature."""
        self.temperature = self.add_weight(
            shape=(), initializer="ones", trainable=False, name="temperature"
        )

    def call(self, probabilities: Any) -> Any:
        """Probabilities [batch, classes] -> probabilities [batch, classes]."""
        logits = _logarithm(probabilities)
        if self.several:
            return tf.sigmoid((logits - _logarithm(1 - probabilities)) / self.temperature)
        return tf.nn.softmax(logits / self.temperature)

    def assign(self, temperature: float) -> None:
        """Set the temperature."""
        self.temperature.assign(temperature)

    def compute_output_shape(self, shape: Any) -> Any:
        """Return the shape of the input."""
        return shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        return super().get_config() | {"several": self.several}


def _logarithm(probabilities: Any) -> Any:
    return tf.math.log(tf.maximum(probabilities, MIN_PROBABILITY))
