"""Writes a file LiteRT file beside the full one, and measures both on the test set."""

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

MAX_REPLAY_BYTES = 2**28  # of test examples in one process


def write(
    run: Run, directory: Path, portable: Portable, way: litert.Quantization
) -> dict[str, Any]:
    """Write model.WAY.tflite beside model.tflite, and compare both on the test examples.

    Fresh processes run both with LiteRT's runtime alone. Returns for each the `test` metrics,
    `bytes` and `milliseconds` for one example; for the quantized file also `max_abs_diff` from the
    outputs of training, which has no tolerance. Raises RefusedError and ParityError.
    """
    full = directory / edge.FILE_NAMES["litert"]
    file = directory / f"model.{way}.tflite"
    file.write_bytes(litert.convert(portable, way))
    edge.write_spec(file, edge.read_spec(full) | {"model": file.name, "quantized": way})
    command = [replay_edge.__file__, "litert", str(file)]
    samples = edge.samples_of(run, portable)
    inputs = {key: value for key, value in samples.items() if key.startswith(f"{DEFAULT}/input/")}
    given, _ = parity_check.replay_in_process(file.name, command, inputs)
    answered, (expected, _) = parity_check.arrays_under(given, f"{DEFAULT}/"), training_outputs(run)
    differences = [
        np.abs(answered[name] - one).max()
        for name, one in expected.items()
        if one.dtype.kind == "f"
    ]
    if not np.isfinite(differences).all():
        raise parity_check.ParityError(
            f"Received {file.name} with outputs that are not finite; expected numbers. It was "
            "not published. Choose another --quantize, or omit it."
        )
    return {
        "way": way,
        "max_abs_diff": float(max(differences)),
        "before": _measured(run, full),
        "after": _measured(run, file),
    }


def _measured(run: Run, model: Path) -> dict[str, Any]:
    test = run.splits.test
    example_bytes = sum(column.nbytes for column in _inputs(test, [0]).values())
    step = max(1, MAX_REPLAY_BYTES // example_bytes)
    command, blocks, milliseconds = [replay_edge.__file__, "litert", str(model)], [], []
    for start in range(0, len(test), step):
        inputs = _inputs(test, slice(start, start + step))
        given, printed = parity_check.replay_in_process(model.name, command, inputs, ["time"])
        blocks.append(parity_check.arrays_under(given, f"{DEFAULT}/"))
        milliseconds.append(printed["milliseconds"])
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
