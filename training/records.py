"""What a run says of itself: to the user at its start, to its directory at its end."""

import dataclasses
import platform
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines import fingerprints
from pipelines.batches import ordered_batches
from pipelines.files import without_home
from pipelines.splits import Fold, Splits
from training import samples
from training.build import Parts
from training.directory import finish, is_usual, point_latest
from training.distributed import strategy as distribution
from training.fitting import Fitted, Task
from training.manifest import ANSWERS
from training.precision import Choice, processor
from training.run import INTERRUPTED

NUM_SAMPLES = 64  # raw inputs kept with their answers, for the gate of every export


def announcement(task: Task, choice: Choice) -> str:
    """What is about to be trained, on what, where, and where it goes on."""
    app, splits, position = task.app, task.splits, task.begin.position
    sizes = ", ".join(f"{size} {name}" for name, size in splits.sizes.items())
    if splits.dropped:
        sizes += f" ({splits.dropped} dropped from train, being in an official split too)"
    lines = [
        f"{app.name()}: {app.data}, {sizes}; {task.parts.network.count_params():,} parameters",
        *(f"data  {note}" for note in splits.notes),
        f"chosen  {_chosen(task)}",
        f"precision {choice.policy} ({choice.reason}); run directory {task.path}",
    ]
    if position.epoch or position.step:
        steps = f" and {position.step} steps" if position.step else ""
        lines.append(f"goes on after epoch {position.epoch}{steps}")
    return "\n".join(lines)


def _chosen(task: Task) -> str:
    """What the app chose itself, and why its learning rate is not the usual one."""
    told = dict(task.chosen)
    highest, peak = told.get("learning_rate"), task.app.peak_learning_rate
    if highest is not None and highest < peak:
        told["learning_rate"] = (
            f"{highest:.3g} (lowered from {peak:g} for a run of {task.steps:,} steps; "
            "--learning-rate is taken as it is)"
        )
    return "; ".join(f"{name} {value}" for name, value in told.items()) or "nothing"


def keep(task: Task, manifest: dict[str, Any]) -> None:
    """Store what a fitted model's run holds besides it: the manifest last, which ends the run."""
    if task.path is None:
        return
    keep_samples(task.splits, task.parts, task.path)
    finish(task.path, manifest)
    if is_usual(task.path, task.app):
        point_latest(task.path)


def keep_samples(splits: Splits, parts: Parts, path: Path) -> None:
    """Store raw inputs and this process's answers, taken by the way of training."""
    few = splits.test.select(np.arange(min(NUM_SAMPLES, len(splits.test))))
    answers = [
        parts.network(features, training=False)
        for features, _ in ordered_batches(few, batch_size=NUM_SAMPLES, prepare=parts.prepare)
    ]
    if parts.finish is not None:
        answers = [parts.finish(answer) for answer in answers]
    labels = samples.as_bytes(splits.labels) if splits.labels else None
    kept = samples.Samples(few.numpy().features, np.concatenate(answers), labels)
    samples.save(path / "samples.npz", kept)


def make_manifest(task: Task, choice: Choice, fitted: Fitted, fold: Fold | None) -> dict[str, Any]:
    """The content of run.json."""
    app, splits, parts, begin = task.app, task.splits, task.parts, task.begin
    epochs = len(fitted.history.rows)
    reading = app.make_input_decoder(splits)
    return {
        "app": app.name(),
        "question": app.modality,
        "answer": ANSWERS[app.task_of(splits)],
        "fields": app.to_json(),
        "chosen": task.chosen,
        "data": {
            "fingerprint": splits.fingerprint(),
            "parts": fingerprints.of_parts(splits),
            "sizes": splits.sizes,
            "spec": splits.spec,
            "dropped": splits.dropped,
            "notes": splits.notes,
            "fold": fold and fold._asdict(),
            "directory": begin.known.directory,
            "quarantine": splits.quarantine,
        },
        "labels": splits.labels,
        "reading": reading and {"way": type(reading).__name__, **dataclasses.asdict(reading)},
        "precision": choice._asdict(),
        "parameters": parts.network.count_params(),
        "epochs": epochs,
        "best_epoch": fitted.best.epoch,
        "stages": fitted.stages,
        "stopped": _reason(fitted.stopped),
        "halvings": begin.halvings,
        "forced": begin.forced,
        "deterministic": begin.known.about["deterministic"],
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


def _reason(stopped: BaseException | None) -> str | None:
    if stopped is None:
        return None
    return INTERRUPTED if isinstance(stopped, KeyboardInterrupt) else without_home(str(stopped))
