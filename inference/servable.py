"""A loaded version of a model: a session over an export, as in TensorFlow Serving."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# Not tf.compat.v1: the public API would be imported with it, see `training.deferred`.
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client.session import Session
from tensorflow.python.framework.dtypes import as_dtype
from tensorflow.python.framework.ops import Graph
from tensorflow.python.framework.tensor_util import MakeNdarray
from tensorflow.python.saved_model import loader_impl

from inference.artifacts import ABOUT, read
from inference.latency_estimate import LatencyEstimate
from inference.request_errors import RequestError, invalid, translated
from pipelines.files import plain_path

DEFAULT = "serving_default"
PREDICT = "tensorflow/serving/predict"
INIT = "__saved_model_init_op"
# The intermediate results of a network are many times as large as a row: a body of 16 MB may
# contain a hundred thousand images of one pixel, or four million words.
MAX_ROWS = 2**18  # of a request
BLOCK_ROWS, BLOCK_FILES = 256, 32  # rows or image files in one call of a model
ALL_CORES = 0  # as many threads as cores
# Below 0 the calling thread runs the graph. Waking other threads costs a small network a tenth
# of its time; large operations still use all cores. Such a call has no timeout, so it is for
# short requests.
INLINE = config_pb2.RunOptions(inter_op_thread_pool=-1)


class Tensor(NamedTuple):
    """An input or output of a signature.

    Attributes:
        graph_name: its name in the graph.
        dtype: NumPy's dtype; object for strings.
        shape: sizes, with None for any size; None for any rank.

    """

    graph_name: str
    dtype: np.dtype
    shape: tuple[int | None, ...] | None

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits."""
        return self.shape is None or (
            len(shape) == len(self.shape)
            and all(
                expected is None or expected == actual
                for expected, actual in zip(self.shape, shape, strict=True)
            )
        )

    def text(self) -> str:
        """Return the shape as TensorFlow Serving writes it."""
        return "[?]" if self.shape is None else shape_text(self.shape)


class Signature(NamedTuple):
    """A signature of a model, and the call that runs it; `defaults` are of optional inputs."""

    name: str
    method: str
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    call: Callable[..., list[Any]]
    defaults: dict[str, np.ndarray]

    def in_rows(self) -> bool:
        """Whether every input and every output has a row for each example."""
        tensors = [*self.inputs.values(), *self.outputs.values()]
        return all(tensor.shape and tensor.shape[0] is None for tensor in tensors)

    @property
    def block(self) -> int:
        """Number of rows in one call of the model; 0 if the rows cannot be separated."""
        fixed_sizes = (
            tensor.shape and None not in tensor.shape[1:] for tensor in self.outputs.values()
        )
        if not self.in_rows() or not all(fixed_sizes):
            return 0
        return BLOCK_FILES if any(name.endswith("_bytes") for name in self.inputs) else BLOCK_ROWS


class Servable:
    """A loaded version of a model, which stays open while callers use it.

    A session runs the graph, as in TensorFlow Serving: it needs neither Keras nor our
    layers, and closing the session frees its memory.

    Args:
        directory: directory of the SavedModel.
        number: number of the version.
        threads: threads that share the work of one operation, if TensorFlow was started by
            `serving.startup.start_tensorflow`.

    """

    # What `observe` tells about requests; None if the server does not watch them.
    watch: Any = None

    def __init__(self, directory: Path, number: int, threads: int = ALL_CORES) -> None:
        self.number = number
        self.about = read(directory / ABOUT)
        self.directory, self.latency, self.threads = directory, LatencyEstimate(), threads
        self.definitions: dict[str, Any] = {}
        self._graph = Graph()
        config = config_pb2.ConfigProto(
            allow_soft_placement=True, intra_op_parallelism_threads=threads
        )
        self._session = Session(graph=self._graph, config=config)
        self._lock, self._users = threading.Lock(), 0
        try:
            with self._graph.as_default(), plain_path(directory) as plain:
                loaded = loader_impl.load(self._session, ["serve"], str(plain))
            self.definitions = dict(loaded.signature_def)
            self.signatures = {
                name: self._signature(name, definition)
                for name, definition in self.definitions.items()
                if name != INIT
            }
        except BaseException:
            self._session.close()
            raise

    def _signature(self, name: str, definition: Any) -> Signature:
        inputs, outputs = (
            {key: _tensor(info) for key, info in sorted(tensors.items())}
            for tensors in (definition.inputs, definition.outputs)
        )
        defaults = {key: MakeNdarray(value) for key, value in definition.defaults.items()}
        call = self._session.make_callable(
            [tensor.graph_name for tensor in outputs.values()],
            feed_list=[tensor.graph_name for tensor in inputs.values()],
            accept_options=True,
        )
        return Signature(name, definition.method_name, inputs, outputs, call, defaults)

    def signature(self, name: str | None) -> Signature:
        """Return the signature of this name, or the default one. Raises RequestError."""
        match = self.signatures.get(name or DEFAULT)
        if match is None:
            raise invalid(
                f'Serving signature name: "{name or DEFAULT}" not found in signature def; expected '
                f"one of {', '.join(sorted(self.signatures))}"
            )
        return match

    def run(self, signature: Signature, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Compute the outputs in this thread, without a timeout.

        Raises RequestError if the model fails on these inputs.
        """

        def run_block(block: Mapping[str, Any]) -> dict[str, Any]:
            outputs = signature.call(*(block[name] for name in signature.inputs), options=INLINE)
            return dict(zip(signature.outputs, outputs, strict=True))

        return _by_blocks(run_block, signature, arrays)

    def run_within(
        self, signature: Signature, arrays: Mapping[str, Any], seconds: float
    ) -> dict[str, Any]:
        """Compute the outputs as `run` does, in other threads and with a timeout."""
        end = time.monotonic() + seconds
        fetches = {name: tensor.graph_name for name, tensor in signature.outputs.items()}

        def run_block(block: Mapping[str, Any]) -> dict[str, Any]:
            remaining_ms = max(1, int((end - time.monotonic()) * 1000))
            options = config_pb2.RunOptions(timeout_in_ms=remaining_ms)
            feed = {tensor.graph_name: block[name] for name, tensor in signature.inputs.items()}
            return self._session.run(fetches, feed, options=options)

        return _by_blocks(run_block, signature, arrays)

    def observe(
        self, signature: Signature, arrays: Mapping[str, Any], outputs: Mapping[str, Any]
    ) -> None:
        """Tell the watch about a request of a client."""
        if self.watch is not None:
            self.watch.observe(signature.name, arrays, outputs)

    @contextlib.contextmanager
    def in_use(self) -> Iterator["Servable"]:
        """Keep the version from being closed within this context."""
        self.acquire()
        try:
            yield self
        finally:
            self.release()

    def acquire(self) -> None:
        """Count one more caller."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """Count one caller less."""
        with self._lock:
            self._users -= 1

    @property
    def idle(self) -> bool:
        """Whether no caller uses the version."""
        return not self._users

    def close(self) -> None:
        """Free the memory; no call is possible afterwards."""
        self.signatures = {}
        self._session.close()


def _by_blocks(
    run_block: Callable[[Mapping[str, Any]], dict[str, Any]],
    signature: Signature,
    arrays: Mapping[str, Any],
) -> dict[str, Any]:
    """Compute the outputs of all rows, block by block. Raises RequestError."""
    size = signature.block
    rows = len(arrays[next(iter(signature.inputs))]) if size else 0
    try:
        if rows <= size:
            return run_block(arrays)
        parts = [
            run_block({name: arrays[name][start : start + size] for name in signature.inputs})
            for start in range(0, rows, size)
        ]
    except Exception as error:
        raise translated(error) from error
    return {name: np.concatenate([part[name] for part in parts]) for name in signature.outputs}


def _tensor(info: Any) -> Tensor:
    dtype = as_dtype(info.dtype).as_numpy_dtype
    shape = info.tensor_shape
    sizes = tuple(None if size.size < 0 else int(size.size) for size in shape.dim)
    return Tensor(info.name, np.dtype(dtype), None if shape.unknown_rank else sizes)


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Return a shape as TensorFlow Serving writes it."""
    return f"[{','.join('-1' if size is None else str(size) for size in shape)}]"


def check(signature: Signature, arrays: Mapping[str, Any]) -> None:
    """Raise RequestError unless the arrays match the inputs of the signature."""
    missing = signature.inputs.keys() - arrays.keys()
    if missing or len(arrays) > len(signature.inputs):
        extra = sorted(arrays.keys() - signature.inputs.keys())
        raise invalid(
            f"input size does not match signature: {len(arrays)}!={len(signature.inputs)}. Sent "
            f"extra: {{{','.join(extra)}}}. Missing but required: {{{','.join(sorted(missing))}}}."
        )
    for name, tensor in signature.inputs.items():
        if not tensor.fits(arrays[name].shape):
            raise invalid(
                f"Expecting shape {tensor.text()} of input {name!r} but got: "
                f"{shape_text(arrays[name].shape)}"
            )
    lengths = {name: len(arrays[name]) for name in signature.inputs} if signature.in_rows() else {}
    if len(set(lengths.values())) > 1:
        sizes = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise invalid(f"Received inputs of different lengths: {sizes}; expected one length")
    if any(length > MAX_ROWS for length in lengths.values()):
        longest = max(lengths.values())
        raise invalid(f"Received {longest} rows; expected at most {MAX_ROWS} in one request")


def batch_of(arrays: Mapping[str, Any]) -> int:
    """Return the number of rows of all arrays. Raises RequestError if they differ."""
    sizes = {name: array.shape[0] if array.shape else -1 for name, array in arrays.items()}
    if len(set(sizes.values())) != 1 or -1 in sizes.values():
        raise RequestError(
            "INVALID_ARGUMENT", f"Tensors have inconsistent batch sizes: {sizes}; use 'inputs'"
        )
    return next(iter(sizes.values()))
