"""Train the network that reads a user's items in order, and mix it with models without order."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from apps.fit_data import FitData, TrainingPosition
from apps.metrics import VALIDATION
from apps.recommender import factors
from apps.recommender.dot_product import layer_of
from apps.recommender.factors import Interactions
from apps.recommender.sequence_layers import NextItemLogits, SequenceEncoder
from apps.recommender.sequence_mixture import Mixture
from apps.recommender.sequences import LENGTH, Histories, Windows, cut_windows, histories
from apps.solving import solve
from pipelines.batches import sharded_batches, shuffled_batches
from pipelines.examples import Examples

VALIDATION_BATCH_SIZE = 64  # windows


def fit(
    model: Any,
    fit_data: FitData,
    *,
    epochs: range,
    seed: int,
    **options: Any,
) -> None:
    """Train the network by epochs, then choose the mix with other models in one more epoch.

    No checkpoint is written after the last one, so that training can continue with more epochs.

    Args:
        model: compiled, with a `SequenceDotProduct`.
        fit_data: of the run.
        epochs: at most these.
        seed: of the order of the windows.
        options: as in keras.Model.fit.

    """
    layer, splits, ids = layer_of(model), fit_data.splits, fit_data.prepare
    train, validation = (Interactions.of(part, ids) for part in (splits.train, splits.valid))
    biases, _ = factors.bias_baseline(train)
    rank = layer.rating_width - factors.NUM_BIAS_COLUMNS
    layer.set_ratings(factors.rating_tables(train, biases, rank))
    pairs = histories(splits.train, splits.valid, ids)
    mixture = Mixture(layer, pairs, train, validation)
    trained = _compiled(layer.encoder, model.optimizer, fit_data.steps_per_execution)
    callbacks = [_AssignTables(mixture), *options.pop("callbacks")]
    done = _train(trained, fit_data, pairs, epochs, seed, callbacks=callbacks, **options)
    fit_data.restore_best()
    solve(
        model,
        fit_data._replace(position=TrainingPosition(epoch=done)),
        _choose_mix(mixture),
        epochs=range(done, done + 1),
        callbacks=callbacks[1:],
        checkpoints=False,
        keep=True,
        **options,
    )


class _AssignTables(keras.callbacks.Callback):
    """Assigns the tables after each epoch, so that the best model can be saved."""

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.mixture = mixture

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Assign the tables. The weights are those of validation."""
        self.mixture.assign()


def _choose_mix(mixture: Mixture) -> Iterator[dict[str, float]]:
    losses = mixture.choose()
    yield {"loss": losses.train, f"{VALIDATION}loss": losses.valid}


def _compiled(encoder: SequenceEncoder, optimizer: Any, steps_per_execution: int) -> keras.Model:
    numbers = keras.Input((LENGTH,), dtype="int32")
    model = keras.Model(numbers, NextItemLogits(encoder)(numbers))
    model.compile(
        optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        steps_per_execution=steps_per_execution,
    )
    return model


def _train(
    trained: keras.Model,
    fit_data: FitData,
    pairs: Histories,
    epochs: range,
    seed: int,
    **options: Any,
) -> int:
    """Train the network; return the number of epochs that are done."""
    train = _examples(cut_windows(pairs.training()).with_targets())
    valid = _examples(
        cut_windows(pairs.reweighted(pairs.weights * pairs.is_validation)).with_targets()
    )
    steps, position = fit_data.steps_per_epoch, fit_data.position
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    batches = shuffled_batches(
        train,
        batch_size=max(len(train) // steps // replicas, 1) * replicas,
        steps_per_epoch=steps,
        seed=seed,
        start=position.initial_batch(epochs, steps),
    )
    history = trained.fit(
        batches,
        validation_data=sharded_batches(valid, batch_size=VALIDATION_BATCH_SIZE),
        steps_per_epoch=steps,
        initial_epoch=position.initial_epoch(epochs),
        epochs=epochs.stop,
        shuffle=False,
        **options,
    )
    return max([position.epoch, *(epoch + 1 for epoch in history.epoch)])


def _examples(windows: Windows) -> Examples:
    """Return windows as examples; a position without a target has the weight 0."""
    examples = Examples.of(windows.inputs, windows.targets)
    return dataclasses.replace(examples, weight=windows.weights)
