"""Import TensorFlow without its log lines, and half a second faster."""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator

from training.deferred import defer_tensorflow
from training.distributed import cluster
from training.distributed.cluster import Strategy


def start_tensorflow(devices: int | None = None, strategy: Strategy = "one") -> None:
    """Import TensorFlow and initialise the devices; errors are shown in full.

    Without a GPU the CPU is split into `devices`. Several workers connect before anything else.
    Raises StrategyError if workers are requested but TF_CONFIG names none.
    """
    joins_cluster = cluster.cluster_to_join(strategy)
    if "tensorflow" in sys.modules:
        return
    with _quiet(), _hide_package("sklearn"), _hide_package("matplotlib"):
        import keras  # noqa: F401
        import tensorflow as tf

        if not joins_cluster and not tf.config.list_physical_devices("GPU"):
            split_cpu(devices or 1)
        if not joins_cluster:
            tf.config.list_logical_devices()
    if joins_cluster:
        from training.distributed import strategy as distribution

        distribution.multiworker()


def split_cpu(count: int) -> None:
    """Split the CPU into logical devices; must run before TensorFlow initialises them."""
    import tensorflow as tf

    if count > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration()] * count
        tf.config.set_logical_device_configuration(cpu, parts)


def start_tensorflow_without_keras() -> None:
    """Import TensorFlow without Keras, for exported graphs: two seconds faster."""
    with import_without_keras():
        import tensorflow as tf

        tf.config.list_logical_devices()


def start_sessions() -> None:
    """Import what runs a saved graph, a third of TensorFlow; the rest when it is first used."""
    with import_without_keras():
        defer_tensorflow()
        from tensorflow.python.client import session
        from tensorflow.python.saved_model import loader_impl  # noqa: F401

        session.Session().close()  # initialises the devices


@contextlib.contextmanager
def import_without_keras() -> Iterator[None]:
    """Hide Keras, and TensorFlow's log lines, while TensorFlow is imported."""
    # The loader of sessions is TensorFlow Serving's own; that there is a newer one is known.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _quiet(), _hide_package("keras"):
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the log lines of TensorFlow's start."""
    # TensorFlow also raises an exception for each error that its C++ code logs.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # absl carries deprecation warnings of libraries; matplotlib logs fonts and its cache.
    for name in ("absl", "matplotlib"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Each training of a command that makes several runs traces its own steps.
    logging.getLogger("tensorflow").addFilter(_is_no_retracing)
    with _buffered_stderr():
        yield


def _is_no_retracing(record: logging.LogRecord) -> bool:
    return "triggered tf.function retracing" not in str(record.msg)


@contextlib.contextmanager
def _hide_package(name: str) -> Iterator[None]:
    """Hide a package during an import: Keras imports some that are not used here.

    TensorFlow imports Keras itself if it is installed.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


@contextlib.contextmanager
def _buffered_stderr() -> Iterator[None]:
    """Hold back standard error: no variable silences TensorFlow's start (tensorflow#100442)."""
    saved = os.dup(2)
    with tempfile.TemporaryFile() as lines:
        os.dup2(lines.fileno(), 2)
        try:
            yield
        except BaseException:
            lines.seek(0)
            os.write(saved, lines.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
