"""An app becomes a run."""

import dataclasses
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

import optimizers
from apps.app import App, Feeds, FieldError
from pipelines.feed import feed, feed_shuffled
from pipelines.files import whole
from pipelines.splits import Splits
from training import callbacks as own
from training.precision import Choice, Precision, choose, processor
from training.run import PASSPORT, Run, discard, new_directory, point_latest, write_json

STEPS_A_CALL = 64  # as many as make the cost of a call small, and progress still moves
VALID_BATCH = 1000
NUM_SAMPLES = 64  # raw inputs kept with their answers, for the gate of every export
NUM_SHOWN = 16


class DivergedError(RuntimeError):
    """Training whose loss is no number any more."""

    exit_status = 1


class Fitted(NamedTuple):
    """How a fit went; `stopped` is what ended it before its time."""

    history: own.History
    best: own.KeepBest
    seconds: float
    steps: int
    stopped: BaseException | None


class Parts(NamedTuple):
    """What training holds: the prepared input's layer, the net, and both with the answer."""

    prepare: Any
    network: Any
    answering: Any


def train(
    app: App,
    *,
    run_dir: Path | None = None,
    data_dir: Path | None = None,
    precision: Precision = "auto",
    profile: bool = False,
    verbose: int = 2,
) -> Run:
    """Train an app and return its run.

    Args:
        app: what to train.
        run_dir: a new or empty directory; runs/<app>/<stamp> by default.
        data_dir: where prepared TFDS sets lie.
        precision: of the arithmetic; `auto` measures what is fast here.
        profile: also record what the second call's steps spend their time on.
        verbose: 0 silent, 1 a moving bar, 2 a line an epoch.

    Raises:
        DataError, FieldError, RunError, UnknownOptimizerError: nothing was written.
        DivergedError: the loss is no number any more; the best model so far is kept.

    """
    splits = app.splits(data_dir)
    steps, steps_a_call = steps_of(app, splits)
    optimizer = optimizers.get(app.optimizer, app.rate(app.epochs * steps))
    choice = choose(precision, app.question)
    keras.utils.set_random_seed(app.seed)
    parts = _build(app, splits, choice)
    parts.network.compile(
        optimizer,
        loss=finite(app.loss()),
        metrics=list(app.metrics),
        steps_per_execution=steps_a_call,
    )
    path = new_directory(app, run_dir)
    if verbose:
        print(_announcement(app, splits, parts, choice, path), flush=True)
    fitted = _fit(app, splits, parts, path, steps=steps, profile=profile, verbose=verbose)
    _keep_samples(app, splits, parts, path)
    write_json(path / PASSPORT, _passport(app, splits, parts, choice, fitted))
    if run_dir is None:
        point_latest(path)
    if fitted.stopped is not None:
        raise fitted.stopped
    run = Run(path, data_dir)
    run.remember(app=app, splits=splits, model=parts.answering)
    return run


def steps_of(app: App, splits: Splits) -> tuple[int, int]:
    """Steps an epoch, and steps a call that divide them."""
    if app.batch_size > len(splits.train):
        raise FieldError(
            f"Received --batch-size {app.batch_size}; expected at most the {len(splits.train)} "
            "training examples."
        )
    steps = len(splits.train) // app.batch_size
    steps_a_call = steps // -(-steps // STEPS_A_CALL)
    # A call that crossed an epoch's end would take batches of the next one.
    return steps // steps_a_call * steps_a_call, steps_a_call


def _build(app: App, splits: Splits, choice: Choice) -> Parts:
    shape, dtype = splits.spec["features"]
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(choice.policy)
    try:
        prepare, network = app.prepare(splits), app.network(splits)
    finally:
        keras.config.set_dtype_policy(before)
    raw = keras.Input(shape, dtype=dtype, name="raw")
    answer = network(prepare(raw))
    if app.answer == "classes":
        answer = keras.layers.Softmax(dtype="float32", name="probabilities")(answer)
    answering = keras.Model(raw, answer, name=f"{app.name()}_answering")
    # A twin of the same layers is compiled, so that the saved model carries no optimizer.
    return Parts(prepare, keras.Model(network.inputs, network.outputs), answering)


def finite(loss: keras.losses.Loss) -> Any:
    """The loss, checked at every step: optimizer.iterations then says at which it failed."""

    def checked(target: Any, answer: Any) -> Any:
        return tf.debugging.check_numerics(loss(target, answer), "The loss is not finite.")

    return checked


def _fit(
    app: App, splits: Splits, parts: Parts, path: Path, *, steps: int, profile: bool, verbose: int
) -> Fitted:
    history = own.History(path / "history.csv")
    best = own.KeepBest(parts.answering, path / "model.keras", app.monitor)
    stopped: BaseException | None = None
    start = time.perf_counter()
    feeds = Feeds(
        feed_shuffled(
            splits.train,
            batch_size=app.batch_size,
            steps_per_epoch=steps,
            seed=app.seed,
            prepare=parts.prepare,
            augment=app.augmentation(),
        ),
        feed(splits.valid, batch_size=VALID_BATCH, prepare=parts.prepare),
        steps,
    )
    try:
        watchers = _watchers(app, splits, parts, path, profile=profile)
        callbacks = [own.StopWhenNotFinite(), history, best, *watchers]
        app.fit(parts.network, feeds, callbacks=callbacks, verbose=verbose)
    except (tf.errors.InvalidArgumentError, FloatingPointError) as error:
        stopped = _diverged(error, parts.network.optimizer, best, path)
    except KeyboardInterrupt as interrupt:
        stopped = interrupt
    finally:
        if not best.epoch:
            discard(path)
    if stopped is not None and not best.epoch:
        raise stopped
    best.restore()
    return Fitted(history, best, time.perf_counter() - start, steps, stopped)


def _watchers(
    app: App, splits: Splits, parts: Parts, path: Path, *, profile: bool
) -> Iterator[keras.callbacks.Callback]:
    yield keras.callbacks.TensorBoard(
        str(path / "logs"), write_graph=False, profile_batch=2 if profile else 0
    )
    if app.question == "image":
        shown = splits.valid.numpy(slice(0, NUM_SHOWN))
        yield own.ShowPredictions(parts.answering, shown, splits.labels, path / "logs" / "samples")
    if app.patience:
        yield keras.callbacks.EarlyStopping(app.monitor, patience=app.patience)


def _diverged(
    error: Exception, optimizer: keras.optimizers.Optimizer, best: own.KeepBest, path: Path
) -> DivergedError:
    if isinstance(error, tf.errors.InvalidArgumentError) and "not finite" not in str(error):
        raise error
    kept = (
        f"The best model, of epoch {best.epoch}, is in {path}."
        if best.epoch
        else "No epoch was finished, so nothing was kept."
    )
    return DivergedError(
        f"Received a loss that is not finite at step {int(optimizer.iterations)} "
        f"(learning rate {float(optimizer.learning_rate):.3g}); expected a number. {kept} "
        "Lower --learning-rate, or choose another --optimizer."
    )


def _keep_samples(app: App, splits: Splits, parts: Parts, path: Path) -> None:
    """Store raw inputs and this process's answers, taken by the way of training."""
    few = splits.test.select(np.arange(min(NUM_SAMPLES, len(splits.test))))
    answers = [
        parts.network(features, training=False)
        for features, _ in feed(few, batch_size=NUM_SAMPLES, prepare=parts.prepare)
    ]
    if app.answer == "classes":
        answers = [tf.nn.softmax(tf.cast(logits, tf.float32)) for logits in answers]
    with whole(path / "samples.npz") as beside, beside.open("wb") as file:
        np.savez(file, raw=few.numpy().features, answers=np.concatenate(answers))


def _passport(
    app: App, splits: Splits, parts: Parts, choice: Choice, fitted: Fitted
) -> dict[str, Any]:
    epochs = len(fitted.history.rows)
    reading = app.reading(splits)
    return {
        "app": app.name(),
        "fields": app.to_json(),
        "data": {
            "fingerprint": splits.fingerprint(),
            "sizes": splits.sizes,
            "spec": splits.spec,
            "dropped": splits.dropped,
        },
        "labels": splits.labels,
        "reading": reading and dataclasses.asdict(reading),
        "precision": choice._asdict(),
        "parameters": parts.network.count_params(),
        "epochs": epochs,
        "best_epoch": fitted.best.epoch,
        "stopped": fitted.stopped and (str(fitted.stopped) or "interrupted"),
        "seconds": {"train": round(fitted.seconds, 3)},
        "examples_per_second": round(epochs * fitted.steps * app.batch_size / fitted.seconds, 1),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
        "hardware": processor(),
        "devices": [device.device_type for device in tf.config.list_physical_devices()],
        "strategy": "one",
    }


def _announcement(app: App, splits: Splits, parts: Parts, choice: Choice, path: Path) -> str:
    sizes = ", ".join(f"{size} {name}" for name, size in splits.sizes.items())
    if splits.dropped:
        sizes += f" ({splits.dropped} dropped from train, being in an official split too)"
    return (
        f"{app.name()}: {app.data}, {sizes}; {parts.network.count_params():,} parameters\n"
        f"precision {choice.policy} ({choice.reason}); run directory {path}"
    )
