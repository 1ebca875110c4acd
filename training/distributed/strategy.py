"""One device, or several that compute each step together (tf.distribute)."""

import contextlib
import functools
import signal
import sys
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

import optimizers
from apps.app import App
from apps.fields import FieldError
from pipelines.splits import Splits
from training.distributed import cluster, keras_fixes
from training.distributed.cluster import LostError, Strategy, StrategyError
from training.precision import POLICIES, PrecisionChoice

COLLECTIVE_TIMEOUT = 600  # seconds that a worker waits for another one in the middle of a step
WAITING_NOTICE_DELAY = 20  # seconds after which waiting for the others is worth a line
LOST_WORKER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
)


def make_strategy(strategy: Strategy, devices: int | None = None) -> Any:
    """The tf.distribute.Strategy that is meant: the default one, mirrored, or several workers.

    Mirrored, every device computes its part of each batch, and all make the same step; so do
    all devices of several workers, which are processes on one machine or many.

    Args:
        strategy: `auto` is several workers where TF_CONFIG names them, else mirrored where
            there are several devices.
        devices: how many GPUs, or parts of the CPU where there is no GPU; None for all.

    Raises:
        StrategyError: where there are fewer devices, or no other workers.

    """
    if cluster.wanted(strategy):
        if devices is not None:
            raise StrategyError(
                f"Received --devices {devices} with several workers; expected none, for each "
                "takes all of its GPUs. Leave it out."
            )
        return multiworker()
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if devices is not None and not 1 <= devices <= len(found):
        raise StrategyError(
            f"Received --devices {devices}; expected 1 to {len(found)}, which this machine has."
        )
    names = [device.name for device in found[:devices]]
    if strategy == "mirrored" and len(names) < 2:
        raise StrategyError(
            "Received --strategy mirrored for one device; expected several. Take --strategy one; "
            "without a GPU --devices 2 divides the CPU, which shows how it works and saves no time."
        )
    if strategy == "one" or len(names) < 2:
        return tf.distribute.get_strategy()
    return _mirrored(*names)


def expected_replicas(strategy: Strategy, devices: int | None) -> int:
    """Replicas that `choose` would give, without a look at what the devices hold."""
    if strategy == "one":
        return 1
    return devices or max(1, len(tf.config.list_physical_devices("GPU")))


@functools.cache
def _mirrored(*names: str) -> Any:
    """One strategy a process: after a second, collectives of the first fail."""
    keras_fixes.symbolic_build()
    keras_fixes.random_layers()
    return tf.distribute.MirroredStrategy(names)


@functools.cache
def multiworker() -> Any:
    """The strategy of TF_CONFIG's workers; made before TensorFlow looks at any device."""
    for fix in (keras_fixes.symbolic_build, keras_fixes.random_layers, keras_fixes.logs):
        fix()
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=COLLECTIVE_TIMEOUT)
    with _waiting_for_workers():
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)


@contextlib.contextmanager
def _waiting_for_workers() -> Iterator[None]:
    """While the workers wait for each other: Ctrl-C ends it, and after a while it is said."""
    meant = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # A handler in Python would not be called before all are there.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    waiting = threading.Timer(WAITING_NOTICE_DELAY, _print_waiting_notice)
    waiting.daemon = True
    waiting.start()
    try:
        yield
    finally:
        waiting.cancel()
        # TensorFlow takes SIGTERM for a notice that it need not heed.
        for number, handler in meant.items():
            signal.signal(number, handler)


def _print_waiting_notice() -> None:
    workers = ", ".join(getattr(cluster.found(), "workers", ()))
    print(f"athanor: still waiting for all workers of TF_CONFIG: {workers}", file=sys.stderr)


def is_chief() -> bool:
    """Whether this process writes and prints: alone, or the first of several workers in scope."""
    return _worker_number() == 0


def _worker_number() -> int:
    here = cluster.found() if strategy_name() == "multiworker" else None
    return here.number if here else 0


def strategy_name() -> Strategy:
    """Of the strategy in whose scope this is asked."""
    if isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
        return "multiworker"
    return "one" if num_replicas() == 1 else "mirrored"


def broadcast_from_chief(number: int) -> int:
    """The chief's number, on every worker: all have to ask, at the same place."""
    if strategy_name() != "multiworker":
        return number
    strategy = tf.distribute.get_strategy()
    given = _value_of_first_replica(strategy)(tf.constant(number, tf.int64))
    return int(strategy.experimental_local_results(given)[0])


def require_equal_to_chief(what: str, number: int) -> None:
    """Raise StrategyError on a worker whose number is not the chief's: all have to ask."""
    if broadcast_from_chief(number) != number:
        raise StrategyError(
            f"Received {what} on worker {_worker_number()} that differ from those of the chief; "
            "expected the same on all workers. Start all with the same command, on the same data, "
            "in the same directory."
        )


@functools.cache
def _value_of_first_replica(strategy: Any) -> Any:
    def first(own: Any) -> Any:
        context = tf.distribute.get_replica_context()
        is_first = tf.equal(context.replica_id_in_sync_group, 0)
        return context.all_reduce("sum", tf.where(is_first, own, 0))

    return tf.function(lambda own: strategy.run(first, (own,)), autograph=False)


def agree_on_precision(app: App, splits: Splits, choice: PrecisionChoice) -> PrecisionChoice:
    """The chief's choice of a precision, which each machine measures for itself.

    Raises StrategyError on a worker that has other data or fields than the chief has.
    """
    if strategy_name() != "multiworker":
        return choice  # and the data need not be read for it
    places = {"data": "", "test": ""}  # another machine may keep its copy elsewhere
    same = repr((app.to_json() | places, splits.fingerprint()))
    require_equal_to_chief("data or fields", zlib.crc32(same.encode()))
    policy = POLICIES[broadcast_from_chief(POLICIES.index(choice.policy))]
    return choice if policy == choice.policy else PrecisionChoice(policy, "the chief's choice")


@contextlib.contextmanager
def report_lost_workers() -> Iterator[None]:
    """Say in words that another worker is gone: raises LostError."""
    try:
        yield
    except LOST_WORKER_ERRORS as error:
        if strategy_name() != "multiworker":
            raise
        reason = "hung" if isinstance(error, tf.errors.DeadlineExceededError) else "ended"
        raise LostError(
            f"Received nothing more from another worker, which {reason}; expected all to go on. "
            "Look at what it said, and start all again."
        ) from error


def batch_size(app: App, count: int, num_replicas: int) -> int:
    """Examples in one step, of `count` to train on, as many for each replica.

    Raises FieldError for a --batch-size that cannot be divided so, or a solver.
    """
    if num_replicas > 1 and optimizers.get_solver(app.optimizer):
        raise FieldError(
            f"Received --optimizer {app.optimizer} for {num_replicas} devices; expected one, "
            "because it needs all examples at once. Take --strategy one."
        )
    size = app.effective_batch_size(count)
    shared = size - size % num_replicas
    if (app.batch_size is not None and shared < size) or not shared:
        raise FieldError(
            f"Received batches of {size} examples for {num_replicas} devices; expected a multiple. "
            f"Take --batch-size {max(num_replicas, shared)}."
        )
    return shared


def num_replicas() -> int:
    """Devices that share the work where this is asked: 1 outside of a strategy's scope."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def synchronize_batch_normalization(model: Any) -> None:
    """Let batch normalisation see the whole batch, so that replicas answer as one device."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
