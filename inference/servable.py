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
from tensorflow.python.saved_model import loader_impl

from inference.artifacts import ABOUT, read
from inference.latency_estimate import LatencyEstimate
from inference.request_errors import RequestError, invalid, translated
from pipelines.files import plain_path

DEFAULT = "serving_default"
PREDICT = "tensorflow/serving/predict"
INIT = "__saved_model_init_op"
# What a network makes on its way is many times as large as a row: a body of 16 MB may hold a
# hundred thousand pictures of one pixel, or four million words.
MAX_ROWS = 2**18  # of a request
BLOCK_ROWS, BLOCK_FILES = 256, 32  # that a model is asked about at once
ALL = 0  # threads: as many as there are cores
# Below 0 the calling thread runs the graph. Waking other threads costs a small network a tenth
# of its time; large operations still use all cores. Such a call has no timeout, so it is for
# short requests.
INLINE = config_pb2.RunOptions(inter_op_thread_pool=-1)


class Tensor(NamedTuple):
    """An input or output of a signature.

    Attributes:
        place: its name in the graph.
        dtype: NumPy's; that of objects for strings.
        shape: None for a dimension of any size; None altogether for any rank.

    """

    place: str
    dtype: np.dtype
    shape: tuple[int | None, ...] | None

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits."""
        return self.shape is None or (
            len(shape) == len(self.shape)
            and all(
                own is None or own == other for own, other in zip(self.shape, shape, strict=True)
            )
        )

    def text(self) -> str:
        """Return the shape as TensorFlow Serving writes it."""
        return "[?]" if self.shape is None else shape_text(self.shape)


class Signature(NamedTuple):
    """A signature of a model, and the call that runs it."""

    name: str
    method: str
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    call: Callable[..., list[Any]]

    def in_rows(self) -> bool:
        """Whether every input and every output has a row for each example."""
        tensors = [*self.inputs.values(), *self.outputs.values()]
        return all(one.shape and one.shape[0] is None for one in tensors)

    @property
    def block(self) -> int:
        """How many rows the model is asked about at once; 0 where they cannot be parted."""
        known = (one.shape and None not in one.shape[1:] for one in self.outputs.values())
        if not self.in_rows() or not all(known):
            return 0
        return BLOCK_FILES if any(name.endswith("_bytes") for name in self.inputs) else BLOCK_ROWS


class Servable:
    """A loaded version of a model, which callers keep from closing while they use it.

    A session runs the graph, as in TensorFlow Serving: it needs neither Keras nor our
    layers, and closing the session frees its memory.

    Args:
        directory: of the SavedModel.
        number: of the version.
        threads: that share the work of one operation, where TensorFlow was started as
            `serving.startup.start_tensorflow` does it.

    """

    def __init__(self, directory: Path, number: int, threads: int = ALL) -> None:
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
                name: self._signature(name, one)
                for name, one in self.definitions.items()
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
        call = self._session.make_callable(
            [one.place for one in outputs.values()],
            feed_list=[one.place for one in inputs.values()],
            accept_options=True,
        )
        return Signature(name, definition.method_name, inputs, outputs, call)

    def signature(self, name: str | None) -> Signature:
        """Return the signature of this name, or the default one. Raises RequestError."""
        found = self.signatures.get(name or DEFAULT)
        if found is None:
            raise invalid(
                f'Serving signature name: "{name or DEFAULT}" not found in signature def; expected '
                f"one of {', '.join(sorted(self.signatures))}"
            )
        return found

    def run(self, signature: Signature, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Compute the outputs in this thread, without a timeout.

        Raises RequestError if the model fails on these inputs.
        """

        def once(some: Mapping[str, Any]) -> dict[str, Any]:
            answers = signature.call(*(some[name] for name in signature.inputs), options=INLINE)
            return dict(zip(signature.outputs, answers, strict=True))

        return _by_blocks(once, signature, arrays)

    def run_within(
        self, signature: Signature, arrays: Mapping[str, Any], seconds: float
    ) -> dict[str, Any]:
        """As `run`, in other threads and with a timeout."""
        end = time.monotonic() + seconds
        places = {name: one.place for name, one in signature.outputs.items()}

        def once(some: Mapping[str, Any]) -> dict[str, Any]:
            left = max(1, int((end - time.monotonic()) * 1000))
            options = config_pb2.RunOptions(timeout_in_ms=left)
            feed = {one.place: some[name] for name, one in signature.inputs.items()}
            return self._session.run(places, feed, options=options)

        return _by_blocks(once, signature, arrays)

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
    once: Callable[[Mapping[str, Any]], dict[str, Any]],
    signature: Signature,
    arrays: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the outputs for all rows, found for some of them at a time. Raises RequestError."""
    size = signature.block
    rows = len(arrays[next(iter(signature.inputs))]) if size else 0
    try:
        if rows <= size:
            return once(arrays)
        parts = [
            once({name: arrays[name][start : start + size] for name in signature.inputs})
            for start in range(0, rows, size)
        ]
    except Exception as error:
        raise translated(error) from error
    return {name: np.concatenate([part[name] for part in parts]) for name in signature.outputs}


def _tensor(info: Any) -> Tensor:
    dtype = as_dtype(info.dtype).as_numpy_dtype
    shape = info.tensor_shape
    sizes = tuple(None if one.size < 0 else int(one.size) for one in shape.dim)
    return Tensor(info.name, np.dtype(dtype), None if shape.unknown_rank else sizes)


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Return a shape as TensorFlow Serving writes it."""
    return f"[{','.join('-1' if one is None else str(one) for one in shape)}]"


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
        most = max(lengths.values())
        raise invalid(f"Received {most} rows; expected at most {MAX_ROWS} in one request")


def batch_of(arrays: Mapping[str, Any]) -> int:
    """Return the number of rows of all arrays. Raises RequestError if they differ."""
    sizes = {name: one.shape[0] if one.shape else -1 for name, one in arrays.items()}
    if len(set(sizes.values())) != 1 or -1 in sizes.values():
        raise RequestError(
            "INVALID_ARGUMENT", f"Tensors have inconsistent batch sizes: {sizes}; use 'inputs'"
        )
    return next(iter(sizes.values()))
