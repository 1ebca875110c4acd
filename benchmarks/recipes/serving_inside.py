"""How long a SavedModel takes in the process of who asks, one picture at a time.

    python benchmarks/recipes/serving_inside.py --export RUN/export/1 --url URL --seed 0

Answers by `tf.saved_model.load(...).signatures["serving_default"]`, from Python values to
Python values: once from nested lists, as a client of the server has them, and once from a
NumPy array that is there already; and by what the server loads, from the body of a request
to the body of an answer. In turn with that, fifty requests at a time, the same process asks
the server at URL: whatever else the machine does meanwhile slows all alike.
Prints one JSON line.
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
from serving_clients import answer, request

from serving import startup

TURNS, WARM, TIMES = 44, 4, 50


def milliseconds(ways: dict[str, Callable[[], Any]]) -> dict[str, dict[str, float]]:
    """Of each way to ask, percentiles of many calls in turn with the others'."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS):
        for name, ask in ways.items():
            for _ in range(TIMES):
                start = time.perf_counter()
                ask()
                if turn >= WARM:
                    times[name].append(1000 * (time.perf_counter() - start))
    return {name: percentiles(found) for name, found in times.items()}


def percentiles(times: list[float]) -> dict[str, float]:
    """The tenth, the median, and those of the slow."""
    cuts = statistics.quantiles(times, n=100)
    return {f"p{place}": cuts[place - 1] for place in (10, 50, 95, 99)}


def signatures_of(export: Path, lists: list) -> dict[str, Callable[[], Any]]:
    """The ways of who loads a SavedModel by TensorFlow alone."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(export))
    signature = loaded.signatures["serving_default"]
    ((name, _),) = signature.structured_input_signature[1].items()
    array = np.array(lists, np.uint8)

    def asked(given: Any) -> dict[str, Any]:
        answers = signature(**{name: tf.constant(given, tf.uint8)})
        return {key: value.numpy().tolist() for key, value in answers.items()}

    # What the signatures need must not be collected.
    return {"lists": lambda: (loaded, asked(lists))[1], "array": lambda: asked(array)}


def main() -> None:
    """Load, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--export", required=True, type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--shape", default="28,28,1")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    startup.start_tensorflow()
    from serving.loading import load
    from serving.request_executor import respond

    shape = [1, *map(int, given.shape.split(","))]
    lists = np.random.default_rng(given.seed).integers(0, 256, shape).tolist()
    servable, body = load(given.export, 1), json.dumps({"instances": lists}).encode()
    url = urllib.parse.urlsplit(given.url)
    connection, data = socket.create_connection((url.hostname, url.port)), request(url, lists)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def over_http() -> Any:
        return json.loads(answer(connection, data))

    ways = signatures_of(given.export, lists)
    ways |= {"own": lambda: json.loads(respond(servable, body)), "http": over_http}
    print(json.dumps(milliseconds(ways)))


if __name__ == "__main__":
    main()
