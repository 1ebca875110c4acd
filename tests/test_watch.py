"""serve --watch: counts of requests in the bins of training, /metrics and /v1/models/NAME/drift."""

import json
import shutil
import sys
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest

import apps
from inference.drift.reference import REFERENCE, Bins, Reference
from inference.drift.statistics import chi_square, psi
from serving.watch import MAX_WAITING_REQUESTS, Watch

TOWNS = np.array([b"Basel", b"Bern", b"Genf"], object)


def rows(count, seed, shift=0.0):
    random = np.random.default_rng(seed)
    return {"age": random.normal(shift, 1, count), "town": random.choice(TOWNS, count)}


@pytest.fixture
def watch():
    inputs = rows(5000, 0)
    bins = [Bins.of("age", "number", inputs["age"]), Bins.of("town", "category", inputs["town"])]
    classes = np.array([b"no", b"yes"], object)[np.arange(1000) % 2]
    return Watch(Reference("row", tuple(bins), (Bins.of("prediction", "category", classes),)))


def ask(watch, inputs, predicted=b"yes"):
    count = len(inputs["age"])
    watch.observe("serving_default", inputs, {"class": np.full(count, predicted, object)})


def test_requests_like_training_have_no_drift(watch):
    for seed in range(1, 101):
        ask(watch, rows(10, seed), [b"no", b"yes"][seed % 2])
    found = watch.drift()
    assert found["examples"] == 1000
    assert found["not_counted"] == 0
    assert all(row["psi"] < 0.1 and row["p_holm"] > 0.001 for row in found["columns"])


def test_shifted_requests_are_found(watch):
    for seed in range(1, 101):
        ask(watch, rows(10, seed, shift=0.5))
    found = {row["column"]: row for row in watch.drift()["columns"]}
    assert found["age"]["psi"] > 0.1
    assert found["age"]["p_holm"] < 1e-6
    assert found["town"]["psi"] < 0.05
    assert found["prediction"]["psi"] > 0.25  # all are yes


def test_statistics_are_those_of_the_counts(watch):
    inputs = rows(300, 1, shift=1.0)
    ask(watch, inputs)
    row = next(one for one in watch.drift()["columns"] if one["column"] == "age")
    bins = watch.reference.inputs[0]
    counts = bins.histogram(inputs["age"])
    assert row["psi"] == pytest.approx(psi(bins.counts, counts), abs=1e-6)
    assert row["p"] == chi_square(bins.counts, counts).p


def test_nothing_counted_is_null(watch):
    assert all(row["psi"] is None and row["p"] is None for row in watch.drift()["columns"])


def test_memory_is_bounded_and_no_input_is_kept(watch):
    large = {"age": np.zeros(10_000), "town": np.full(10_000, b"x" * 50, object)}
    for _ in range(2 * MAX_WAITING_REQUESTS):
        ask(watch, large)
    assert watch._waiting_bytes <= 2**24
    waiting = len(watch._waiting)
    assert waiting < MAX_WAITING_REQUESTS
    found = watch.drift()
    assert found["examples"] == waiting * 10_000
    assert found["examples"] + found["not_counted"] == 2 * MAX_WAITING_REQUESTS * 10_000
    assert not watch._waiting
    assert b"xxx" not in repr(vars(watch)).encode()
    before = sys.getsizeof(repr(vars(watch)))
    for seed in range(200):
        ask(watch, {"age": np.array([seed * 1e6]), "town": np.array([b"%d" % seed], object)})
        watch.count()
    assert sys.getsizeof(repr(vars(watch))) < before + 200


def test_unfit_inputs_are_not_counted_and_harm_nothing(watch):
    watch.observe("serving_default", {"age": np.array([b"old"], object)}, {})
    watch.observe("explain", rows(3, 0), {})
    watch.observe("serving_default", {"other": np.zeros(3)}, {})
    ask(watch, rows(2, 0))
    found = watch.drift()
    assert (found["examples"], found["not_counted"]) == (2, 1)


def test_slow_images_are_left_out(monkeypatch):
    from serving import watch as module

    bins = Bins.of("brightness", "number", np.arange(256.0))
    watch = Watch(Reference("image", (bins,)))
    files = np.array([b"no image"], object)
    watch.observe("encoded", {"image_bytes": files}, {})
    assert watch.drift()["examples"] == 1  # missing brightness
    monkeypatch.setattr(module, "MAX_DECODING_SECONDS", 0)
    watch.observe("encoded", {"image_bytes": files}, {})
    found = watch.drift()
    assert (found["examples"], found["not_counted"]) == (1, 1)


@pytest.fixture(scope="module")
def exported_with_reference(tiny_run, tmp_path_factory):
    """An export of the tiny regression that was evaluated: only its reference is written."""
    from evaluation import drift
    from evaluation.tasks import task_of
    from exporting.export import export
    from training.run import Run

    app = apps.get("regression")
    path = tmp_path_factory.mktemp("watch") / "run"
    shutil.copytree(tiny_run(app).path, path)
    run = Run.load(path)
    drift.write_reference(run, task_of(run).predict_test_set(tiny_run(app)))
    export(run)
    return run


def get(server, path):
    with urllib.request.urlopen(f"{server.root}{path}", timeout=10) as response:
        return response.read().decode()


def test_server_compares_requests(exported_with_reference, tmp_path):
    from serving.server import Server, Settings

    run = exported_with_reference
    assert (run.path / "export/1" / REFERENCE).read_text() == (run.path / REFERENCE).read_text()
    server = Server([str(run.path)], Settings(port=0, watch=True, log=tmp_path / "log"))
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=[ready.set])
    thread.start()
    try:
        assert ready.wait(30)
        assert json.loads(get(server, "v1/models/regression/drift"))["examples"] == 0
        body = (run.path / "export/1/sample-request.json").read_bytes()
        for _ in range(30):
            url = f"{server.root}v1/models/regression:predict"
            urllib.request.urlopen(url, body, timeout=10).read()
        found = json.loads(get(server, "v1/models/regression/drift"))
        rows_asked = len(json.loads(body)["instances"])
        assert (found["model"], found["version"]) == ("regression", 1)
        assert (found["examples"], found["not_counted"]) == (30 * rows_asked, 0)
        assert found["columns"][0]["psi"] > 0.25  # always the same three rows
        assert {"prediction"} < {row["column"] for row in found["columns"]}
        metrics = get(server, "metrics")
        assert f'athanor_drift_examples{{model="regression"}} {30 * rows_asked}.0' in metrics
        assert 'athanor_drift_psi{column="prediction",model="regression"}' in metrics
        assert "athanor_drift_p_value" in metrics
    finally:
        server.stop()
        thread.join(30)


def test_export_without_reference_is_refused(exported, tmp_path):
    from serving.server import NothingServedError, Server, Settings

    run = exported(apps.get("regression"))
    with pytest.raises(NothingServedError, match=r"Received --watch for regression.*evaluate RUN"):
        Server([str(run.path)], Settings(port=0, watch=True, log=tmp_path / "log"))


def test_server_without_watch_says_so(address):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{address}v1/models/regression/drift", timeout=10)
    assert "start the server with --watch" in error.value.read().decode()
