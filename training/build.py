"""Build the Keras models of an app."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from apps.app import App
from apps.fit_data import PreparedExamples
from apps.temperature import Temperature
from pipelines.batches import prepare_once
from pipelines.splits import Splits

MAX_PREPARED_BYTES = 2**29  # of rows that are prepared once, not in every epoch


class ModelParts(NamedTuple):
    """The models and layers of one training.

    Attributes:
        preprocessing: Layer from raw to prepared input.
        network: Model from prepared input to logits or numbers; it is compiled and trained.
        output_layer: Layer from logits to predictions; None if they are the same.
        temperature: Layer that calibrates predicted probabilities; None for numbers.
        full_model: Model from raw input to predictions; it is saved.

    """

    preprocessing: Any
    network: Any
    output_layer: Any
    temperature: Any
    full_model: Any

    def finish(self, output: Any) -> Any:
        """Make predictions of the network's output."""
        for layer in (self.output_layer, self.temperature):
            if layer is not None:
                output = layer(output)
        return output


def build(app: App, splits: Splits, policy: str) -> ModelParts:
    """Build the models of an app with a Keras dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        preprocessing, network = app.make_preprocessing(splits), app.make_network(splits)
        output_layer = app.make_output_layer(splits)
    finally:
        keras.config.set_dtype_policy(before)
    temperature = None
    if splits.labels:
        temperature = Temperature(splits.is_multilabel, name="temperature")
    # A second model of the same layers is compiled, so that the saved one has no optimizer.
    compiled = keras.Model(network.input, network.output)
    parts = ModelParts(preprocessing, compiled, output_layer, temperature, None)
    raw = raw_inputs(splits)
    prediction = parts.finish(network(preprocessing(raw)))
    full_model = keras.Model(raw, prediction, name=f"{app.name()}_answering")
    return parts._replace(full_model=full_model)


def raw_inputs(splits: Splits) -> Any:
    """Make one keras.Input, or one per column by name."""
    spec = splits.spec["features"]
    if isinstance(spec, dict):
        return {
            name: keras.Input(shape, dtype=dtype, name=name)
            for name, (shape, dtype) in spec.items()
        }
    shape, dtype = spec
    return keras.Input(shape, dtype=dtype, name="raw")


def prepare_examples_once(app: App, splits: Splits, parts: ModelParts) -> PreparedExamples:
    """Prepare training and validation examples before training, if they fit into memory."""
    if prepared := app.prepare_once(splits, parts.preprocessing):
        return prepared
    examples = splits.train, splits.valid
    width = sum(tensor.shape[-1] or 0 for tensor in parts.network.inputs)
    size = 4 * width * sum(map(len, examples))
    if app.modality != "row" or size > MAX_PREPARED_BYTES:
        return PreparedExamples(parts.preprocessing, *examples, app.sequence_lengths(splits))
    train, valid = (prepare_once(part, parts.preprocessing) for part in examples)
    return PreparedExamples(None, train, valid)


class FiniteLoss(keras.losses.Loss):
    """A loss with a check at every step, so that optimizer.iterations names the step."""

    def __init__(self, loss: keras.losses.Loss) -> None:
        super().__init__(name="checked")
        self.loss = loss

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the mean loss, of examples with weights the mean of the products."""
        target, output = (
            tf.nest.map_structure(lambda part: tf.cast(part, self.dtype), parts)
            for parts in (y_true, y_pred)
        )
        mean = self.loss(target, output, sample_weight)
        return tf.debugging.check_numerics(mean, "The loss is not finite.")
