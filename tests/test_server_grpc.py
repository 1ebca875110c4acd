"""The server's gRPC interface, by TensorFlow Serving's own stubs."""

import functools

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from apps import Mnist, Recommender, Regression
from pipelines.rows.packing import unpack_columns


@pytest.fixture(scope="module")
def channel(served):
    with grpc.insecure_channel(f"127.0.0.1:{served.grpc_port}") as channel:
        yield channel


@pytest.fixture(scope="module")
def predictions(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def request(model, signature="", **inputs):
    message = predict_pb2.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = model, signature
    for name, value in inputs.items():
        message.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return message


def assert_refused(call, code):
    with pytest.raises(grpc.RpcError) as error:
        call()
    assert error.value.code() == code
    assert error.value.details()
    assert "Traceback" not in error.value.details()


def test_predict(predictions, exported):
    run = exported(Mnist)
    images = run.splits.test.numpy(slice(3)).features
    expected = np.asarray(run.model(images))
    response = predictions.Predict(request("mnist", pixels=images))
    outputs = {name: tf.make_ndarray(one) for name, one in response.outputs.items()}
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-5)
    assert outputs["class"].tolist() == [str(k).encode() for k in expected.argmax(1)]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("mnist", 1, "serving_default")


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_columns_of_numbers_may_be_float32(kind, predictions, exported):
    run = exported(Regression)
    columns = unpack_columns(run.samples.raw, run.splits.train.kinds)
    inputs = {name: column.astype(kind) for name, column in columns.items()}
    response = predictions.Predict(request("regression", **inputs))
    values = tf.make_ndarray(response.outputs["value"])
    np.testing.assert_allclose(values, run.samples.answers, rtol=1e-5)


def test_predict_for_bytes_and_scalars(predictions, exported):
    image = exported(Mnist).splits.test.numpy(slice(1)).features[0]
    response = predictions.Predict(
        request("mnist", "encoded", image_bytes=[tf.io.encode_png(image).numpy()])
    )
    assert tf.make_ndarray(response.outputs["probabilities"]).shape == (1, 10)
    user = exported(Recommender).splits.train.numpy([0]).features["user"].tolist()
    inputs = {"user": user, "k": np.int32(4), "exclude_seen": np.bool_(False)}
    response = predictions.Predict(request("recommender", "recommend", **inputs))
    assert tf.make_ndarray(response.outputs["items"]).shape == (1, 4)


def test_inputs_with_a_default_may_be_left_out(predictions):
    liked = [[b"item 3", b"item 8"], [b"item 5", b""]]
    response = predictions.Predict(
        request("recommender", "recommend_with", liked=liked, k=np.int32(4))
    )
    outputs = {name: tf.make_ndarray(one) for name, one in response.outputs.items()}
    assert outputs["items"].shape == outputs["scores"].shape == (2, 4)
    assert outputs["reasons"].shape == outputs["similarities"].shape == (2, 4, 3)
    assert not {b"item 3", b"item 8"} & set(outputs["items"][0])
    for wrong in (
        {"diversity": np.float32(2)},
        {"diversity": np.float64(0.5)},
        {"liked": [b"item 3"]},
        {"only": [[b"item 3"]]},
        {"only": [3]},
        {"like": [[b"item 3"]]},
    ):
        message = request("recommender", "recommend_with", **wrong)
        assert_refused(
            functools.partial(predictions.Predict, message), grpc.StatusCode.INVALID_ARGUMENT
        )


def test_outputs_can_be_chosen(predictions):
    message = request("mnist", pixels=np.zeros([1, 8, 8, 1], np.uint8))
    message.output_filter.append("class")
    assert set(predictions.Predict(message).outputs) == {"class"}
    message.output_filter.append("other")
    assert_refused(lambda: predictions.Predict(message), grpc.StatusCode.INVALID_ARGUMENT)


def test_metadata(predictions):
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "mnist"
    response = predictions.GetModelMetadata(message)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    inputs = signatures.signature_def["serving_default"].inputs
    assert inputs["pixels"].dtype == tf.uint8.as_datatype_enum
    assert response.model_spec.version.value == 1
    del message.metadata_field[:]
    assert_refused(lambda: predictions.GetModelMetadata(message), grpc.StatusCode.INVALID_ARGUMENT)


def test_status(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = "text"
    (status,) = stub.GetModelStatus(message).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.State.AVAILABLE
    assert (status.version, status.state, status.status.error_code) == (1, available, 0)
    message.model_spec.name = "other"
    assert_refused(lambda: stub.GetModelStatus(message), grpc.StatusCode.NOT_FOUND)


def _filled(proto, size):
    proto.tensor_shape.dim.add(size=size)
    return proto


HUGE = request("mnist", pixels=np.zeros([1], np.uint8))
_filled(HUGE.inputs["pixels"], 2**40)
REPEATED = request("recommender", user=["u"], item=["i"])
for _one in REPEATED.inputs.values():
    _one.tensor_shape.dim[0].size = 2_000_000
SHORT = request("mnist", pixels=np.zeros([1, 8, 8, 1], np.uint8))
SHORT.inputs["pixels"].tensor_content = b"short"
VERSION = request("mnist", pixels=np.zeros([1, 8, 8, 1], np.uint8))
VERSION.model_spec.version.value = 9
OTHER_TYPE = request("mnist", pixels=np.zeros([1], np.complex128))
OTHER_TYPE.inputs["pixels"].tensor_shape.dim[0].size = 2**23
UNKNOWN_TYPE = request("mnist", pixels=np.zeros([1, 8, 8, 1], np.uint8))
UNKNOWN_TYPE.inputs["pixels"].dtype = 77
MISTAKES = {
    "a type that takes sixteen times the memory": (OTHER_TYPE, "INVALID_ARGUMENT"),
    "an unknown type": (UNKNOWN_TYPE, "INVALID_ARGUMENT"),
    "no model": (request(""), "INVALID_ARGUMENT"),
    "unknown model": (request("other"), "NOT_FOUND"),
    "unknown version": (VERSION, "NOT_FOUND"),
    "unknown signature": (request("mnist", "other"), "INVALID_ARGUMENT"),
    "no inputs": (request("mnist"), "INVALID_ARGUMENT"),
    "another input": (request("mnist", other=1), "INVALID_ARGUMENT"),
    "another type": (request("mnist", pixels=np.zeros([1, 8, 8, 1])), "INVALID_ARGUMENT"),
    "another shape": (request("mnist", pixels=np.zeros([8, 8], np.uint8)), "INVALID_ARGUMENT"),
    "huge": (HUGE, "INVALID_ARGUMENT"),
    "repeated": (REPEATED, "INVALID_ARGUMENT"),
    "short": (SHORT, "INVALID_ARGUMENT"),
    "not an image": (request("mnist", "encoded", image_bytes=[b"\0"]), "INVALID_ARGUMENT"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_its_status_code(name, predictions):
    message, code = MISTAKES[name]
    assert_refused(lambda: predictions.Predict(message), grpc.StatusCode[code])


def test_a_tensor_of_another_type_is_not_converted(predictions, monkeypatch):
    monkeypatch.setattr(tf, "make_ndarray", None)
    assert_refused(lambda: predictions.Predict(OTHER_TYPE), grpc.StatusCode.INVALID_ARGUMENT)


def test_classify_is_unimplemented(predictions):
    message = classification_pb2.ClassificationRequest()
    message.model_spec.name = "mnist"
    assert_refused(lambda: predictions.Classify(message), grpc.StatusCode.UNIMPLEMENTED)


def test_a_port_in_use_is_refused(served):
    from serving import grpc_service
    from serving.addresses import ServeError

    handler = grpc_service.RequestHandler(
        served.models, served.settings.limits, served.metrics, served.access_log
    )
    with pytest.raises(ServeError, match="nothing can listen"):
        grpc_service.start_server(handler, "127.0.0.1", served.grpc_port)


def test_messages_that_are_read_at_once_have_a_common_limit():
    from serving.grpc_service import MAX_THREADS, num_threads
    from serving.http.limits import Limits

    assert num_threads(Limits()) == MAX_THREADS
    assert num_threads(Limits(max_body=2**28)) == 2
    assert num_threads(Limits(max_body=2**31)) == 1


def test_a_message_is_read_only_when_a_thread_is_free(monkeypatch):
    import threading
    from types import SimpleNamespace

    from serving import grpc_service
    from serving.http.limits import Limits

    read_sizes, may_respond = [], threading.Event()
    parse = predict_pb2.PredictRequest.FromString

    def counted(data):
        read_sizes.append(len(data))
        return parse(data)

    class SlowService(grpc_service.PredictionService):
        def Predict(self, *_):  # noqa: N802
            may_respond.wait(20)
            return predict_pb2.PredictResponse()

    message = SimpleNamespace(FromString=counted)
    monkeypatch.setattr(
        prediction_service_pb2_grpc.tensorflow__serving_dot_apis_dot_predict__pb2,
        "PredictRequest",
        message,
    )
    monkeypatch.setattr(grpc_service, "PredictionService", SlowService)
    limits = Limits(max_body=1000, max_bytes=2000)
    handler = SimpleNamespace(limits=limits, log_timeout=None)
    server, port = grpc_service.start_server(handler, "127.0.0.1", 0)
    monkeypatch.undo()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        calls = [stub.Predict.future(request("mnist", pixels=[1])) for _ in range(6)]
        with pytest.raises(grpc.FutureTimeoutError):
            calls[-1].result(timeout=0.5)
        assert len(read_sizes) == 2
        may_respond.set()
        assert all(call.result(timeout=20) is not None for call in calls)
    assert len(read_sizes) == 6
    server.stop(0).wait()
