"""A trial: an ordinary run of the app with the values that were drawn."""

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
from training.fitting import DivergedError
from training.options import TrainOptions
from training.provenance import ProvenanceError
from training.run import INTERRUPTED, MANIFEST, Run, RunError
from training.train import train
from tuning import objectives, space, tuner_fixes
from tuning.journal import UnwrittenError
from tuning.oracles import SCORE, Journaled

HEARTBEAT = 20.0  # seconds


class TakenError(Exception):
    """Another worker has this trial now."""


class Task(NamedTuple):
    """What every trial of a search has in common.

    Attributes:
        app: whose fields are drawn.
        directory: of the search.
        objectives: "min" or "max" by name, the first one of the validation scores.
        valid: digest of the validation examples.
        options: with which every trial is trained.

    """

    app: App
    directory: Path
    objectives: dict[str, str]
    valid: str
    options: TrainOptions

    @property
    def first(self) -> str:
        """The objective that is known after every epoch."""
        return next(iter(self.objectives))

    @property
    def scores(self) -> dict[str, str]:
        """The directions of what is reported."""
        return scores(self.objectives)

    def path(self, trial_id: str) -> Path:
        """The run directory of a trial."""
        return self.directory / "trials" / trial_id

    def holder(self, trial_id: str) -> Path:
        """The file that names the worker whose trial it is."""
        return self.path(trial_id).with_suffix(".worker")


def scores(objectives: dict[str, str]) -> dict[str, str]:
    """The directions of what is reported: the first objective goes by one name everywhere."""
    first, *rest = objectives.values()
    return {SCORE: first, **dict(zip(list(objectives)[1:], rest, strict=True))}


class Reporter(keras.callbacks.Callback):
    """Tells the oracle, after every epoch, how good the model is that would be kept.

    Raises StopTrainingError where the trial need not go on.
    """

    def __init__(
        self, score: Callable[[], float], tell: Callable[[dict[str, float], int], str]
    ) -> None:
        super().__init__()
        self.score, self.tell = score, tell

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Report."""
        if self.tell({SCORE: self.score()}, epoch + 1) == "STOPPED":
            raise StopTrainingError


class FieldsTuner(base_tuner.BaseTuner):
    """KerasTuner's loop of a worker, over the fields of an app."""

    def __init__(self, oracle: Journaled, task: Task, *, loud: bool) -> None:
        self.task, self.loud = task, loud
        super().__init__(oracle)
        # Every trial has functions of its own, of which it warns.
        tf.get_logger().setLevel("ERROR")
        self.oracle: Any = oracle if self.oracle is oracle else tuner_fixes.PatientClient(oracle)
        self.first_error: Exception | None = None

    def _try_run_and_update_trial(self, trial: Trial, *_: Any, **__: Any) -> None:
        done = threading.Event()
        alive = threading.Thread(target=self._say_alive, args=(trial.trial_id, done), daemon=True)
        alive.start()
        path, holder = (one(trial.trial_id) for one in (self.task.path, self.task.holder))
        try:
            path.parent.mkdir(exist_ok=True)
            with atomic_write(holder) as beside:
                beside.write_text(self.tuner_id)
            self.run_trial(trial)
            trial.status = "COMPLETED"
        except (grpc.RpcError, UnwrittenError, RunError, ProvenanceError, OSError):
            raise  # no fault of the trial
        except TakenError:
            pass
        except Exception as error:
            trial.status = "FAILED"
            if not int(trial.trial_id):
                self.first_error = error  # keeps all that its traceback knows
            path.mkdir(exist_ok=True)
            with atomic_write(path / "failed.txt") as beside:
                beside.write_text(_reason(error) + "\n")
        finally:
            done.set()

    def _say_alive(self, trial_id: str, done: threading.Event) -> None:
        while not done.wait(HEARTBEAT):
            self.oracle.get_trial(trial_id)

    def run_trial(self, trial: Trial, *_: Any, **__: Any) -> None:
        """Train, or go on with it; then measure the artifact where that was asked for."""
        task, path = self.task, self.task.path(trial.trial_id)
        app = space.drawn(task.app, trial.hyperparameters.values)

        def score() -> float:
            return objectives.kept(path / "history.csv", app.monitor, task.first)

        def tell(scores: dict[str, float], step: int) -> str:
            if not self._holds(trial.trial_id):
                raise TakenError
            return self.oracle.update_trial(trial.trial_id, scores, step=step).status

        (path / "failed.txt").unlink(missing_ok=True)
        if run := self._finished(path):
            remove_training_files(path)
        else:
            loud = 2 if self.loud and not int(trial.trial_id) else 0
            reporter = Reporter(score, tell)
            run = train(app, task.options, run_dir=path, callbacks=[reporter], verbose=loud)
        self._same_questions(run)
        if len(task.objectives) > 1:
            measured = {SCORE: score(), **objectives.measured(run, trust=task.options.trust)}
            tell(measured, run.manifest["epochs"] + 1)

    def _holds(self, trial_id: str) -> bool:
        return self.task.holder(trial_id).read_text() == self.tuner_id

    def _finished(self, path: Path) -> Run | None:
        """The run of a process that ended before it could tell; an interrupted one goes on."""
        if not (path / MANIFEST).exists():
            return None
        run = Run.load(path, self.task.options.data_dir)
        provenance.require_signature(path, provenance.RUN_FILES, trust=self.task.options.trust)
        stopped = run.manifest["stopped"]
        if stopped not in (None, INTERRUPTED):
            raise DivergedError(stopped)
        return None if is_resumable(path) else run

    def _same_questions(self, run: Run) -> None:
        if digest(run.splits) != self.task.valid:
            raise FieldError(
                "Received values that choose other validation examples; expected the same in "
                "every trial, or scores cannot be compared. Leave such fields out of the space."
            )

    def on_trial_end(self, trial: Trial) -> None:
        """Tell how it ended, and let go of what training held."""
        if self._holds(trial.trial_id):
            self.oracle.end_trial(trial)
        tuner_fixes.free_graphs()

    def _get_tuner_fname(self) -> str:
        return str(self.task.directory / "none")  # of KerasTuner, whose state the journal replaces

    def save(self) -> None:
        """The journal is enough."""

    def reload(self) -> None:
        """The journal is enough."""


def _reason(error: Exception) -> str:
    text = replace_home(" ".join(str(error).split()))[:500]
    return text if hasattr(error, "exit_status") else f"{type(error).__name__}: {text}"


def digest(splits: Splits) -> str:
    """Of the validation examples: raw inputs and targets."""
    part = splits.valid
    order = np.argsort(hashes := part.content_hashes(), kind="stable")
    found = hashlib.blake2b(hashes[order].tobytes(), digest_size=16)
    found.update(np.ascontiguousarray(part.targets[order]).tobytes())
    return found.hexdigest()
