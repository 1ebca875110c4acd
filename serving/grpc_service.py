"""TensorFlow Serving's gRPC interface over the same models: Predict, metadata, status."""

import concurrent.futures
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from inference.request_errors import RequestError, invalid
from inference.servable import Servable, Signature, check
from serving.access_log import Journal
from serving.addresses import ServeError
from serving.grpc_limits import BodiesInTime, options
from serving.http.rest import Limits
from serving.metrics import Metrics
from serving.versions import Model, Models

THREADS = 32  # wait for bodies, so that some slow ones keep nobody waiting
ANSWERING = 4  # of them
STRING = 32  # bytes of a string beside its characters


class Asking:
    """What both services need: models, and a line and a count for each request."""

    def __init__(self, models: Models, limits: Limits, metrics: Metrics, journal: Journal) -> None:
        self.models, self.limits = models, limits
        self._metrics, self._journal = metrics, journal
        self._few = threading.Semaphore(ANSWERING)

    def gave_up(self, path: str) -> None:
        """Tell of a request whose body did not arrive in time."""
        message = f"The body did not arrive within {self.limits.timeout:g} seconds"
        self._journal.tell("request", method="gRPC", path=path, status="CANCELLED", error=message)

    def answered(self, method: str, spec: Any, context: Any, answer: Callable[[], Any]) -> Any:
        """The answer, or the end of the request with TensorFlow Serving's code and message."""
        start, code, message = time.perf_counter(), "OK", ""
        known = spec.name if spec.name in self.models.by_name else ""
        try:
            with self._few:
                return answer()
        except RequestError as error:
            code, message = error.code, error.message
        except Exception as error:
            self._journal.tell("failed", path=method, error=repr(error))
            code, message = "INTERNAL", "internal error; the log says more"
        finally:
            seconds = time.perf_counter() - start
            self._metrics.answered(known, code, seconds)
            told = {"method": "gRPC", "path": method, "model": known, "status": code}
            facts = {"error": message} if message else {}
            self._journal.tell("request", **told, ms=round(seconds * 1000, 3), **facts)
        return context.abort(grpc.StatusCode[code], message)


def _model(models: Models, spec: Any, what: str = "predict") -> tuple[Model, int | None]:
    """The model and the version that a request names. Raises RequestError."""
    if not spec.name:
        raise invalid("Missing ModelSpec")
    if spec.version_label:
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")
    number = spec.version.value if spec.HasField("version") else None
    return models.find(spec.name, number, what), number


class Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the other methods are answered by UNIMPLEMENTED."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The outputs for the inputs."""
        return self._asking.answered(
            "Predict", request.model_spec, context, lambda: self._predict(request, context)
        )

    def _predict(self, request: Any, context: Any) -> Any:
        model, number = _model(self._asking.models, request.model_spec)
        with model.held(number) as servable:
            signature = servable.signature(request.model_spec.signature_name)
            wanted = _filtered(signature, list(request.output_filter))
            arrays = {
                name: _array(name, one, signature, self._asking.limits.max_body)
                for name, one in request.inputs.items()
            }
            check(signature, arrays)
            left = min(self._asking.limits.timeout, _remaining(context))
            given = servable.run_within(signature, arrays, left)
            response = predict_pb2.PredictResponse(
                model_spec=_spec(model, servable, signature.name)
            )
        for name in wanted:
            response.outputs[name].CopyFrom(tf.make_tensor_proto(given[name]))
        return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The signatures of a model."""
        return self._asking.answered(
            "GetModelMetadata", request.model_spec, context, lambda: self._metadata(request)
        )

    def _metadata(self, request: Any) -> Any:
        model, number = _model(self._asking.models, request.model_spec)
        fields = list(request.metadata_field)
        if not fields:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in fields:
            if field != "signature_def":
                raise invalid(f"Metadata field {field} is not supported")
        with model.held(number) as servable:
            found = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.definitions)
            response = get_model_metadata_pb2.GetModelMetadataResponse(
                model_spec=_spec(model, servable, "")
            )
        response.metadata["signature_def"].Pack(found)
        return response


class Statuses(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; what is served is decided on the command line, not by requests."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Where the versions of a model stand."""
        return self._asking.answered(
            "GetModelStatus", request.model_spec, context, lambda: self._status(request)
        )

    def _status(self, request: Any) -> Any:
        model, number = _model(self._asking.models, request.model_spec, "status")
        response = get_model_status_pb2.GetModelStatusResponse()
        for one in model.statuses(number):
            told = response.model_version_status.add(
                version=one.version,
                state=get_model_status_pb2.ModelVersionStatus.State.Value(one.state),
            )
            told.status.error_code = getattr(tf.errors, one.code, 0) if one.code != "OK" else 0
            told.status.error_message = one.message
        return response


def _remaining(context: Any) -> float:
    """Seconds that the client waits."""
    seconds = context.time_remaining()
    return math.inf if seconds is None else max(seconds, 0.0)


def _spec(model: Model, servable: Servable, signature: str) -> Any:
    spec = model_pb2.ModelSpec(name=model.name, signature_name=signature)
    spec.version.value = servable.number
    return spec


def _filtered(signature: Signature, wanted: list[str]) -> list[str]:
    """The outputs that are asked for. Raises RequestError."""
    for name in wanted:
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in "
                f"the set {{{','.join(signature.outputs)}}}."
            )
    if len(set(wanted)) != len(wanted):
        raise invalid("duplicate output tensor alias")
    return wanted or list(signature.outputs)


def _array(name: str, proto: Any, signature: Signature, most: int) -> np.ndarray:
    """A tensor of a request. Raises RequestError where it is none that the signature takes."""
    tensor = signature.inputs.get(name)
    if tensor is None:
        raise invalid(
            f"input size does not match signature. Sent extra: {{{name}}}. Expected: "
            f"{{{','.join(signature.inputs)}}}."
        )
    # First: to read another type may take sixteen times the memory.
    taken = {tensor.dtype, np.dtype("float32")} if tensor.dtype == np.float64 else {tensor.dtype}
    if proto.dtype not in {tf.as_dtype(one).as_datatype_enum for one in taken}:
        raise invalid(
            f"Input {name!r}: expected type {tensor.dtype.name} but got {_type_name(proto.dtype)}"
        )
    size = math.prod((one.size for one in proto.tensor_shape.dim), start=1)
    # A single value stands for all: a small message may ask for any memory.
    strings, each = proto.string_val, tensor.dtype.itemsize
    if strings and len(strings) != size:
        each = STRING + max(map(len, strings))
    if size < 0 or size * each > most:
        raise invalid(f"Input {name!r}: the shape is too large or unknown")
    try:
        made = tf.make_ndarray(proto)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise invalid(f"Input {name!r} is not a valid tensor: {reason}") from None
    # Loses nothing; clients know of float32 from before.
    return made.astype("float64") if tensor.dtype == np.float64 else made


def _type_name(number: int) -> str:
    try:
        return np.dtype(tf.as_dtype(number).as_numpy_dtype).name
    except TypeError:
        return f"number {number}"


def threads(limits: Limits) -> int:
    """How many requests are read or answered at once; others' bodies are not read meanwhile.

    So many that no more than `max_bytes` arrive together, but at least one.
    """
    return max(1, min(THREADS, limits.max_bytes // limits.max_body))


def started(asking: Asking, host: str, port: int) -> tuple[Any, int]:
    """A server that answers, and its port. Raises ServeError where it cannot listen there."""
    limits = asking.limits
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(threads(limits), "gRPC"),
        maximum_concurrent_rpcs=limits.max_concurrency,
        interceptors=[BodiesInTime(limits.timeout, asking.gave_up)],
        options=options(limits.head_seconds, limits.max_body),
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Predictions(asking), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(Statuses(asking), server)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = server.add_insecure_port(address)
    except RuntimeError:
        found = 0
    if not found:
        raise ServeError(
            f"Received --grpc-port {port}, where nothing can listen on {host}; expected a free "
            "port, such as --grpc-port 0."
        )
    server.start()
    return server, found
