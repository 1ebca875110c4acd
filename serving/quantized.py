"""A smaller file for LiteRT beside the usual one, and what it costs: never chosen by itself."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from evaluation import kinds as judges
from pipelines.examples import Examples
from serving import edge, gate, litert, replay_edge
from serving.portable import Portable
from training.run import Run

MEMORY = 2**28  # bytes of test examples in one question


def write(
    run: Run, directory: Path, portable: Portable, way: litert.Quantization
) -> dict[str, Any]:
    """Write model.WAY.tflite beside model.tflite, and compare both on the test examples.

    Both are asked in fresh processes with LiteRT's runtime alone. Gives for each its
    `test` metrics, `bytes`, and `milliseconds` for an answer to one example; of the
    smaller one `max_abs_diff` from the answers of training, which no gate holds: that
    it differs is what was asked for. Raises RefusedError and ParityError.
    """
    usual = directory / edge.FILES["litert"]
    smaller = directory / f"model.{way}.tflite"
    smaller.write_bytes(litert.converted(portable, way))
    edge.write_beside(smaller, edge.read_beside(usual) | {"model": smaller.name, "quantized": way})
    command = [replay_edge.__file__, "litert", str(smaller)]
    differences = gate.replayed(smaller.name, command, edge.samples_of(run, portable))
    if None in differences.values():
        raise gate.ParityError(
            f"Received {smaller.name} with answers that are no numbers; expected some. It was "
            "not published; take another --quantize, or leave it away."
        )
    return {
        "way": way,
        "max_abs_diff": max(differences.values()),
        "before": _measured(run, usual),
        "after": _measured(run, smaller),
    }


def _measured(run: Run, model: Path) -> dict[str, Any]:
    test = run.splits.test
    one = sum(column.nbytes for column in _columns(test, [0]).values())
    step = max(1, MEMORY // one)
    asked = [
        _answered(model, _columns(test, slice(start, start + step)))
        for start in range(0, len(test), step)
    ]
    outputs = {name: np.concatenate([given[name] for given, _ in asked]) for name in asked[0][0]}
    judge = judges.judge(run.passport["answer"])
    return {
        "test": judge.metrics(judge.given(run.splits, outputs)),
        "bytes": model.stat().st_size,
        "milliseconds": round(min(milliseconds for _, milliseconds in asked), 4),
    }


def _columns(test: Examples, positions: Any) -> dict[str, np.ndarray]:
    rows = test.rows[positions]
    columns = test.columns or {"pixels": test.features}
    taken = {name: np.asarray(column[rows]) for name, column in columns.items()}
    return {
        name: column.astype("S") if column.dtype == object else column
        for name, column in taken.items()
    }


def _answered(model: Path, columns: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], float]:
    """What a fresh process gives, and the milliseconds that one answer took it."""
    arrays = {f"serving_default/input/{name}": column for name, column in columns.items()}
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.npz"
        command = [replay_edge.__file__, "litert", str(model)]
        told = gate.replayed(model.name, command, arrays, [str(answers)])
        return dict(np.load(answers, allow_pickle=False)), told["milliseconds"]
