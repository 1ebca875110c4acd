"""Drift of requests: counts inputs and predictions in the bins of the training examples.

Only the counts are kept. A request waits at most `SECONDS_PER_COUNT` in memory until a thread
counts it, so that counting delays no response; requests beyond `MAX_WAITING_BYTES` are not counted.
"""

import collections
import contextlib
import datetime
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from inference.drift.columns import COMPARED
from inference.drift.reference import Bins, Reference, read
from inference.drift.statistics import chi_square, holm, psi

SECONDS_PER_COUNT = 0.25
MAX_WAITING_REQUESTS, MAX_WAITING_BYTES = 512, 2**24
MAX_DECODING_SECONDS = 0.05  # of encoded images in SECONDS_PER_COUNT
UNCOUNTED_SIGNATURES = ("explain",)  # asked for beside a prediction
# The outputs whose bins the reference may have.
PREDICTIONS = ("class", "value")


class WatchedRequest(NamedTuple):
    """The inputs and the predictions of a request that is not counted yet."""

    inputs: dict[str, np.ndarray]
    predictions: np.ndarray | None
    num_rows: int


class Watch:
    """The counts of one version; see the module.

    Args:
        reference: the bins of the training examples.

    """

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        wanted = COMPARED[reference.modality].inputs
        self._wanted = wanted or tuple(one.name for one in reference.inputs)
        self._waiting: collections.deque[WatchedRequest] = collections.deque()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget all counts, such as those of the server's own warm-up."""
        with self._lock:
            self._waiting.clear()
            self._waiting_bytes = 0
            self.examples = self.skipped = 0
            self.since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            self._counts = {
                one.name: np.zeros(one.size, "int64")
                for one in (*self.reference.inputs, *self.reference.outputs)
            }

    def observe(
        self, signature: str, arrays: Mapping[str, Any], outputs: Mapping[str, Any]
    ) -> None:
        """Note a request, to be counted soon."""
        inputs = {name: arrays[name] for name in self._wanted if name in arrays}
        if not inputs or signature in UNCOUNTED_SIGNATURES:
            return
        predictions = next((outputs[name] for name in PREDICTIONS if name in outputs), None)
        num_rows = max(map(np.size, inputs.values())) if "pixels" not in inputs else 0
        num_rows = num_rows or len(inputs["pixels"])
        size = sum(map(_num_bytes, inputs.values()))
        if (
            len(self._waiting) >= MAX_WAITING_REQUESTS
            or self._waiting_bytes + size > MAX_WAITING_BYTES
        ):
            self.skipped += num_rows
            return
        self._waiting_bytes += size
        self._waiting.append(WatchedRequest(inputs, predictions, num_rows))

    def count(self) -> None:
        """Count the requests that wait."""
        with self._lock:
            waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
            self._waiting_bytes = 0
            for requests in _alike(waiting):
                if "image_bytes" not in requests[0].inputs:
                    self._try_to_count(requests)
                    continue
                end = time.monotonic() + MAX_DECODING_SECONDS
                for one in requests:
                    if time.monotonic() < end:
                        self._try_to_count([one])
                    else:
                        self.skipped += one.num_rows

    def _try_to_count(self, requests: list[WatchedRequest]) -> None:
        try:
            self._count(requests)
        except Exception:  # inputs that no bins fit are no reason to fail
            self.skipped += sum(one.num_rows for one in requests)

    def _count(self, requests: list[WatchedRequest]) -> None:
        inputs = {
            name: np.concatenate([one.inputs[name] for one in requests])
            for name in requests[0].inputs
        }
        columns = self.reference.columns(inputs)
        counts = {
            one.name: one.histogram(columns[one.name])
            for one in self.reference.inputs
            if one.name in columns
        }
        predicted = [one.predictions for one in requests if one.predictions is not None]
        if predicted:
            joined = np.concatenate([one.ravel() for one in predicted])
            counts |= {one.name: one.histogram(joined) for one in self.reference.outputs}
        for name, counted in counts.items():
            self._counts[name] += counted
        self.examples += sum(one.num_rows for one in requests)

    def drift(self) -> dict[str, Any]:
        """Compare the counts with the training examples, the largest difference first.

        Predictions are compared with those for the test examples. `psi` and `p` are null as long
        as nothing was counted.
        """
        self.count()
        bins = [*self.reference.inputs, *self.reference.outputs]
        rows = [_compared(one, self._counts[one.name]) for one in bins]
        known = [row for row in rows if row["p"] is not None]
        for row, corrected in zip(known, holm([row["p"] for row in known]), strict=True):
            row["p_holm"] = corrected
        rows.sort(key=lambda row: -(row["psi"] or 0.0))
        return {
            "since": self.since,
            "examples": self.examples,
            "not_counted": self.skipped,
            "columns": rows,
        }


def _num_bytes(array: np.ndarray) -> int:
    if array.dtype == object:
        return sum(map(len, array.ravel().tolist()))
    return array.nbytes


def _alike(requests: Iterable[WatchedRequest]) -> Iterator[list[WatchedRequest]]:
    """Yield requests that can be joined: of the same inputs and shapes."""
    groups: dict[Any, list[WatchedRequest]] = {}
    for one in requests:
        key = tuple((name, array.shape[1:]) for name, array in one.inputs.items())
        groups.setdefault(key, []).append(one)
    yield from groups.values()


def _compared(bins: Bins, counts: np.ndarray) -> dict[str, Any]:
    examples = int(counts.sum())
    row: dict[str, Any] = {"column": bins.name, "kind": bins.kind, "examples": examples}
    if not examples:
        return row | {"psi": None, "p": None, "p_holm": None}
    return row | {
        "psi": round(psi(bins.counts, counts), 6),
        "p": chi_square(bins.counts, counts).p,
        "p_holm": None,
    }


def watches_of(models: Mapping[str, Any]) -> dict[str, Watch]:
    """Return the watch of each model that is served and watched, by the model's name."""
    served = {name: model.current for name, model in models.items()}
    return {name: one.watch for name, one in served.items() if one and one.watch}


def watch_of(directory: Path) -> Watch | None:
    """Return the watch of an exported version; None if it has no reference."""
    import scipy.stats  # noqa: F401  the first /metrics would wait for it

    reference = read(directory)
    return None if reference is None else Watch(reference)


class Counting:
    """The thread that counts the requests of all served versions."""

    def __init__(self, watches: Any) -> None:
        self._watches, self._stop = watches, threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(SECONDS_PER_COUNT * 4)

    def _run(self) -> None:
        while not self._stop.wait(SECONDS_PER_COUNT):
            with contextlib.suppress(RuntimeError):  # a model that is added or removed meanwhile
                for one in self._watches().values():
                    one.count()


class DriftCollector:
    """Drift of all watched models for Prometheus."""

    def __init__(self, watches_by_model: Any) -> None:
        self._watches_by_model = watches_by_model

    def collect(self) -> Iterator[Any]:
        """Yield PSI and p-value of each column, and the numbers of examples."""
        from prometheus_client.core import GaugeMetricFamily

        labels = ["model", "column"]
        found = {model: one.drift() for model, one in self._watches_by_model().items()}
        for name, key, text in (
            ("athanor_drift_psi", "psi", "Population stability index against training."),
            ("athanor_drift_p_value", "p", "P-value of the chi-square test against training."),
        ):
            family = GaugeMetricFamily(name, text, labels=labels)
            for model, drift in found.items():
                for row in drift["columns"]:
                    if row[key] is not None:
                        family.add_metric([model, row["column"]], row[key])
            yield family
        for key, text in (
            ("examples", "Examples of requests that were counted for drift."),
            ("not_counted", "Examples that were not counted, because too many waited."),
        ):
            family = GaugeMetricFamily(f"athanor_drift_{key}", text, labels=["model"])
            for model, drift in found.items():
                family.add_metric([model], drift[key])
            yield family
