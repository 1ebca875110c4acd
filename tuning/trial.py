"""A trial: an ordinary run of the app with values that the tuner proposed."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import keras
import numpy as np
import tensorflow as tf
from keras_tuner.engine import base_tuner
from keras_tuner.src.engine.trial import Trial

from apps.app import App, FieldError
from pipelines.files import atomic_write, replace_home
from pipelines.splits import Splits
from training import provenance
from training.callbacks import StopTrainingError
from training.directory import is_resumable, remove_training_files
from training.failures import DivergedError
from training.options import TrainOptions
from training.provenance import ProvenanceError
from training.run import INTERRUPTED, MANIFEST, Run, RunError
from training.train import train
from tuning import objectives, space, tuner_fixes
from tuning.journal import JournalWriteError
from tuning.oracles import SCORE, JournaledOracle

HEARTBEAT_SECONDS = 20.0  # between two signs of life of a worker
MAX_REASON_CHARACTERS = 500


class ReassignedError(Exception):
    """Another worker has taken over this trial."""


class TrialTask(NamedTuple):
    """What all trials of a search share.

    Attributes:
        app: whose fields are drawn.
        directory: of the search.
        objectives: "min" or "max" by name, the first one of the validation scores.
        valid_digest: digest of the validation examples.
        options: with which every trial is trained.

    """

    app: App
    directory: Path
    objectives: dict[str, str]
    valid_digest: str
    options: TrainOptions

    @property
    def first_objective(self) -> str:
        """The validation score that every epoch reports."""
        return next(iter(self.objectives))

    @property
    def score_directions(self) -> dict[str, str]:
        """The direction of each reported score."""
        return score_directions(self.objectives)

    def path(self, trial_id: str) -> Path:
        """Return the run directory of a trial."""
        return self.directory / "trials" / trial_id

    def worker_file(self, trial_id: str) -> Path:
        """Return the file that names the worker that runs a trial."""
        return self.path(trial_id).with_suffix(".worker")


def score_directions(objectives: dict[str, str]) -> dict[str, str]:
    """Return the direction of each reported score; the first objective is always called SCORE."""
    first, *rest = objectives.values()
    return {SCORE: first, **dict(zip(list(objectives)[1:], rest, strict=True))}


class ReportScores(keras.callbacks.Callback):
    """Report the score of the best model so far to the oracle, after every epoch.

    Args:
        score: returns the score of the best model so far.
        report: sends scores and an epoch to the oracle, and returns the status of the trial.

    Raises:
        StopTrainingError: the oracle stopped the trial.

    """

    def __init__(
        self, score: Callable[[], float], report: Callable[[dict[str, float], int], str]
    ) -> None:
        super().__init__()
        self.score, self.report = score, report

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Report the score; end training if the oracle stops the trial."""
        if self.report({SCORE: self.score()}, epoch + 1) == "STOPPED":
            raise StopTrainingError


class FieldsTuner(base_tuner.BaseTuner):
    """A KerasTuner worker: it trains the app with the values of one trial after another."""

    def __init__(self, oracle: JournaledOracle, task: TrialTask, *, verbose: bool) -> None:
        self.task, self.verbose = task, verbose
        super().__init__(oracle)
        # TensorFlow warns that every trial traces functions of its own.
        tf.get_logger().setLevel("ERROR")
        self.oracle: Any = oracle if self.oracle is oracle else tuner_fixes.PatientClient(oracle)
        self.first_error: Exception | None = None

    def _try_run_and_update_trial(self, trial: Trial, *_: Any, **__: Any) -> None:
        done = threading.Event()
        heartbeats = threading.Thread(
            target=self._send_heartbeats, args=(trial.trial_id, done), daemon=True
        )
        heartbeats.start()
        path, worker_file = self.task.path(trial.trial_id), self.task.worker_file(trial.trial_id)
        try:
            path.parent.mkdir(exist_ok=True)
            with atomic_write(worker_file) as temporary:
                temporary.write_text(self.tuner_id)
            self.run_trial(trial)
            trial.status = "COMPLETED"
        except (grpc.RpcError, JournalWriteError, RunError, ProvenanceError, OSError):
            raise  # The trial has no fault; it can continue later.
        except ReassignedError:
            pass
        except Exception as error:
            trial.status = "FAILED"
            if not int(trial.trial_id):
                self.first_error = error  # whose traceback the user sees
            path.mkdir(exist_ok=True)
            with atomic_write(path / "failed.txt") as temporary:
                temporary.write_text(_reason(error) + "\n")
        finally:
            done.set()

    def _send_heartbeats(self, trial_id: str, done: threading.Event) -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            self.oracle.get_trial(trial_id)

    def run_trial(self, trial: Trial, *_: Any, **__: Any) -> None:
        """Train or continue a trial; then measure its artifact if that is an objective."""
        task, path = self.task, self.task.path(trial.trial_id)
        app = space.with_values(task.app, trial.hyperparameters.values)

        def score() -> float:
            return objectives.best_so_far(path / "history.csv", app.monitor, task.first_objective)

        def report(scores: dict[str, float], step: int) -> str:
            if not self._runs_here(trial.trial_id):
                raise ReassignedError
            return self.oracle.update_trial(trial.trial_id, scores, step=step).status

        (path / "failed.txt").unlink(missing_ok=True)
        if run := self._finished_run(path):
            remove_training_files(path)
        else:
            verbose = 2 if self.verbose and not int(trial.trial_id) else 0
            callback = ReportScores(score, report)
            run = train(app, task.options, run_dir=path, callbacks=[callback], verbose=verbose)
        self._require_same_validation(run)
        if len(task.objectives) > 1:
            measured = {SCORE: score(), **objectives.artifact_costs(run, trust=task.options.trust)}
            report(measured, run.manifest["epochs"] + 1)

    def _runs_here(self, trial_id: str) -> bool:
        """Whether no other worker has taken over a trial."""
        return self.task.worker_file(trial_id).read_text() == self.tuner_id

    def _finished_run(self, path: Path) -> Run | None:
        """Return the run of a trial whose end was not reported; None if it must continue."""
        if not (path / MANIFEST).exists():
            return None
        run = Run.load(path, self.task.options.data_dir)
        provenance.require_signature(path, provenance.RUN_FILES, trust=self.task.options.trust)
        stopped = run.manifest["stopped"]
        if stopped not in (None, INTERRUPTED):
            raise DivergedError(stopped)
        return None if is_resumable(path) else run

    def _require_same_validation(self, run: Run) -> None:
        if validation_digest(run.splits) != self.task.valid_digest:
            raise FieldError(
                "Received values that choose other validation examples; expected the same in "
                "every trial, or scores cannot be compared. Leave such fields out of the space."
            )

    def on_trial_end(self, trial: Trial) -> None:
        """Report how the trial ended, and free the memory of its training."""
        if self._runs_here(trial.trial_id):
            self.oracle.end_trial(trial)
        tuner_fixes.free_graphs()

    def _get_tuner_fname(self) -> str:
        return str(self.task.directory / "none")  # KerasTuner's state, which the journal replaces

    def save(self) -> None:
        """Do nothing: the journal holds the state."""

    def reload(self) -> None:
        """Do nothing: the journal holds the state."""


def _reason(error: Exception) -> str:
    text = replace_home(" ".join(str(error).split()))[:MAX_REASON_CHARACTERS]
    return text if hasattr(error, "exit_status") else f"{type(error).__name__}: {text}"


def validation_digest(splits: Splits) -> str:
    """Return the digest of the validation examples: raw inputs and targets."""
    part = splits.valid
    order = np.argsort(hashes := part.content_hashes(), kind="stable")
    digest = hashlib.blake2b(hashes[order].tobytes(), digest_size=16)
    digest.update(np.ascontiguousarray(part.targets[order]).tobytes())
    return digest.hexdigest()
