"""TensorFlow Serving's gRPC interface: Predict, GetModelMetadata, GetModelStatus."""

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
from serving.access_log import AccessLog
from serving.addresses import ServeError
from serving.grpc_limits import MessageDeadline, options
from serving.http.limits import Limits
from serving.metrics import Metrics
from serving.versions import Model, Models

MAX_THREADS = 32  # most of them wait for messages of slow clients
MAX_RUNNING_REQUESTS = 4
STRING_OVERHEAD_BYTES = 32  # memory of a string in addition to its characters


class RequestHandler:
    """Runs the requests of both services, and logs and counts them."""

    def __init__(
        self, models: Models, limits: Limits, metrics: Metrics, access_log: AccessLog
    ) -> None:
        self.models, self.limits = models, limits
        self._metrics, self._access_log = metrics, access_log
        self._slots = threading.Semaphore(MAX_RUNNING_REQUESTS)

    def log_timeout(self, path: str) -> None:
        """Log a request whose message did not arrive in time."""
        message = f"The body did not arrive within {self.limits.timeout:g} seconds"
        self._access_log.log("request", method="gRPC", path=path, status="CANCELLED", error=message)

    def handle(self, method: str, spec: Any, context: Any, respond: Callable[[], Any]) -> Any:
        """Return the response, or abort with TensorFlow Serving's code and message."""
        start, code, message = time.perf_counter(), "OK", ""
        known = spec.name if spec.name in self.models.by_name else ""
        try:
            with self._slots:
                return respond()
        except RequestError as error:
            code, message = error.code, error.message
        except Exception as error:
            self._access_log.log("failed", path=method, error=repr(error))
            code, message = "INTERNAL", "internal error; the log says more"
        finally:
            seconds = time.perf_counter() - start
            self._metrics.record(known, code, seconds)
            fields = {"method": "gRPC", "path": method, "model": known, "status": code}
            self._access_log.log(
                "request",
                **fields,
                ms=round(seconds * 1000, 3),
                **({"error": message} if message else {}),
            )
        return context.abort(grpc.StatusCode[code], message)


def _model(models: Models, spec: Any, method: str = "predict") -> tuple[Model, int | None]:
    """Return the model and the version of a request. Raises RequestError."""
    if not spec.name:
        raise invalid("Missing ModelSpec")
    if spec.version_label:
        raise invalid(f"Unrecognized servable version label: {spec.version_label}")
    number = spec.version.value if spec.HasField("version") else None
    return models.find(spec.name, number, method), number


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; other methods return UNIMPLEMENTED."""

    def __init__(self, handler: RequestHandler) -> None:
        self._handler = handler

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return the outputs for the inputs."""
        return self._handler.handle(
            "Predict", request.model_spec, context, lambda: self._predict(request, context)
        )

    def _predict(self, request: Any, context: Any) -> Any:
        model, number = _model(self._handler.models, request.model_spec)
        with model.use(number) as servable:
            signature = servable.signature(request.model_spec.signature_name)
            wanted = _wanted_outputs(signature, list(request.output_filter))
            arrays = signature.defaults | {
                name: _array(name, one, signature, self._handler.limits.max_body)
                for name, one in request.inputs.items()
            }
            check(signature, arrays)
            seconds_left = min(self._handler.limits.timeout, _remaining(context))
            outputs = servable.run_within(signature, arrays, seconds_left)
            servable.observe(signature, arrays, outputs)
            response = predict_pb2.PredictResponse(
                model_spec=_spec(model, servable, signature.name)
            )
        for name in wanted:
            response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
        return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return the signatures of a model."""
        return self._handler.handle(
            "GetModelMetadata", request.model_spec, context, lambda: self._metadata(request)
        )

    def _metadata(self, request: Any) -> Any:
        model, number = _model(self._handler.models, request.model_spec)
        fields = list(request.metadata_field)
        if not fields:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for field in fields:
            if field != "signature_def":
                raise invalid(f"Metadata field {field} is not supported")
        with model.use(number) as servable:
            definitions = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.definitions)
            response = get_model_metadata_pb2.GetModelMetadataResponse(
                model_spec=_spec(model, servable, "")
            )
        response.metadata["signature_def"].Pack(definitions)
        return response


class ModelStatusService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; requests cannot change what is served."""

    def __init__(self, handler: RequestHandler) -> None:
        self._handler = handler

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return the states of the versions of a model."""
        return self._handler.handle(
            "GetModelStatus", request.model_spec, context, lambda: self._status(request)
        )

    def _status(self, request: Any) -> Any:
        model, number = _model(self._handler.models, request.model_spec, "status")
        response = get_model_status_pb2.GetModelStatusResponse()
        for one in model.statuses(number):
            status = response.model_version_status.add(
                version=one.version,
                state=get_model_status_pb2.ModelVersionStatus.State.Value(one.state),
            )
            status.status.error_code = getattr(tf.errors, one.code, 0) if one.code != "OK" else 0
            status.status.error_message = one.message
        return response


def _remaining(context: Any) -> float:
    """Return the seconds until the client's deadline."""
    seconds = context.time_remaining()
    return math.inf if seconds is None else max(seconds, 0.0)


def _spec(model: Model, servable: Servable, signature: str) -> Any:
    spec = model_pb2.ModelSpec(name=model.name, signature_name=signature)
    spec.version.value = servable.number
    return spec


def _wanted_outputs(signature: Signature, wanted: list[str]) -> list[str]:
    """Return the names of the wanted outputs. Raises RequestError."""
    for name in wanted:
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in "
                f"the set {{{','.join(signature.outputs)}}}."
            )
    if len(set(wanted)) != len(wanted):
        raise invalid("duplicate output tensor alias")
    return wanted or list(signature.outputs)


def _array(name: str, proto: Any, signature: Signature, max_bytes: int) -> np.ndarray:
    """Convert a tensor of a request. Raises RequestError if the signature does not accept it."""
    tensor = signature.inputs.get(name)
    if tensor is None:
        raise invalid(
            f"input size does not match signature. Sent extra: {{{name}}}. Expected: "
            f"{{{','.join(signature.inputs)}}}."
        )
    # Checked before conversion: another type may take sixteen times the memory.
    accepted = {tensor.dtype, np.dtype("float32")} if tensor.dtype == np.float64 else {tensor.dtype}
    if proto.dtype not in {tf.as_dtype(one).as_datatype_enum for one in accepted}:
        raise invalid(
            f"Input {name!r}: expected type {tensor.dtype.name} but got {_type_name(proto.dtype)}"
        )
    size = math.prod((one.size for one in proto.tensor_shape.dim), start=1)
    # A single value may fill a tensor of any shape, so a small message could fill the memory.
    strings, item_bytes = proto.string_val, tensor.dtype.itemsize
    if strings and len(strings) != size:
        item_bytes = STRING_OVERHEAD_BYTES + max(map(len, strings))
    if size < 0 or size * item_bytes > max_bytes:
        raise invalid(f"Input {name!r}: the shape is too large or unknown")
    try:
        array = tf.make_ndarray(proto)
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise invalid(f"Input {name!r} is not a valid tensor: {reason}") from None
    # Older clients send float32; the conversion is exact.
    return array.astype("float64") if tensor.dtype == np.float64 else array


def _type_name(number: int) -> str:
    try:
        return np.dtype(tf.as_dtype(number).as_numpy_dtype).name
    except TypeError:
        return f"number {number}"


def num_threads(limits: Limits) -> int:
    """Return the number of messages to read at once: together at most `max_bytes`."""
    return max(1, min(MAX_THREADS, limits.max_bytes // limits.max_body))


def start_server(handler: RequestHandler, host: str, port: int) -> tuple[Any, int]:
    """Start a server; return it and its port. Raises ServeError if it cannot listen."""
    limits = handler.limits
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(num_threads(limits), "gRPC"),
        maximum_concurrent_rpcs=limits.max_concurrency,
        interceptors=[MessageDeadline(limits.timeout, handler.log_timeout)],
        options=options(limits.head_seconds, limits.max_body),
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(handler), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelStatusService(handler), server)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        actual_port = server.add_insecure_port(address)
    except RuntimeError:
        actual_port = 0
    if not actual_port:
        raise ServeError(
            f"Received --grpc-port {port}, where nothing can listen on {host}; expected a free "
            "port, such as --grpc-port 0."
        )
    server.start()
    return server, actual_port
