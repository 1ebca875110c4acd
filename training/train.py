"""Train an app: `train` makes a run."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.app import App, FieldError
from pipelines import quarantine
from pipelines.splits import Fold, Splits
from training import directory, records, resume
from training.distributed import strategy as distribution
from training.failures import DivergedError
from training.fitting import TrainingJob, build_compiled, count_steps, fit
from training.options import TrainOptions
from training.precision import PrecisionChoice, choose_precision
from training.records import FitResult
from training.resume import CheckpointState, TrainingIdentity
from training.run import ELSEWHERE, QUARANTINE, Run, sets_directory
from training.time_limit import TimeLimit

MAX_HALVINGS = 3  # of the learning rate
DEFAULTS = TrainOptions()


def train(
    app: App,
    options: TrainOptions = DEFAULTS,
    *,
    fold: Fold | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 2,
    time_record: dict[str, Any] | None = None,
    part: Callable[[Splits], Splits] | None = None,
    **changes: Any,
) -> Run:
    """Train an app and return its run.

    An interrupted or killed run in `run_dir` continues from its newest undamaged checkpoint. On
    the same machine with as many devices the result equals that of an uninterrupted run, bit for
    bit. Of several workers only the chief writes and prints; the others get the run ELSEWHERE.

    Args:
        app: what to train.
        options: directory, devices, number format and so on.
        fold: the fold that is held out as test; by default the data's own test set or a part.
        callbacks: further Keras callbacks; one may raise StopTrainingError to stop.
        verbose: 0 silent, 1 a progress bar, 2 a line an epoch.
        time_record: `time_limit` of a run.json, whose training is repeated without a clock.
        part: takes a part of the training examples, which the run cannot load again.
        **changes: fields of `options` with other values.

    Raises:
        DataError, FieldError, RunError, StrategyError, UnknownOptimizerError: nothing was written.
        DivergedError: the loss is not finite; the best model so far is kept.
        DiskFullError: the disk is full; no existing file is damaged.
        LostError: another worker ended or hung; finished epochs stay in the directory.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; a checkpoint is kept.

    """
    started = time.perf_counter()
    options = dataclasses.replace(options, **changes)
    splits = _load_splits(app, fold, options, part)
    strategy = distribution.make_strategy(options.strategy, options.devices)
    distribution.batch_size(app, len(splits.train), strategy.num_replicas_in_sync)
    checkpoint = resume.find_checkpoint(options.run_dir)
    with contextlib.ExitStack() as stack:
        with strategy.scope(), distribution.report_lost_workers():
            choice = distribution.agree_on_precision(
                app, splits, _choose_precision(app, options, checkpoint)
            )
            known = _identity_of(app, splits, choice, options)
            begin = resume.start_or_continue(known, checkpoint, force=options.force)
            job = _prepare_job(app, splits, begin, fold, options, stack)
            job = _with_time_limit(job, options.minutes, started, time_record)
            if verbose and job.path:
                print(records.start_message(job, choice), flush=True)
            job, fitted = _fit_with_halving(job, options, callbacks, verbose)
            manifest = records.make_manifest(job, choice, fitted, fold)
        records.write_run(job, fitted, manifest, options.coverage)
    if fitted.stopped is not None:
        raise fitted.stopped
    run = Run(job.path or ELSEWHERE, options.data_dir)
    run.remember(app=app, splits=splits, model=job.parts.full_model)
    return run


def _load_splits(
    app: App,
    fold: Fold | None,
    options: TrainOptions,
    part: Callable[[Splits], Splits] | None,
) -> Splits:
    """Load the data; `Run.splits` loads them again in the same way, but never a part."""
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    splits = app.load_splits(options.data_dir)
    splits = quarantine.training_splits(splits, fold, options.quarantine)
    return part(splits) if part else splits


def _choose_precision(
    app: App, options: TrainOptions, checkpoint: CheckpointState | None
) -> PrecisionChoice:
    """Choose the number format: the requested one, or that of the checkpoint."""
    if checkpoint and options.precision == "auto":
        return PrecisionChoice(**checkpoint.known.precision)
    return choose_precision(options.precision, app.modality, app.compute_dtypes)


def _identity_of(
    app: App, splits: Splits, choice: PrecisionChoice, options: TrainOptions
) -> TrainingIdentity:
    """Return the identity of a training in the current strategy scope."""
    about = {
        "data fingerprint": splits.fingerprint(),
        "precision": choice.policy,
        "deterministic": options.deterministic,
        "minutes": options.minutes,
        **{f"content of {name}": file.digest for name, file in app.input_files(splits).items()},
        **{f"{package.__name__} version": package.__version__ for package in (tf, keras, np)},
    }
    devices = distribution.num_replicas()
    return TrainingIdentity(
        app.name(),
        app.to_json(),
        about,
        choice._asdict(),
        distribution.strategy_name(),
        devices,
        sets_directory(app, options.data_dir),
    )


def _prepare_job(
    app: App,
    splits: Splits,
    begin: CheckpointState,
    fold: Fold | None,
    options: TrainOptions,
    stack: contextlib.ExitStack,
) -> TrainingJob:
    """Prepare a fit; its directory stays locked while `stack` is open."""
    if options.minutes is not None:
        _require_limitable(app, splits, options.minutes)
    distribution.require_equal_to_chief("checkpoints", begin.position.epoch)
    started = time.perf_counter()
    parts = build_compiled(
        _with_halved_rate(app, splits, begin), splits, begin.known.precision["policy"]
    )
    build_seconds = time.perf_counter() - started
    path = (
        stack.enter_context(directory.reserve(app, options.run_dir))
        if distribution.is_chief()
        else None
    )
    if path:
        # Stored now, so that an interrupted training has it too.
        quarantine.copy_list(options.quarantine, path / QUARANTINE)
    resume_command = f"athanor {app.name()} train --resume {path or 'RUN'}"
    if fold and path:
        resume_command = f"the same command with --run-dir {path.parent}"
    begin = resume.write_first_checkpoint(begin, path)
    return TrainingJob(app, splits, parts, path, begin, resume_command, build_seconds)


def _require_limitable(app: App, splits: Splits, minutes: float) -> None:
    """Raise FieldError if training of this app cannot be ended by a clock."""
    received = f"Received --minutes {minutes:g}"
    if app.is_fitted_at_once(splits):
        raise FieldError(
            f"{received} for a model that is fitted at once; expected one that is trained by "
            "epochs. Leave it out."
        )
    if distribution.strategy_name() == "multiworker":
        raise FieldError(
            f"{received} for several workers, whose clocks differ; expected --epochs. Leave it out."
        )


def _with_time_limit(
    job: TrainingJob, minutes: float | None, started: float, record: dict[str, Any] | None
) -> TrainingJob:
    """Return the job with the callback that ends training in time, if there is a limit.

    The clock began at `started`; the time of an interrupted training counts too.
    """
    minutes = record["minutes"] if record else minutes
    if minutes is None:
        return job
    sizes, before = job.splits.sizes, job.begin.seconds
    limit = TimeLimit(
        minutes,
        lambda: before + time.perf_counter() - started,
        seconds_after=job.app.seconds_after_epochs(job.build_seconds),
        validation_share=sizes["valid"] / sizes["train"],
        record=record,
    )
    return job._replace(time_limit=limit)


def _with_halved_rate(app: App, splits: Splits, begin: CheckpointState) -> App:
    """Return the app with its learning rate after the halvings."""
    if not begin.halvings:
        return app
    peak = app.peak_learning_rate_for(app.epochs * count_steps(app, splits)[0])
    return dataclasses.replace(app, learning_rate=peak / 2 ** len(begin.halvings))


def _fit_with_halving(
    job: TrainingJob,
    options: TrainOptions,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: int,
) -> tuple[TrainingJob, FitResult]:
    """Fit; with --on-nan halve, fit again with half the learning rate after a divergence.

    Raises the exception that ended the fit if no epoch was finished.
    """
    halves = options.on_nan == "halve"
    if halves and distribution.strategy_name() == "multiworker":
        raise FieldError(
            "Received --on-nan halve for several workers; expected stop. Leave it out."
        )
    fitted = fit(job, options, callbacks, verbose)
    while halves and len(job.begin.halvings) < MAX_HALVINGS and _lower_rate_may_help(fitted):
        job = _halve_learning_rate(job)
        fitted = fit(job, options, callbacks, verbose)
    if fitted.stopped is not None and not fitted.best.epoch:
        raise fitted.stopped
    if verbose and job.path and job.time_limit and (note := job.time_limit.note()):
        print(note, flush=True)
    return job, fitted


def _lower_rate_may_help(fitted: FitResult) -> bool:
    return isinstance(fitted.stopped, DivergedError) and fitted.stopped.lower_rate_may_help


def _halve_learning_rate(job: TrainingJob) -> TrainingJob:
    """Prepare to continue from the last checkpoint with half the learning rate."""
    optimizer = job.parts.network.optimizer
    step, rate = int(optimizer.iterations.numpy()), float(optimizer.learning_rate)
    begin = (job.path and resume.newest_checkpoint(job.path)) or job.begin
    begin = begin._replace(halvings=[*job.begin.halvings, (step, rate)])
    print(
        f"The loss diverged at step {step} (learning rate {rate:.3g}); continues after epoch "
        f"{begin.position.epoch} with half of it.",
        flush=True,
    )
    policy = begin.known.precision["policy"]
    parts = build_compiled(_with_halved_rate(job.app, job.splits, begin), job.splits, policy)
    return job._replace(begin=begin, parts=parts)
