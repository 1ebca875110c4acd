"""Whether several devices learn what one learns: the same steps on both, compared."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

import optimizers
from apps.app import App
from pipelines.splits import Splits
from training import strategy as distribution
from training.precision import Precision, choose
from training.train import compiled, feeds

STEPS = 20  # of each stage
TOLERANCE = {"float32": 1e-5, "mixed_bfloat16": 0.05}  # of the largest weight


class UnequalError(RuntimeError):
    """Devices that learnt something else."""

    exit_status = 1


class Compared(NamedTuple):
    """Losses and weights after the same steps.

    Attributes:
        losses: of validation after each stage, of one device and of several.
        difference: the largest of any weight, as a share of its array's largest.
        moved: how far the weights moved, in the same unit.
        precision: of the arithmetic.

    """

    losses: tuple[list[float], list[float]]
    difference: float
    moved: float
    precision: str

    def rows(self) -> list[tuple[str, ...]]:
        """For a table."""
        found = [
            (f"loss, stage {number}", f"{one:.6f}", f"{several:.6f}", f"{abs(one - several):.1e}")
            for number, (one, several) in enumerate(zip(*self.losses, strict=True), 1)
        ]
        return [*found, ("weights", "", "", f"{self.difference:.1e}")]


def compared(
    app: App, devices: int, *, data_dir: Path | None = None, precision: Precision = "auto"
) -> Compared:
    """Train on one device and on several, with the same batches in the same order.

    Dropout is left out: each replica draws its own.

    Args:
        app: what to train, with what optimizer.
        devices: how many.
        data_dir: where prepared TFDS sets lie.
        precision: as in training.

    Raises:
        UnequalError: where weights differ by more than rounding.
        StrategyError: where there are fewer devices.

    """
    fields = [field.name for field in dataclasses.fields(app) if "dropout" in field.name]
    app = dataclasses.replace(app, **dict.fromkeys(fields, 0.0), epochs=1, patience=0)
    splits = app.splits(data_dir)
    app = distribution.divided(app, splits, devices)
    policy = choose(precision, app.question, app.formats).policy
    one = _trained(app, splits, distribution.choose("one"), policy)
    several = _trained(app, splits, distribution.choose("mirrored", devices), policy)
    pairs = list(zip(several.weights, one.weights, strict=True))
    found = Compared(
        (one.losses, several.losses),
        max(_distance(a, b) for a, b in pairs),
        max(_distance(a, b) for a, b in zip(one.start, one.weights, strict=True)),
        policy,
    )
    if not found.difference <= TOLERANCE[policy]:
        raise UnequalError(
            f"Received weights that differ by {found.difference:.1e} between one device and "
            f"{devices} after {STEPS} steps; expected at most {TOLERANCE[policy]:.0e}. Look at "
            f"--optimizer {app.optimizer} first: athanor check-optimizer {app.optimizer}."
        )
    return found


class _Trained(NamedTuple):
    start: list[np.ndarray]
    weights: list[np.ndarray]
    losses: list[float]


class _Losses(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self.losses.append(float(logs["val_loss"]))


def _trained(app: App, splits: Splits, strategy: Any, policy: str) -> _Trained:
    with strategy.scope():
        parts = compiled(app, splits, policy)
        parts.network.steps_per_execution = 1
        distribution.synchronise(parts.network)  # like with like: it has another arithmetic
        start = parts.network.get_weights()
        made = feeds(app, splits, parts)
        made = made._replace(steps_per_epoch=min(STEPS, made.steps_per_epoch), steps_a_call=1)
        watch = _Losses()
        callbacks = [optimizers.AveragedWeights(), watch]
        app.fit(parts.network, made, callbacks=callbacks, verbose=0)
        return _Trained(start, parts.network.get_weights(), watch.losses)


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """As a share of the largest number."""
    return float(np.abs(one - other).max(initial=0) / max(np.abs(other).max(initial=0), 1e-30))
