"""Search over the fields of an app, in a directory that survives whatever ends its processes."""

import dataclasses
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import keras_tuner

from apps.app import App, FieldError
from training.precision import Precision
from training.run import CHECKPOINT, UNFINISHED, Run, RunError
from training.strategy import Strategy
from tuning import chief, identity, objectives, report, space, trial
from tuning.oracles import SCORE, Journaled, Limits
from tuning.tpe import TPE
from tuning.tuners import Bayesian, Grid, Hyperband, Random

Tuner = Literal["tpe", "random", "grid", "bayesian", "hyperband"]
ORACLES = {"random": Random, "grid": Grid, "bayesian": Bayesian, "hyperband": Hyperband}
WAIT = 30.0  # seconds for the workers of a killed search to end
REMOTE_PATIENCE = 120.0  # seconds; a worker is heard of every 20


class SearchError(RuntimeError):
    """A search that came to nothing."""

    exit_status = 1


class Searched(NamedTuple):
    """What a search found; its trials are those of the oracle, the winner an ordinary run."""

    directory: Path
    oracle: Journaled
    objective: str
    best: Run
    choice: objectives.Choice | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """How to search.

    Attributes:
        tuner: which oracle.
        trials: at most so many are begun.
        minutes: no trial begins later.
        workers: processes; several are started by the command of the search.
        objective: names with commas between; see tuning.objectives.
        space: a YAML file instead of the app's own space.
        keep: how many of the best trials keep their models.
        run_dir: of the search; by default it follows from what is searched.
        precision: as in training, of each trial; so are the last two.

    """

    tuner: Tuner = "tpe"
    trials: int = 20
    minutes: float | None = None
    workers: int = 1
    objective: str = ""
    space: Path | None = None
    keep: int = 3
    run_dir: Path | None = None
    precision: Precision = "auto"
    strategy: Strategy = "one"
    devices: int | None = None

    @property
    def how(self) -> dict[str, Any]:
        """How each trial is trained."""
        names = ("precision", "strategy", "devices")
        return {name: getattr(self, name) for name in names}

    def __post_init__(self) -> None:
        least = {"trials": 1, "workers": 1, "keep": 1, "minutes": 0}
        for name, low in least.items():
            given = getattr(self, name)
            if given is not None and not given >= low:
                raise FieldError(f"Received --{name} {given}; expected at least {low}.")


def search(
    app: App,
    asked: Asked,
    *,
    data_dir: Path | None = None,
    command: Sequence[str] = (),
    loud: bool = True,
    watch: Any = None,
) -> Searched | None:
    """Search, or go on with a search; None for a worker that another process started.

    Args:
        app: whose fields are drawn from its space; the other fields are as they are.
        asked: how.
        data_dir: where prepared TFDS sets lie.
        command: of this search, for its workers.
        loud: whether the first trial prints its epochs.
        watch: given the oracle, the function to call after every event.

    Raises:
        DataError, FieldError, JournalError, RunError, StrategyError: nothing was begun.
        SearchError: the first trial failed, or all did.
        WorkerError: a worker could not work.

    """
    told = identity.told(app, asked.tuner, asked.objective, asked.space, asked.how)
    directory = (asked.run_dir or told.usual_directory()).resolve()
    patience = REMOTE_PATIENCE if chief.role() else 0.0
    seconds = None if asked.minutes is None else 60 * asked.minutes
    limits = Limits(asked.trials, seconds, max(1, asked.workers), patience)
    oracle = _oracle(told, limits)
    options = {"data_dir": data_dir, **asked.how}
    if chief.role() == "worker":
        valid = identity.awaited(told, directory)
        _work(oracle, trial.Task(app, directory, told.objectives, valid, options))
        return None
    directory.mkdir(parents=True, exist_ok=True)
    with _held(directory) as lock:
        valid = identity.settle(told, directory, data_dir)
        oracle.open(directory, limits, space.default(app, told.space))
        task = trial.Task(app, directory, told.objectives, valid, options)
        oracle.changed = _watched(oracle, task, asked.keep, watch)
        # Where KerasTuner's variables make this the chief, the workers are elsewhere.
        count = 0 if chief.role() else asked.workers
        _conduct(oracle, task, chief.Crew(command, directory, lock, count), loud=loud)
        _tidy(oracle, task, asked.keep)
        return _result(oracle, task)


def _watched(oracle: Journaled, task: trial.Task, keep: int, watch: Any) -> Callable[[bool], None]:
    shown = watch(oracle) if watch else None

    def changed(ended: bool) -> None:
        if ended:
            _tidy(oracle, task, keep)
        if shown:
            shown(ended)

    return changed


def _oracle(told: identity.Told, limits: Limits) -> Journaled:
    app = told.app
    options: dict[str, Any] = {
        "objective": keras_tuner.Objective(SCORE, next(iter(told.objectives.values()))),
        "hyperparameters": space.hyperparameters(app, told.space),
        "seed": app.seed + 1,  # KerasTuner takes 0 for none
    }
    if told.tuner == "hyperband":
        options["max_epochs"] = app.epochs
    if told.tuner == "tpe":
        ways = trial.scores(told.objectives)
        oracle: Journaled = TPE(directions=ways, **judged(app), **options)
    else:
        oracle = ORACLES[told.tuner](**options)
    oracle.limits = limits
    return oracle


def judged(app: App) -> dict[str, int]:
    """When the trials of an app may be judged: from the first quarter of its last stage on.

    What an earlier stage trains is not what is asked for.
    """
    earlier = app.total_epochs - app.epochs
    return {"epochs": app.total_epochs, "warm_up": earlier + max(1, app.epochs // 4)}


def _conduct(oracle: Journaled, task: trial.Task, crew: chief.Crew, *, loud: bool) -> None:
    if crew.number != 1:
        chief.conduct(oracle, crew)
        error: Exception | None = None
    else:
        tuner = trial.FieldsTuner(oracle, task, loud=loud)
        tuner.search()
        error = tuner.first_error
    if oracle.broken:
        raise SearchError(
            f"The first trial failed, so the search stopped: {oracle.broken} Mend that, remove "
            f"{task.directory}, and begin again."
        ) from error
    if not oracle.finished():
        raise SearchError(f"No trial was completed. The last one failed: {_last_reason(oracle)}")


def _work(oracle: Journaled, task: trial.Task) -> None:
    if chief.PARENT in os.environ:
        chief.follow_chief()
    trial.FieldsTuner(oracle, task, loud=True).search()


def _last_reason(oracle: Journaled) -> str:
    failed = [one.message for one in oracle.trials.values() if one.status == "FAILED"]
    return failed[-1] if failed else "none was begun"


@contextmanager
def _held(directory: Path) -> Iterator[int]:
    """Hold a search directory; its workers hold it too, until the last has gone."""
    with (directory / ".lock").open("a") as file:
        for _ in range(round(WAIT / 0.5)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.5)
        else:
            raise RunError(
                f"Received the search directory {str(directory)!r}, in which a search is running; "
                "expected a free one. Wait for it, or choose another --run-dir."
            )
        os.set_inheritable(file.fileno(), True)
        yield file.fileno()


def _tidy(oracle: Journaled, task: trial.Task, keep: int) -> None:
    """Write the table of trials, and leave the models of the best alone."""
    report.write_table(oracle, task.directory / "trials.csv")
    chosen = _chosen(oracle, task)
    kept = {one.trial_id for one in oracle.finished()[:keep]}
    kept |= set(chosen.front) if chosen else set()
    for one in oracle.trials.values():
        if one.status != "RUNNING" and one.trial_id not in kept:
            forget(task.path(one.trial_id))


def _chosen(oracle: Journaled, task: trial.Task) -> objectives.Choice | None:
    """Among several objectives."""
    finished = oracle.finished()
    if len(task.objectives) < 2 or not finished:
        return None
    scores = {one.trial_id: oracle.reports[one.trial_id][-1].scores for one in finished}
    return objectives.pareto(scores, task.scores)


def _result(oracle: Journaled, task: trial.Task) -> Searched:
    choice = _chosen(oracle, task)
    winner = choice.best if choice else oracle.finished()[0].trial_id
    best = _copied(task.path(winner), task.directory / "best")
    run = Run.load(best, task.options["data_dir"])
    return Searched(task.directory, oracle, task.first, run, choice)


def forget(path: Path) -> None:
    """Leave of a trial what is small: its passport and its history."""
    unfinished = path.glob(".[0-9]*-*")  # files of a process that was killed
    needless = ("model.keras", CHECKPOINT, UNFINISHED, "samples.npz")
    for one in [*(path / name for name in needless), *unfinished]:
        one.unlink(missing_ok=True)
    shutil.rmtree(path / "export", ignore_errors=True)


def _copied(path: Path, target: Path) -> Path:
    """A copy that appears whole; what was there before gives way to it."""
    wanted = json.loads((path / "run.json").read_text())
    if (target / "run.json").exists() and json.loads((target / "run.json").read_text()) == wanted:
        return target
    for left in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(left)
    beside = target.with_name(f".{target.name}-{os.getpid()}")
    shutil.copytree(path, beside)
    if target.exists():
        shutil.rmtree(target)
    beside.rename(target)
    return target
