"""Read and write checkpoint files, and check that a training may continue from one."""

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from apps.app import App
from apps.fields import with_current_names
from apps.fit_data import TrainingPosition
from pipelines.quarantine import digest
from pipelines.splits import Fold
from training import directory, snapshot
from training.directory import is_resumable
from training.distributed.cluster import Strategy
from training.manifest import with_automatic
from training.options import TrainOptions
from training.run import CHECKPOINT, MANIFEST, Run, RunError

# Version of the checkpoint format: version 1 has no number; since 2, automatic values are null.
FORMAT_VERSION = 2


class TrainingIdentity(NamedTuple):
    """The values that must be equal for a training to continue from a checkpoint.

    Attributes:
        app: Name of the app.
        fields: Fields of the app.
        about: Other values that must be equal, by name: data, precision, versions.
        precision: Number format and the reason for it.
        strategy: Distribution strategy.
        devices: Number of devices.
        directory: Directory of prepared TFDS sets, as returned by `sets_directory`.

    """

    app: str
    fields: dict[str, Any]
    about: dict[str, Any]
    precision: dict[str, str]
    strategy: Strategy
    devices: int
    directory: str | None = None

    def differences(self, other: "TrainingIdentity") -> list[str]:
        """Describe the values that differ from those of another training."""
        values, other_values = (
            {
                "app": identity.app,
                **identity.fields,
                **identity.about,
                "number of devices": identity.devices,
            }
            for identity in (self, other)
        )
        return [
            f"{name} {value!r} instead of {other_values.get(name)!r}"
            for name, value in values.items()
            if other_values.get(name) != value
        ]


class CheckpointState(NamedTuple):
    """Content of a checkpoint.

    Attributes:
        position: Finished stages, epochs and steps.
        known: Identity of the training.
        remembered: Attributes of the callbacks, by class name.
        spent: Seconds spent in the epoch in progress.
        halvings: Each halving of the learning rate: (step, rate before).
        forced: Differences that the user accepted with --force.
        state: Values of the variables of model and optimizer, in their order.
        metrics: Metric variables of the epoch in progress.
        best: Weights of the best epoch so far.
        path: Path of the file.

    """

    position: TrainingPosition
    known: TrainingIdentity
    remembered: dict[str, dict[str, Any]]
    spent: float
    halvings: list[tuple[int, float]]
    forced: list[str]
    state: list[np.ndarray]
    metrics: list[np.ndarray]
    best: list[np.ndarray]
    path: Path

    @property
    def seconds(self) -> float:
        """Training seconds of the finished steps."""
        rows = self.remembered.get("History", {}).get("rows", [])
        return sum(row["seconds"] for row in rows) + self.spent


def newest_checkpoint(path: Path) -> CheckpointState | None:
    """Read the newest undamaged checkpoint of a run directory; None if there is none.

    For a damaged one it prints a line to standard error and tries the one before.
    """
    for file in directory.checkpoint_paths(path):
        try:
            return _read_checkpoint(file)
        except snapshot.DamagedError as error:
            print(
                f"athanor: {file} is damaged ({error}); trying the one before it.",
                file=sys.stderr,
                flush=True,
            )
        except OSError as error:
            raise RunError(
                f"Received {file}, which cannot be read ({error.strerror}); expected a readable "
                "checkpoint. Repair the disk or its permissions, or choose another --run-dir."
            ) from error
    return None


def load_identity(path: Path, app: type[App]) -> TrainingIdentity:
    """Read what identifies the run in a directory, finished or not.

    Raises RunError if the directory has no run of this app.
    """
    known: TrainingIdentity | None = None
    if (path / MANIFEST).exists():
        content = Run(path).manifest
        about = {
            "deterministic": content.get("deterministic", False),
            "minutes": (content.get("time_limit") or {}).get("minutes"),
        }
        known = TrainingIdentity(
            content["app"],
            content["fields"],
            about,
            content["precision"],
            content["strategy"],
            content["replicas"],
            content["data"].get("directory"),
        )
    elif checkpoint := find_checkpoint(path):
        known = checkpoint.known
    if known is None:
        raise RunError(
            f"Received --resume {str(path)!r}, which has no run and no checkpoint; expected "
            "the directory of a training. Look in runs/, or start a new one: the same command "
            "with --run-dir."
        )
    if known.app != app.name():
        raise RunError(
            f"Received --resume {str(path)!r}, a run of {known.app}, for {app.name()}; expected "
            f"one of {app.name()}: athanor {known.app} train --resume {path}"
        )
    return known


def find_finished_run(app: App, options: TrainOptions, *, fold: Fold | None = None) -> Run | None:
    """Return the finished run in `options.run_dir`, if app, fold and quarantine are the same.

    A process may have ended after its training and before the evaluation.
    """
    path = options.run_dir
    if path is None or not (path / MANIFEST).exists() or is_resumable(path):
        return None
    run = Run.load(path, options.data_dir)
    content = run.manifest
    applied = (content["data"].get("quarantine") or {}).get("digest")
    requested = options.quarantine and digest(options.quarantine)
    minutes = (content.get("time_limit") or {}).get("minutes")
    if (
        (content["app"], content["fields"]) != (app.name(), app.to_json())
        or (run.fold, applied, minutes) != (fold, requested, options.minutes)
        or content["stopped"]
    ):
        return None
    print(f"{path} is trained already")
    directory.remove_training_files(run.path)
    return run


def find_checkpoint(path: Path | None) -> CheckpointState | None:
    """Read the newest checkpoint of an unfinished training; None if there is none."""
    return (
        newest_checkpoint(path)
        if path is not None and path.is_dir() and is_resumable(path)
        else None
    )


def start_or_continue(
    known: TrainingIdentity, checkpoint: CheckpointState | None, *, force: bool
) -> CheckpointState:
    """Return the state to continue from, or an empty state for a new training.

    Raises RunError if the checkpoint is of a different training, unless `force` is set.
    """
    if checkpoint is None:
        return CheckpointState(
            TrainingPosition(), known, {}, 0.0, [], [], [], [], [], Path(os.devnull)
        )
    different = known.differences(checkpoint.known)
    if different and not force:
        raise RunError(
            f"Received {'; '.join(different)} for the run {checkpoint.path.parents[1]}; expected "
            "the same values as at its start. Leave the change out, choose another --run-dir, or "
            "add --force, which does not continue exactly."
        )
    return checkpoint._replace(known=known, forced=[*checkpoint.forced, *different])


def write_first_checkpoint(state: CheckpointState, path: Path | None) -> CheckpointState:
    """Write the initial state as a checkpoint, unless the directory has it already."""
    if path is None or state.path.parent == path / CHECKPOINT:
        return state
    state = state._replace(path=directory.next_checkpoint_path(path))
    write(state.path, state)
    return state


def _read_checkpoint(path: Path) -> CheckpointState:
    content, arrays = snapshot.read(path)
    try:
        known = TrainingIdentity(**content["known"])
        known = known._replace(fields=with_current_names(known.fields))
        if "format" not in content:
            known = known._replace(fields=with_automatic(known.app, known.fields))
        return CheckpointState(
            TrainingPosition(*content["position"]),
            known,
            content["remembered"],
            content["spent"],
            [(step, rate) for step, rate in content["halvings"]],
            content["forced"],
            arrays["state"],
            arrays["metrics"],
            arrays["best"],
            path,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise snapshot.DamagedError("it was written by another version") from error


def write(path: Path, checkpoint: CheckpointState) -> None:
    """Write a checkpoint to its file."""
    content = checkpoint._asdict()
    del content["path"]
    arrays = {name: content.pop(name) for name in ("state", "metrics", "best")}
    content |= {"known": checkpoint.known._asdict(), "format": FORMAT_VERSION}
    snapshot.write(path, content, arrays)
