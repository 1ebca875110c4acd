"""A version answers some requests before the first of somebody else."""

import math
import struct
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from inference.artifacts import RECORDS
from inference.latency_estimate import MAX_INLINE_SECONDS
from inference.request_errors import RequestError
from inference.servable import DEFAULT, Servable, Signature
from serving.http.codec import Question, answer
from serving.request_executor import answered

MOST = 100
# Python itself is as fast as it gets when it has run the same lines about so often.
TIMES = 8
PATIENCE = 60.0  # seconds for one
ROWS = 8  # a batch larger than one, for what is prepared for each size


def warm(servable: Servable) -> int:
    """Ask what the export brings for it, and its examples, or zeros; how many were answered.

    TensorFlow Serving replays `assets.extra/tf_serving_warmup_requests`; about.json
    has examples. Zeros may be no valid input; any other failure is raised as a
    RequestError: such a version could not answer anybody.
    """
    asked = 0
    for request in _requests(servable):
        for _ in range(TIMES):
            try:
                if isinstance(request, bytes):
                    answered(servable, request)
                else:
                    answer(request, servable.run(request.signature, request.arrays))
                    servable.run_within(request.signature, request.arrays, PATIENCE)
                asked += 1
            except RequestError as error:
                if error.code not in ("INVALID_ARGUMENT", "UNIMPLEMENTED"):
                    raise
                break
    return asked


def quick(servable: Servable) -> bool:
    """Whether the thread that asks is answered soon, whichever of its requests in JSON it asks."""
    return all(_least_seconds(servable, body) < MAX_INLINE_SECONDS for body in in_json(servable))


def _least_seconds(servable: Servable, body: bytes) -> float:
    """Of some answers; 0 where there is none."""
    least = math.inf
    for _ in range(TIMES):
        start = time.perf_counter()
        try:
            answered(servable, body)
        except RequestError:
            return 0.0
        least = min(least, time.perf_counter() - start)
        if least < MAX_INLINE_SECONDS:
            break
    return least


def in_json(servable: Servable) -> Iterator[bytes]:
    """The requests that are as they arrive by HTTP."""
    return (one for one in _requests(servable) if isinstance(one, bytes))


def _requests(servable: Servable) -> Iterator[bytes | Question]:
    replayed = set()
    for signature, arrays in recorded(servable):
        replayed.add(signature.name)
        yield Question(signature, arrays, signature.in_rows())
    examples = servable.about.get("examples")
    if isinstance(examples, list) and examples:
        name = servable.about.get("example_signature")
        yield orjson.dumps({"signature_name": name, "instances": examples[:1]})
        replayed.add(str(name))
    for name, signature in servable.signatures.items():
        if name not in replayed:
            yield from (Question(signature, _zeros(signature, n), False) for n in (1, ROWS))
        # The way from JSON to lists is warmed as well.
        zeros = {key: _json(one) for key, one in _zeros(signature, 1).items()}
        yield orjson.dumps({"signature_name": name, "inputs": zeros})
        if name == DEFAULT and len(zeros) == 1:
            yield orjson.dumps({"instances": next(iter(zeros.values()))})


def _zeros(signature: Signature, rows: int) -> dict[str, np.ndarray]:
    arrays = {}
    for name, tensor in signature.inputs.items():
        shape = tuple(rows if one is None else one for one in tensor.shape or ())
        made = np.zeros(shape, tensor.dtype)
        if tensor.dtype.kind == "O":
            made.fill(b"")
        arrays[name] = made
    return arrays


def _json(made: np.ndarray) -> Any:
    return np.full(made.shape, "").tolist() if made.dtype.kind == "O" else made.tolist()


def recorded(servable: Servable) -> Iterator[tuple[Signature, dict[str, np.ndarray]]]:
    """The requests of `predict` that lie in the export as TensorFlow Serving reads them."""
    path = servable.directory / RECORDS
    if not path.is_file():
        return
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    for record in _records(path.read_bytes()):
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.WhichOneof("log_type") != "predict_log":
            continue
        request = log.predict_log.request
        signature = servable.signature(request.model_spec.signature_name)
        yield signature, {name: tf.make_ndarray(one) for name, one in request.inputs.items()}


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a TFRecord file: length, its checksum, data, their checksum."""
    place = 0
    for _ in range(MOST):
        if place + 12 > len(data):
            return
        (length,) = struct.unpack_from("<Q", data, place)
        yield data[place + 12 : place + 12 + length]
        place += length + 16
