"""A smaller file for LiteRT beside the usual one, and what it costs: never chosen by itself."""

from pathlib import Path
from typing import Any

import numpy as np

from evaluation.tasks import task_of
from exporting import edge, litert, parity_check, replay_edge
from inference.named_outputs import training_outputs
from inference.portable import Portable
from inference.servable import DEFAULT
from pipelines.examples import Examples
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
    samples = edge.samples_of(run, portable)
    inputs = {key: value for key, value in samples.items() if key.startswith(f"{DEFAULT}/input/")}
    given, _ = parity_check.replayed(smaller.name, command, inputs)
    answered, (expected, _) = parity_check.under(given, f"{DEFAULT}/"), training_outputs(run)
    differences = [
        np.abs(answered[name] - one).max()
        for name, one in expected.items()
        if one.dtype.kind == "f"
    ]
    if not np.isfinite(differences).all():
        raise parity_check.ParityError(
            f"Received {smaller.name} with answers that are no numbers; expected some. It was "
            "not published; take another --quantize, or leave it away."
        )
    return {
        "way": way,
        "max_abs_diff": float(max(differences)),
        "before": _measured(run, usual),
        "after": _measured(run, smaller),
    }


def _measured(run: Run, model: Path) -> dict[str, Any]:
    test = run.splits.test
    one = sum(column.nbytes for column in _inputs(test, [0]).values())
    step = max(1, MEMORY // one)
    command, blocks, milliseconds = [replay_edge.__file__, "litert", str(model)], [], []
    for start in range(0, len(test), step):
        inputs = _inputs(test, slice(start, start + step))
        given, told = parity_check.replayed(model.name, command, inputs, ["time"])
        blocks.append(parity_check.under(given, f"{DEFAULT}/"))
        milliseconds.append(told["milliseconds"])
    outputs = {name: np.concatenate([one[name] for one in blocks]) for name in blocks[0]}
    task = task_of(run)
    return {
        "test": task.metrics(task.from_outputs(run.splits, outputs)),
        "bytes": model.stat().st_size,
        "milliseconds": round(min(milliseconds), 4),
    }


def _inputs(test: Examples, positions: Any) -> dict[str, np.ndarray]:
    rows = test.rows[positions]
    columns = test.columns or {"pixels": test.features}
    taken = {name: np.asarray(column[rows]) for name, column in columns.items()}
    return {
        f"{DEFAULT}/input/{name}": column.astype("S") if column.dtype == object else column
        for name, column in taken.items()
    }
