"""Weigh the parts of a blend by their errors on examples that they have not seen."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.fit_data import FitData, HeldOut, TrainingPosition
from apps.metrics import VALIDATION
from apps.regression.boosting import folds_of
from apps.regression.kernel_layer import KernelMachine, out_of_fold_kernels, refit_kernel
from apps.regression.matrices import RowMatrices
from apps.regression.mixing import best_weights, mix
from apps.regression.networks import BLEND, MEMBERS
from apps.regression.shrinkage import cautious_scale
from apps.regression.solvers import out_of_fold_linear
from apps.regression.trees import TreePart, out_of_fold_trees
from apps.solving import solve
from pipelines.batches import ordered_batches
from pipelines.examples import Examples

BATCH_SIZE = 1000
MAX_VALIDATION_EXAMPLES = 200_000  # that weigh the parts
# In large tables networks stop whose loss after some epochs is far above that of the trees.
MIN_ROWS_TO_COMPARE, EPOCHS_TO_COMPARE, MAX_LOSS_RATIO = 100_000, 3, 2.0
NUM_SAMPLED_EXAMPLES = 1000  # training examples whose loss the history shows


LossOf = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of outputs and targets, per example


def fit_blend(
    model: Any,
    fit_data: FitData,
    fit_members: Callable[..., None],
    loss_of: LossOf,
    *,
    callbacks: list[Any],
    **options: Any,
) -> None:
    """Train the members of a blend, if it has some, then weigh its parts in one more epoch.

    The weights are estimated with the best members. No checkpoint is written after them, so that
    training can continue with more epochs.

    Args:
        model: compiled network with a layer `Blend`.
        fit_data: of the run.
        fit_members: trains the compiled network of the members; takes its callbacks and options.
        loss_of: the loss of each example, from outputs [n, outputs] and targets [n].
        callbacks: as in keras.Model.fit.
        options: as in keras.Model.fit.

    """
    layer, done = model.get_layer(BLEND), fit_data.position.epoch
    if "networks" in layer.names:
        members = keras.Model(model.input, model.get_layer(MEMBERS).output)
        members.compile(
            model.optimizer, loss=model.loss, steps_per_execution=fit_data.steps_per_execution
        )
        is_large = len(fit_data.splits.train) >= MIN_ROWS_TO_COMPARE
        compare = [_StopFarBehind(_loss_of_trees(model, fit_data, loss_of))] if is_large else []
        fit_members(members, fit_data, callbacks=[*compare, *callbacks], **options)
        done = max([done, *(epoch + 1 for epoch in members.history.epoch)])
        fit_data.restore_best()
    solve(
        model,
        fit_data._replace(position=TrainingPosition(epoch=done)),
        _weigh(model, layer, fit_data, loss_of),
        epochs=range(done, done + 1),
        callbacks=callbacks,
        checkpoints=False,
        # Few validation examples cannot tell whether networks alone are better.
        keep=folds_of(fit_data.splits.train) is not None,
        **options,
    )


class _StopFarBehind(keras.callbacks.Callback):
    """End the training of networks that will hardly have a weight beside the trees."""

    def __init__(self, loss_of_trees: float) -> None:
        super().__init__()
        self.loss_of_trees = loss_of_trees

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Compare the validation losses."""
        behind = (logs or {})[f"{VALIDATION}loss"] > MAX_LOSS_RATIO * self.loss_of_trees
        if epoch + 1 >= EPOCHS_TO_COMPARE and behind:
            self.model.stop_training = True


def _loss_of_trees(model: Any, fit_data: FitData, loss_of: LossOf) -> float:
    layer, valid = model.get_layer(BLEND), fit_data.splits.valid.sample(MAX_VALIDATION_EXAMPLES)
    trees = keras.Model(model.input, layer.input[layer.names.index("boosted trees")])
    return _mean_loss(loss_of, _outputs(trees, fit_data, valid), valid)


def _weigh(
    model: Any, layer: Any, fit_data: FitData, loss_of: LossOf
) -> Iterator[dict[str, float]]:
    """Set the weights of a layer `Blend`; then fit parts again, with validation examples.

    Yields the loss on some training examples, and on validation before that.
    """
    parts = keras.Model(model.input, keras.ops.stack(layer.input, 1))
    train = fit_data.splits.train
    valid = fit_data.splits.valid.sample(MAX_VALIDATION_EXAMPLES)
    predictions = _outputs(parts, fit_data, valid)
    weights = _weights(predictions, valid, model, fit_data, loss_of)
    layer.mixture.assign(weights)
    layer.losses_alone.assign(
        [_mean_loss(loss_of, part, valid) for part in predictions.swapaxes(0, 1)]
    )
    mixed = mix(predictions, weights)
    fit_data.keep_held_out(HeldOut(valid, mixed[:, np.newaxis]))
    validation_loss = _mean_loss(loss_of, mixed, valid)
    sample = train.select(np.arange(min(NUM_SAMPLED_EXAMPLES, len(train))))
    training_loss = _mean_loss(loss_of, mix(_outputs(parts, fit_data, sample), weights), sample)
    refit(model, fit_data)
    yield {"loss": training_loss, f"{VALIDATION}loss": validation_loss}


def _mean_loss(loss_of: LossOf, outputs: np.ndarray, examples: Examples) -> float:
    """Return the mean loss of outputs [n, outputs] for examples, by their weights."""
    return float(np.average(loss_of(outputs, examples.targets), weights=examples.weights))


def _weights(
    predictions: np.ndarray, valid: Examples, model: Any, fit_data: FitData, loss_of: LossOf
) -> np.ndarray:
    """Return the weights of a blend, from predictions of its parts for validation examples.

    In a small table validation is too small to weigh all parts: the training examples weigh them,
    by predictions out of fold. Of the networks there are none, since training is slow: validation
    weighs them against the others, with caution.
    """
    held_out = _out_of_fold(model, fit_data)
    if held_out is None:
        return best_weights(predictions, lambda mixed: _mean_loss(loss_of, mixed, valid))
    train = fit_data.splits.train
    others = best_weights(held_out, lambda mixed: _mean_loss(loss_of, mixed, train))
    if len(others) == predictions.shape[1]:  # there are no networks
        return others
    both = np.stack([predictions[:, 0], mix(predictions[:, 1:], others)], 1)
    by_weight = 1.0 if valid.relative_weights is None else valid.relative_weights

    def losses(weight: float) -> np.ndarray:
        return by_weight * loss_of(mix(both, np.array([weight, 1 - weight])), valid.targets)

    weight = cautious_scale(losses, most=1.0)
    return np.array([weight, *((1 - weight) * others)])


def _out_of_fold(model: Any, fit_data: FitData) -> np.ndarray | None:
    """Return predictions [n, parts, outputs] of all parts but the networks for training examples.

    None for a table without folds, see `folds_of`.
    """
    splits, num_classes = fit_data.splits, len(fit_data.splits.labels)
    train, valid = (RowMatrices(fit_data.prepare, part) for part in (splits.train, splits.valid))
    fold = folds_of(splits.train)
    if fold is None:
        return None
    parts = [
        out_of_fold_linear(train, num_classes, fold),
        out_of_fold_trees(train, valid, num_classes),
    ]
    if kernel := KernelMachine.of(model):
        parts.append(out_of_fold_kernels(kernel, train, num_classes, fold))
    return np.stack(parts, 1).astype("float64")


def fit_boosted_alone(model: Any, fit_data: FitData, loss_of: LossOf, **options: Any) -> None:
    """Score the fitted trees of a network in one epoch, then fit them with validation examples."""

    def iterate() -> Iterator[dict[str, float]]:
        train, valid = fit_data.splits.train, fit_data.splits.valid
        sample = train.select(np.arange(min(NUM_SAMPLED_EXAMPLES, len(train))))
        outputs = [_outputs(model, fit_data, part) for part in (sample, valid)]
        fit_data.keep_held_out(HeldOut(valid, outputs[1]))
        losses = [
            _mean_loss(loss_of, each[:, 0], part)
            for each, part in zip(outputs, (sample, valid), strict=True)
        ]
        refit(model, fit_data)
        yield {"loss": losses[0], f"{VALIDATION}loss": losses[1]}

    # An interrupted run must not score trees that were fitted to validation examples.
    solve(model, fit_data, iterate(), epochs=range(1), checkpoints=False, **options)


def refit(model: Any, fit_data: FitData) -> None:
    """Fit the trees and kernels of a network to training and validation examples."""
    splits = fit_data.splits
    train, valid = (RowMatrices(fit_data.prepare, part) for part in (splits.train, splits.valid))
    TreePart.of(model).refit(train, valid, len(splits.labels))
    if kernel := KernelMachine.of(model):
        refit_kernel(kernel, train, valid, len(splits.labels))


def _outputs(model: Any, fit_data: FitData, examples: Examples) -> np.ndarray:
    """Outputs of a model for raw examples, float64."""
    predict = functools.partial(model, training=False)
    if len(examples) > BATCH_SIZE:  # tracing takes as long as some batches
        predict = tf.function(predict, reduce_retracing=True, autograph=False)
    batches = ordered_batches(examples, batch_size=BATCH_SIZE, prepare=fit_data.prepare)
    return np.concatenate([predict(x).numpy() for x, _ in batches]).astype("float64")
