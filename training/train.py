"""An app becomes a run."""

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

import optimizers
from apps.app import BEGIN, App, Feeds
from pipelines.feed import feed_shared, feed_shuffled
from pipelines.files import whole
from pipelines.quarantine import without
from pipelines.splits import Fold, Splits, fold
from training import callbacks as own
from training import checkpoint, records
from training import strategy as distribution
from training.build import Parts, build, finite
from training.precision import Precision, choose
from training.records import Fitted
from training.run import ELSEWHERE, QUARANTINE, Run, point_latest, taken
from training.strategy import Strategy

STEPS_A_CALL = 64  # as many as make the cost of a call small, and progress still moves
VALID_BATCH = 1000
NUM_SHOWN = 16


class DivergedError(RuntimeError):
    """Training whose loss is no number any more."""

    exit_status = 1


class Place(NamedTuple):
    """Where a run is made.

    Attributes:
        path: of the directory; None where another worker writes.
        known: what the training is known by there.
        found: what to go on from; None to begin.

    """

    path: Path | None
    known: dict[str, Any]
    found: checkpoint.Found | None


def train(
    app: App,
    *,
    run_dir: Path | None = None,
    data_dir: Path | None = None,
    precision: Precision = "auto",
    which: Fold | None = None,
    quarantine: Path | None = None,
    strategy: Strategy = "one",
    devices: int | None = None,
    profile: bool = False,
    verbose: int = 2,
    watchers: Sequence[keras.callbacks.Callback] = (),
) -> Run:
    """Train an app and return its run, of several workers the chief's; others' is ELSEWHERE.

    Args:
        app: what to train.
        run_dir: new or empty, or of an interrupted training; runs/<app>/<stamp> by default.
        data_dir: where prepared TFDS sets lie.
        precision: of the arithmetic; `auto` measures what is fast here.
        which: the fold that is held out as test; None for the data's own test or a cut.
        quarantine: a list of examples that train and validation leave out; test keeps them.
        strategy: whether several devices share the work; see training.strategy.choose.
        devices: how many of them; None for all.
        profile: also record what the second call's steps spend their time on.
        verbose: 0 silent, 1 a moving bar, 2 a line an epoch.
        watchers: callbacks besides those of every run; one may raise EnoughError.

    Raises:
        DataError, FieldError, RunError, StrategyError, UnknownOptimizerError: nothing was written.
        DivergedError: the loss is no number any more; the best model so far is kept.
        LostError: another worker is gone; what was finished stays in the directory.

    """
    splits = _splits(app, data_dir, which, quarantine)
    spread = distribution.choose(strategy, devices)
    app = distribution.divided(app, splits, spread.num_replicas_in_sync)
    choice = choose(precision, app.question, app.formats)
    with contextlib.ExitStack() as held:
        with spread.scope(), distribution.together():
            choice = distribution.agreed(app, splits, choice)
            parts = compiled(app, splits, choice.policy)
            place = _place(app, splits, choice.policy, run_dir, held, quarantine)
            path, found = place.path, place.found
            if verbose and path:
                print(records.announcement(app, splits, parts, choice, path, found), flush=True)
            watchers = [*_watchers(app, splits, parts, path, profile=profile), *watchers]
            fitted = _fit(app, splits, parts, place, watchers, verbose=verbose if path else 0)
            passport = records.passport(app, splits, parts, choice, fitted, which)
        if path is not None:
            records.keep(splits, parts, path, passport)
            if run_dir is None:
                point_latest(path)
    if fitted.stopped is not None:
        raise fitted.stopped
    run = Run(path or ELSEWHERE, data_dir)
    run.remember(app=app, splits=splits, model=parts.answering)
    return run


def _place(
    app: App,
    splits: Splits,
    policy: str,
    run_dir: Path | None,
    held: contextlib.ExitStack,
    quarantine: Path | None,
) -> Place:
    """Where to begin or to go on; the directory is held as long as `held` is open."""
    known = checkpoint.known_by(app, splits, policy)
    found = checkpoint.of(known, run_dir) if run_dir else None
    distribution.require_same("checkpoints", found.position.epoch if found else 0)
    path = held.enter_context(taken(app, run_dir)) if distribution.is_chief() else None
    if quarantine and path:
        # Now, so that an interrupted training has it too.
        with whole(path / QUARANTINE) as beside:
            shutil.copyfile(quarantine, beside)
    return Place(path, known, found)


def _splits(app: App, data_dir: Path | None, which: Fold | None, quarantine: Path | None) -> Splits:
    """As `Run.splits` finds them again."""
    splits = app.splits(data_dir)
    splits = fold(splits, which) if which else splits
    return without(splits, quarantine) if quarantine else splits


def compiled(app: App, splits: Splits, policy: str) -> Parts:
    """The models of an app, seeded; the network compiled."""
    steps, steps_a_call = steps_of(app, splits)
    optimizer = app.descent(app.epochs * steps)
    keras.utils.set_random_seed(app.seed)
    parts = build(app, splits, policy)
    parts.network.compile(
        optimizer,
        loss=finite(app.loss(splits)),
        metrics=list(app.metrics),
        steps_per_execution=steps_a_call,
    )
    if distribution.replicas() > 1:
        distribution.synchronise(parts.network)
    return parts


def steps_of(app: App, splits: Splits) -> tuple[int, int]:
    """Steps an epoch, and steps a call that divide them: one where replicas share them."""
    steps = len(splits.train) // app.batch(len(splits.train))
    most = STEPS_A_CALL if distribution.replicas() == 1 else 1
    steps_a_call = steps // -(-steps // most)
    # A call that crossed an epoch's end would take batches of the next one.
    return steps // steps_a_call * steps_a_call, steps_a_call


def feeds(app: App, splits: Splits, parts: Parts, found: checkpoint.Found | None = None) -> Feeds:
    """What an app's fit consumes, from a checkpoint on."""
    position = found.position if found else BEGIN
    steps, steps_a_call = steps_of(app, splits)
    train = feed_shuffled(
        splits.train,
        batch_size=app.batch(len(splits.train)),
        steps_per_epoch=steps,
        seed=app.seed,
        prepare=parts.prepare,
        augment=app.augmentation(),
        lengths=app.lengths(splits),
        # What replays its epochs needs their batches.
        start=position.epoch * steps if found and found.state else 0,
    )
    valid = feed_shared(splits.valid, batch_size=VALID_BATCH, prepare=parts.prepare)
    return Feeds(train, valid, steps, splits, parts.prepare, steps_a_call, position)


def _fit(
    app: App,
    splits: Splits,
    parts: Parts,
    place: Place,
    watchers: Sequence[keras.callbacks.Callback],
    *,
    verbose: int,
) -> Fitted:
    path, known, found = place
    history = own.History(path and path / "history.csv")
    best = own.KeepBest(parts.answering, path and path / "model.keras", app.monitor)
    stopped: BaseException | None = None
    start = time.perf_counter()
    try:
        # First, so that what is judged and kept are the averages of ScheduleFree.
        averaged = optimizers.AveragedWeights()
        callbacks = [averaged, own.StopWhenNotFinite(), history, best, *watchers]
        callbacks.append(checkpoint.Checkpoint(path, known, callbacks, found))
        consumed = feeds(app, splits, parts, found)
        app.fit(parts.network, consumed, callbacks=callbacks, verbose=verbose)
    except own.EnoughError:
        pass
    except (tf.errors.InvalidArgumentError, FloatingPointError) as error:
        stopped = _diverged(error, parts.network.optimizer, best, path)
    except KeyboardInterrupt as interrupt:
        stopped = interrupt
    if stopped is not None and not best.epoch:
        raise stopped
    best.restore()
    seconds = time.perf_counter() - start + (found.seconds if found else 0.0)
    return Fitted(history, best, seconds, stopped)


def _watchers(
    app: App, splits: Splits, parts: Parts, path: Path | None, *, profile: bool
) -> Iterator[keras.callbacks.Callback]:
    if path:
        yield keras.callbacks.TensorBoard(
            str(path / "logs"), write_graph=False, profile_batch=2 if profile else 0
        )
    if path and app.question == "image" and splits.labels:
        shown = splits.valid.numpy(slice(0, NUM_SHOWN))
        yield own.ShowPredictions(parts.answering, shown, splits.labels, path / "logs" / "samples")
    if app.patience:
        yield keras.callbacks.EarlyStopping(app.monitor, patience=app.patience)


def _diverged(
    error: Exception, optimizer: keras.optimizers.Optimizer, best: own.KeepBest, path: Path | None
) -> DivergedError:
    if isinstance(error, tf.errors.InvalidArgumentError) and "not finite" not in str(error):
        raise error
    kept = (
        f"The best model, of epoch {best.epoch}, is in {path or 'the run of the chief'}."
        if best.epoch
        else "No epoch was finished, so nothing was kept."
    )
    return DivergedError(
        f"Received a loss that is not finite at step {int(optimizer.iterations.numpy())} "
        f"(learning rate {float(optimizer.learning_rate):.3g}); expected a number. {kept} "
        "Lower --learning-rate, or choose another --optimizer."
    )
