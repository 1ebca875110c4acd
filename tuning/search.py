"""Search over the fields of an app, in a directory that survives whatever ends its processes."""

import dataclasses
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import keras_tuner

from apps.app import App
from training import provenance
from training.distributed import strategy as distribution
from training.run import QUARANTINE, Run, RunError
from tuning import coordinator, objectives, report, retention, search_spec, space, trial
from tuning.bayesian import Bayesian
from tuning.model_based import Learning, When
from tuning.options import TuneOptions
from tuning.oracles import SCORE, Journaled, Limits
from tuning.tpe import TPE
from tuning.tuner_fixes import PATIENCE
from tuning.tuners import Grid, Hyperband, Random

LEARNING: dict[str, type[Learning]] = {"bayesian": Bayesian, "tpe": TPE}
OTHERS: dict[str, type[Journaled]] = {"random": Random, "grid": Grid, "hyperband": Hyperband}
WAIT = 30.0  # seconds for the workers of a killed search to end
DEFAULTS = TuneOptions()
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


def search(
    app: App,
    options: TuneOptions = DEFAULTS,
    *,
    command: Sequence[str] = (),
    loud: bool = True,
    watch: Any = None,
) -> Searched | None:
    """Search, or go on with a search; None for a worker that another process started.

    Args:
        app: whose fields are drawn from its space; the other fields are as they are.
        options: how to search.
        command: of this search, for its workers.
        loud: whether the first trial prints its epochs.
        watch: given the oracle, the function to call after every event.

    Raises:
        DataError, FieldError, JournalError, ProvenanceError, RunError, StrategyError: nothing was
            begun.
        SearchError: the first trial failed, or all did.
        WorkerError: a worker could not work.

    """
    spec = search_spec.make(app, options)
    directory = Path(os.path.realpath(options.run_dir or spec.default_directory()))
    patience = REMOTE_PATIENCE if coordinator.role() else 0.0
    seconds = None if options.minutes is None else 60 * options.minutes
    limits = Limits(options.trials, seconds, options.workers, patience)
    splits = spec.splits()
    spec = spec.for_data(splits, distribution.expected_replicas(options.strategy, options.devices))
    app, oracle = spec.app, _oracle(spec)
    of_trials = options.train_options
    if options.quarantine:
        of_trials = dataclasses.replace(of_trials, quarantine=directory / QUARANTINE)
    if coordinator.role() == "worker":
        valid = search_spec.wait_for_coordinator(spec, directory, splits)
        distribution.make_strategy(options.strategy, options.devices)
        _work(oracle, trial.Task(app, directory, spec.objectives, valid, of_trials))
        return None
    # Where KerasTuner's variables make this the chief, the workers are elsewhere.
    count = 0 if coordinator.role() else options.workers
    if count == 1:  # to others this process would leave no GPU
        distribution.make_strategy(options.strategy, options.devices)
    app.effective_batch_size(len(splits.train))
    with _held(directory) as lock:
        retention.require_own(directory, trust=options.trust)
        valid = search_spec.record(spec, directory, splits)
        del splits  # each trial reads its own
        oracle.open(directory, limits, space.default(app, spec.space))
        task = trial.Task(app, directory, spec.objectives, valid, of_trials)
        oracle.changed = _watched(oracle, task, options.keep, watch)
        _conduct(oracle, task, coordinator.Crew(command, directory, lock, count), loud=loud)
        _tidy(oracle, task, options.keep)
        return _result(oracle, task)


def _watched(oracle: Journaled, task: trial.Task, keep: int, watch: Any) -> Callable[[bool], None]:
    shown = watch(oracle) if watch else None

    def changed(ended: bool) -> None:
        if ended:
            _tidy(oracle, task, keep)
        if shown:
            shown(ended)

    return changed


def _oracle(spec: search_spec.SearchSpec) -> Journaled:
    app = spec.app
    options: dict[str, Any] = {
        "objective": keras_tuner.Objective(SCORE, next(iter(spec.objectives.values()))),
        "hyperparameters": space.hyperparameters(app, spec.space),
        # KerasTuner takes 0 for none, and counts on from it with every trial.
        "seed": 10_000 * app.seed + 1,
    }
    if spec.tuner == "hyperband":
        options["max_epochs"] = app.epochs
    if spec.tuner in LEARNING:
        ways = trial.scores(spec.objectives)
        return LEARNING[spec.tuner](directions=ways, when=judged(app), **options)
    return OTHERS[spec.tuner](**options)


def judged(app: App) -> When:
    """When a trial of an app may be judged: after a quarter of its last stage, till its end.

    What an earlier stage trains is not what is asked for.
    """

    def when(values: dict[str, Any]) -> tuple[int, int]:
        one = space.drawn(app, values)
        return one.total_epochs - one.epochs + max(1, one.epochs // 4), one.total_epochs

    return when


def _conduct(oracle: Journaled, task: trial.Task, crew: coordinator.Crew, *, loud: bool) -> None:
    if crew.number != 1:
        coordinator.conduct(oracle, crew)
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
        raise SearchError(f"No trial was completed. {_last_reason(oracle)}")


def _work(oracle: Journaled, task: trial.Task) -> None:
    if coordinator.PARENT in os.environ:
        coordinator.follow_chief()
    try:
        trial.FieldsTuner(oracle, task, loud=True).search()
    except grpc.RpcError as error:
        address = f"{os.environ[coordinator.HOST]}:{os.environ[coordinator.PORT]}"
        raise coordinator.WorkerError(
            f"Received no answer from {address} for {PATIENCE / 60:.0f} minutes; "
            "expected the chief of the search. Where it has ended, start it again with this worker."
        ) from error


def _last_reason(oracle: Journaled) -> str:
    failed = [one.message for one in oracle.trials.values() if one.status == "FAILED"]
    return f"The last one failed: {failed[-1]}" if failed else "The time was over; raise --minutes."


@contextmanager
def _held(directory: Path) -> Iterator[int]:
    """Hold a search directory; its workers hold it too, until the last has gone."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        search_spec.require_free(directory)  # first: what is another's is left without a trace
        file = (directory / ".lock").open("a")
    except OSError as error:
        raise RunError(
            f"Received the search directory {str(directory)!r}, which cannot be written "
            f"({error.strerror}); expected a writable place. Choose another with --run-dir."
        ) from error
    with file:
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
        yield file.fileno()


def _tidy(oracle: Journaled, task: trial.Task, keep: int) -> None:
    """Write the table of trials, and leave the models of the best alone."""
    report.write_table(oracle, task.directory / "trials.csv")
    chosen = _chosen(oracle, task)
    kept = {one.trial_id for one in oracle.finished()[:keep]}
    kept |= set(chosen.front) if chosen else set()
    for one in oracle.trials.values():
        if one.status != "RUNNING" and one.trial_id not in kept:
            retention.forget(task.path(one.trial_id))


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
    # A worker of another machine has this user's key, or its trials are somebody else's.
    provenance.require_signature(task.path(winner), provenance.RUN_FILES, trust=task.options.trust)
    best = retention.copied(task.path(winner), task.directory / "best")
    provenance.require_signature(best, provenance.RUN_FILES, trust=task.options.trust)
    run = Run.load(best, task.options.data_dir)
    return Searched(task.directory, oracle, task.first, run, choice)
