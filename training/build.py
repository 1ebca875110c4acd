"""An app and its splits become Keras models."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from apps.app import App
from pipelines.splits import Splits


class ModelParts(NamedTuple):
    """What training holds.

    Attributes:
        prepare: the layer from raw to prepared input.
        network: from prepared input to logits or numbers; this one is compiled.
        finish: the layer from there to the answer; None where they are the same.
        answering: all of it, from raw input to the answer; this one is saved.

    """

    preprocessing: Any
    network: Any
    output_layer: Any
    full_model: Any


def build(app: App, splits: Splits, policy: str) -> ModelParts:
    """The models of an app, in the number format of a Keras dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        prepare, network = app.make_preprocessing(splits), app.make_network(splits)
        finish = app.make_output_layer(splits)
    finally:
        keras.config.set_dtype_policy(before)
    raw = raw_inputs(splits)
    answer = network(prepare(raw))
    if finish is not None:
        answer = finish(answer)
    answering = keras.Model(raw, answer, name=f"{app.name()}_answering")
    # A twin of the same layers is compiled, so that the saved model carries no optimizer.
    return ModelParts(prepare, keras.Model(network.input, network.output), finish, answering)


def raw_inputs(splits: Splits) -> Any:
    """One keras.Input, or one for each column by its name."""
    spec = splits.spec["features"]
    if isinstance(spec, dict):
        return {
            name: keras.Input(shape, dtype=dtype, name=name)
            for name, (shape, dtype) in spec.items()
        }
    shape, dtype = spec
    return keras.Input(shape, dtype=dtype, name="raw")


def with_finite_check(loss: keras.losses.Loss) -> Any:
    """The loss, checked at every step: optimizer.iterations then says at which it failed."""

    def checked(target: Any, answer: Any) -> Any:
        return tf.debugging.check_numerics(loss(target, answer), "The loss is not finite.")

    return checked
