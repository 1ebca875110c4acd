"""Corrections of KerasTuner 1.4.8, one function or class each."""

import contextlib
import gc
import time
from collections.abc import Iterator
from typing import Any

import grpc
import keras
from keras_tuner.src.distribute.oracle_client import OracleClient
from keras_tuner.src.engine import oracle as engine
from tensorflow.python.framework import func_graph

RETRY_SECONDS = 0.2  # between two calls
COORDINATOR_TIMEOUT_SECONDS = 600.0  # that a worker waits for a coordinator that is gone


@contextlib.contextmanager
def released(oracle: Any) -> Iterator[None]:
    """Release an oracle's lock after an error; `synchronized` keeps it, and all callers hang."""
    try:
        yield
    except BaseException:
        if engine.THREADS[oracle] is not None:
            engine.THREADS[oracle] = None
            engine.LOCKS[oracle].release()
        raise


def free_graphs() -> None:
    """Free the graphs of earlier training steps.

    TensorFlow keeps those that hold a condition, such as an optimizer's, for as long as the
    process lives (tensorflow/tensorflow#61791): some 3 MB a trial.
    """
    keras.backend.clear_session()
    gc.collect()
    for candidate in gc.get_objects():
        # `isinstance` would call proxies whose objects may be gone.
        is_graph = issubclass(type(candidate), func_graph.FuncGraph)
        if is_graph and candidate.name == "one_step_on_data":
            func_graph.dismantle_func_graph(candidate)
    gc.collect()


class PatientClient(OracleClient):
    """A client that survives a restart of the coordinator, and polls it at intervals."""

    def __init__(self, oracle: Any) -> None:
        super().__init__(oracle)
        self.stub: Any = _RetryingStub(self.stub)

    def create_trial(self, tuner_id: str) -> Any:
        """Return a trial, after a pause if there is none yet; KerasTuner itself does not pause."""
        trial = super().create_trial(tuner_id)
        if trial.status == "IDLE":
            time.sleep(RETRY_SECONDS)
        return trial


class _RetryingStub:
    """A gRPC stub that repeats calls while the coordinator is gone.

    The coordinator gives a repeated call the same answer.
    """

    def __init__(self, stub: Any) -> None:
        self.stub = stub

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.stub, name)

        def call_with_retries(request: Any, **options: Any) -> Any:
            deadline = time.monotonic() + COORDINATOR_TIMEOUT_SECONDS
            options["timeout"] = COORDINATOR_TIMEOUT_SECONDS
            while True:
                try:
                    return call(request, **options)
                except grpc.RpcError as error:
                    gone = error.code() == grpc.StatusCode.UNAVAILABLE
                    if not gone or time.monotonic() > deadline:
                        raise
                    time.sleep(RETRY_SECONDS)

        return call_with_retries
