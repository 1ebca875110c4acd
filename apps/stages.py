"""Fine-tuning in two stages over features that are computed once.

What is frozen gives the same answer in every epoch, so it is asked once a
picture: the top blocks learn from what lies at the cut in memory, and the head
before them from its pooled form.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from apps.feeds import Feeds, Position
from apps.transfer import Parts, groups
from optimizers import LayerwiseLearningRate
from pipelines.examples import Batch, Examples, store
from pipelines.feed import Augment, feed, feed_shared, feed_shuffled

BATCH = 64  # pictures in one pass through the frozen part
STEPS_A_CALL = 8  # at most
HEAD_RATE = 5.0  # a linear layer alone stands a larger learning rate
VALID_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Plan:
    """What an app wants of its stages.

    Attributes:
        copies: of each training picture; the first is as it is, every second
            mirrored.
        change: of the pictures of later copies, or None.
        mix: of features and targets in the second stage, or None.
        batch_size: examples in one step.
        epochs: at most, of each stage.
        optimizer: from a share of the learning rate and a number of steps to a
            new Keras optimizer.
        decay: what each group's rate is multiplied by, from the head downwards.
        loss: between distributions over the classes and logits.
        seed: of all order and change.

    """

    copies: int
    change: Augment | None
    mix: Augment | None
    batch_size: int
    epochs: tuple[int, int]
    optimizer: Callable[[float, int], Any]
    decay: float
    loss: Any
    seed: int


class Features(NamedTuple):
    """What the network above learns from and is judged on, and the steps of an epoch and a call."""

    train: Examples
    valid: Examples
    steps: int
    steps_a_call: int


def run(parts: Parts, feeds: Feeds, plan: Plan, **options: Any) -> None:
    """Train the head on pooled features, then the blocks with it; options as of Model.fit."""
    cut = _at_the_cut(parts, feeds, plan)
    first, second = (cut.steps * epochs for epochs in plan.epochs)
    raw = keras.Input(parts.frozen.output.shape[1:])
    pooling = keras.Model(raw, parts.pooled(raw))
    pooled = cut._replace(train=_asked(pooling, cut.train), valid=_asked(pooling, cut.valid))
    head = keras.Model(parts.head.input, parts.head.output)
    _compile(head, plan.optimizer(HEAD_RATE, first), plan, cut.steps_a_call)
    position, first_epochs = feeds.position, range(plan.epochs[0])
    if position.stage == 1:
        done = _fit(head, pooled, plan, first_epochs, position, **options)
        position = Position(2, done, done)
    if parts.blocks is None or not plan.epochs[1]:
        return
    upper = parts.upper()
    shares = {group.paths: group.share for group in groups(parts, plan.decay)}
    optimizer = LayerwiseLearningRate(plan.optimizer(1.0, second), shares)
    _compile(upper, optimizer, plan, cut.steps_a_call)
    second_epochs = range(position.first, position.first + plan.epochs[1])
    _fit(upper, cut, plan, second_epochs, position, **options)


def _compile(model: Any, optimizer: Any, plan: Plan, steps_a_call: int) -> None:
    model.compile(
        optimizer,
        loss=plan.loss,
        metrics=["accuracy"],
        steps_per_execution=steps_a_call,
        jit_compile=False,  # Compiling took longer than the shortest runs.
    )


def _fit(
    model: Any, features: Features, plan: Plan, epochs: range, position: Position, **options: Any
) -> int:
    """Train on features; returns the number of epochs done so far."""
    begin = position.begin(epochs)
    batches = feed_shuffled(
        features.train,
        batch_size=plan.batch_size,
        steps_per_epoch=features.steps,
        seed=plan.seed,
        augment=plan.mix if position.stage == 2 else None,  # pooled features are not mixed
        start=position.batches(epochs, features.steps),
    )
    history = model.fit(
        batches,
        validation_data=feed_shared(features.valid, batch_size=VALID_BATCH),
        steps_per_epoch=features.steps,
        initial_epoch=begin,
        epochs=epochs.stop,
        shuffle=False,
        **options,
    )
    return history.epoch[-1] + 1 if history.epoch else position.epoch


def _at_the_cut(parts: Parts, feeds: Feeds, plan: Plan) -> Features:
    """The features of every copy of the training pictures, and of the validation pictures.

    An epoch takes as many as there are pictures, of some copy each.
    """
    num_classes = len(feeds.splits.labels)

    @tf.function(autograph=False, reduce_retracing=True)
    def ask(images: Any) -> Any:
        features = parts.frozen(feeds.prepare(images), training=False)
        return tf.cast(features, tf.float16)

    def altered(images: np.ndarray, copy: int, start: int) -> Any:
        changed = images[:, :, ::-1] if copy % 2 else images
        if copy and plan.change is not None:
            seed = tf.constant([plan.seed, copy * 2**32 + start], tf.int64)
            changed, _ = plan.change(tf.constant(changed), None, seed)
        return changed

    def batches(examples: Examples, copies: int) -> Iterator[Batch]:
        one_hot = np.eye(num_classes, dtype="float32")
        for copy in range(copies):
            for start in range(0, len(examples), BATCH):
                images, target = examples.numpy(slice(start, start + BATCH))
                features = ask(altered(images, copy, start)).numpy()
                yield Batch(features, one_hot[target])

    train, valid = feeds.splits.train, feeds.splits.valid
    steps = len(train) // plan.batch_size
    steps_a_call = steps // -(-steps // min(STEPS_A_CALL, feeds.steps_a_call))
    return Features(
        store(batches(train, plan.copies), plan.copies * len(train)),
        store(batches(valid, 1), len(valid)),
        steps // steps_a_call * steps_a_call,
        steps_a_call,
    )


def _asked(model: Any, examples: Examples) -> Examples:
    """What a model gives for each example, in memory."""
    ask = tf.function(lambda x: model(x, training=False), autograph=False, reduce_retracing=True)
    given = [ask(features).numpy() for features, _ in feed(examples, batch_size=VALID_BATCH)]
    return Examples.of(np.concatenate(given), examples.targets)
