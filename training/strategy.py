"""One device, or several that compute each step together (tf.distribute)."""

import dataclasses
import functools
from typing import Any, Literal

import keras
import tensorflow as tf

import optimizers
from apps.app import App, FieldError
from pipelines.splits import Splits
from training import keras_fixes

Strategy = Literal["one", "mirrored", "auto"]


class StrategyError(ValueError):
    """Devices that are not there."""

    exit_status = 2


def choose(strategy: Strategy, devices: int | None = None) -> Any:
    """The tf.distribute.Strategy that is meant: the default one, or mirrored.

    Mirrored, every device computes its part of each batch, and all make the same step.

    Args:
        strategy: `auto` is mirrored where there are several devices.
        devices: how many GPUs, or parts of the CPU where there is no GPU; None for all.

    Raises:
        StrategyError: where there are fewer devices.

    """
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if devices is not None and not 1 <= devices <= len(found):
        raise StrategyError(
            f"Received --devices {devices}; expected 1 to {len(found)}, which this machine has."
        )
    names = [device.name for device in found[:devices]]
    if strategy == "mirrored" and len(names) < 2:
        raise StrategyError(
            "Received --strategy mirrored for one device; expected several. Take --strategy one; "
            "without a GPU --devices 2 divides the CPU, which shows how it works and saves no time."
        )
    if strategy == "one" or len(names) < 2:
        return tf.distribute.get_strategy()
    return _mirrored(*names)


@functools.cache
def _mirrored(*names: str) -> Any:
    """One strategy a process: after a second, collectives of the first fail."""
    keras_fixes.symbolic_build()
    keras_fixes.random_layers()
    return tf.distribute.MirroredStrategy(names)


def divided(app: App, splits: Splits, replicas: int) -> App:
    """An app whose batches can be shared out evenly.

    Raises FieldError where somebody asked for a size that cannot, or for a solver.
    """
    if replicas > 1 and optimizers.get_solver(app.optimizer):
        raise FieldError(
            f"Received --optimizer {app.optimizer} for {replicas} devices; expected one, for it "
            "sees all examples at once. Take --strategy one."
        )
    size = app.batch(len(splits.train))
    if not size % replicas:
        return app
    if app.batch_size != type(app)().batch_size or size < replicas:
        raise FieldError(
            f"Received batches of {size} examples for {replicas} devices; expected a multiple. "
            f"Take --batch-size {max(replicas, size - size % replicas)}."
        )
    return dataclasses.replace(app, batch_size=size - size % replicas)


def replicas() -> int:
    """Devices that share the work where this is asked: 1 outside of a strategy's scope."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def synchronise(model: Any) -> None:
    """Let batch normalisation see the whole batch, so that replicas answer as one device."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
