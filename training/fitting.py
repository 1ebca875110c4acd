"""Compile the network of an app, make its batches, and fit it."""

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
from apps.fit_data import START, FitData, HeldOut
from apps.metrics import metric
from pipelines.batches import inference_batch_size, sharded_batches, shuffled_batches
from pipelines.files import plain_path
from pipelines.splits import Splits
from training import callbacks as own
from training.build import FiniteLoss, ModelParts, build, prepare_examples_once
from training.checkpoint import Checkpoint
from training.directory import has_trained_steps
from training.distributed import strategy as distribution
from training.failures import DiskFullError, DivergedError
from training.interrupts import InterruptedTrainingError, Interrupts
from training.options import TrainOptions
from training.resume import CheckpointState
from training.time_limit import TimeLimit

MAX_STEPS_PER_EXECUTION = 64  # the cost of a call is small, and progress still shows often
NUM_PREVIEW_IMAGES = 16
# By which epochs are compared, of a table and of texts.
MAX_VALIDATION_ROWS, MAX_VALIDATION_TEXTS = 200_000, 20_000
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


class TrainingJob(NamedTuple):
    """Everything that a fit needs.

    Attributes:
        app: App to train.
        splits: Its data.
        parts: Its models.
        path: Run directory; None if another worker writes.
        begin: State to continue from.
        resume_command: Command that resumes the training after it is stopped.
        build_seconds: Time to build the models.
        time_limit: Ends the training in time; None without --minutes.

    """

    app: App
    splits: Splits
    parts: ModelParts
    path: Path | None
    begin: CheckpointState
    resume_command: str
    build_seconds: float
    time_limit: TimeLimit | None = None

    @property
    def chosen(self) -> dict[str, Any]:
        """Values of the fields that the app chose itself."""
        return self.app.automatic_values(self.splits, batch_size(self.app, self.splits), self.steps)

    @property
    def steps(self) -> int:
        """Number of steps of all epochs."""
        return self.app.epochs * count_steps(self.app, self.splits)[0]


class FitResult(NamedTuple):
    """Result of a fit.

    Attributes:
        history: of the epochs.
        best: the best model.
        seconds: of training.
        stopped: the exception that ended it early.
        stages: the first epoch, from 1, of the last stage; empty for a single stage.
        held_out: outputs of the best model for validation examples, if it was then fitted to
            these; None if they can be computed.

    """

    history: own.History
    best: own.KeepBest
    seconds: float
    stopped: BaseException | None
    stages: list[int]
    held_out: HeldOut | None


def build_compiled(app: App, splits: Splits, policy: str) -> ModelParts:
    """Build the models of an app with its seed, and compile the network."""
    steps, steps_per_execution = count_steps(app, splits)
    optimizer = app.make_optimizer(app.epochs * steps)
    keras.utils.set_random_seed(app.seed)
    parts = build(app, splits, policy)
    parts.network.compile(
        optimizer,
        loss=FiniteLoss(app.make_loss(splits)),
        **{_metrics_argument(splits): app.make_metrics(splits)},
        steps_per_execution=steps_per_execution,
    )
    if distribution.num_replicas() > 1:
        distribution.synchronize_batch_normalization(parts.network)
    return parts


def _metrics_argument(splits: Splits) -> str:
    return "metrics" if splits.train.stored_weights is None else "weighted_metrics"


def count_steps(app: App, splits: Splits) -> tuple[int, int]:
    """Count steps per epoch and per execution; one per execution with several replicas."""
    return count_steps_for(app, len(splits.train), distribution.num_replicas())


def count_steps_for(app: App, count: int, num_replicas: int) -> tuple[int, int]:
    """Count steps as `count_steps` does, for `count` examples and `num_replicas` replicas."""
    size = distribution.batch_size(app, count, num_replicas)
    steps = max(1, min(count, app.max_epoch_examples or count) // size)
    max_steps = MAX_STEPS_PER_EXECUTION if num_replicas == 1 else 1
    steps_per_execution = steps // -(-steps // max_steps)
    # An execution across an epoch's end would take batches of the next epoch.
    return steps // steps_per_execution * steps_per_execution, steps_per_execution


def batch_size(app: App, splits: Splits) -> int:
    """Return the examples per step, over all replicas of the current strategy."""
    return distribution.batch_size(app, len(splits.train), distribution.num_replicas())


def make_fit_data(
    app: App, splits: Splits, parts: ModelParts, begin: CheckpointState | None = None
) -> FitData:
    """Return the batches that `App.fit` consumes, from the position of a checkpoint on."""
    position = begin.position if begin else START
    steps, steps_per_execution = count_steps(app, splits)
    size = batch_size(app, splits)
    validation_batch_size = inference_batch_size(splits.spec["features"])
    prepare, train_examples, valid_examples, lengths = prepare_examples_once(app, splits, parts)
    train = shuffled_batches(
        train_examples,
        batch_size=size,
        steps_per_epoch=steps,
        seed=app.seed,
        prepare=prepare,
        augment=app.make_augmentation(),
        lengths=lengths,
        # A fit that replays its epochs needs their batches.
        start=position.initial_batch(range(app.epochs), steps) if begin and begin.state else 0,
    )
    if app.modality == "row":
        valid_examples = valid_examples.sample(MAX_VALIDATION_ROWS)
    if app.modality == "text":
        valid_examples = valid_examples.sample(MAX_VALIDATION_TEXTS)
    valid = sharded_batches(valid_examples, batch_size=validation_batch_size, prepare=prepare)
    return FitData(
        train, valid, steps, splits, parts.preprocessing, size, steps_per_execution, position
    )


def fit(
    job: TrainingJob,
    options: TrainOptions,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: int,
) -> FitResult:
    """Train until the end, or until an exception, which becomes part of the result.

    Raises DiskFullError.
    """
    with plain_path(job.path or Path()) as plain:
        return _fit(job, options, callbacks, verbose, plain / "logs")


def _fit(
    job: TrainingJob,
    options: TrainOptions,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: int,
    logs: Path,
) -> FitResult:
    history = own.History(job.path and job.path / "history.csv")
    saved = job.path and job.path / "model.keras"
    best = own.KeepBest(job.parts.full_model, saved, job.app.monitor)
    interrupts = Interrupts()
    # AveragedWeights comes first, so that the averages are evaluated and saved.
    own_callbacks = [optimizers.AveragedWeights(), own.StopWhenDiverged(), history, best]
    own_callbacks += [*_standard_callbacks(job, logs, profile=options.profile), *callbacks]
    own_callbacks += [job.time_limit] if job.time_limit else []
    # A run that halves its learning rate goes back to the last checkpoint between epochs.
    within_epochs = options.on_nan == "stop" and distribution.strategy_name() != "multiworker"
    checkpoint = Checkpoint(
        job.path,
        job.begin,
        own_callbacks,
        interval=options.checkpoint_every,
        within_epochs=within_epochs,
        interrupts=interrupts,
    )
    verbose = verbose if job.path else 0
    network, start = job.parts.network, time.perf_counter()
    kept: list[HeldOut] = []

    def run() -> None:
        fit_data = make_fit_data(job.app, job.splits, job.parts, job.begin)
        fit_data = fit_data._replace(restore_best=best.restore, keep_held_out=kept.append)
        job.app.fit(network, fit_data, callbacks=[*own_callbacks, checkpoint], verbose=verbose)

    with interrupts.handle_signals():
        stopped = _run_fit(run, job, checkpoint)
    if best.epoch:
        best.restore()
    seconds = time.perf_counter() - start + job.begin.seconds
    stages = [checkpoint.first + 1] if checkpoint.stage > 1 else []
    # They are of the last epoch, whose model is not always the best.
    is_last = bool(history.rows) and best.epoch == history.rows[-1]["epoch"]
    held_out = kept[-1] if kept and is_last else None
    return FitResult(history, best, seconds, stopped, stages, held_out)


def _run_fit(
    run: Callable[[], None], job: TrainingJob, checkpoint: Checkpoint
) -> BaseException | None:
    """Fit, and return the exception that ended it early."""
    try:
        run()
    except own.StopTrainingError:
        pass
    except (tf.errors.InvalidArgumentError, FloatingPointError) as error:
        return _divergence_error(error, job, checkpoint)
    except InterruptedTrainingError as interrupt:
        message = f"interrupted; finished epochs are kept. Resume: {job.resume_command}"
        return InterruptedTrainingError(interrupt.number, message)
    except KeyboardInterrupt as interrupt:
        return interrupt
    except (OSError, RuntimeError, tf.errors.OpError) as error:
        if getattr(error, "errno", None) in DISK_FULL_ERRNOS or "No space left" in str(error):
            raise DiskFullError(_disk_full_message(job)) from error
        raise
    return None


def _standard_callbacks(
    job: TrainingJob, logs: Path, *, profile: bool
) -> Iterator[keras.callbacks.Callback]:
    app, path, splits = job.app, job.path, job.splits
    if path:
        yield keras.callbacks.TensorBoard(
            str(logs), write_graph=False, profile_batch=2 if profile else 0
        )
    if path and app.modality == "image" and splits.labels:
        batch = splits.valid.numpy(slice(0, NUM_PREVIEW_IMAGES))
        yield own.ShowPredictions(job.parts.full_model, batch, splits.labels, logs / "samples")
    if app.patience:
        mode = metric(app.monitor).mode
        yield keras.callbacks.EarlyStopping(app.monitor, patience=app.patience, mode=mode)


def _divergence_error(error: Exception, job: TrainingJob, checkpoint: Checkpoint) -> DivergedError:
    if isinstance(error, tf.errors.InvalidArgumentError) and "not finite" not in str(error):
        raise error
    optimizer, best = job.parts.network.optimizer, checkpoint.best
    received = "a loss that is not finite"
    if isinstance(error, FloatingPointError):
        received = f"{error} that is not finite or far too large"
    kept_note = (
        f"The best model, of epoch {best.epoch}, is in {job.path or 'the run of the chief'}."
        if best.epoch
        else "No epoch was finished."
    )
    remedy = "Lower --learning-rate, take --on-nan halve, or choose another --optimizer."
    if job.path and has_trained_steps(job.path):
        remedy += f" To go on with half the rate: {job.resume_command} --on-nan halve"
    return DivergedError(
        f"Received {received} at step {int(optimizer.iterations.numpy())} "
        f"(learning rate {float(optimizer.learning_rate):.3g}); expected a number. "
        f"{kept_note} {remedy}",
        lower_rate_may_help=not checkpoint.params.get("replays"),
    )


def _disk_full_message(job: TrainingJob) -> str:
    """Say how much space a training needs and how much is free."""
    network = job.parts.network
    variables = [*network.variables, *network.optimizer.variables]
    state = sum(int(tf.size(weights)) * 4 for weights in variables)
    model = sum(weights.nbytes for weights in job.parts.full_model.get_weights())
    # Two stored checkpoints with the best weights, and one that is being written; two models.
    needed = 3 * (state + model) + 2 * model
    free = shutil.disk_usage(job.path or Path()).free
    return (
        f"Received a full disk at {job.path}, {free / 1e6:.1f} MB free; expected about "
        f"{needed / 1e6:.1f} MB for a model, its checkpoints and temporary files. No existing file "
        f"is damaged. Free space, then: {job.resume_command}"
    )
