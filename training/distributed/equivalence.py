"""Check that several devices give the same weights as one: compare the same steps on both."""

import dataclasses
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import optimizers
from apps.app import App
from pipelines.splits import Splits
from training.distributed import strategy as distribution
from training.fitting import build_compiled, make_fit_data
from training.options import CheckDistributeOptions
from training.precision import choose_precision

EPOCHS, STEPS = 2, 10  # of each stage, and of an epoch
TOLERANCE = {"float32": 1e-5, "mixed_bfloat16": 0.05}
ROUNDING_FACTOR = 10.0  # allowed difference, in multiples of the effect of rounding
# Weights are compared after these steps of a stage and after each epoch. Rounding errors are
# small in the first steps, so a mistake shows that they would hide later.
COMPARED_STEPS = (1, 2, 3)
DEFAULTS = CheckDistributeOptions()


class UnequalError(RuntimeError):
    """Raised if several devices give other weights than one."""

    exit_status = 1


class Difference(NamedTuple):
    """Difference of the weights after some steps.

    Attributes:
        when: After which step or epoch, in words.
        weights: the largest difference of any weight; where an array holds numbers above 1, as
            a share of its largest.
        rounding: the same between two runs on one device, of which one sees the examples of
            each batch the other way round: optimizers that divide by a gradient's size
            make steps of mere rounding where it is nearly 0. None where all differences are
            within the tolerance without it.

    """

    when: str
    weights: float
    rounding: float | None

    def allowed(self, precision: str) -> float:
        """Return the largest difference that rounding can explain."""
        return max(TOLERANCE[precision], ROUNDING_FACTOR * (self.rounding or 0.0))


class Compared(NamedTuple):
    """Comparison of losses and weights after the same steps.

    Attributes:
        losses: Validation losses after each epoch, on one device and on several.
        differences: Differences of the weights, after some steps and at the end.
        moved: Distance of the weights from their start.
        precision: Keras dtype policy.

    """

    losses: tuple[list[float], list[float]]
    differences: list[Difference]
    moved: float
    precision: str

    @property
    def difference(self) -> float:
        """Difference of the weights at the end."""
        return self.differences[-1].weights

    @property
    def mistake(self) -> Difference | None:
        """First difference that rounding does not explain; None if there is none."""
        return next(
            (one for one in self.differences if not one.weights <= one.allowed(self.precision)),
            None,
        )

    def rows(self) -> list[tuple[str, ...]]:
        """Return the rows of a table."""
        found: list[tuple[str, ...]] = [
            (f"loss, epoch {number}", f"{one:.6f}", f"{several:.6f}", f"{abs(one - several):.1e}")
            for number, (one, several) in enumerate(zip(*self.losses, strict=True), 1)
        ]
        for when, weights, rounding in self.differences:
            found.append((f"weights, {when}", "", "", f"{weights:.1e}"))
            if rounding is not None:
                found.append(("  by rounding alone", "", "", f"{rounding:.1e}"))
        return found

    def json(self) -> dict[str, Any]:
        """Return the fields for JSON output."""
        told = [one._asdict() for one in self.differences]
        return self._asdict() | {"differences": told}


def compared(app: App, options: CheckDistributeOptions = DEFAULTS) -> Compared | None:
    """Train on one device and on several, with the same batches in the same order.

    Dropout is left out: each replica draws its own. Of several workers the chief compares, and
    the others get None.

    Args:
        app: what to train, with what optimizer.
        options: devices, strategy and number format.

    Raises:
        UnequalError: where weights differ by more than rounding.
        StrategyError: where there are fewer devices, or no other workers.

    """
    # Each training traces its own functions, and TensorFlow warns about that.
    tf.get_logger().setLevel("ERROR")
    alone, shared = (
        distribution.make_strategy("one"),
        distribution.make_strategy(options.strategy, options.num_devices),
    )
    names = [one.name for one in dataclasses.fields(app)]
    plain: dict[str, Any] = {name: EPOCHS for name in names if name.endswith("epochs")}
    plain |= {name: 0.0 for name in names if "dropout" in name} | {"patience": 0}
    app = dataclasses.replace(app, **plain)
    splits = app.load_splits(options.data_dir)
    count = shared.num_replicas_in_sync
    size = distribution.batch_size(app, len(splits.train), count)
    app = dataclasses.replace(app, batch_size=size)  # the same on one device
    choice = choose_precision(options.precision, app.modality, app.compute_dtypes)
    with shared.scope(), distribution.report_lost_workers():
        policy = distribution.agree_on_precision(app, splits, choice).policy
        several = _train_and_watch(app, splits, shared, policy)
        if not distribution.is_chief():
            return None
    one = _train_and_watch(app, splits, alone, policy)
    apart = _distances(several, one)
    rounding: list[float | None] = [None] * len(apart)
    if not max(apart) <= TOLERANCE[policy]:
        rounding[:] = _distances(
            _train_and_watch(app, splits, alone, policy, reversed_batches=True), one
        )
    found = Compared(
        losses=(one.losses, several.losses),
        differences=[*map(Difference, one.weights, apart, rounding)],
        moved=_distance(one.start, [*one.weights.values()][-1]),
        precision=policy,
    )
    _require_equal(found, app.optimizer, count)
    return found


def _require_equal(found: Compared, optimizer: str, count: int) -> None:
    if (wrong := found.mistake) is not None:
        raise UnequalError(
            f"Received weights that differ by {wrong.weights:.1e} {wrong.when} on one device and "
            f"on {count}; expected at most {wrong.allowed(found.precision):.0e}, for rounding "
            f"alone makes {wrong.rounding:.1e}. Look at --optimizer {optimizer} "
            f"first: athanor check-optimizer {optimizer}."
        )


class _Trained(NamedTuple):
    start: list[np.ndarray]
    weights: dict[str, list[np.ndarray]]  # by when
    losses: list[float]


class _WeightRecorder(keras.callbacks.Callback):
    """Records the losses, and the weights of a network after some steps."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.losses: list[float] = []
        self.weights: dict[str, list[np.ndarray]] = {}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        if batch + 1 in COMPARED_STEPS:
            when = f"after step {batch + 1} of epoch {len(self.losses) + 1}"
            self.weights.setdefault(when, self.network.get_weights())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.losses.append(float(logs["val_loss"]))
        self.weights[f"after epoch {epoch + 1}"] = self.network.get_weights()


def _train_and_watch(
    app: App, splits: Splits, strategy: Any, policy: str, *, reversed_batches: bool = False
) -> _Trained:
    with strategy.scope():
        parts = build_compiled(app, splits, policy)
        parts.network.steps_per_execution = 1
        distribution.synchronize_batch_normalization(
            parts.network
        )  # also on one device, since it changes the arithmetic
        start = parts.network.get_weights()
        made = make_fit_data(app, splits, parts)
        made = made._replace(
            steps_per_epoch=min(STEPS, made.steps_per_epoch), steps_per_execution=1
        )
        if reversed_batches:
            made = made._replace(train=made.train.map(_reverse_batch), transform=_reverse_batch)
        watch = _WeightRecorder(parts.network)
        callbacks = [optimizers.AveragedWeights(), watch]
        app.fit(parts.network, made, callbacks=callbacks, verbose=0)
        return _Trained(start, watch.weights, watch.losses)


def _reverse_batch(batch: Any) -> Any:
    return tf.nest.map_structure(lambda part: tf.reverse(part, [0]), batch)


def _distances(some: _Trained, others: _Trained) -> list[float]:
    pairs = zip(some.weights.values(), others.weights.values(), strict=True)
    return [_distance(*pair) for pair in pairs]


def _distance(some: list[np.ndarray], others: list[np.ndarray]) -> float:
    pairs = zip(some, others, strict=True)
    return max(float(np.abs(a - b).max() / max(1.0, np.abs(b).max())) for a, b in pairs if a.size)
