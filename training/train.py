"""An app becomes a run."""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.app import App, FieldError
from pipelines import quarantine
from pipelines.splits import Fold, Splits
from training import directory, records, resume
from training.distributed import strategy as distribution
from training.fitting import DivergedError, Task, compiled, fit, steps_of
from training.options import TrainOptions
from training.precision import Choice, choose
from training.records import Fitted
from training.resume import Found, Known
from training.run import ELSEWHERE, QUARANTINE, Run, sets_directory

HALVINGS = 3  # of the learning rate, at most
DEFAULTS = TrainOptions()


def train(
    app: App,
    options: TrainOptions = DEFAULTS,
    *,
    fold: Fold | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 2,
    **changes: Any,
) -> Run:
    """Train an app and return its run.

    A run that was interrupted or killed in `run_dir` goes on where its newest whole
    checkpoint stands and ends as one that was not, bit for bit, on the same machine
    with as many devices. Of several workers the chief alone writes and speaks; the
    others' run is ELSEWHERE.

    Args:
        app: what to train.
        options: directory, devices, number format and so on.
        fold: the fold that is held out as test; by default the data's own test set or a part.
        callbacks: further Keras callbacks; one may raise EnoughError to stop.
        verbose: 0 silent, 1 a progress bar, 2 a line an epoch.
        **changes: fields of `options` with other values.

    Raises:
        DataError, FieldError, RunError, StrategyError, UnknownOptimizerError: nothing was written.
        DivergedError: the loss is no number any more; the best model so far is kept.
        DiskFullError: nothing that was there is damaged.
        LostError: another worker is gone; what was finished stays in the directory.
        KeyboardInterrupt: somebody asked; a checkpoint is kept.

    """
    options = dataclasses.replace(options, **changes)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    # As `Run.splits` finds them again.
    splits = quarantine.of_training(app.load_splits(options.data_dir), fold, options.quarantine)
    spread = distribution.choose(options.strategy, options.devices)
    distribution.batch_size(app, len(splits.train), spread.num_replicas_in_sync)
    found = resume.unfinished_in(options.run_dir)
    with contextlib.ExitStack() as held:
        with spread.scope(), distribution.together():
            choice = distribution.agreed(app, splits, _choice(app, options, found))
            known = _known(app, splits, choice, options)
            begin = resume.begin(known, found, force=options.force)
            task = _task(app, splits, begin, fold, options, held)
            if verbose and task.path:
                print(records.announcement(task, choice), flush=True)
            task, fitted = _fitted(task, options, callbacks, verbose)
            manifest = records.make_manifest(task, choice, fitted, fold)
        records.keep(task, manifest)
    if fitted.stopped is not None:
        raise fitted.stopped
    run = Run(task.path or ELSEWHERE, options.data_dir)
    run.remember(app=app, splits=splits, model=task.parts.answering)
    return run


def _choice(app: App, options: TrainOptions, found: Found | None) -> Choice:
    """The number format: what is asked for, or what this training began with."""
    if found and options.precision == "auto":
        return Choice(**found.known.precision)
    return choose(options.precision, app.modality, app.compute_dtypes)


def _known(app: App, splits: Splits, choice: Choice, options: TrainOptions) -> Known:
    """What a training in this scope is known by."""
    about = {
        "data fingerprint": splits.fingerprint(),
        "precision": choice.policy,
        "deterministic": options.deterministic,
        **{f"{one.__name__} version": one.__version__ for one in (tf, keras, np)},
    }
    devices = distribution.replicas()
    return Known(
        app.name(),
        app.to_json(),
        about,
        choice._asdict(),
        distribution.name(),
        devices,
        sets_directory(app, options.data_dir),
    )


def _task(
    app: App,
    splits: Splits,
    begin: Found,
    fold: Fold | None,
    options: TrainOptions,
    held: contextlib.ExitStack,
) -> Task:
    """What is to be fitted; its directory is held as long as `held` is open."""
    distribution.require_same("checkpoints", begin.position.epoch)
    parts = compiled(_slower(app, splits, begin), splits, begin.known.precision["policy"])
    path = (
        held.enter_context(directory.taken(app, options.run_dir))
        if distribution.is_chief()
        else None
    )
    if path:
        # Now, so that an interrupted training has it too.
        quarantine.keep(options.quarantine, path / QUARANTINE)
    again = f"athanor {app.name()} train --resume {path or 'RUN'}"
    if fold and path:
        again = f"the same command with --run-dir {path.parent}"
    return Task(app, splits, parts, path, resume.noted(begin, path), again)


def _slower(app: App, splits: Splits, begin: Found) -> App:
    """The app with the learning rate that its halvings left."""
    if not begin.halvings:
        return app
    highest = app.peak_learning_rate_for(app.epochs * steps_of(app, splits)[0])
    return dataclasses.replace(app, learning_rate=highest / 2 ** len(begin.halvings))


def _fitted(
    task: Task,
    options: TrainOptions,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: int,
) -> tuple[Task, Fitted]:
    """Fit; where that diverges and it was asked for, again with half the learning rate.

    Raises what ended it where not even one epoch can be kept.
    """
    halves = options.on_nan == "halve"
    if halves and distribution.name() == "multiworker":
        raise FieldError(
            "Received --on-nan halve for several workers; expected stop. Leave it out."
        )
    fitted = fit(task, options, callbacks, verbose)
    while halves and len(task.begin.halvings) < HALVINGS and _by_rate(fitted):
        task = _halved(task)
        fitted = fit(task, options, callbacks, verbose)
    if fitted.stopped is not None and not fitted.best.epoch:
        raise fitted.stopped
    return task, fitted


def _by_rate(fitted: Fitted) -> bool:
    return isinstance(fitted.stopped, DivergedError) and fitted.stopped.by_rate


def _halved(task: Task) -> Task:
    """From the last checkpoint on, with half the learning rate."""
    optimizer = task.parts.network.optimizer
    step, rate = int(optimizer.iterations.numpy()), float(optimizer.learning_rate)
    begin = (task.path and resume.newest(task.path)) or task.begin
    begin = begin._replace(halvings=[*task.begin.halvings, (step, rate)])
    print(
        f"The loss diverged at step {step} (learning rate {rate:.3g}); goes on after epoch "
        f"{begin.position.epoch} with half of it.",
        flush=True,
    )
    policy = begin.known.precision["policy"]
    parts = compiled(_slower(task.app, task.splits, begin), task.splits, policy)
    return task._replace(begin=begin, parts=parts)
