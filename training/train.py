"""An app becomes a run."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from apps.app import App, FieldError
from pipelines.splits import Fold, Splits, fold
from training import directory, records, resume
from training import strategy as distribution
from training.fitting import DivergedError, Task, compiled, fit
from training.precision import Choice, Precision, choose
from training.records import Fitted
from training.resume import Found, Known
from training.run import ELSEWHERE, Run
from training.strategy import Strategy

OnNan = Literal["stop", "halve"]
HALVINGS = 3  # of the learning rate, at most


def train(
    app: App,
    *,
    run_dir: Path | None = None,
    data_dir: Path | None = None,
    precision: Precision = "auto",
    which: Fold | None = None,
    strategy: Strategy = "one",
    devices: int | None = None,
    profile: bool = False,
    verbose: int = 2,
    watchers: Sequence[keras.callbacks.Callback] = (),
    force: bool = False,
    every: float | None = None,
    on_nan: OnNan = "stop",
    deterministic: bool = False,
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
        precision: of the arithmetic; `auto` measures what is fast here.
        which: the fold that is held out as test; None for the data's own test or a cut.
        strategy: whether several devices share the work; see training.strategy.choose.
        devices: how many of them; None for all.
        profile: also record what the second call's steps spend their time on.
        verbose: 0 silent, 1 a moving bar, 2 a line an epoch.
        watchers: callbacks besides those of every run; one may raise EnoughError.
        force: go on also where fields, data or versions are not those that it began with.
        every: seconds between two checkpoints; None for as often as costs 2 % of the time.
        on_nan: where the loss diverges, stop, or go on from the last checkpoint with half
            the learning rate, at most three times.
        deterministic: let TensorFlow's operations add in one order, also where that is slower.

    Raises:
        DataError, FieldError, RunError, StrategyError, UnknownOptimizerError: nothing was written.
        DivergedError: the loss is no number any more; the best model so far is kept.
        DiskFullError: nothing that was there is damaged.
        LostError: another worker is gone; what was finished stays in the directory.
        KeyboardInterrupt: somebody asked; a checkpoint is kept.

    """
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    splits = app.splits(data_dir)
    splits = fold(splits, which) if which else splits
    spread = distribution.choose(strategy, devices)
    app = distribution.divided(app, splits, spread.num_replicas_in_sync)
    found = resume.unfinished_in(run_dir)
    choice = choose(precision, app.question, app.formats)
    if found and precision == "auto":
        choice = Choice(**found.known.precision)
    with contextlib.ExitStack() as held:
        with spread.scope(), distribution.together():
            choice = distribution.agreed(app, splits, choice)
            known = _known(app, splits, choice, deterministic=deterministic)
            begin = resume.begin(known, found, force=force)
            distribution.require_same("checkpoints", begin.position.epoch)
            path = held.enter_context(directory.taken(app, run_dir)) if _is_chief(on_nan) else None
            begin = resume.noted(begin, path)
            parts = compiled(_slower(app, begin), splits, choice.policy)
            if verbose and path:
                print(records.announcement(app, splits, parts, choice, path, begin), flush=True)
            task, fitted = _fitted(
                Task(app, splits, parts, path, begin),
                on_nan,
                watchers,
                every=every,
                verbose=verbose if path else 0,
                profile=profile,
            )
            passport = records.passport(task, choice, fitted, which)
        if path is not None:
            records.keep(splits, task.parts, path, passport)
            if directory.is_usual(path, app):
                directory.point_latest(path)
    if fitted.stopped is not None:
        raise fitted.stopped
    run = Run(path or ELSEWHERE, data_dir)
    run.remember(app=app, splits=splits, model=task.parts.answering)
    return run


def _known(app: App, splits: Splits, choice: Choice, *, deterministic: bool) -> Known:
    """What a training in this scope is known by."""
    about = {
        "data fingerprint": splits.fingerprint(),
        "precision": choice.policy,
        "deterministic": deterministic,
        **{f"{one.__name__} version": one.__version__ for one in (tf, keras, np)},
    }
    devices = distribution.replicas()
    return Known(app.name(), app.to_json(), about, choice._asdict(), distribution.name(), devices)


def _is_chief(on_nan: OnNan) -> bool:
    """Whether this process writes. Raises FieldError for what only one can do."""
    if on_nan != "stop" and distribution.name() == "multiworker":
        raise FieldError(
            f"Received --on-nan {on_nan} for several workers; expected stop. Leave it out."
        )
    return distribution.is_chief()


def _slower(app: App, begin: Found) -> App:
    """The app with the learning rate that its halvings left."""
    if not begin.halvings:
        return app
    return dataclasses.replace(app, learning_rate=app.peak / 2 ** len(begin.halvings))


def _fitted(
    task: Task, on_nan: OnNan, watchers: Sequence[keras.callbacks.Callback], **options: Any
) -> tuple[Task, Fitted]:
    """Fit; where that diverges and it was asked for, again with half the learning rate.

    Raises what ended it where not even one epoch can be kept.
    """
    # Between epochs stands what every run of the same command would go back to.
    options["amid"] = on_nan == "stop" and distribution.name() != "multiworker"
    fitted = fit(task, watchers, **options)
    while on_nan == "halve" and len(task.begin.halvings) < HALVINGS and _by_rate(fitted):
        task = _halved(task)
        fitted = fit(task, watchers, **options)
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
    parts = compiled(_slower(task.app, begin), task.splits, policy)
    return task._replace(begin=begin, parts=parts)
