"""Measure how long a SavedModel takes in the client's own process, one image at a time.

    python benchmarks/recipes/serving_inside.py --export RUN/export/1 --url URL --seed 0

Calls `tf.saved_model.load(...).signatures["serving_default"]`, from Python values to Python
values: once from nested lists, as a client of the server has them, and once from a NumPy array;
and the server's own loader, from the body of a request to the body of an answer. In turn with
that, fifty calls at a time, the same process sends requests to the server at URL, so that other
load on the machine slows all of them alike. Prints one JSON line.
"""

import argparse
import json
import socket
import statistics
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from serving_clients import request, send

from serving import startup

ROUNDS, WARMUP_ROUNDS, CALLS_PER_ROUND = 44, 4, 50


def milliseconds(calls: dict[str, Callable[[], Any]]) -> dict[str, dict[str, float]]:
    """Return percentiles of each call, repeated in turn with the others."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS):
        for name, call in calls.items():
            for _ in range(CALLS_PER_ROUND):
                start = time.perf_counter()
                call()
                if number >= WARMUP_ROUNDS:
                    times[name].append(1000 * (time.perf_counter() - start))
    return {name: percentiles(measured) for name, measured in times.items()}


def percentiles(times: list[float]) -> dict[str, float]:
    """Return the 10th, 50th, 95th and 99th percentile."""
    cuts = statistics.quantiles(times, n=100)
    return {f"p{percent}": cuts[percent - 1] for percent in (10, 50, 95, 99)}


def signatures_of(export: Path, lists: list) -> dict[str, Callable[[], Any]]:
    """Return the calls of a client that loads a SavedModel by TensorFlow alone."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(export))
    signature = loaded.signatures["serving_default"]
    ((name, _),) = signature.structured_input_signature[1].items()
    array = np.array(lists, np.uint8)

    def call_signature(pixels: Any) -> dict[str, Any]:
        outputs = signature(**{name: tf.constant(pixels, tf.uint8)})
        return {key: value.numpy().tolist() for key, value in outputs.items()}

    # `loaded` must stay alive as long as its signatures.
    return {
        "lists": lambda: (loaded, call_signature(lists))[1],
        "array": lambda: call_signature(array),
    }


def main() -> None:
    """Load, call, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--export", required=True, type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--shape", default="28,28,1")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    startup.start_tensorflow()
    from serving.loading import load
    from serving.request_executor import respond

    shape = [1, *map(int, options.shape.split(","))]
    lists = np.random.default_rng(options.seed).integers(0, 256, shape).tolist()
    servable, body = load(options.export, 1), json.dumps({"instances": lists}).encode()
    url = urllib.parse.urlsplit(options.url)
    connection, data = socket.create_connection((url.hostname, url.port)), request(url, lists)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def over_http() -> Any:
        return json.loads(send(connection, data))

    calls = signatures_of(options.export, lists)
    calls |= {"own": lambda: json.loads(respond(servable, body)), "http": over_http}
    print(json.dumps(milliseconds(calls)))


if __name__ == "__main__":
    main()
