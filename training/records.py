"""What a run says of itself: to the user at its start, to its directory at its end."""

import dataclasses
import platform
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from apps.app import App
from pipelines.feed import feed
from pipelines.splits import Fold, Splits
from training import callbacks as own
from training import samples
from training import strategy as distribution
from training.build import Parts
from training.checkpoint import Found
from training.precision import Choice, processor
from training.run import INTERRUPTED, finish

NUM_SAMPLES = 64  # raw inputs kept with their answers, for the gate of every export


class Fitted(NamedTuple):
    """How a fit went; `stopped` is what ended it before its time."""

    history: own.History
    best: own.KeepBest
    seconds: float
    stopped: BaseException | None


def announcement(
    app: App, splits: Splits, parts: Parts, choice: Choice, path: Path, found: Found | None
) -> str:
    """What is about to be trained, on what, where, and where it goes on."""
    sizes = ", ".join(f"{size} {name}" for name, size in splits.sizes.items())
    if splits.dropped:
        sizes += f" ({splits.dropped} dropped from train, being in an official split too)"
    lines = [
        f"{app.name()}: {app.data}, {sizes}; {parts.network.count_params():,} parameters",
        *(f"data  {note}" for note in splits.notes),
        f"precision {choice.policy} ({choice.reason}); run directory {path}",
        *([f"goes on after epoch {found.position.epoch}"] if found else []),
    ]
    return "\n".join(lines)


def keep(splits: Splits, parts: Parts, path: Path, passport: dict[str, Any]) -> None:
    """Store what a fitted model's run holds besides it: the passport last, which ends the run."""
    keep_samples(splits, parts, path)
    finish(path, passport)


def keep_samples(splits: Splits, parts: Parts, path: Path) -> None:
    """Store raw inputs and this process's answers, taken by the way of training."""
    few = splits.test.select(np.arange(min(NUM_SAMPLES, len(splits.test))))
    answers = [
        parts.network(features, training=False)
        for features, _ in feed(few, batch_size=NUM_SAMPLES, prepare=parts.prepare)
    ]
    if parts.finish is not None:
        answers = [parts.finish(answer) for answer in answers]
    kept = samples.Samples(few.numpy().features, np.concatenate(answers))
    samples.save(path / "samples.npz", kept)


def passport(
    app: App, splits: Splits, parts: Parts, choice: Choice, fitted: Fitted, fold: Fold | None
) -> dict[str, Any]:
    """The content of run.json."""
    epochs = len(fitted.history.rows)
    reading = app.reading(splits)
    return {
        "app": app.name(),
        "question": app.question,
        "answer": app.answers(splits),
        "fields": app.to_json(),
        "data": {
            "fingerprint": splits.fingerprint(),
            "sizes": splits.sizes,
            "spec": splits.spec,
            "dropped": splits.dropped,
            "notes": splits.notes,
            "fold": fold and fold._asdict(),
            "quarantine": splits.quarantine,
        },
        "labels": splits.labels,
        "reading": reading and {"way": type(reading).__name__, **dataclasses.asdict(reading)},
        "precision": choice._asdict(),
        "parameters": parts.network.count_params(),
        "epochs": epochs,
        "best_epoch": fitted.best.epoch,
        "stopped": fitted.stopped and (str(fitted.stopped) or INTERRUPTED),
        "seconds": {"train": round(fitted.seconds, 3)},
        "examples_per_second": round(epochs * len(splits.train) / fitted.seconds, 1),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
        "hardware": processor(),
        "devices": [device.device_type for device in tf.config.list_physical_devices()],
        "strategy": distribution.name(),
        "replicas": distribution.replicas(),
    }
