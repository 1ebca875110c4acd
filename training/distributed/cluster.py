"""Which of several workers this process is: what TF_CONFIG says, read without TensorFlow."""

import functools
import json
import os
from typing import Any, Literal, NamedTuple

Strategy = Literal["one", "mirrored", "multiworker", "auto"]
EXAMPLE = (
    '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
JOBS = ("chief", "worker")  # in the order of their replicas


class StrategyError(ValueError):
    """Devices or workers that are not there."""

    exit_status = 2


class LostError(RuntimeError):
    """Another worker that ended before the work was done: all have to be started again."""

    exit_status = 3


class Cluster(NamedTuple):
    """Addresses of all workers, and this one's number; number 0 is the chief.

    The chief writes and prints; the others compute.
    """

    workers: tuple[str, ...]
    number: int


def found() -> Cluster | None:
    """The cluster that TF_CONFIG names; None without it.

    Raises StrategyError where it is damaged.
    """
    return _parsed(os.environ.get("TF_CONFIG", ""))


def wanted(strategy: Strategy) -> Cluster | None:
    """The cluster in which to take part; None where this process trains by itself.

    Raises StrategyError where there is none and `multiworker` is asked for.
    """
    if strategy not in ("multiworker", "auto"):
        return None
    cluster = found()
    if cluster is not None and len(cluster.workers) > 1:
        return cluster
    if strategy == "auto":
        return None
    received = "no TF_CONFIG" if cluster is None else "a TF_CONFIG of one worker"
    raise StrategyError(
        f"Received --strategy multiworker and {received}; expected the addresses of several "
        f"workers in that variable, such as {EXAMPLE}. On one machine: athanor launch --workers 2 "
        "APP train."
    )


@functools.lru_cache(1)
def _parsed(text: str) -> Cluster | None:
    if not text.strip():
        return None
    try:
        content = json.loads(text)
        jobs = {name: list(content["cluster"].get(name, ())) for name in JOBS}
        others = set(content["cluster"]) - set(JOBS)
        place = content["task"]["type"], int(content["task"]["index"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(text, f"{type(error).__name__}: {error}") from error
    if others:
        raise _damaged(text, f"{', '.join(sorted(others))} in its cluster")
    tasks = [(job, index) for job in JOBS for index in range(len(jobs[job]))]
    workers = [jobs[job][index] for job, index in tasks]
    if not all(_is_address(one) for one in workers) or len(set(workers)) < len(workers):
        raise _damaged(text, "addresses that are no HOST:PORT, or stand there twice")
    if place not in tasks:
        raise _damaged(text, f"the task {place[0]} {place[1]}, which is not in its cluster")
    return Cluster(tuple(workers), tasks.index(place))


def _is_address(text: Any) -> bool:
    host, _, port = str(text).rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16


def _damaged(text: str, reason: str) -> StrategyError:
    return StrategyError(
        f"Received TF_CONFIG={text[:100]!r} ({reason}); expected such as {EXAMPLE}. Mend it, or "
        "train alone with --strategy one."
    )
