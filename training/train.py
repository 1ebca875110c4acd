"""An app becomes a run."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.app import App
from apps.fields import FieldError
from pipelines import quarantine
from pipelines.splits import Splits
from training import directory, records, resume
from training.distributed import strategy as distribution
from training.fitting import DivergedError, Task, compiled, fit, steps_of
from training.options import How
from training.precision import Choice, choose
from training.records import Fitted
from training.resume import Found, Known
from training.run import ELSEWHERE, QUARANTINE, Run, sets_directory

HALVINGS = 3  # of the learning rate, at most


def train(
    app: App,
    *,
    run_dir: Path | None = None,
    data_dir: Path | None = None,
    watchers: Sequence[keras.callbacks.Callback] = (),
    **asked: Any,
) -> Run:
    """Train an app and return its run.

    A run that was interrupted or killed in `run_dir` goes on where its newest whole
    checkpoint stands and ends as one that was not, bit for bit, on the same machine
    with as many devices. Of several workers the chief alone writes and speaks; the
    others' run is ELSEWHERE.

    Args:
        app: what to train.
        run_dir: new or empty, or of an interrupted training; runs/<app>/<stamp> by default.
        data_dir: where prepared TFDS sets lie.
        watchers: callbacks besides those of every run; one may raise EnoughError.
        **asked: as the attributes of training.options.How.

    Raises:
        DataError, FieldError, RunError, StrategyError, UnknownOptimizerError: nothing was written.
        DivergedError: the loss is no number any more; the best model so far is kept.
        DiskFullError: nothing that was there is damaged.
        LostError: another worker is gone; what was finished stays in the directory.
        KeyboardInterrupt: somebody asked; a checkpoint is kept.

    """
    how = How(**asked)
    if how.deterministic:
        tf.config.experimental.enable_op_determinism()
    # As `Run.splits` finds them again.
    splits = quarantine.of_training(app.load_splits(data_dir), how.which, how.quarantine)
    spread = distribution.choose(how.strategy, how.devices)
    distribution.batch_size(app, len(splits.train), spread.num_replicas_in_sync)
    found = resume.unfinished_in(run_dir)
    with contextlib.ExitStack() as held:
        with spread.scope(), distribution.together():
            choice = distribution.agreed(app, splits, _choice(app, how, found))
            begin = resume.begin(_known(app, splits, choice, how, data_dir), found, force=how.force)
            task = _task(app, splits, begin, run_dir, how, held)
            if how.verbose and task.path:
                print(records.announcement(task, choice), flush=True)
            task, fitted = _fitted(task, how, watchers)
            manifest = records.make_manifest(task, choice, fitted, how.which)
        records.keep(task, manifest)
    if fitted.stopped is not None:
        raise fitted.stopped
    run = Run(task.path or ELSEWHERE, data_dir)
    run.remember(app=app, splits=splits, model=task.parts.answering)
    return run


def _choice(app: App, how: How, found: Found | None) -> Choice:
    """The number format: what is asked for, or what this training began with."""
    if found and how.precision == "auto":
        return Choice(**found.known.precision)
    return choose(how.precision, app.modality, app.compute_dtypes)


def _known(app: App, splits: Splits, choice: Choice, how: How, data_dir: Path | None) -> Known:
    """What a training in this scope is known by."""
    about = {
        "data fingerprint": splits.fingerprint(),
        "precision": choice.policy,
        "deterministic": how.deterministic,
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
        sets_directory(app, data_dir),
    )


def _task(
    app: App,
    splits: Splits,
    begin: Found,
    run_dir: Path | None,
    how: How,
    held: contextlib.ExitStack,
) -> Task:
    """What is to be fitted; its directory is held as long as `held` is open."""
    distribution.require_same("checkpoints", begin.position.epoch)
    parts = compiled(_slower(app, splits, begin), splits, begin.known.precision["policy"])
    path = held.enter_context(directory.taken(app, run_dir)) if distribution.is_chief() else None
    if path:
        # Now, so that an interrupted training has it too.
        quarantine.keep(how.quarantine, path / QUARANTINE)
    again = f"athanor {app.name()} train --resume {path or 'RUN'}"
    if how.which and path:
        again = f"the same command with --run-dir {path.parent}"
    return Task(app, splits, parts, path, resume.noted(begin, path), again)


def _slower(app: App, splits: Splits, begin: Found) -> App:
    """The app with the learning rate that its halvings left."""
    if not begin.halvings:
        return app
    highest = app.peak_learning_rate_for(app.epochs * steps_of(app, splits)[0])
    return dataclasses.replace(app, learning_rate=highest / 2 ** len(begin.halvings))


def _fitted(
    task: Task, how: How, watchers: Sequence[keras.callbacks.Callback]
) -> tuple[Task, Fitted]:
    """Fit; where that diverges and it was asked for, again with half the learning rate.

    Raises what ended it where not even one epoch can be kept.
    """
    halves = how.on_nan == "halve"
    if halves and distribution.name() == "multiworker":
        raise FieldError(
            "Received --on-nan halve for several workers; expected stop. Leave it out."
        )
    fitted = fit(task, how, watchers)
    while halves and len(task.begin.halvings) < HALVINGS and _by_rate(fitted):
        task = _halved(task)
        fitted = fit(task, how, watchers)
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
