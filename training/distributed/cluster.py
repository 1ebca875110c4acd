"""Parse TF_CONFIG without TensorFlow: addresses of the workers and number of this one."""

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
    """Raised for devices or workers that do not exist."""

    exit_status = 2


class LostError(RuntimeError):
    """Raised if another worker ends too early; all workers must be started again."""

    exit_status = 3


class Cluster(NamedTuple):
    """Addresses of all workers, and the number of this one.

    Worker 0 is the chief: only it writes files and prints.
    """

    workers: tuple[str, ...]
    number: int


def read_cluster() -> Cluster | None:
    """Return the cluster of TF_CONFIG; None if the variable is not set.

    Raises StrategyError if its value is invalid.
    """
    return _parsed(os.environ.get("TF_CONFIG", ""))


def cluster_to_join(strategy: Strategy) -> Cluster | None:
    """Return the cluster to join for a strategy; None if this process trains alone.

    Raises StrategyError if the strategy is `multiworker` and there is no cluster.
    """
    if strategy not in ("multiworker", "auto"):
        return None
    cluster = read_cluster()
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
        task = content["task"]["type"], int(content["task"]["index"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(text, f"{type(error).__name__}: {error}") from error
    if others:
        raise _damaged(text, f"{', '.join(sorted(others))} in its cluster")
    tasks = [(job, index) for job in JOBS for index in range(len(jobs[job]))]
    workers = [jobs[job][index] for job, index in tasks]
    if not all(_is_address(worker) for worker in workers) or len(set(workers)) < len(workers):
        raise _damaged(text, "addresses that are not HOST:PORT or not unique")
    if task not in tasks:
        raise _damaged(text, f"the task {task[0]} {task[1]}, which is not in its cluster")
    return Cluster(tuple(workers), tasks.index(task))


def _is_address(text: Any) -> bool:
    host, _, port = str(text).rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16


def _damaged(text: str, reason: str) -> StrategyError:
    return StrategyError(
        f"Received TF_CONFIG={text[:100]!r} ({reason}); expected a value like {EXAMPLE}. "
        "Correct it, or train alone with --strategy one."
    )
