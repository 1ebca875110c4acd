"""Distribution strategies: one device, or several that share each step (tf.distribute)."""

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

COLLECTIVE_TIMEOUT = 600  # seconds that a worker waits for the others within a step
WAITING_NOTICE_DELAY = 20  # seconds of waiting after which a line is printed
LOST_WORKER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
)


def make_strategy(strategy: Strategy, devices: int | None = None) -> Any:
    """Make the tf.distribute.Strategy: the default one, mirrored or multi-worker.

    With `mirrored` every device computes its part of each batch, and all apply the same step.
    `multiworker` does so with all devices of several processes, on one machine or many.

    Args:
        strategy: `auto` is multiworker if TF_CONFIG names several workers, else mirrored if
            there are several devices.
        devices: Number of GPUs, or of parts of the CPU without a GPU; None for all.

    Raises:
        StrategyError: There are fewer devices, or no other workers.

    """
    if cluster.cluster_to_join(strategy):
        if devices is not None:
            raise StrategyError(
                f"Received --devices {devices} with several workers; expected none, because each "
                "worker uses all of its GPUs. Leave it out."
            )
        return multiworker()
    available = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if devices is not None and not 1 <= devices <= len(available):
        raise StrategyError(
            f"Received --devices {devices}; expected 1 to {len(available)}, which this machine has."
        )
    names = [device.name for device in available[:devices]]
    if strategy == "mirrored" and len(names) < 2:
        raise StrategyError(
            "Received --strategy mirrored for one device; expected several. Take --strategy one; "
            "without a GPU --devices 2 divides the CPU, which shows how it works and saves no time."
        )
    if strategy == "one" or len(names) < 2:
        return tf.distribute.get_strategy()
    return _mirrored(*names)


def expected_replicas(strategy: Strategy, devices: int | None) -> int:
    """Return the replicas that `make_strategy` would use, without initialising devices."""
    if strategy == "one":
        return 1
    return devices or max(1, len(tf.config.list_physical_devices("GPU")))


@functools.cache
def _mirrored(*names: str) -> Any:
    """Make one strategy per process: after a second, collectives of the first fail."""
    keras_fixes.symbolic_build()
    keras_fixes.random_layers()
    return tf.distribute.MirroredStrategy(names)


@functools.cache
def multiworker() -> Any:
    """Make the strategy of TF_CONFIG's workers; must run before TensorFlow initialises devices."""
    for fix in (keras_fixes.symbolic_build, keras_fixes.random_layers, keras_fixes.logs):
        fix()
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=COLLECTIVE_TIMEOUT)
    with _waiting_for_workers():
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)


@contextlib.contextmanager
def _waiting_for_workers() -> Iterator[None]:
    """Let Ctrl-C end the wait for the other workers, and print a line after a while."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # A Python handler would run only after all workers have connected.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    waiting = threading.Timer(WAITING_NOTICE_DELAY, _print_waiting_notice)
    waiting.daemon = True
    waiting.start()
    try:
        yield
    finally:
        waiting.cancel()
        # TensorFlow installs a SIGTERM handler that ignores the signal.
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _print_waiting_notice() -> None:
    workers = ", ".join(getattr(cluster.read_cluster(), "workers", ()))
    print(f"athanor: still waiting for all workers of TF_CONFIG: {workers}", file=sys.stderr)


def is_chief() -> bool:
    """Whether this process writes and prints: it is alone, or the first worker."""
    return _worker_number() == 0


def _worker_number() -> int:
    this_cluster = cluster.read_cluster() if strategy_name() == "multiworker" else None
    return this_cluster.number if this_cluster else 0


def strategy_name() -> Strategy:
    """Return the name of the current strategy."""
    if isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
        return "multiworker"
    return "one" if num_replicas() == 1 else "mirrored"


def broadcast_from_chief(number: int) -> int:
    """Return the chief's number on every worker; all workers must call this together."""
    if strategy_name() != "multiworker":
        return number
    strategy = tf.distribute.get_strategy()
    values = _value_of_first_replica(strategy)(tf.constant(number, tf.int64))
    return int(strategy.experimental_local_results(values)[0])


def require_equal_to_chief(name: str, number: int) -> None:
    """Raise StrategyError if the number is not the chief's; all workers must call this."""
    if broadcast_from_chief(number) != number:
        raise StrategyError(
            f"Received {name} on worker {_worker_number()} that differ from those of the chief; "
            "expected the same on all workers. Start all with the same command, on the same data, "
            "in the same directory."
        )


@functools.cache
def _value_of_first_replica(strategy: Any) -> Any:
    def first(value: Any) -> Any:
        context = tf.distribute.get_replica_context()
        is_first = tf.equal(context.replica_id_in_sync_group, 0)
        return context.all_reduce("sum", tf.where(is_first, value, 0))

    return tf.function(lambda value: strategy.run(first, (value,)), autograph=False)


def agree_on_precision(app: App, splits: Splits, choice: PrecisionChoice) -> PrecisionChoice:
    """Return the chief's choice of precision, which each machine would measure differently.

    Raises StrategyError on a worker with other data or fields than the chief.
    """
    if strategy_name() != "multiworker":
        return choice  # without reading the data
    places = {"data": "", "test": ""}  # paths may differ between machines
    same = repr((app.to_json() | places, splits.fingerprint()))
    require_equal_to_chief("data or fields", zlib.crc32(same.encode()))
    policy = POLICIES[broadcast_from_chief(POLICIES.index(choice.policy))]
    return choice if policy == choice.policy else PrecisionChoice(policy, "the chief's choice")


@contextlib.contextmanager
def report_lost_workers() -> Iterator[None]:
    """Raise LostError if another worker ends or hangs."""
    try:
        yield
    except LOST_WORKER_ERRORS as error:
        if strategy_name() != "multiworker":
            raise
        reason = "hung" if isinstance(error, tf.errors.DeadlineExceededError) else "ended"
        raise LostError(
            f"Received nothing more from another worker, which {reason}; expected all workers to "
            "continue. Read its output, and start all again."
        ) from error


def batch_size(app: App, count: int, num_replicas: int) -> int:
    """Return the examples per step for `count` training examples, a multiple of the replicas.

    Raises FieldError for a --batch-size that is no multiple, or for a full-batch solver.
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
    """Return the number of replicas of the current strategy; 1 outside of its scope."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def synchronize_batch_normalization(model: Any) -> None:
    """Compute batch normalization over the whole batch, so that replicas equal one device."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
