"""The server's REST interface, by a client of TensorFlow Serving's documented interface."""

import base64
import http.client
import json
import math
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import apps
from apps import Mnist, Recommender, Regression, Text

PREDICT = "/v1/models/{}:predict"


@pytest.fixture
def send(served):
    """A function from a path and a body to the status and the JSON content of the response."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)

    def sent(path, content=None, method=None):
        body = content if content is None or isinstance(content, bytes) else json.dumps(content)
        connection.request(method or ("GET" if body is None else "POST"), path, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    yield sent
    connection.close()


@pytest.fixture
def predict(send):
    """A function from a model and a request to the content of its successful response."""

    def predicted(model, **content):
        status, response = send(PREDICT.format(model), content)
        assert status == 200, response
        return response

    return predicted


@pytest.fixture(scope="module")
def images(exported):
    return exported(Mnist).splits.test.numpy(slice(3)).features


@pytest.fixture(scope="module")
def probabilities(exported, images):
    return np.asarray(exported(Mnist).model(images))


def test_the_request_in_the_docs_has_a_response(predict, images):
    docs = (Path(__file__).resolve().parents[1] / "docs" / "serving.md").read_text()
    body = re.search(r"^echo '(.*)' \|$", docs, re.M)[1]
    content = base64.b64encode(tf.io.encode_png(images[0]).numpy()).decode()
    request = json.loads(re.sub(r"'\$\(.*?\)'", lambda _: content, body))
    (prediction,) = predict("mnist", **request)["predictions"]
    assert set(prediction) == {"class", "classes", "probabilities"}


def test_status_of_a_model(send):
    status = {"error_code": "OK", "error_message": ""}
    expected = {"version": "1", "state": "AVAILABLE", "status": status}
    for path in ("/v1/models/mnist", "/v1/models/mnist/versions/1"):
        assert send(path) == (200, {"model_version_status": [expected]})


def test_metadata_of_a_model(send):
    status, content = send("/v1/models/mnist/metadata")
    assert status == 200
    assert content["model_spec"] == {"name": "mnist", "signature_name": "", "version": "1"}
    signatures = content["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "encoded"} <= set(signatures)
    pixels = signatures["serving_default"]["inputs"]["pixels"]
    assert pixels["dtype"] == "DT_UINT8"
    assert [one["size"] for one in pixels["tensor_shape"]["dim"]] == ["-1", "8", "8", "1"]
    assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"


@pytest.mark.parametrize("named", [False, True])
def test_predict_for_rows(named, predict, images, probabilities):
    rows = [{"pixels": one} if named else one for one in images.tolist()]
    predictions = predict("mnist", instances=rows)["predictions"]
    assert [set(one) for one in predictions] == [{"class", "classes", "probabilities"}] * 3
    predicted = np.array([one["probabilities"] for one in predictions])
    np.testing.assert_allclose(predicted, probabilities, atol=1e-5)
    assert [one["class"] for one in predictions] == [str(k) for k in probabilities.argmax(1)]


@pytest.mark.parametrize("named", [False, True])
def test_predict_for_columns(named, predict, images, probabilities):
    column = images.tolist()
    outputs = predict("mnist", inputs={"pixels": column} if named else column)["outputs"]
    np.testing.assert_allclose(outputs["probabilities"], probabilities, atol=1e-5)
    assert outputs["class"] == [str(k) for k in probabilities.argmax(1)]


def test_bytes_are_base64(predict, images, probabilities):
    files = [base64.b64encode(tf.io.encode_png(one).numpy()).decode() for one in images]
    for rows in (
        [{"image_bytes": {"b64": one}} for one in files],
        [{"b64": one} for one in files],
        [{"b64": one.rstrip("=")} for one in files],
        [{"b64": "\n".join(textwrap.wrap(one, 76)) + "\n"} for one in files],
    ):
        predictions = predict("mnist", signature_name="encoded", instances=rows)["predictions"]
        predicted = [one["probabilities"] for one in predictions]
        np.testing.assert_allclose(predicted, probabilities, atol=1e-5)


def test_a_number_and_its_interval_have_names(predict, exported):
    run = exported(Regression)
    raw = run.splits.test.numpy(slice(4)).features
    names = list(run.splits.test.columns)
    rows = [dict(zip(names, row, strict=True)) for row in raw["numbers"].tolist()]
    expected = np.asarray(run.model(raw))
    predictions = predict("regression", instances=rows)["predictions"]
    np.testing.assert_allclose([one["value"] for one in predictions], expected, rtol=1e-5)
    columns = {name: [row[name] for row in rows] for name in names}
    outputs = predict("regression", inputs=columns)["outputs"]
    np.testing.assert_allclose(outputs["value"], expected, rtol=1e-5)
    low, high = np.transpose(outputs["interval"])
    assert (low < expected).all() and (expected < high).all()


def test_requests_may_hold_nan_and_responses_hold_none(predict, exported):
    """NaN is a missing number in a request; a list of items is not padded."""
    names = list(exported(Regression).splits.test.columns)
    (row,) = predict("regression", instances=[dict.fromkeys(names, math.nan)])["predictions"]
    assert all(map(math.isfinite, [row["value"], *row["interval"]]))
    user = exported(Recommender).splits.train.numpy([0]).features["user"].tolist()
    inputs = {"user": [user[0].decode()], "k": 10**6, "exclude_seen": True}
    outputs = predict("recommender", signature_name="recommend", inputs=inputs)["outputs"]
    splits = exported(Recommender).splits
    seen = {
        item.decode()
        for part in (splits.train, splits.valid, splits.test)
        for item in part.numpy().features["item"][part.numpy().features["user"] == user[0]]
    }
    (items,), (scores,) = outputs["items"], outputs["scores"]
    candidates = {item.decode() for item in splits.train.numpy().features["item"]}
    assert len(items) == len(scores) == len(candidates - seen)
    assert not seen & {*items, ""}
    assert all(map(math.isfinite, scores))


def test_predict_for_texts(predict, exported):
    texts = ["never a dull moment", "größer"]
    predictions = predict("text", instances=texts)["predictions"]
    expected = np.asarray(exported(Text).model(tf.constant(texts)))
    np.testing.assert_allclose([one["probabilities"] for one in predictions], expected, atol=1e-5)


def test_every_signature_can_be_named(predict):
    pair = {"user": "nobody", "item": "nothing"}
    for name in ("serving_default", "rating"):
        (rated,) = predict("recommender", signature_name=name, instances=[pair])["predictions"]
        assert set(rated) == {"interval", "rating", "rating_std", "score"}


PIXEL = [[[0]] * 8] * 8
MISTAKES = {
    "empty body": b"",
    "invalid JSON": b"{",
    "not an object": b"[1]",
    "not UTF-8": b'{"instances": ["\xff"]}',
    "deep": b'{"instances": ' + b"[" * 100_000,
    "deep with NaN": b'{"signature_name": NaN, "instances": ' + b"[" * 100_000,
    "neither key": {"signature_name": "serving_default"},
    "both keys": {"instances": [PIXEL], "inputs": [PIXEL]},
    "not a list": {"instances": {"pixels": PIXEL}},
    "no rows": {"instances": []},
    "unknown signature": {"signature_name": "other", "instances": [PIXEL]},
    "a number as a name": {"signature_name": 1, "instances": [PIXEL]},
    "unknown input": {"instances": [{"other": PIXEL}]},
    "missing input": {"inputs": {"other": PIXEL}},
    "another shape": {"instances": [[[0]] * 8]},
    "ragged": {"instances": [[[[0]] * 8] * 7 + [[[0]] * 7]]},
    "rows of two kinds": {"instances": [PIXEL, {"pixels": PIXEL}]},
    "a string": {"instances": [[[["0"]] * 8] * 8]},
    "a fraction": {"instances": [[[[0.5]] * 8] * 8]},
    "true": {"instances": [[[[True]] * 8] * 8]},
    "null": {"instances": [[[[None]] * 8] * 8]},
    "an object": {"instances": [[[[{"b64": ""}]] * 8] * 8]},
    "too large": {"instances": [[[[256]] * 8] * 8]},
    "too small": {"instances": [[[[-1]] * 8] * 8]},
    "huge": {"instances": [[[[10**400]] * 8] * 8]},
    "NaN": {"instances": [[[[math.nan]] * 8] * 8]},
    "broken base64": {"signature_name": "encoded", "instances": [{"b64": "?"}]},
    "not an image": {"signature_name": "encoded", "instances": [{"b64": "AAAA"}]},
    "half a character": b'{"signature_name": "encoded", "instances": ["\\ud800"]}',
    "half a character as a name": b'{"signature_name": "\\ud800", "instances": [NaN]}',
    "half a character as an input": b'{"instances": [{"\\ud800": NaN}]}',
    "a number beside a list": b'{"instances": [[[[1]2,[3],[4],[5],[6],[7],[8],[9]]]]}',
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_status_400_and_an_error(name, send):
    status, content = send(PREDICT.format("mnist"), MISTAKES[name])
    assert status == 400
    assert set(content) == {"error"}
    assert content["error"]
    assert not any(part in content["error"] for part in ("Traceback", "{{", ".py", "execution"))


def test_unknown_models_and_versions(send):
    body = {"instances": [PIXEL]}
    for path in ("/v1/models/other", "/v1/models/mnist/versions/7", "/v1/models/mnist/versions/0"):
        for arguments in ((path,), (f"{path}:predict", body), (f"{path}/metadata",)):
            status, content = send(*arguments)
            assert status == 404
            assert "not find" in content["error"] or "not found" in content["error"]
    expected = "Servable not found for request: Specific(mnist, 7)"
    assert send("/v1/models/mnist/versions/7:predict", body)[1] == {"error": expected}
    assert send("/v1/models/mnist/labels/stable:predict", body)[0] == 400
    # The messages of TensorFlow Serving 2.21, which depend on the method.
    for path, message in (
        ("other", "Could not find any versions of model other"),
        ("other/versions/3", "Could not find version 3 of model other"),
        ("other/metadata", "Servable not found for request: Latest(other)"),
        ("other/versions/3/metadata", "Servable not found for request: Specific(other, 3)"),
    ):
        assert send(f"/v1/models/{path}") == (404, {"error": message})
    for digits in ("9" * 4420, "0" * 4420 + "9" * 30):
        status, content = send(f"/v1/models/mnist/versions/{digits}:predict", body)
        assert status == 400 and content["error"].startswith("Failed to convert version: ")
    assert send(f"/v1/models/mnist/versions/{'0' * 4420}1:predict", body)[0] == 200
    assert send("/v1/models/mnist/versions/99999999999999999999:predict", body)[0] == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/mnist:predict"),
        ("POST", "/v1/models/mnist"),
        ("PUT", "/v1/models/mnist:predict"),
        ("DELETE", "/v1/models/mnist"),
        ("POST", "/v1/models/mnist:guess"),
        ("GET", "/v1/"),
        ("GET", "/v1/models/mnist/versions/one"),
    ],
)
def test_requests_outside_of_the_interface_are_malformed(method, path, send):
    status, content = send(path, b"{}" if method == "POST" else None, method)
    assert (status, content) == (400, {"error": f"Malformed request: {method} {path}"})


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/v1/models/..%2F..%2Fmnist:predict"]
)
def test_no_path_reaches_a_file(path, send):
    assert send(path, {"instances": [PIXEL]})[0] in (404, 405)


@pytest.mark.parametrize("kind", ["classify", "regress"])
def test_classify_and_regress_are_refused(kind, send):
    status, content = send(f"/v1/models/mnist:{kind}", {"examples": [{"x": 1}]})
    assert status == 400
    assert "signature method_name to be" in content["error"]
    assert send(f"/v1/models/mnist:{kind}", {"instances": [1]})[0] == 400


def test_the_list_of_models_and_the_health_check(send):
    status, models = send("/v1/models")
    assert status == 200
    assert {one["name"]: one["version"] for one in models} == dict.fromkeys(
        (app.name() for app in apps.ALL), 1
    )
    assert all(isinstance(one["about"], dict) for one in models)
    status, health = send("/healthz")
    assert (status, health["status"], health["models"]["mnist"]) == (200, "ok", 1)
    assert send("/healthz", {})[0] == 405


def test_requests_are_counted_and_logged(served, predict, send):
    def counted():
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

    ok, bad = (f'athanor_requests_total{{model="text",status="{n}"}}' for n in (200, 400))
    before = counted()
    predict("text", instances=["fine"])
    assert send(PREDICT.format("text"), {"instances": [1]})[0] == 400
    after = counted()
    assert float(after[ok]) == float(before.get(ok, 0)) + 1
    assert float(after[bad]) == float(before.get(bad, 0)) + 1
    assert after['athanor_model_version{model="text"}'] == "1.0"
    assert "process_resident_memory_bytes" in after
    served.access_log.flush()
    lines = [json.loads(line) for line in served.settings.log.read_text().splitlines()]
    logged = [one for one in lines if one["event"] == "request" and one["model"] == "text"]
    assert {"time", "method", "path", "status", "ms", "version"} <= set(logged[-1])
    assert logged[-1]["status"] == 400
    assert "int" in logged[-1]["error"] or "type" in logged[-1]["error"]
