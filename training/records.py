"""Describe a run at its start, and write its files at its end."""

import dataclasses
import platform
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines import fingerprints
from pipelines.batches import ordered_batches
from pipelines.files import replace_home
from pipelines.splits import Fold, Splits
from training import calibration, held_out, samples
from training.build import ModelParts
from training.directory import is_default_directory, update_latest_link, write_manifest
from training.distributed import strategy as distribution
from training.fitting import FitResult, TrainingJob
from training.manifest import ANSWERS
from training.precision import PrecisionChoice, processor_name
from training.run import COLUMNS, INTERRUPTED, write_text

NUM_SAMPLES = 64  # raw inputs stored with their predictions, for the parity check of exports


def start_message(job: TrainingJob, choice: PrecisionChoice) -> str:
    """Describe what is trained on which data, in which directory, and where it continues."""
    app, splits, position = job.app, job.splits, job.begin.position
    sizes = ", ".join(f"{size} {name}" for name, size in splits.sizes.items())
    if splits.dropped:
        sizes += f" ({splits.dropped} dropped from train: also in an official split)"
    lines = [
        f"{app.name()}: {app.data}, {sizes}; {job.parts.network.count_params():,} parameters",
        *(f"data  {note}" for note in splits.notes),
        *(f"{name}  {file.note}" for name, file in app.input_files(splits).items()),
        f"chosen  {_chosen(job)}",
        f"precision {choice.policy} ({choice.reason}); run directory {job.path}",
    ]
    if position.epoch or position.step:
        steps = f" and {position.step} steps" if position.step else ""
        lines.append(f"continues after epoch {position.epoch}{steps}")
    return "\n".join(lines)


def _chosen(job: TrainingJob) -> str:
    """List the values that the app chose, with the reason for a lowered learning rate."""
    values = dict(job.chosen)
    chosen_rate, peak = values.get("learning_rate"), job.app.peak_learning_rate
    if chosen_rate is not None and chosen_rate < peak:
        values["learning_rate"] = (
            f"{chosen_rate:.3g} (lowered from {peak:g} for a run of {job.steps:,} steps; "
            "--learning-rate is taken as it is)"
        )
    return "; ".join(f"{name} {value}" for name, value in values.items()) or "nothing"


def write_run(
    job: TrainingJob, fitted: FitResult, manifest: dict[str, Any], coverage: float
) -> None:
    """Calibrate the model, and write the files of a run beside it.

    The manifest comes last and marks the run as finished.
    """
    if job.path is None:
        return
    found = calibration.calibrate(job.splits, job.parts, fitted.held_out)
    fitted.best.save()
    found.save(job.path / held_out.FILE)
    manifest |= calibration.decisions(job.splits, job.parts, found, coverage)
    write_samples(job.splits, job.parts, job.path, manifest.get("thresholds"))
    if table := job.splits.column_table:
        write_text(job.path / COLUMNS, table.csv(job.splits.train))
    write_manifest(job.path, manifest)
    if is_default_directory(job.path, job.app):
        update_latest_link(job.path)


def write_samples(
    splits: Splits, parts: ModelParts, path: Path, lowest: list[float] | None = None
) -> None:
    """Write raw inputs of the test set and the predictions of the trained network."""
    examples = splits.test.select(np.arange(min(NUM_SAMPLES, len(splits.test))))
    predictions = [
        parts.finish(parts.network(features, training=False))
        for features, _ in ordered_batches(
            examples, batch_size=NUM_SAMPLES, prepare=parts.preprocessing
        )
    ]
    labels = samples.as_bytes(splits.labels) if splits.labels else None
    stored = samples.Samples(
        examples.numpy().features,
        np.concatenate(predictions),
        labels,
        None if lowest is None else np.array(lowest, "float32"),
    )
    samples.save(path / "samples.npz", stored)


def make_manifest(
    job: TrainingJob, choice: PrecisionChoice, fitted: FitResult, fold: Fold | None
) -> dict[str, Any]:
    """Make the content of run.json."""
    app, splits, parts, begin = job.app, job.splits, job.parts, job.begin
    epochs = len(fitted.history.rows)
    reading = app.make_input_decoder(splits)
    return {
        "app": app.name(),
        "question": app.modality,
        "answer": ANSWERS[app.task_of(splits)],
        "fields": app.to_json(),
        "chosen": job.chosen,
        "data": {
            "fingerprint": splits.fingerprint(),
            "parts": fingerprints.digest_splits(splits),
            "sizes": splits.sizes,
            "spec": splits.spec,
            "dropped": splits.dropped,
            "notes": splits.notes,
            "fold": fold and fold._asdict(),
            "directory": begin.known.directory,
            "quarantine": splits.quarantine,
        },
        "files": {name: file._asdict() for name, file in app.input_files(splits).items()},
        "labels": splits.labels,
        "reading": reading and _describe_reading(reading),
        "precision": choice._asdict(),
        "parameters": parts.network.count_params(),
        "epochs": epochs,
        "best_epoch": fitted.best.epoch,
        "stages": fitted.stages,
        "blend": _describe_blend(parts.network),
        "stopped": _reason(fitted.stopped),
        "halvings": begin.halvings,
        "time_limit": job.time_limit and job.time_limit.describe(),
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
        "hardware": processor_name(),
        "devices": [device.device_type for device in tf.config.list_physical_devices()],
        "strategy": distribution.strategy_name(),
        "replicas": distribution.num_replicas(),
    }


def _describe_blend(network: Any) -> dict[str, dict[str, float]]:
    """Return the weight and the validation loss of each part of a blend; {} for other networks."""
    blends = [layer for layer in network.layers if hasattr(layer, "describe_blend")]
    return blends[0].describe_blend() if blends else {}


def _describe_reading(reading: Any) -> dict[str, Any]:
    """Return the class and the fields of an input decoder; formats without their empty fields."""
    described = {"way": type(reading).__name__, **dataclasses.asdict(reading)}
    if "forms" in described:
        described["forms"] = {name: form.entries for name, form in reading.forms.items()}
    return described


def _reason(stopped: BaseException | None) -> str | None:
    if stopped is None:
        return None
    return INTERRUPTED if isinstance(stopped, KeyboardInterrupt) else replace_home(str(stopped))
