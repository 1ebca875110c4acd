"""What KerasTuner 1.4.8 does wrong, put right; a function each."""

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

WAIT = 0.2  # seconds
PATIENCE = 600.0  # seconds with a chief that is gone


@contextlib.contextmanager
def released(oracle: Any) -> Iterator[None]:
    """Let go of an oracle's lock after an error: `synchronized` keeps it, and all others wait."""
    try:
        yield
    except BaseException:
        if engine.THREADS[oracle] is not None:
            engine.THREADS[oracle] = None
            engine.LOCKS[oracle].release()
        raise


def free_graphs() -> None:
    """Take apart the graphs of training steps that nobody needs any more.

    TensorFlow keeps those that hold a condition, such as an optimizer's, for as long as the
    process lives (tensorflow/tensorflow#61791): some 3 MB a trial.
    """
    keras.backend.clear_session()
    gc.collect()
    for one in gc.get_objects():
        # Not isinstance: it asks proxies, some of whose objects are gone.
        if issubclass(type(one), func_graph.FuncGraph) and one.name == "one_step_on_data":
            func_graph.dismantle_func_graph(one)
    gc.collect()


class PatientClient(OracleClient):
    """A client that survives a chief that is started again, and asks an idle one only so often."""

    def __init__(self, oracle: Any) -> None:
        super().__init__(oracle)
        self.stub: Any = _Retrying(self.stub)

    def create_trial(self, tuner_id: str) -> Any:
        """A trial; KerasTuner asks again at once where there is none yet, without end."""
        trial = super().create_trial(tuner_id)
        if trial.status == "IDLE":
            time.sleep(WAIT)
        return trial


class _Retrying:
    """Calls go out again where the chief was not there; ours answers the same question alike."""

    def __init__(self, stub: Any) -> None:
        self.stub = stub

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.stub, name)

        def retried(request: Any, **options: Any) -> Any:
            late = time.monotonic() + PATIENCE
            options["timeout"] = PATIENCE
            while True:
                try:
                    return call(request, **options)
                except grpc.RpcError as error:
                    gone = error.code() == grpc.StatusCode.UNAVAILABLE
                    if not gone or time.monotonic() > late:
                        raise
                    time.sleep(WAIT)

        return retried
