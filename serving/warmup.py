"""Warm-up: runs some requests of a version before it serves clients."""

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
from serving.http.codec import PredictRequest, encode_response
from serving.request_executor import respond

MAX_RECORDS = 100
# Python's specialising interpreter reaches its full speed after about this many runs.
NUM_REPEATS = 8
MAX_REQUEST_SECONDS = 60.0
BATCH_ROWS = 8  # in addition to 1: the first run of a batch size is slow


def warm_up(servable: Servable) -> int:
    """Run the warm-up requests of an export and return the number of responses.

    These are the records of `assets.extra/tf_serving_warmup_requests`, the examples of about.json,
    and zeros. Zeros may be invalid input; any other failure raises RequestError, because such a
    version cannot serve.
    """
    num_responses = 0
    for request in _requests(servable):
        for _ in range(NUM_REPEATS):
            try:
                if isinstance(request, bytes):
                    respond(servable, request)
                else:
                    encode_response(request, servable.run(request.signature, request.arrays))
                    servable.run_within(request.signature, request.arrays, MAX_REQUEST_SECONDS)
                num_responses += 1
            except RequestError as error:
                if error.code not in ("INVALID_ARGUMENT", "UNIMPLEMENTED"):
                    raise
                break
    return num_responses


def is_quick(servable: Servable) -> bool:
    """Whether every JSON warm-up request takes less than `MAX_INLINE_SECONDS` in one thread."""
    return all(
        _min_seconds(servable, body) < MAX_INLINE_SECONDS for body in json_requests(servable)
    )


def _min_seconds(servable: Servable, body: bytes) -> float:
    """Return the shortest time of some responses; 0 if the request is invalid."""
    shortest = math.inf
    for _ in range(NUM_REPEATS):
        start = time.perf_counter()
        try:
            respond(servable, body)
        except RequestError:
            return 0.0
        shortest = min(shortest, time.perf_counter() - start)
        if shortest < MAX_INLINE_SECONDS:
            break
    return shortest


def json_requests(servable: Servable) -> Iterator[bytes]:
    """Yield the warm-up requests in JSON, as they arrive over HTTP."""
    return (one for one in _requests(servable) if isinstance(one, bytes))


def _requests(servable: Servable) -> Iterator[bytes | PredictRequest]:
    covered = set()  # signatures with a request
    for signature, arrays in recorded_requests(servable):
        covered.add(signature.name)
        yield PredictRequest(signature, arrays, signature.in_rows())
    examples = servable.about.get("examples")
    if isinstance(examples, list) and examples:
        name = servable.about.get("example_signature")
        yield orjson.dumps({"signature_name": name, "instances": examples[:1]})
        covered.add(str(name))
    for name, signature in servable.signatures.items():
        if name not in covered:
            yield from (
                PredictRequest(signature, _zeros(signature, n), False) for n in (1, BATCH_ROWS)
            )
        # In JSON too, to warm up the parser.
        zeros = {key: _json(one) for key, one in _zeros(signature, 1).items()}
        yield orjson.dumps({"signature_name": name, "inputs": zeros})
        if name == DEFAULT and len(zeros) == 1:
            yield orjson.dumps({"instances": next(iter(zeros.values()))})


def _zeros(signature: Signature, rows: int) -> dict[str, np.ndarray]:
    arrays = {}
    for name, tensor in signature.inputs.items():
        shape = tuple(rows if one is None else one for one in tensor.shape or ())
        arrays[name] = np.zeros(shape, tensor.dtype)
        if tensor.dtype.kind == "O":
            arrays[name].fill(b"")
    return arrays


def _json(zeros: np.ndarray) -> Any:
    return np.full(zeros.shape, "").tolist() if zeros.dtype.kind == "O" else zeros.tolist()


def recorded_requests(servable: Servable) -> Iterator[tuple[Signature, dict[str, np.ndarray]]]:
    """Yield the requests of `predict` in the warm-up file of TensorFlow Serving."""
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
    """Yield the records of a TFRecord file: length, checksum, data, checksum."""
    offset = 0
    for _ in range(MAX_RECORDS):
        if offset + 12 > len(data):
            return
        (length,) = struct.unpack_from("<Q", data, offset)
        yield data[offset + 12 : offset + 12 + length]
        offset += length + 16
