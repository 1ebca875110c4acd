"""Versions of a model are loaded, replaced and unloaded; requests have limits."""

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest

from apps import Mnist
from inference.artifacts import versions
from inference.request_errors import RequestError
from inference.servable import Servable
from serving.addresses import Address, ServeError, addresses
from serving.http.hosts import AllowedHosts
from serving.http.limits import Limits
from serving.http.rest import Rest
from serving.http.web import web_app
from serving.metrics import Metrics
from serving.server import NothingServedError, Server, Settings, listening_socket
from serving.versions import Model, Models

PIXEL = [[[0]] * 8] * 8
BODY = json.dumps({"instances": [PIXEL]}).encode()


class MemoryLog:
    """An access log that keeps its events."""

    def __init__(self):
        self.events = []

    def log(self, event, **fields):
        self.events.append({"event": event, **fields})


@pytest.fixture
def directory(exported, tmp_path):
    """A directory with version 1."""
    shutil.copytree(exported(Mnist).path / "export" / "1", tmp_path / "models" / "1")
    return tmp_path / "models"


@pytest.fixture
def publish(directory):
    """A function that adds a version, complete at once."""

    def published(number, broken=False):
        temporary = directory / f".temporary-{number}"
        shutil.copytree(directory / "1", temporary)
        if broken:
            for path in (temporary / "variables").iterdir():
                path.write_bytes(b"broken")
        temporary.rename(directory / str(number))

    return published


@pytest.fixture
def model(directory):
    """A model of that directory, which the tests refresh."""
    model = Model(Address("m", directory), Servable, MemoryLog().log)
    model.refresh()
    yield model
    model.close()


def states(model):
    return {one.version: one.state for one in model.statuses()}


def test_the_newest_version_is_served(model, publish):
    publish(2)
    publish(10)
    model.refresh()
    assert model.current.number == 10
    assert states(model) == {10: "AVAILABLE", 1: "END"}


def test_a_version_is_unloaded_after_its_last_request(model, publish):
    with model.use() as old:
        publish(2)
        model.refresh()
        assert states(model) == {2: "AVAILABLE", 1: "UNLOADING"}
        with pytest.raises(RequestError, match=r"Specific\(m, 1\)"), model.use(1):
            pass
        signature = old.signature(None)
        assert set(old.run(signature, {"pixels": [PIXEL]})) == {"class", "classes", "probabilities"}
    model.refresh()
    assert states(model) == {2: "AVAILABLE", 1: "END"}
    assert not old.signatures


def test_a_broken_version_is_reported_and_the_old_one_stays(model, publish, directory):
    publish(2, broken=True)
    model.refresh()
    model.refresh()
    assert model.current.number == 1
    broken, served = model.statuses()
    assert (broken.version, broken.state, served.state) == (2, "END", "AVAILABLE")
    assert broken.code != "OK"
    assert broken.message
    assert str(directory) not in broken.message
    shutil.rmtree(directory / "2")
    publish(2)
    model.refresh()
    assert model.current.number == 2


def test_a_version_is_loaded_again_when_its_variables_arrive(model, directory):
    before = model.current
    shutil.copytree(directory / "1", directory / "2", ignore=lambda *_: ["variables"])
    model.refresh()
    assert states(model) == {1: "AVAILABLE", 2: "END"}
    shutil.copytree(directory / "1" / "variables", directory / "2" / "variables")
    model.refresh()
    assert states(model) == {1: "END", 2: "AVAILABLE"}
    assert model.current is not before


def test_a_failed_load_is_tried_again_at_growing_intervals(directory, monkeypatch):
    now, attempts = 0.0, []
    monkeypatch.setattr("serving.versions.time.monotonic", lambda: now)

    def load(*_):
        attempts.append(now)
        raise MemoryError

    model = Model(Address("m", directory), load, MemoryLog().log)
    for second in range(3000):
        now = float(second)
        model.refresh()
    assert attempts[:4] == [0, 5, 15, 35]
    assert attempts[-1] - attempts[-2] == 600


def test_the_previous_version_replaces_a_removed_one(model, publish, directory):
    publish(2)
    model.refresh()
    shutil.rmtree(directory / "2")
    model.refresh()
    assert model.current.number == 1
    shutil.rmtree(directory / "1")
    model.refresh()
    assert model.current.number == 1, "the last one stays"


def test_a_replaced_version_of_the_same_number_is_loaded(model, directory):
    before = model.current
    shutil.copytree(directory / "1", directory / "new")
    shutil.rmtree(directory / "1")
    (directory / "new").rename(directory / "1")
    model.refresh()
    assert model.current is not before
    assert states(model) == {1: "AVAILABLE"}


def test_a_version_without_its_variables_is_not_served(run, tmp_path):
    """Neither TensorFlow Serving nor this server finds them, though tf.saved_model.load does."""
    import tensorflow as tf

    module = tf.Module()
    module.model = run.model
    predict = tf.function(
        lambda pixels: {"probabilities": run.model(pixels)},
        input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.uint8, "pixels")],
        autograph=False,
    )
    tf.saved_model.save(module, str(tmp_path / "1"), {"serving_default": predict})
    with pytest.raises(NothingServedError, match="Could not find variable"):
        Server([str(tmp_path)], Settings(port=0, log=tmp_path / "log", trust=True))


@pytest.mark.thorough
def test_no_request_fails_while_versions_change(directory, publish, tmp_path):
    send_during_swaps(directory, publish, tmp_path, swaps=2, num_requests=100)


@pytest.mark.slow
def test_none_of_many_requests_fails_while_versions_change(directory, publish, tmp_path):
    send_during_swaps(directory, publish, tmp_path, swaps=10, num_requests=2000)


@pytest.mark.slow
def test_a_replaced_version_is_freed(directory, publish, tmp_path):
    server = Server(
        [f"m={directory}"], Settings(port=0, refresh_seconds=0.05, log=tmp_path / "log", trust=True)
    )
    # The graph is a reference cycle: only the garbage collector frees it.
    first = weakref.ref(server.models.find("m").current._graph)
    ready = threading.Event()
    serving = threading.Thread(target=server.run, args=[ready.set])
    serving.start()
    assert ready.wait(30)
    try:
        publish(2)
        end = time.monotonic() + 30
        while first():
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        server.stop()
        serving.join(30)


def send_during_swaps(directory, publish, tmp_path, swaps, num_requests):
    """Send requests while versions change; all must get the same successful response."""
    server = Server(
        [f"m={directory}"], Settings(port=0, refresh_seconds=0.05, log=tmp_path / "log", trust=True)
    )
    ready, responses = threading.Event(), []
    serving = threading.Thread(target=server.run, args=[ready.set])
    serving.start()
    assert ready.wait(30)
    swapped = threading.Event()

    def client():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        while not swapped.is_set() or len(responses) < num_requests:
            connection.request("POST", "/v1/models/m:predict", BODY)
            response = connection.getresponse()
            responses.append((response.status, response.read()))
            time.sleep(0.005)  # leaves the processor to the loading of a version
        connection.close()

    clients = [threading.Thread(target=client) for _ in range(4)]
    for one in clients:
        one.start()
    try:
        for number in range(2, swaps + 2):
            publish(number)
            end = time.monotonic() + 30
            while server.models.find("m").current.number != number:
                assert time.monotonic() < end
                time.sleep(0.01)
    finally:
        swapped.set()
        for one in clients:
            one.join(60)
        server.stop()
        serving.join(30)
    assert len(responses) >= num_requests
    assert {status for status, _ in responses} == {200}
    assert len({body for _, body in responses}) == 1


def test_addresses_of_models(exported, directory, tmp_path, monkeypatch):
    run = exported(Mnist).path
    assert addresses([str(run)]) == [Address("mnist", run / "export", run)]
    assert addresses([f"digits={run}"]) == [Address("digits", run / "export", run)]
    assert addresses([str(directory)]) == [Address("mnist", directory, directory)]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert addresses(["m=~/models"]) == [Address("m", directory, directory)]
    with pytest.raises(ServeError, match=f"serve {run} other={directory}\\.$"):
        addresses([str(run), f"m={directory}", str(directory)])
    (directory / "1" / "about.json").unlink()
    assert addresses([str(directory)]) == [Address("models", directory, directory)]
    (directory / "9999999999999999999").symlink_to(directory / "1")
    assert versions(directory) == [1]
    (tmp_path / "empty").mkdir()
    for arguments, reason in (
        ([], "no runs"),
        ([str(run), str(run)], "two models named 'mnist'"),
        ([f"a/b={run}"], "the name 'a/b'"),
        ([f"={run}"], "the name ''"),
        ([str(tmp_path / "nowhere")], "no directory"),
        ([str(tmp_path / "empty")], "no exported version"),
    ):
        with pytest.raises(ServeError, match=reason):
            addresses(arguments)


def test_mistakes_of_the_command_get_one_line(run_cli, exported, monkeypatch):
    run = exported(Mnist).path
    with listening_socket("127.0.0.1", 0) as busy:
        port = busy.getsockname()[1]
        for arguments, reason in (
            ([], "no runs"),
            (["nowhere"], "no directory"),
            ([run, "--port", port], "nothing can listen"),
            ([run, "--port", 70000], "less than 65536"),
            ([run, "--timeout", 0], "--timeout 0"),
            ([run, "--timeout", "inf"], "--timeout inf"),
            ([run, "--max-body", "inf"], "--max-body inf"),
            ([run, "--batch", "nan"], "--batch nan"),
        ):
            status, _, error = run_cli("serve", *arguments)
            assert (status, error.count("\n")) == (2, 1), error
            assert reason in error
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name != "uvicorn")
    status, _, error = run_cli("serve", run)
    assert (status, error.count("\n")) == (2, 1)
    assert "pip install 'athanor[serve]'" in error


WITHOUT_KERAS = """
import sys
sys.modules["keras"] = None  # any import of it fails
from cli import main
try:
    status = main._run(["serve", sys.argv[1], "--port", "0"])
finally:
    print(*sorted(name for name in sys.modules if sys.modules[name]))
sys.exit(status)
"""


def test_a_server_needs_no_keras_and_ends_after_sigterm(exported):
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_KERAS, str(exported(Mnist).path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    try:
        line = process.stdout.readline()
        name, _, version, url = line.split()
        assert (name, version) == ("mnist", "1")
        host = url.split("/")[2]
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request("POST", "/v1/models/mnist:predict", BODY)
        assert connection.getresponse().read().startswith(b'{"predictions"')
        connection.close()
        process.send_signal(signal.SIGTERM)
        output, error = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, error
    ours = {name for name in output.split() if name.partition(".")[0] in ROOMS and "." in name}
    # The command line imports the options of every verb, which import nothing else.
    ours -= {name for name in ours if name.endswith(".options")}
    assert {name.partition(".")[0] for name in ours} == {
        *("apps", "cli", "inference", "pipelines", "serving", "training")
    }
    assert {name for name in ours if name.startswith(("training.", "pipelines."))} == {
        "pipelines.files",
        "training.deferred",
        "training.distributed",
        "training.distributed.cluster",
        "training.provenance",
        "training.startup",
    }
    assert not ours & {
        "inference.named_outputs",
        "inference.modalities.images",
        "inference.modalities.ids",
        "inference.modalities",
    }
    assert not [name for name in output.split() if name.partition(".")[0] == "keras"]


ROOMS = {
    *("apps", "cli", "conformance", "evaluation", "exporting", "inference", "optimizers"),
    *("pipelines", "serving", "training"),
}


class SlowExecutor:
    """An executor that responds after some seconds."""

    def __init__(self, seconds):
        self.seconds = seconds

    async def execute(self, _, body):
        await asyncio.sleep(self.seconds)
        return body


class OneModel:
    """A model without TensorFlow."""

    name = "m"
    number = 1

    def use(self, _):
        return contextlib.nullcontext(self)


def responses_to(limits, bodies, *, seconds=0.0, executor=None, length=None, delay=0.0):
    """Return status, headers and content of the responses to concurrent requests."""
    metrics = Metrics()
    models = Models([OneModel()], 1, MemoryLog().log)
    other_paths = web_app(models, metrics, MemoryLog().log)
    rest = Rest(
        executor or SlowExecutor(seconds),
        models,
        limits,
        metrics,
        MemoryLog(),
        other_paths,
        AllowedHosts("127.0.0.1"),
    )

    async def respond(body):
        sent = []
        headers = [] if length is None else [(b"content-length", str(length).encode())]
        parts = [
            {"type": "http.request", "body": body[k : k + 10]} for k in range(0, len(body), 10)
        ]
        for part in parts[:-1]:
            part["more_body"] = True

        async def receive():
            await asyncio.sleep(delay)
            return parts.pop(0)

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/models/m:predict"}
        await rest(scope | {"headers": headers, "raw_path": None}, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    async def respond_to_all():
        return await asyncio.gather(*map(respond, bodies))

    return asyncio.run(respond_to_all())


def test_a_body_that_is_too_large_is_refused():
    ((status, headers, content),) = responses_to(Limits(max_body=25), [b"x" * 26])
    assert status == 413
    assert headers[b"connection"] == b"close"
    assert b"larger than" in content
    assert responses_to(Limits(max_body=25), [b"x" * 25])[0][0] == 200
    assert responses_to(Limits(max_body=25), [b"x"], length=26)[0][0] == 413


def test_a_body_that_does_not_arrive_gets_status_408():
    assert responses_to(Limits(timeout=0.05), [b"x" * 30], delay=0.1)[0][0] == 408


def test_all_bodies_together_have_a_limit():
    limits = Limits(max_body=30, max_bytes=50)
    responses = responses_to(limits, [b"x" * 30] * 3, seconds=0.2)
    assert sorted(status for status, _, _ in responses) == [200, 503, 503]
    assert b"at once" in max(responses)[2]
    assert responses_to(limits, [b"x" * 30])[0][0] == 200


def test_too_many_requests_at_once_are_refused():
    responses = responses_to(Limits(max_concurrency=2), [b"{}"] * 4, seconds=0.2)
    assert sorted(status for status, _, _ in responses) == [200, 200, 503, 503]
    assert [headers.get(b"retry-after") for status, headers, _ in responses if status == 503] == [
        b"1",
        b"1",
    ]


def test_a_response_that_takes_too_long_gets_status_504(model):
    from serving.request_executor import RequestExecutor

    executor = RequestExecutor(timeout=0.05, threads=1)

    async def slow():
        async with asyncio.timeout(5):
            return await executor.in_thread(model.current, lambda: time.sleep(0.3) or b"")

    with pytest.raises(RequestError) as error:
        asyncio.run(slow())
    assert error.value.status == 504
    executor.close()


def test_an_unexpected_error_is_only_in_the_access_log():
    class Broken:
        async def execute(self, *_):
            raise KeyError("secret")

    ((status, _, body),) = responses_to(Limits(), [b"{}"], executor=Broken())
    assert status == 500
    assert b"secret" not in body
    assert b"error" in body


def test_requests_in_a_batch_get_the_same_responses_as_alone(model):
    import numpy as np

    from serving.batching import Batcher
    from serving.request_executor import RequestExecutor, respond

    draw = np.random.default_rng(0)
    bodies = [
        json.dumps({"instances": draw.integers(0, 256, (n, 8, 8, 1)).tolist()}).encode()
        for n in (1, 2, 3)
    ]
    bad = b'{"signature_name": "encoded", "instances": [{"b64": "AAAA"}]}'
    batcher = Batcher(seconds=0.05, threads=1)
    executor = RequestExecutor(timeout=30, threads=1, batcher=batcher)

    async def together():
        tasks = [executor.execute(model.current, body) for body in (*bodies, bad, bad)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    *good, first, second = asyncio.run(together())
    assert isinstance(first, RequestError)
    assert isinstance(second, RequestError)
    for body, response in zip(bodies, good, strict=True):
        expected = json.loads(respond(model.current, body))["predictions"]
        predictions = json.loads(response)["predictions"]
        assert [one["class"] for one in predictions] == [one["class"] for one in expected]
        np.testing.assert_allclose(
            [one["probabilities"] for one in predictions],
            [one["probabilities"] for one in expected],
            atol=1e-5,
        )
    batcher.close()
    executor.close()


def test_the_latency_of_a_request_is_estimated_from_earlier_ones():
    from inference.latency_estimate import MAX_INLINE_SECONDS, LatencyEstimate, RequestSize

    latency, size = LatencyEstimate(), RequestSize(10, 1000)
    assert not latency.is_quick("a", size), "there is no earlier request"
    latency.record("a", size, MAX_INLINE_SECONDS / 10)
    assert latency.is_quick("a", size)
    assert latency.is_quick("a", RequestSize(1, 100))
    assert latency.is_quick("a", RequestSize(40, 4000))
    assert not latency.is_quick("a", RequestSize(1000, 1000)), "it may take a hundred times as long"
    assert not latency.is_quick("a", RequestSize(10, 100_000))
    assert not latency.is_quick("b", size)
    assert not latency.is_quick("a", size._replace(bounded=False))
    for _ in range(2):
        latency.record("a", size, 10 * MAX_INLINE_SECONDS)
    assert not latency.is_quick("a", size)
    for _ in range(4):
        latency.record("a", size, MAX_INLINE_SECONDS / 10)
    assert latency.is_quick("a", size)


def test_the_size_of_a_request_does_not_depend_on_its_bytes(model):
    """The rows count, not the bytes of JSON."""
    from inference.latency_estimate import request_size
    from serving.http.codec import parse_request

    with model.use() as servable:
        row, many = [[[0]] * 8] * 8, 500
        heavy = json.dumps({"inputs": [row] * many}).encode()
        cheap = json.dumps({"inputs": [row]}).encode().ljust(len(heavy))
        sizes = [request_size(parse_request(body, servable).arrays) for body in (cheap, heavy)]
        assert [one.rows for one in sizes] == [1, many]
        encoded = {"signature_name": "encoded", "inputs": [{"b64": "iVBORw0KGgo="}]}
        request = parse_request(json.dumps(encoded).encode(), servable)
        assert not request_size(request.arrays).bounded, "a few bytes may be millions of pixels"


def test_a_version_is_warmed_up_by_the_requests_of_its_export(directory):
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    from serving.warmup import RECORDS, recorded_requests, warm_up

    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "mnist"
    pixels = np.full([2, 8, 8, 1], 7, np.uint8)
    request.inputs["pixels"].CopyFrom(tf.make_tensor_proto(pixels))
    path = directory / "1" / RECORDS
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(2):
            writer.write(log.SerializeToString())
    image = {"b64": "iVBORw0KGgo="}  # only the first bytes of an image
    about = {"app": "digits", "examples": [image], "example_signature": "encoded"}
    (directory / "1" / "about.json").write_text(json.dumps(about))
    assert addresses([str(directory)])[0].name == "digits"
    servable = Servable(directory / "1", 1)
    ((signature, arrays), again) = recorded_requests(servable)
    assert signature.name == again[0].name == "serving_default"
    np.testing.assert_array_equal(arrays["pixels"], pixels)
    assert warm_up(servable) >= 6
    servable.close()
