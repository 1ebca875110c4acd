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

EPOCHS_PER_STAGE, STEPS_PER_EPOCH = 2, 10  # of each stage, and of an epoch
TOLERANCE = {"float32": 1e-5, "mixed_bfloat16": 0.05}
ROUNDING_FACTOR = 10.0  # allowed difference, in multiples of the effect of rounding
# Weights are compared after these steps of a stage and after each epoch. Rounding errors are
# small in the first steps; later they could hide a mistake.
COMPARED_STEPS = (1, 2, 3)
DEFAULTS = CheckDistributeOptions()


class UnequalError(RuntimeError):
    """Raised if several devices give other weights than one."""

    exit_status = 1


class Difference(NamedTuple):
    """Difference of the weights after some steps.

    Attributes:
        when: The step or epoch, in words.
        weights: The largest difference of any weight, divided by the largest weight of the
            array if that is above 1.
        rounding: The same difference between two runs on one device, one of which gets the
            examples of each batch in reverse order. Optimizers that divide by a gradient's size
            make steps of mere rounding errors if it is nearly 0. None if all differences are
            within the tolerance.

    """

    when: str
    weights: float
    rounding: float | None

    def allowed(self, precision: str) -> float:
        """Return the largest difference that rounding can explain."""
        return max(TOLERANCE[precision], ROUNDING_FACTOR * (self.rounding or 0.0))


class Comparison(NamedTuple):
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
            (
                difference
                for difference in self.differences
                if not difference.weights <= difference.allowed(self.precision)
            ),
            None,
        )

    def rows(self) -> list[tuple[str, ...]]:
        """Return the rows of a table."""
        rows: list[tuple[str, ...]] = [
            (
                f"loss, epoch {number}",
                f"{alone:.6f}",
                f"{several:.6f}",
                f"{abs(alone - several):.1e}",
            )
            for number, (alone, several) in enumerate(zip(*self.losses, strict=True), 1)
        ]
        for when, weights, rounding in self.differences:
            rows.append((f"weights, {when}", "", "", f"{weights:.1e}"))
            if rounding is not None:
                rows.append(("  by rounding alone", "", "", f"{rounding:.1e}"))
        return rows

    def json(self) -> dict[str, Any]:
        """Return the fields for JSON output."""
        differences = [difference._asdict() for difference in self.differences]
        return self._asdict() | {"differences": differences}


def compare_devices(app: App, options: CheckDistributeOptions = DEFAULTS) -> Comparison | None:
    """Train on one device and on several, with the same batches in the same order.

    Dropout is left out: each replica draws its own. Of several workers the chief compares, and
    the others get None.

    Args:
        app: App to train, with its optimizer.
        options: Devices, strategy and number format.

    Raises:
        UnequalError: Weights differ by more than rounding.
        StrategyError: There are fewer devices, or no other workers.

    """
    # Each training traces its own functions, and TensorFlow warns about that.
    tf.get_logger().setLevel("ERROR")
    one_device, several_devices = (
        distribution.make_strategy("one"),
        distribution.make_strategy(options.strategy, options.num_devices),
    )
    names = [field.name for field in dataclasses.fields(app)]
    changes: dict[str, Any] = {name: EPOCHS_PER_STAGE for name in names if name.endswith("epochs")}
    changes |= {name: 0.0 for name in names if "dropout" in name} | {"patience": 0}
    app = dataclasses.replace(app, **changes)
    splits = app.load_splits(options.data_dir)
    count = several_devices.num_replicas_in_sync
    size = distribution.batch_size(app, len(splits.train), count)
    app = dataclasses.replace(app, batch_size=size)  # the same on one device
    choice = choose_precision(options.precision, app.modality, app.compute_dtypes)
    with several_devices.scope(), distribution.report_lost_workers():
        policy = distribution.agree_on_precision(app, splits, choice).policy
        several = _train_and_record(app, splits, several_devices, policy)
        if not distribution.is_chief():
            return None
    alone = _train_and_record(app, splits, one_device, policy)
    distances = _distances(several, alone)
    rounding: list[float | None] = [None] * len(distances)
    if not max(distances) <= TOLERANCE[policy]:
        rounding[:] = _distances(
            _train_and_record(app, splits, one_device, policy, reversed_batches=True), alone
        )
    comparison = Comparison(
        losses=(alone.losses, several.losses),
        differences=[*map(Difference, alone.weights, distances, rounding)],
        moved=_distance(alone.start, [*alone.weights.values()][-1]),
        precision=policy,
    )
    _require_equal(comparison, app.optimizer, count)
    return comparison


def _require_equal(comparison: Comparison, optimizer: str, count: int) -> None:
    if (mistake := comparison.mistake) is not None:
        raise UnequalError(
            f"Received weights that differ by {mistake.weights:.1e} {mistake.when} on one device "
            f"and on {count}; expected at most {mistake.allowed(comparison.precision):.0e}, "
            f"because rounding alone makes {mistake.rounding:.1e}. Check the optimizer first: "
            f"athanor check-optimizer {optimizer}."
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


def _train_and_record(
    app: App, splits: Splits, strategy: Any, policy: str, *, reversed_batches: bool = False
) -> _Trained:
    with strategy.scope():
        parts = build_compiled(app, splits, policy)
        parts.network.steps_per_execution = 1
        distribution.synchronize_batch_normalization(
            parts.network
        )  # also on one device, since it changes the arithmetic
        start = parts.network.get_weights()
        fit_data = make_fit_data(app, splits, parts)
        fit_data = fit_data._replace(
            steps_per_epoch=min(STEPS_PER_EPOCH, fit_data.steps_per_epoch), steps_per_execution=1
        )
        if reversed_batches:
            fit_data = fit_data._replace(
                train=fit_data.train.map(_reverse_batch), transform=_reverse_batch
            )
        recorder = _WeightRecorder(parts.network)
        callbacks = [optimizers.AveragedWeights(), recorder]
        app.fit(parts.network, fit_data, callbacks=callbacks, verbose=0)
        return _Trained(start, recorder.weights, recorder.losses)


def _reverse_batch(batch: Any) -> Any:
    return tf.nest.map_structure(lambda part: tf.reverse(part, [0]), batch)


def _distances(first: _Trained, second: _Trained) -> list[float]:
    pairs = zip(first.weights.values(), second.weights.values(), strict=True)
    return [_distance(*pair) for pair in pairs]


def _distance(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    pairs = zip(first, second, strict=True)
    return max(float(np.abs(a - b).max() / max(1.0, np.abs(b).max())) for a, b in pairs if a.size)
