"""Objectives of a search: a validation score, and latency and size of the exported artifact."""

import csv
import difflib
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from apps.app import App
from apps.fields import FieldError
from apps.metrics import EXPORT_METRICS, VALIDATION, metric
from exporting import savedmodel, warmup_records
from exporting.export import export
from inference.artifacts import versions
from inference.modalities import modality_of
from inference.servable import DEFAULT
from pipelines.files import plain_path
from training import provenance
from training.run import Run

NUM_LATENCY_CALLS = 50  # of an artifact; the median time is its latency


def directions(app: App, names: str) -> dict[str, str]:
    """Return the direction, "min" or "max", of each objective in a comma-separated list.

    Without a list the objective is the score that the app monitors.

    Raises FieldError for an unknown name, or if the first one is no validation score.
    """
    scores = dict.fromkeys([app.monitor.removeprefix(VALIDATION), "loss", *app.metric_names()])
    known = [*scores, *EXPORT_METRICS]
    chosen: dict[str, str] = {}
    for given in [name.strip() for name in names.split(",")] if names else [*scores][:1]:
        name = given.removeprefix(VALIDATION)
        if name not in (EXPORT_METRICS if chosen else scores):
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            expected = ", ".join(scores) + ("" if chosen else " first")
            raise FieldError(
                f"Received --objective {names!r}; expected {expected}"
                f"{', ' if chosen else ', then perhaps '}{' and '.join(EXPORT_METRICS)}.{hint}"
            )
        chosen[name if name in EXPORT_METRICS else f"{VALIDATION}{name}"] = metric(name).mode
    return chosen


def best_so_far(history: Path, monitor: str, objective: str) -> float:
    """Return the objective in the epoch with the best monitored score, whose model is saved."""
    sign = metric(monitor).sign
    with history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return float(max(rows, key=lambda row: sign * float(row[monitor]))[objective])


def artifact_costs(run: Run, *, trust: bool = False) -> dict[str, float]:
    """Return the latency and the size of the exported artifact.

    `latency` is in milliseconds for one input, the median of 50 calls; `size` in megabytes.
    Raises ProvenanceError for an artifact that another user exported, unless `trust` allows it.
    """
    artifacts = [run.path / "export" / str(version) for version in versions(run.path / "export")]
    artifact = max(artifacts, key=lambda path: int(path.name), default=None)
    if artifact is None:
        artifact = Path(export(run)["export"])
    provenance.require_signature(artifact, provenance.EXPORT_FILES, trust=trust)
    size = savedmodel.size(artifact) / 1e6
    return {"latency": _latency(run, artifact), "size": round(size, 4)}


def _latency(run: Run, artifact: Path) -> float:
    with plain_path(artifact) as plain:
        loaded = tf.saved_model.load(str(plain))
    samples = modality_of(run).sample_inputs(run.samples.raw, run)
    inputs = warmup_records.inputs_of(samples, DEFAULT)
    example = {name: tf.constant(array) for name, array in inputs.items()}
    predict = loaded.signatures[DEFAULT]
    seconds = []
    for _ in range(NUM_LATENCY_CALLS):
        start = time.perf_counter()
        predict(**example)
        seconds.append(time.perf_counter() - start)
    return round(1e3 * float(np.median(seconds)), 3)


class ParetoChoice(NamedTuple):
    """The trials that no other beats in every objective (`front`), and three of them."""

    front: list[str]
    best: str
    balanced: str
    smallest: str


def pareto(scores: dict[str, dict[str, float]], directions: dict[str, str]) -> ParetoChoice:
    """Choose among trials by their scores.

    `best` is best in the first objective, and `smallest` in the last. `balanced` lies nearest to
    the point that combines the best value of each objective; an objective is scaled by its range
    over the front.
    """
    names = sorted(scores)
    signs = np.array([1.0 if direction == "min" else -1.0 for direction in directions.values()])
    table = np.array([[scores[name][k] for k in directions] for name in names]) * signs
    dominated = [((table <= row).all(1) & (table < row).any(1)).any() for row in table]
    rows = np.flatnonzero(~np.array(dominated))
    front = table[rows]
    extent = np.ptp(front, 0)
    scaled = (front - front.min(0)) / np.where(extent > 0, extent, 1.0)

    def first(order: Any) -> str:
        return names[rows[order[0]]]

    return ParetoChoice(
        front=[names[row] for row in rows[np.argsort(front[:, 0], kind="stable")]],
        best=first(np.lexsort(front.T[::-1])),
        balanced=first(np.argsort(np.square(scaled).sum(1), kind="stable")),
        smallest=first(np.lexsort(front.T)),
    )
