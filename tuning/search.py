"""Search over the fields of an app; after any interruption the same command continues it."""

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
from apps.fields import FieldError
from pipelines.files import printable
from training import provenance
from training.distributed import strategy as distribution
from training.run import QUARANTINE, Run, RunError
from tuning import coordinator, objectives, report, retention, search_spec, space, trial
from tuning.bayesian import Bayesian
from tuning.limits import Limits
from tuning.model_based import EpochBounds, ModelBased
from tuning.options import TuneOptions
from tuning.oracles import SCORE, JournaledOracle, OnChange
from tuning.tpe import TPE
from tuning.tuner_fixes import COORDINATOR_TIMEOUT_SECONDS
from tuning.tuners import Grid, Hyperband, Random

MODEL_BASED: dict[str, type[ModelBased]] = {"bayesian": Bayesian, "tpe": TPE}
KERAS_TUNER: dict[str, type[JournaledOracle]] = {
    "random": Random,
    "grid": Grid,
    "hyperband": Hyperband,
}
LOCK_TIMEOUT_SECONDS = 30.0  # in which the workers of a killed search end
LOCK_POLL_SECONDS = 0.5
DEFAULT_OPTIONS = TuneOptions()
REMOTE_WORKER_TIMEOUT_SECONDS = 120.0  # without a call; a heartbeat comes every 20
Watch = Callable[[JournaledOracle], OnChange]


class SearchError(RuntimeError):
    """The first trial failed, or no trial was completed."""

    exit_status = 1


class SearchOutcome(NamedTuple):
    """The result of a search: `oracle` holds the trials, and `best` is an ordinary run.

    `choice` is None for one objective.
    """

    directory: Path
    oracle: JournaledOracle
    objective: str
    best: Run
    choice: objectives.ParetoChoice | None


def search(
    app: App,
    options: TuneOptions = DEFAULT_OPTIONS,
    *,
    command: Sequence[str] = (),
    verbose: bool = True,
    watch: Watch | None = None,
) -> SearchOutcome | None:
    """Search, or continue a search; returns None in a worker process.

    Args:
        app: whose fields are searched; fields outside the space keep their values.
        options: how to search.
        command: of this search, with which its workers are started.
        verbose: whether the first trial prints its epochs.
        watch: takes the oracle, and returns a function that is called after every event.

    Raises:
        DataError, FieldError, JournalError, ProvenanceError, RunError, StrategyError: the
            search did not begin.
        SearchError: the first trial failed, or no trial was completed.
        WorkerError: a worker failed.

    """
    spec = search_spec.make(app, options)
    directory = Path(os.path.realpath(options.run_dir or spec.default_directory()))
    _require_utf8(directory)
    timeout = REMOTE_WORKER_TIMEOUT_SECONDS if coordinator.role() else 0.0
    seconds = None if options.minutes is None else 60 * options.minutes
    limits = Limits(options.trials, seconds, options.workers, timeout)
    splits = spec.splits()
    spec = spec.for_data(splits, distribution.expected_replicas(options.strategy, options.devices))
    app, oracle = spec.app, _oracle(spec)
    trial_options = options.train_options
    if options.quarantine:
        trial_options = dataclasses.replace(trial_options, quarantine=directory / QUARANTINE)
    if coordinator.role() == "worker":
        digest = search_spec.wait_for_coordinator(spec, directory, splits)
        distribution.make_strategy(options.strategy, options.devices)
        _run_as_worker(
            oracle, trial.TrialTask(app, directory, spec.objectives, digest, trial_options)
        )
        return None
    # The coordinator of workers on other machines has none of its own.
    count = 0 if coordinator.role() else options.workers
    if count == 1:  # With several workers this process must not take the GPU.
        distribution.make_strategy(options.strategy, options.devices)
    app.effective_batch_size(len(splits.train))
    with _locked(directory) as lock:
        retention.require_trusted(directory, trust=options.trust)
        digest = search_spec.record(spec, directory, splits)
        del splits  # Each trial loads its own.
        oracle.open(directory, limits, space.default(app, spec.space))
        task = trial.TrialTask(app, directory, spec.objectives, digest, trial_options)
        oracle.on_change = _make_on_change(oracle, task, options.keep, watch)
        _run_trials(
            oracle, task, coordinator.LocalWorkers(command, directory, lock, count), verbose=verbose
        )
        _keep_best(oracle, task, options.keep)
        return _result(oracle, task)


def _require_utf8(directory: Path) -> None:
    """Raise FieldError for a directory into which KerasTuner cannot write."""
    try:
        str(directory).encode()
    except UnicodeEncodeError:
        raise FieldError(
            f"Received the directory {printable(str(directory))!r}, whose name is not UTF-8; "
            "expected another one for a search. Name it with --run-dir, or rename the folder."
        ) from None


def _make_on_change(
    oracle: JournaledOracle, task: trial.TrialTask, keep: int, watch: Watch | None
) -> OnChange:
    show = watch(oracle) if watch else None

    def on_change(ended: bool) -> None:
        if ended:
            _keep_best(oracle, task, keep)
        if show:
            show(ended)

    return on_change


def _oracle(spec: search_spec.SearchSpec) -> JournaledOracle:
    app = spec.app
    options: dict[str, Any] = {
        "objective": keras_tuner.Objective(SCORE, next(iter(spec.objectives.values()))),
        "hyperparameters": space.hyperparameters(app, spec.space),
        # KerasTuner takes 0 for no seed, and adds 1 with every trial.
        "seed": 10_000 * app.seed + 1,
    }
    if spec.tuner == "hyperband":
        options["max_epochs"] = app.epochs
    if spec.tuner in MODEL_BASED:
        directions = trial.score_directions(spec.objectives)
        return MODEL_BASED[spec.tuner](
            directions=directions, epoch_bounds=pruning_bounds(app), **options
        )
    return KERAS_TUNER[spec.tuner](**options)


def pruning_bounds(app: App) -> EpochBounds:
    """Return the first epoch after which a trial may be pruned, and its last epoch.

    A trial may be pruned after a quarter of its last stage: scores of an earlier stage say
    little about it.
    """

    def bounds(values: dict[str, Any]) -> tuple[int, int]:
        trial_app = space.with_values(app, values)
        epochs, total = trial_app.epochs, trial_app.total_epochs
        return total - epochs + max(1, epochs // 4), total

    return bounds


def _run_trials(
    oracle: JournaledOracle,
    task: trial.TrialTask,
    workers: coordinator.LocalWorkers,
    *,
    verbose: bool,
) -> None:
    if workers.number != 1:
        coordinator.coordinate(oracle, workers)
        error: Exception | None = None
    else:
        tuner = trial.FieldsTuner(oracle, task, verbose=verbose)
        tuner.search()
        error = tuner.first_error
    if oracle.first_trial_error:
        raise SearchError(
            f"The first trial failed, so the search stopped: {oracle.first_trial_error} Correct "
            f"that, remove {task.directory}, and begin again."
        ) from error
    if not oracle.finished():
        raise SearchError(f"No trial was completed. {_last_reason(oracle)}")


def _run_as_worker(oracle: JournaledOracle, task: trial.TrialTask) -> None:
    if coordinator.COORDINATOR_PID in os.environ:
        coordinator.end_with_coordinator()
    try:
        trial.FieldsTuner(oracle, task, verbose=True).search()
    except grpc.RpcError as error:
        address = f"{os.environ[coordinator.ORACLE_IP]}:{os.environ[coordinator.ORACLE_PORT]}"
        raise coordinator.WorkerError(
            f"Received no answer from {address} in {COORDINATOR_TIMEOUT_SECONDS / 60:.0f} minutes; "
            "expected the coordinator of the search. If it has ended, start both again."
        ) from error


def _last_reason(oracle: JournaledOracle) -> str:
    failed = [each.message for each in oracle.trials.values() if each.status == "FAILED"]
    return f"The last one failed: {failed[-1]}" if failed else "The time ran out: raise --minutes."


@contextmanager
def _locked(directory: Path) -> Iterator[int]:
    """Lock a search directory; its workers hold the lock too, until the last has ended."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        search_spec.require_free(directory)  # before the lock file is written there
        file = (directory / ".lock").open("a")
    except OSError as error:
        raise RunError(
            f"Received the search directory {str(directory)!r}, which cannot be written "
            f"({error.strerror}); expected a writable place. Choose another with --run-dir."
        ) from error
    with file:
        for _ in range(round(LOCK_TIMEOUT_SECONDS / LOCK_POLL_SECONDS)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(LOCK_POLL_SECONDS)
        else:
            raise RunError(
                f"Received the search directory {str(directory)!r}, in which a search is running; "
                "expected a free one. Wait for it, or choose another --run-dir."
            )
        yield file.fileno()


def _keep_best(oracle: JournaledOracle, task: trial.TrialTask, keep: int) -> None:
    """Write the table of trials, and remove the models of all but the best trials."""
    report.write_table(oracle, task.directory / "trials.csv")
    chosen = _pareto(oracle, task)
    best = {each.trial_id for each in oracle.finished()[:keep]}
    best |= set(chosen.front) if chosen else set()
    for each in oracle.trials.values():
        if each.status != "RUNNING" and each.trial_id not in best:
            retention.remove_model(task.path(each.trial_id))


def _pareto(oracle: JournaledOracle, task: trial.TrialTask) -> objectives.ParetoChoice | None:
    """Return the choice among completed trials; None for one objective."""
    finished = oracle.finished()
    if len(task.objectives) < 2 or not finished:
        return None
    scores = {each.trial_id: oracle.reports[each.trial_id][-1].scores for each in finished}
    return objectives.pareto(scores, task.score_directions)


def _result(oracle: JournaledOracle, task: trial.TrialTask) -> SearchOutcome:
    choice = _pareto(oracle, task)
    winner = choice.best if choice else oracle.finished()[0].trial_id
    # Without this user's key a worker on another machine makes trials that are not trusted here.
    provenance.require_signature(task.path(winner), provenance.RUN_FILES, trust=task.options.trust)
    best = retention.copy_run(task.path(winner), task.directory / "best")
    provenance.require_signature(best, provenance.RUN_FILES, trust=task.options.trust)
    run = Run.load(best, task.options.data_dir)
    return SearchOutcome(task.directory, oracle, task.first_objective, run, choice)
