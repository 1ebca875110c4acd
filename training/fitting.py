"""A compiled network, what it consumes, and the fit that ends well or says why not."""

import errno
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

import optimizers
from apps.app import App
from apps.fit_data import START, FitData
from apps.metrics import metric
from pipelines.batches import inference_batch_size, sharded_batches, shuffled_batches
from pipelines.splits import Splits
from training import callbacks as own
from training.build import Parts, build, finite
from training.checkpoint import Checkpoint
from training.directory import holds_steps
from training.distributed import strategy as distribution
from training.interrupts import InterruptedTrainingError, Interrupts
from training.options import TrainOptions
from training.resume import Found

MAX_STEPS_PER_EXECUTION = 64  # as many as make the cost of a call small, and progress still moves
NUM_SHOWN = 16
FULL = (errno.ENOSPC, errno.EDQUOT)


class DivergedError(RuntimeError):
    """Training whose loss is no number any more, or far too large.

    Attributes:
        by_rate: whether a smaller learning rate could help.

    """

    exit_status = 1

    def __init__(self, message: str, *, by_rate: bool = True) -> None:
        super().__init__(message)
        self.by_rate = by_rate


class DiskFullError(OSError):
    """A disk that has no room for what training keeps."""

    exit_status = 1


class Task(NamedTuple):
    """What a fit is made of.

    Attributes:
        app: what is trained.
        splits: its data.
        parts: its models.
        path: of the run directory; None where another worker writes.
        begin: what to go on from.
        again: the command that goes on with it, where it is stopped.

    """

    app: App
    splits: Splits
    parts: Parts
    path: Path | None
    begin: Found
    again: str

    @property
    def chosen(self) -> dict[str, Any]:
        """The values of those fields that were left to the app."""
        return self.app.automatic_values(self.splits, batch_size(self.app, self.splits), self.steps)

    @property
    def steps(self) -> int:
        """Of all epochs."""
        return self.app.epochs * steps_of(self.app, self.splits)[0]


class Fitted(NamedTuple):
    """How a fit went; `stopped` is what ended it before its time.

    `stages` holds the first epoch, from 1, of its last stage, and nothing where it had one.
    """

    history: own.History
    best: own.KeepBest
    seconds: float
    stopped: BaseException | None
    stages: list[int]


def compiled(app: App, splits: Splits, policy: str) -> Parts:
    """The models of an app, seeded; the network compiled."""
    steps, steps_per_execution = steps_of(app, splits)
    optimizer = app.make_optimizer(app.epochs * steps)
    keras.utils.set_random_seed(app.seed)
    parts = build(app, splits, policy)
    parts.network.compile(
        optimizer,
        loss=finite(app.make_loss(splits)),
        metrics=list(app.metrics),
        steps_per_execution=steps_per_execution,
    )
    if distribution.replicas() > 1:
        distribution.synchronise(parts.network)
    return parts


def steps_of(app: App, splits: Splits) -> tuple[int, int]:
    """Steps an epoch, and steps a call that divide them: one where replicas share them."""
    steps = len(splits.train) // batch_size(app, splits)
    most = MAX_STEPS_PER_EXECUTION if distribution.replicas() == 1 else 1
    steps_per_execution = steps // -(-steps // most)
    # A call that crossed an epoch's end would take batches of the next one.
    return steps // steps_per_execution * steps_per_execution, steps_per_execution


def batch_size(app: App, splits: Splits) -> int:
    """Examples in one step, over the replicas in whose scope this is asked."""
    return distribution.batch_size(app, len(splits.train), distribution.replicas())


def make_fit_data(app: App, splits: Splits, parts: Parts, begin: Found | None = None) -> FitData:
    """The batches that `App.fit` consumes, from the position of a checkpoint on."""
    position = begin.position if begin else START
    steps, steps_per_execution = steps_of(app, splits)
    size = batch_size(app, splits)
    train = shuffled_batches(
        splits.train,
        batch_size=size,
        steps_per_epoch=steps,
        seed=app.seed,
        prepare=parts.prepare,
        augment=app.make_augmentation(),
        lengths=app.sequence_lengths(splits),
        # What replays its epochs needs their batches.
        start=position.initial_batch(range(app.epochs), steps) if begin and begin.state else 0,
    )
    together = inference_batch_size(splits.spec["features"])
    valid = sharded_batches(splits.valid, batch_size=together, prepare=parts.prepare)
    return FitData(train, valid, steps, splits, parts.prepare, size, steps_per_execution, position)


def fit(
    task: Task,
    options: TrainOptions,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: int,
) -> Fitted:
    """Train until the end, or until something ends it, which the result holds.

    Raises DiskFullError.
    """
    history = own.History(task.path and task.path / "history.csv")
    saved = task.path and task.path / "model.keras"
    best = own.KeepBest(task.parts.answering, saved, task.app.monitor)
    interrupts = Interrupts()
    # First, so that what is judged and kept are the averages of ScheduleFree.
    before = [optimizers.AveragedWeights(), own.StopWhenDiverged(), history, best]
    before += [*_watchers(task, profile=options.profile), *callbacks]
    # Between epochs stands what every run that halves its rate would go back to.
    amid = options.on_nan == "stop" and distribution.name() != "multiworker"
    every = options.checkpoint_every
    checkpoint = Checkpoint(
        task.path, task.begin, before, every=every, amid=amid, interrupts=interrupts
    )
    verbose = verbose if task.path else 0
    network, start = task.parts.network, time.perf_counter()

    def run() -> None:
        consumed = make_fit_data(task.app, task.splits, task.parts, task.begin)
        task.app.fit(network, consumed, callbacks=[*before, checkpoint], verbose=verbose)

    with interrupts.caught():
        stopped = _outcome(run, task, checkpoint)
    if best.epoch:
        best.restore()
    seconds = time.perf_counter() - start + task.begin.seconds
    stages = [checkpoint.first + 1] if checkpoint.stage > 1 else []
    return Fitted(history, best, seconds, stopped, stages)


def _outcome(run: Callable[[], None], task: Task, checkpoint: Checkpoint) -> BaseException | None:
    """What ended a fit before its time."""
    try:
        run()
    except own.EnoughError:
        pass
    except (tf.errors.InvalidArgumentError, FloatingPointError) as error:
        return _diverged(error, task, checkpoint)
    except InterruptedTrainingError as interrupt:
        said = f"interrupted; what was finished is kept. Go on: {task.again}"
        return InterruptedTrainingError(interrupt.number, said)
    except KeyboardInterrupt as interrupt:
        return interrupt
    except (OSError, RuntimeError, tf.errors.OpError) as error:
        if getattr(error, "errno", None) in FULL or "No space left" in str(error):
            raise DiskFullError(_room(task)) from error
        raise
    return None


def _watchers(task: Task, *, profile: bool) -> Iterator[keras.callbacks.Callback]:
    app, path, splits = task.app, task.path, task.splits
    if path:
        yield keras.callbacks.TensorBoard(
            str(path / "logs"), write_graph=False, profile_batch=2 if profile else 0
        )
    if path and app.modality == "image" and splits.labels:
        shown = splits.valid.numpy(slice(0, NUM_SHOWN))
        logs = path / "logs" / "samples"
        yield own.ShowPredictions(task.parts.answering, shown, splits.labels, logs)
    if app.patience:
        mode = metric(app.monitor).mode
        yield keras.callbacks.EarlyStopping(app.monitor, patience=app.patience, mode=mode)


def _diverged(error: Exception, task: Task, checkpoint: Checkpoint) -> DivergedError:
    if isinstance(error, tf.errors.InvalidArgumentError) and "not finite" not in str(error):
        raise error
    optimizer, best = task.parts.network.optimizer, checkpoint.best
    what = "a loss that is not finite"
    if isinstance(error, FloatingPointError):
        what = f"{error} that is not finite or far too large"
    kept = (
        f"The best model, of epoch {best.epoch}, is in {task.path or 'the run of the chief'}."
        if best.epoch
        else "No epoch was finished."
    )
    remedy = "Lower --learning-rate, take --on-nan halve, or choose another --optimizer."
    if task.path and holds_steps(task.path):
        remedy += f" To go on with half the rate: {task.again} --on-nan halve"
    return DivergedError(
        f"Received {what} at step {int(optimizer.iterations.numpy())} "
        f"(learning rate {float(optimizer.learning_rate):.3g}); expected a number. {kept} {remedy}",
        by_rate=not checkpoint.params.get("replays"),
    )


def _room(task: Task) -> str:
    """How much a training keeps, and how much there is."""
    network = task.parts.network
    variables = [*network.variables, *network.optimizer.variables]
    state = sum(int(tf.size(one)) * 4 for one in variables)
    model = sum(one.nbytes for one in task.parts.answering.get_weights())
    # Two checkpoints, with the best weights in them, and one that is being written; two models.
    needed = 3 * (state + model) + 2 * model
    free = shutil.disk_usage(task.path or Path()).free
    return (
        f"Received a full disk at {task.path}, {free / 1e6:.1f} MB free; expected about "
        f"{needed / 1e6:.1f} MB for a model, its checkpoints and what is being written. Nothing "
        f"that was there is damaged. Free space, then: {task.again}"
    )
