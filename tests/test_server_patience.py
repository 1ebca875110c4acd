"""Timeouts of requests and of the access log, and the release of threads and models."""

import asyncio
import os
import threading
import time

import pytest
import tensorflow as tf

from inference.request_errors import RequestError
from inference.servable import Servable
from serving.access_log import AccessLog
from serving.batching import Batcher
from serving.http.codec import parse_request
from serving.request_executor import RequestExecutor

SLOW, QUICK = b'{"instances": [1000000000]}', b'{"instances": [1, 2]}'


@pytest.fixture(scope="module")
def counting(tmp_path_factory):
    """A model that counts to its input step by step, so that large inputs are slow."""

    class Counting(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "limit")])
        def count(self, limit):
            last = tf.reduce_max(limit)
            end = tf.while_loop(lambda at: at < last, lambda at: (at + 1,), [tf.constant(0)])
            return {"steps": tf.fill(tf.shape(limit), end[0])}

    path = tmp_path_factory.mktemp("counting") / "1"
    module = Counting()
    tf.saved_model.save(module, str(path), {"serving_default": module.count})
    servable = Servable(path, 1)
    yield servable
    servable.close()


def seconds_until_timeout(servable, seconds=0.1):
    request = parse_request(SLOW, servable)
    start = time.monotonic()
    with pytest.raises(RequestError) as error:
        servable.run_within(request.signature, request.arrays, seconds)
    assert error.value.status == 504
    return time.monotonic() - start


def test_a_graph_that_takes_too_long_is_cancelled(counting):
    assert seconds_until_timeout(counting) < 5
    request = parse_request(QUICK, counting)
    assert counting.run(request.signature, request.arrays)["steps"].tolist() == [2, 2]


@pytest.mark.parametrize("batch", [0, 0.001], ids=["alone", "in a batch"])
def test_slow_requests_release_their_threads(batch, counting):
    batcher = Batcher(seconds=batch, threads=2, timeout=0.1) if batch else None
    executor = RequestExecutor(timeout=0.1, threads=2, batcher=batcher)

    async def responses():
        slow = [executor.execute(counting, SLOW) for _ in range(4)]
        errors = await asyncio.gather(*slow, return_exceptions=True)
        assert [one.status for one in errors] == [504] * 4
        executor.timeout = 30
        return await executor.execute(counting, QUICK)

    start = time.monotonic()
    assert asyncio.run(responses()) == b'{"predictions":[2,2]}'
    assert time.monotonic() - start < 10
    executor.close()
    if batcher:
        batcher.close()
    while not counting.idle:
        time.sleep(0.01)


def test_an_access_log_without_a_reader_blocks_no_request(monkeypatch):
    reading, writing = os.pipe()
    monkeypatch.setattr("serving.access_log.STDERR", writing)
    monkeypatch.setattr("serving.access_log.CLOSE_SECONDS", 0.1)
    monkeypatch.setattr("serving.access_log.FLUSH_SECONDS", 0.01)
    monkeypatch.setattr("serving.access_log.MAX_PENDING_LINES", 50)
    others = threading.enumerate()  # of the servers of other tests
    log = AccessLog()
    log.start()
    start = time.monotonic()
    for _ in range(20):
        for number in range(100):
            log.log("request", number=number, text="x" * 200)
        time.sleep(0.02)
    log.close()
    assert time.monotonic() - start < 5
    os.set_blocking(reading, True)
    received = bytearray()
    with os.fdopen(reading, "rb", buffering=0) as end:
        while b"lines left out" not in received:
            received += end.read(2**16)
    for thread in set(threading.enumerate()) - set(others):
        thread.join(5)  # else it would write to the next file with this descriptor
    os.close(writing)


def test_an_access_log_without_a_reader_does_not_spin(monkeypatch):
    """If standard error does not block, a write to a full pipe returns at once."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    monkeypatch.setattr("serving.access_log.STDERR", writing)
    monkeypatch.setattr("serving.access_log.CLOSE_SECONDS", 0.1)
    log = AccessLog()
    log.start()
    for number in range(1000):
        log.log("request", number=number, text="x" * 200)
    start = time.process_time()
    time.sleep(1.5)
    assert time.process_time() - start < 0.5
    end = os.fdopen(reading, "rb", buffering=0)
    received = end.read(2**16)
    while b'"number":999' not in received:
        received += end.read(2**16)
    assert received.count(b"\n") == 1000
    log.close()
    end.close()
    os.close(writing)


def test_a_line_that_cannot_be_encoded_leaves_the_others(tmp_path):
    log = AccessLog(tmp_path / "log")
    log.log("one")
    with pytest.raises(TypeError):
        log.log("two", text="\ud800")
    log.close()
    assert (tmp_path / "log").read_bytes().count(b"\n") == 1
