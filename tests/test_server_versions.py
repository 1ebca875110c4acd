"""New versions are picked up, old ones drained; what cannot be loaded is told; limits hold."""

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

    def log(self, event, **facts):
        self.events.append({"event": event, **facts})


@pytest.fixture
def directory(exported, tmp_path):
    """A directory with version 1."""
    shutil.copytree(exported(Mnist).path / "export" / "1", tmp_path / "models" / "1")
    return tmp_path / "models"


@pytest.fixture
def publish(directory):
    """A function from a number to a version of that number, whole at once."""

    def published(number, broken=False):
        beside = directory / f".beside-{number}"
        shutil.copytree(directory / "1", beside)
        if broken:
            for path in (beside / "variables").iterdir():
                path.write_bytes(b"broken")
        beside.rename(directory / str(number))

    return published


@pytest.fixture
def model(directory):
    """A model of that directory, looked after by hand."""
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


def test_a_version_is_unloaded_when_nobody_asks_it(model, publish):
    with model.use() as old:
        publish(2)
        model.refresh()
        assert states(model) == {2: "AVAILABLE", 1: "UNLOADING"}
        with pytest.raises(RequestError, match=r"Specific\(m, 1\)"), model.use(1):
            pass
        signature = old.signature(None)
        assert set(old.run(signature, {"pixels": [PIXEL]})) == {"class", "probabilities"}
    model.refresh()
    assert states(model) == {2: "AVAILABLE", 1: "END"}
    assert not old.signatures


def test_a_broken_version_is_told_and_the_old_one_stays(model, publish, directory):
    publish(2, broken=True)
    model.refresh()
    model.refresh()
    assert model.current.number == 1
    told, served = model.statuses()
    assert (told.version, told.state, served.state) == (2, "END", "AVAILABLE")
    assert told.code != "OK"
    assert told.message
    assert str(directory) not in told.message
    shutil.rmtree(directory / "2")
    publish(2)
    model.refresh()
    assert model.current.number == 2


def test_variables_that_arrive_after_the_graph_are_waited_for(model, directory):
    before = model.current
    shutil.copytree(directory / "1", directory / "2", ignore=lambda *_: ["variables"])
    model.refresh()
    assert states(model) == {1: "AVAILABLE", 2: "END"}
    shutil.copytree(directory / "1" / "variables", directory / "2" / "variables")
    model.refresh()
    assert states(model) == {1: "END", 2: "AVAILABLE"}
    assert model.current is not before


def test_what_failed_is_tried_again_ever_more_seldom(directory, monkeypatch):
    now, tried = 0.0, []
    monkeypatch.setattr("serving.versions.time.monotonic", lambda: now)

    def load(*_):
        tried.append(now)
        raise MemoryError

    model = Model(Address("m", directory), load, MemoryLog().log)
    for second in range(3000):
        now = float(second)
        model.refresh()
    assert tried[:4] == [0, 5, 15, 35]
    assert tried[-1] - tried[-2] == 600


def test_a_removed_version_gives_way_to_the_one_before(model, publish, directory):
    publish(2)
    model.refresh()
    shutil.rmtree(directory / "2")
    model.refresh()
    assert model.current.number == 1
    shutil.rmtree(directory / "1")
    model.refresh()
    assert model.current.number == 1, "the last one stays"


def test_a_version_of_the_same_number_is_another_one(model, directory):
    before = model.current
    shutil.copytree(directory / "1", directory / "new")
    shutil.rmtree(directory / "1")
    (directory / "new").rename(directory / "1")
    model.refresh()
    assert model.current is not before
    assert states(model) == {1: "AVAILABLE"}


def test_variables_that_only_keras_restores_are_no_version(run, tmp_path):
    """As TensorFlow Serving could not answer either, though tf.saved_model.load can."""
    import tensorflow as tf

    module = tf.Module()
    module.model = run.model
    ask = tf.function(
        lambda pixels: {"probabilities": run.model(pixels)},
        input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.uint8, "pixels")],
        autograph=False,
    )
    tf.saved_model.save(module, str(tmp_path / "1"), {"serving_default": ask})
    with pytest.raises(NothingServedError, match="Could not find variable"):
        Server([str(tmp_path)], Settings(port=0, log=tmp_path / "log", trust=True))


def test_requests_do_not_notice_that_versions_change(directory, publish, tmp_path):
    campaign(directory, publish, tmp_path, swaps=2, least=100)


@pytest.mark.slow
def test_many_requests_do_not_notice_that_versions_change(directory, publish, tmp_path):
    campaign(directory, publish, tmp_path, swaps=10, least=2000)


@pytest.mark.slow
def test_a_version_that_was_replaced_is_out_of_memory(directory, publish, tmp_path):
    server = Server(
        [f"m={directory}"], Settings(port=0, every=0.05, log=tmp_path / "log", trust=True)
    )
    # The graph, which points at itself: only a search for garbage finds it.
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


def campaign(directory, publish, tmp_path, swaps, least):
    server = Server(
        [f"m={directory}"], Settings(port=0, every=0.05, log=tmp_path / "log", trust=True)
    )
    ready, answers = threading.Event(), []
    serving = threading.Thread(target=server.run, args=[ready.set])
    serving.start()
    assert ready.wait(30)
    going = threading.Event()

    def client():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        while not going.is_set() or len(answers) < least:
            connection.request("POST", "/v1/models/m:predict", BODY)
            response = connection.getresponse()
            answers.append((response.status, response.read()))
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
        going.set()
        for one in clients:
            one.join(60)
        server.stop()
        serving.join(30)
    assert len(answers) >= least
    assert {status for status, _ in answers} == {200}
    assert len({body for _, body in answers}) == 1


def test_names(exported, directory, tmp_path, monkeypatch):
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
    for asked, reason in (
        ([], "no runs"),
        ([str(run), str(run)], "two models named 'mnist'"),
        ([f"a/b={run}"], "the name 'a/b'"),
        ([f"={run}"], "the name ''"),
        ([str(tmp_path / "nowhere")], "no directory"),
        ([str(tmp_path / "empty")], "no exported version"),
    ):
        with pytest.raises(ServeError, match=reason):
            addresses(asked)


def test_the_command_answers_mistakes_in_a_line(ask, exported, monkeypatch):
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
            status, _, error = ask("serve", *arguments)
            assert (status, error.count("\n")) == (2, 1), error
            assert reason in error
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name != "uvicorn")
    status, _, error = ask("serve", run)
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


def test_a_server_needs_no_keras_and_ends_when_it_is_told(exported):
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
    ours = {name for name in output.split() if name.partition(".")[0] in OURS and "." in name}
    # The command line reads the options of every verb, which load nothing else.
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


OURS = {
    *("apps", "cli", "conformance", "evaluation", "exporting", "inference", "optimizers"),
    *("pipelines", "serving", "training"),
}


class SlowExecutor:
    """Answers after a while."""

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


def called(limits, bodies, *, seconds=0.0, executor=None, length=None, delay=0.0):
    """The answers of the interface to some requests at once: status, headers, content."""
    metrics = Metrics()
    models = Models([OneModel()], 1, MemoryLog().log)
    other = web_app(models, metrics, MemoryLog().log)
    rest = Rest(
        executor or SlowExecutor(seconds),
        models,
        limits,
        metrics,
        MemoryLog(),
        other,
        AllowedHosts("127.0.0.1"),
    )

    async def one(body):
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

    async def all_of_them():
        return await asyncio.gather(*map(one, bodies))

    return asyncio.run(all_of_them())


def test_a_body_that_is_too_large_is_refused():
    (found,) = called(Limits(max_body=25), [b"x" * 26])
    assert found[0] == 413
    assert found[1][b"connection"] == b"close"
    assert b"larger than" in found[2]
    assert called(Limits(max_body=25), [b"x" * 25])[0][0] == 200
    assert called(Limits(max_body=25), [b"x"], length=26)[0][0] == 413


def test_a_body_that_does_not_arrive_is_given_up():
    assert called(Limits(timeout=0.05), [b"x" * 30], delay=0.1)[0][0] == 408


def test_bodies_take_no_more_than_so_much_together():
    limits = Limits(max_body=30, max_bytes=50)
    found = called(limits, [b"x" * 30] * 3, seconds=0.2)
    assert sorted(status for status, _, _ in found) == [200, 503, 503]
    assert b"at once" in max(found)[2]
    assert called(limits, [b"x" * 30])[0][0] == 200


def test_too_many_at_once_are_refused():
    found = called(Limits(max_concurrency=2), [b"{}"] * 4, seconds=0.2)
    assert sorted(status for status, _, _ in found) == [200, 200, 503, 503]
    assert [headers.get(b"retry-after") for status, headers, _ in found if status == 503] == [
        b"1",
        b"1",
    ]


def test_an_answer_that_takes_too_long_is_given_up(model):
    from serving.request_executor import RequestExecutor

    executor = RequestExecutor(timeout=0.05, threads=1)

    async def slow():
        async with asyncio.timeout(5):
            return await executor.in_thread(model.current, lambda: time.sleep(0.3) or b"")

    with pytest.raises(RequestError) as given_up:
        asyncio.run(slow())
    assert given_up.value.status == 504
    executor.close()


def test_an_unexpected_error_is_written_to_the_access_log_alone():
    class Broken:
        async def execute(self, *_):
            raise KeyError("secret")

    ((status, _, body),) = called(Limits(), [b"{}"], executor=Broken())
    assert status == 500
    assert b"secret" not in body
    assert b"error" in body


def test_requests_in_a_batch_are_answered_as_alone(model):
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
        asked = [executor.execute(model.current, body) for body in (*bodies, bad, bad)]
        return await asyncio.gather(*asked, return_exceptions=True)

    *good, first, second = asyncio.run(together())
    assert isinstance(first, RequestError)
    assert isinstance(second, RequestError)
    for body, given in zip(bodies, good, strict=True):
        wanted = json.loads(respond(model.current, body))["predictions"]
        found = json.loads(given)["predictions"]
        assert [one["class"] for one in found] == [one["class"] for one in wanted]
        np.testing.assert_allclose(
            [one["probabilities"] for one in found],
            [one["probabilities"] for one in wanted],
            atol=1e-5,
        )
    batcher.close()
    executor.close()


def test_what_is_quick_is_guessed_from_what_was():
    from inference.latency_estimate import MAX_INLINE_SECONDS, LatencyEstimate, RequestSize

    latency, usual = LatencyEstimate(), RequestSize(10, 1000)
    assert not latency.is_quick("a", usual), "nothing is known"
    latency.record("a", usual, MAX_INLINE_SECONDS / 10)
    assert latency.is_quick("a", usual)
    assert latency.is_quick("a", RequestSize(1, 100))
    assert latency.is_quick("a", RequestSize(40, 4000))
    assert not latency.is_quick("a", RequestSize(1000, 1000)), "it may take a hundred times as long"
    assert not latency.is_quick("a", RequestSize(10, 100_000))
    assert not latency.is_quick("b", usual)
    assert not latency.is_quick("a", usual._replace(bounded=False))
    for _ in range(2):
        latency.record("a", usual, 10 * MAX_INLINE_SECONDS)
    assert not latency.is_quick("a", usual)
    for _ in range(4):
        latency.record("a", usual, MAX_INLINE_SECONDS / 10)
    assert latency.is_quick("a", usual)


def test_a_padded_body_says_nothing_of_a_heavy_one(model):
    """What counts is how much is asked, not how many bytes of JSON that takes."""
    from inference.latency_estimate import request_size
    from serving.http.codec import parse_request

    with model.use() as servable:
        row, many = [[[0]] * 8] * 8, 500
        heavy = json.dumps({"inputs": [row] * many}).encode()
        cheap = json.dumps({"inputs": [row]}).encode().ljust(len(heavy))
        found = [request_size(parse_request(body, servable).arrays) for body in (cheap, heavy)]
        assert [one.rows for one in found] == [1, many]
        picture = {"signature_name": "encoded", "inputs": [{"b64": "iVBORw0KGgo="}]}
        asked = parse_request(json.dumps(picture).encode(), servable)
        assert not request_size(asked.arrays).bounded, "a few bytes may be millions of pixels"


def test_a_version_is_warmed_by_what_the_export_brings(directory):
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
    picture = {"b64": "iVBORw0KGgo="}  # of a picture only the beginning
    about = {"app": "digits", "examples": [picture], "example_signature": "encoded"}
    (directory / "1" / "about.json").write_text(json.dumps(about))
    assert addresses([str(directory)])[0].name == "digits"
    servable = Servable(directory / "1", 1)
    ((signature, arrays), again) = recorded_requests(servable)
    assert signature.name == again[0].name == "serving_default"
    np.testing.assert_array_equal(arrays["pixels"], pixels)
    assert warm_up(servable) >= 6
    servable.close()
