"""Every request gets a JSON response with a status below 500, and the server stays up."""

import base64
import http.client
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
SOME = settings(max_examples=25, deadline=None, suppress_health_check=SUPPRESSED, database=None)
MANY = settings(SOME, max_examples=1000)

names = st.sampled_from(
    [
        *("pixels", "image_bytes", "text", "b64", "bmi"),
        *("user", "item", "k", "exclude_seen", "liked", "only", "exclude", "diversity"),
    ]
)
# Halves of surrogate pairs, which JSON can encode and UTF-8 cannot.
half = st.sampled_from(["\ud800", "a\udfff"])
leaves = st.one_of(
    half,
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(),
    st.binary(max_size=40).map(lambda data: {"b64": base64.b64encode(data).decode()}),
    st.text(max_size=20).map(lambda text: {"b64": text}),
    st.just(10**400),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(names, half, st.text(max_size=5)), inner, max_size=4),
    ),
    max_leaves=12,
)
signatures = st.one_of(
    st.sampled_from(["serving_default", "encoded", "rating", "explain", "similar"]),
    st.sampled_from(["recommend", "recommend_with"]),
    st.none(),
    values,
)
requests = st.one_of(
    st.fixed_dictionaries({"signature_name": signatures, "instances": values}),
    st.fixed_dictionaries({"signature_name": signatures, "inputs": values}),
    st.fixed_dictionaries({"inputs": values}),
    st.fixed_dictionaries({"instances": st.lists(values, max_size=4)}),
    values,
)
models = st.sampled_from(["mnist", "recommender", "regression", "text"])


@pytest.fixture
def raw(served):
    """A function that sends a request, checks the response, and returns its status."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)

    def sent(method, path, body=None):
        connection.request(method, path, body)
        response = connection.getresponse()
        status, content = response.status, response.read()
        assert status < 500, (status, content)
        assert b"Traceback" not in content
        assert b'File "' not in content
        # Other successful responses are files of the web page.
        if status != 200 or response.getheader("content-type") == "application/json":
            parsed = json.loads(content)
            assert status == 200 or (set(parsed) == {"error"} and parsed["error"])
        return status

    yield sent
    assert sent("GET", "/healthz") == 200
    connection.close()


def check_values(raw, model, content):
    raw("POST", f"/v1/models/{model}:predict", json.dumps(content))


def check_bytes(raw, model, body):
    assert raw("POST", f"/v1/models/{model}:predict", body) == 400


def check_truncated(raw, model, content, place):
    body = json.dumps(content).encode()
    raw("POST", f"/v1/models/{model}:predict", body[: int(place * len(body))])


@SOME
@given(model=models, content=requests)
def test_any_values(raw, model, content):
    check_values(raw, model, content)


@pytest.mark.slow
@MANY
@given(model=models, content=requests)
def test_many_values(raw, model, content):
    check_values(raw, model, content)


@SOME
@given(model=models, body=st.binary(max_size=200))
def test_any_bytes(raw, model, body):
    check_bytes(raw, model, body)


@SOME
@given(model=models, content=requests, place=st.floats(0, 1))
def test_any_truncated_request(raw, model, content, place):
    check_truncated(raw, model, content, place)


@SOME
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
    path=st.one_of(
        st.text(st.sampled_from("/.:%2fe5c0vmodelsnist?#&=-_~"), max_size=60),
        st.sampled_from(
            ["../", "..%2f", "%00", "%ff", "%", "/..", "//", ";", "\\", "a" * 5000]
        ).map("/v1/models/{}:predict".format),
    ),
)
def test_any_path(raw, method, path):
    raw(method, "/" + path.lstrip("/"), b"{}" if method == "POST" else None)


@SOME
@given(k=st.integers(), seen=st.booleans(), users=st.lists(st.text(max_size=4), max_size=3))
def test_any_length_of_a_list(raw, k, seen, users):
    inputs = {"user": users, "k": k, "exclude_seen": seen}
    content = {"signature_name": "recommend", "inputs": inputs}
    status = raw("POST", "/v1/models/recommender:predict", json.dumps(content))
    assert (status == 200) == (-(2**31) <= k < 2**31)


item_ids = st.one_of(st.text(max_size=4), st.sampled_from(["item 1", "item 2", ""]))


@SOME
@given(
    liked=st.lists(st.lists(item_ids, min_size=2, max_size=2), max_size=3),
    only=st.lists(item_ids, max_size=3),
    k=st.integers(-2, 300),
    diversity=st.floats(-0.5, 1.5),
)
def test_any_request_of_a_list(raw, liked, only, k, diversity):
    inputs = {"liked": liked or [[]], "only": only, "k": k, "diversity": diversity}
    content = {"signature_name": "recommend_with", "inputs": inputs}
    status = raw("POST", "/v1/models/recommender:predict", json.dumps(content))
    assert (status == 200) == (0 <= np.float32(diversity) <= 1)


@SOME
@given(place=st.floats(0, 1), flip=st.integers(0, 255))
def test_any_damaged_image(raw, place, flip):
    import tensorflow as tf

    image = bytearray(tf.io.encode_png(tf.zeros([8, 8, 1], tf.uint8)).numpy())
    truncated = image[: int(place * len(image))]
    image[min(int(place * len(image)), len(image) - 1)] ^= flip
    for data in (truncated, image):
        rows = [{"b64": base64.b64encode(data).decode()}]
        content = {"signature_name": "encoded", "instances": rows}
        raw("POST", "/v1/models/mnist:predict", json.dumps(content))
