"""Fine-tune in two stages on features that are computed once.

The frozen part gives the same features in every epoch, so they are computed once per image and
kept in memory. The head is fitted to their pooled form, then the top blocks are trained with it.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from apps.finetune.freezing import Parts, groups
from apps.finetune.linear_probe import regularization_path
from apps.finetune.weighted_targets import one_hot_targets
from apps.fit_data import FitData, TrainingPosition
from apps.solving import solve
from optimizers import LayerwiseLearningRate
from pipelines.batches import Augment, ordered_batches, sharded_batches, shuffled_batches
from pipelines.example_store import store
from pipelines.examples import Batch, Examples

FROZEN_BATCH_SIZE = 64  # images in one pass through the frozen part
MAX_STEPS_PER_EXECUTION = 8
VALIDATION_BATCH_SIZE = 256


@dataclasses.dataclass(frozen=True)
class TwoStagePlan:
    """The choices of an app for both stages.

    Attributes:
        copies: versions of each training image; the first is unchanged, every second
            is mirrored.
        augment: a random change of the images of later copies, or None.
        mix: a random mix of features and targets in the second stage, or None.
        batch_size: examples in one step.
        epochs: maximum number of epochs of each stage: penalties tried, and passes.
        make_optimizer: makes a Keras optimizer for a number of steps.
        decay: factor of the learning rate from one group of layers to the next deeper one.
        loss: loss of distributions over the classes, or of weighted targets, and logits.
        seed: seed of order and augmentation.

    """

    copies: int
    augment: Augment | None
    mix: Augment | None
    batch_size: int
    epochs: tuple[int, int]
    make_optimizer: Callable[[int], Any]
    decay: float
    loss: Any
    seed: int


class FeatureData(NamedTuple):
    """Features in place of images, for training and validation.

    Attributes:
        train: features and distributions over the classes, times the weights of the classes.
        valid: likewise.
        steps_per_epoch: batches in an epoch.
        steps_per_execution: steps in one call of TensorFlow.
        transform: as in `FitData`.

    """

    train: Examples
    valid: Examples
    steps_per_epoch: int
    steps_per_execution: int
    transform: Callable[[Any], Any] | None


def fit(parts: Parts, fit_data: FitData, plan: TwoStagePlan, **options: Any) -> None:
    """Fit the head to pooled features, then train the blocks with it; options as in Model.fit.

    The second stage begins with the best head of the first. The model of a second-stage epoch
    replaces it only if it is better by more than chance.
    """
    at_cut = _features_at_cut(parts, fit_data, plan)
    raw = keras.Input(parts.frozen.output.shape[1:])
    pooling = keras.Model(raw, parts.pooled(raw))
    train, valid = (_outputs(pooling, part) for part in (at_cut.train, at_cut.valid))
    pooled = at_cut._replace(train=train, valid=valid)
    head = keras.Model(parts.head.input, parts.head.output)
    _compile(head, keras.optimizers.SGD(0.0), plan, 1)
    candidates = _HeadCandidates(head, pooled, plan)
    position = fit_data.position
    if position.stage == 1:
        batches = sharded_batches(pooled.valid, batch_size=VALIDATION_BATCH_SIZE)
        stage_options = {"epochs": range(plan.epochs[0]), **options}
        stage_data = fit_data._replace(valid=batches)
        done = solve(head, stage_data, candidates.iterate(), **stage_options)
        position = TrainingPosition(2, done, done)
    if parts.blocks is None or not plan.epochs[1]:
        return
    head_losses = candidates.select_best()
    model = parts.above_cut()
    scales = {group.paths: group.learning_rate_scale for group in groups(parts, plan.decay)}
    optimizer = plan.make_optimizer(at_cut.steps_per_epoch * plan.epochs[1])
    optimizer = LayerwiseLearningRate(optimizer, scales)
    _compile(model, optimizer, plan, at_cut.steps_per_execution)
    model.is_worth_keeping = lambda: _is_better(
        _losses(plan, *_outputs(model, at_cut.valid).numpy()), head_losses
    )
    epochs = range(position.stage_start, position.stage_start + plan.epochs[1])
    _fit_blocks(model, at_cut, plan, epochs, position, **options)


class _HeadCandidates:
    """The regressions of the first stage; validation selects one of them."""

    def __init__(self, head: Any, pooled: FeatureData, plan: TwoStagePlan) -> None:
        self.head, self.pooled, self.plan = head, pooled, plan
        features, target = pooled.train.numpy()
        path = regularization_path(
            features,
            target.argmax(1),
            target.shape[1],
            weights=target.sum(1),
            copies=plan.copies,
            count=plan.epochs[0],
        )
        self.weights = [[*pair] for pair in path]

    def iterate(self) -> Iterator[dict[str, float]]:
        """Put each candidate into the head; yield its scores on the training examples."""
        for weights in self.weights:
            self.head.set_weights(weights)
            logits, target = _outputs(self.head, self.pooled.train).numpy()
            correct = logits.argmax(1) == target.argmax(1)
            loss = _losses(self.plan, logits, target).mean()
            yield {"accuracy": float(correct.mean()), "loss": float(loss)}

    def select_best(self) -> np.ndarray:
        """Put the best candidate into the head; return its loss on each validation example."""
        losses = []
        for weights in self.weights:
            self.head.set_weights(weights)
            losses.append(_losses(self.plan, *_outputs(self.head, self.pooled.valid).numpy()))
        best = int(np.argmin([np.mean(candidate) for candidate in losses]))
        self.head.set_weights(self.weights[best])
        return losses[best]


def _is_better(losses: np.ndarray, baseline_losses: np.ndarray) -> bool:
    """Whether the mean loss is lower by more than the standard error of the difference."""
    improvements = baseline_losses - losses
    error = (
        improvements.std(ddof=1) / np.sqrt(len(improvements)) if len(improvements) > 1 else np.inf
    )
    return bool(improvements.mean() > error)


def _losses(plan: TwoStagePlan, logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the loss of each example."""
    return np.asarray(plan.loss.call(tf.constant(target), tf.constant(logits)))


def _compile(model: Any, optimizer: Any, plan: TwoStagePlan, steps_per_execution: int) -> None:
    model.compile(
        optimizer,
        loss=plan.loss,
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
        jit_compile=False,  # Compiling took longer than the shortest runs.
    )


def _fit_blocks(
    model: Any,
    at_cut: FeatureData,
    plan: TwoStagePlan,
    epochs: range,
    position: TrainingPosition,
    **options: Any,
) -> None:
    """Train the model above the cut."""
    batches = shuffled_batches(
        at_cut.train,
        batch_size=plan.batch_size,
        steps_per_epoch=at_cut.steps_per_epoch,
        seed=plan.seed,
        augment=plan.mix,
        start=position.initial_batch(epochs, at_cut.steps_per_epoch),
    )
    model.fit(
        batches.map(at_cut.transform) if at_cut.transform else batches,
        validation_data=sharded_batches(at_cut.valid, batch_size=VALIDATION_BATCH_SIZE),
        steps_per_epoch=at_cut.steps_per_epoch,
        initial_epoch=position.initial_epoch(epochs),
        epochs=epochs.stop,
        shuffle=False,
        **options,
    )


def _features_at_cut(parts: Parts, fit_data: FitData, plan: TwoStagePlan) -> FeatureData:
    """Return the features of every copy of the training images, and of the validation images.

    An epoch takes as many examples as there are images, each from any copy.
    """
    splits = fit_data.splits
    steps = len(splits.train) // plan.batch_size
    steps = min(steps, fit_data.steps_per_epoch or steps)
    max_steps = min(MAX_STEPS_PER_EXECUTION, fit_data.steps_per_execution)
    steps_per_execution = steps // -(-steps // max_steps)
    extract = _extractor(parts, fit_data, plan)
    return FeatureData(
        store(extract(splits.train, plan.copies), plan.copies * len(splits.train)),
        store(extract(splits.valid, 1), len(splits.valid)),
        steps // steps_per_execution * steps_per_execution,
        steps_per_execution,
        fit_data.transform,
    )


def _extractor(
    parts: Parts, fit_data: FitData, plan: TwoStagePlan
) -> Callable[[Examples, int], Iterator[Batch]]:
    """Return the function from examples and a number of copies to batches of their features."""
    splits = fit_data.splits
    targets = one_hot_targets(len(splits.labels), splits.train.class_weights)

    def features_of(images: Any) -> Any:
        features = parts.frozen(fit_data.prepare(images), training=False)
        return tf.cast(features, tf.float16)

    graph = _traced(features_of, *splits.spec["features"])

    def augmented(images: np.ndarray, copy: int, start: int) -> Any:
        changed = images[:, :, ::-1] if copy % 2 else images
        if copy and plan.augment is not None:
            seed = tf.constant([plan.seed, copy * 2**32 + start], tf.int64)
            changed, _ = plan.augment(tf.constant(changed), None, seed)
        return changed

    def batches(examples: Examples, copies: int) -> Iterator[Batch]:
        for copy in range(copies):
            for start in range(0, len(examples), FROZEN_BATCH_SIZE):
                images, target = examples.numpy(slice(start, start + FROZEN_BATCH_SIZE))
                features = graph(tf.convert_to_tensor(augmented(images, copy, start))).numpy()
                yield Batch(features, targets[target])

    return batches


def _outputs(model: Any, examples: Examples) -> Examples:
    """Return the outputs of a model as features, in memory; the same targets."""
    features = examples.features
    graph = _traced(lambda x: model(x, training=False), features.shape[1:], features.dtype)
    batches = ordered_batches(examples, batch_size=VALIDATION_BATCH_SIZE)
    outputs = [graph(features).numpy() for features, _ in batches]
    return Examples.of(np.concatenate(outputs), examples.targets)


def _traced(function: Callable[[Any], Any], shape: Sequence[int], dtype: Any) -> Any:
    """Return a graph of a function of batches of any size.

    It is traced once, because TensorFlow warns of functions that are traced in every run.
    """
    signature = [tf.TensorSpec([None, *shape], dtype)]
    graph = tf.function(function, input_signature=signature, autograph=False)
    return graph.get_concrete_function()
