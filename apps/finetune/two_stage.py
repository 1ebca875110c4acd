"""Fine-tuning in two stages over features that are computed once.

What is frozen gives the same answer in every epoch, so it is asked once a
picture: the top blocks learn from what lies at the cut in memory, and the head
before them from its pooled form.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from apps.finetune.freezing import Parts, groups
from apps.finetune.linear_probe import path
from apps.fit_data import FitData, TrainingPosition
from apps.solving import solve
from optimizers import LayerwiseLearningRate
from pipelines.batches import Augment, ordered_batches, sharded_batches, shuffled_batches
from pipelines.examples import Batch, Examples, store

BATCH = 64  # pictures in one pass through the frozen part
MAX_STEPS_PER_EXECUTION = 8  # at most
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
        epochs: at most, of each stage: the penalties tried, and passes.
        optimizer: from a number of steps to a new Keras optimizer.
        decay: what each group's rate is multiplied by, from the head downwards.
        loss: between distributions over the classes and logits.
        seed: of all order and change.

    """

    copies: int
    change: Augment | None
    mix: Augment | None
    batch_size: int
    epochs: tuple[int, int]
    optimizer: Callable[[int], Any]
    decay: float
    loss: Any
    seed: int


class Features(NamedTuple):
    """What the network above learns from and is judged on, and the steps of an epoch and a call.

    `change` is that of the feeds.
    """

    train: Examples
    valid: Examples
    steps: int
    steps_per_execution: int
    change: Callable[[Any], Any] | None


def run(parts: Parts, fit_data: FitData, plan: Plan, **options: Any) -> None:
    """Train the head on pooled features, then the blocks with it; options as of Model.fit.

    The second stage begins with the best head of the first, and an epoch of it is kept only if
    it is better by more than chance.
    """
    cut = _at_the_cut(parts, fit_data, plan)
    raw = keras.Input(parts.frozen.output.shape[1:])
    pooling = keras.Model(raw, parts.pooled(raw))
    pooled = cut._replace(train=_asked(pooling, cut.train), valid=_asked(pooling, cut.valid))
    head = keras.Model(parts.head.input, parts.head.output)
    _compile(head, keras.optimizers.SGD(0.0), plan, 1)
    heads = _Heads(head, pooled, plan)
    position = fit_data.position
    if position.stage == 1:
        valid = sharded_batches(pooled.valid, batch_size=VALID_BATCH)
        epochs = {"epochs": plan.epochs[0], **options}
        done = solve(head, fit_data._replace(valid=valid), heads.sweeps(), **epochs)
        position = TrainingPosition(2, done, done)
    if parts.blocks is None or not plan.epochs[1]:
        return
    head_losses = heads.take_best()
    upper = parts.upper()
    shares = {group.paths: group.share for group in groups(parts, plan.decay)}
    optimizer = LayerwiseLearningRate(plan.optimizer(cut.steps * plan.epochs[1]), shares)
    _compile(upper, optimizer, plan, cut.steps_per_execution)
    upper.is_worth_keeping = lambda: _is_better(
        _losses(plan, *_asked(upper, cut.valid).numpy()), head_losses
    )
    second_epochs = range(position.stage_start, position.stage_start + plan.epochs[1])
    _fit(upper, cut, plan, second_epochs, position, **options)


class _Heads:
    """The regressions of the first stage, and which of them validation likes best."""

    def __init__(self, head: Any, pooled: Features, plan: Plan) -> None:
        self.head, self.pooled, self.plan = head, pooled, plan
        features, target = pooled.train.numpy()
        self.weights = [
            [*pair]
            for pair in path(
                features,
                target.argmax(1),
                target.shape[1],
                copies=plan.copies,
                count=plan.epochs[0],
            )
        ]

    def sweeps(self) -> Iterator[dict[str, float]]:
        """Each of them in the head, with its scores on the training examples."""
        for weights in self.weights:
            self.head.set_weights(weights)
            logits, target = _asked(self.head, self.pooled.train).numpy()
            right = logits.argmax(1) == target.argmax(1)
            loss = _losses(self.plan, logits, target).mean()
            yield {"accuracy": float(right.mean()), "loss": float(loss)}

    def take_best(self) -> np.ndarray:
        """Leave the best in the head; gives its loss on each validation example."""
        losses = []
        for weights in self.weights:
            self.head.set_weights(weights)
            losses.append(_losses(self.plan, *_asked(self.head, self.pooled.valid).numpy()))
        best = int(np.argmin([np.mean(one) for one in losses]))
        self.head.set_weights(self.weights[best])
        return losses[best]


def _is_better(losses: np.ndarray, others: np.ndarray) -> bool:
    """Whether the mean loss is lower by more than the standard error of the difference."""
    gains = others - losses
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.inf
    return bool(gains.mean() > error)


def _losses(plan: Plan, logits: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The loss of each example."""
    return np.asarray(plan.loss.call(tf.constant(target), tf.constant(logits)))


def _compile(model: Any, optimizer: Any, plan: Plan, steps_per_execution: int) -> None:
    model.compile(
        optimizer,
        loss=plan.loss,
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
        jit_compile=False,  # Compiling took longer than the shortest runs.
    )


def _fit(
    model: Any,
    features: Features,
    plan: Plan,
    epochs: range,
    position: TrainingPosition,
    **options: Any,
) -> None:
    """Train on features at the cut."""
    batches = shuffled_batches(
        features.train,
        batch_size=plan.batch_size,
        steps_per_epoch=features.steps,
        seed=plan.seed,
        augment=plan.mix,
        start=position.initial_batch(epochs, features.steps),
    )
    model.fit(
        batches.map(features.change) if features.change else batches,
        validation_data=sharded_batches(features.valid, batch_size=VALID_BATCH),
        steps_per_epoch=features.steps,
        initial_epoch=position.initial_epoch(epochs),
        epochs=epochs.stop,
        shuffle=False,
        **options,
    )


def _at_the_cut(parts: Parts, fit_data: FitData, plan: Plan) -> Features:
    """The features of every copy of the training pictures, and of the validation pictures.

    An epoch takes as many as there are pictures, of some copy each.
    """
    num_classes = len(fit_data.splits.labels)

    def features_of(images: Any) -> Any:
        features = parts.frozen(fit_data.prepare(images), training=False)
        return tf.cast(features, tf.float16)

    ask = _traced(features_of, *fit_data.splits.spec["features"])

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
                features = ask(tf.convert_to_tensor(altered(images, copy, start))).numpy()
                yield Batch(features, one_hot[target])

    train, valid = fit_data.splits.train, fit_data.splits.valid
    steps = len(train) // plan.batch_size
    steps = min(steps, fit_data.steps_per_epoch or steps)
    most = min(MAX_STEPS_PER_EXECUTION, fit_data.steps_per_execution)
    steps_per_execution = steps // -(-steps // most)
    return Features(
        store(batches(train, plan.copies), plan.copies * len(train)),
        store(batches(valid, 1), len(valid)),
        steps // steps_per_execution * steps_per_execution,
        steps_per_execution,
        fit_data.transform,
    )


def _asked(model: Any, examples: Examples) -> Examples:
    """What a model gives for each example, in memory."""
    features = examples.features
    ask = _traced(lambda x: model(x, training=False), features.shape[1:], features.dtype)
    given = [
        ask(features).numpy() for features, _ in ordered_batches(examples, batch_size=VALID_BATCH)
    ]
    return Examples.of(np.concatenate(given), examples.targets)


def _traced(function: Callable[[Any], Any], shape: Sequence[int], dtype: Any) -> Any:
    """A graph of a function of batches of any size.

    Made once: TensorFlow warns of functions that are traced again and again, one for each training.
    """
    signature = [tf.TensorSpec([None, *shape], dtype)]
    graph = tf.function(function, input_signature=signature, autograph=False)
    return graph.get_concrete_function()
