"""Write a quantized LiteRT file, and measure it and the full one on the test set."""

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
    run: Run, directory: Path, portable: Portable, quantization: litert.Quantization
) -> dict[str, Any]:
    """Write model.QUANTIZATION.tflite, and compare it with model.tflite on the test examples.

    Fresh processes run both with LiteRT's runtime alone. The result holds for both the `test`
    metrics, `bytes` and `milliseconds` for one example, and for the quantized file `max_abs_diff`
    from the outputs of training, which has no tolerance. Raises RefusedError and ParityError.
    """
    full = directory / edge.FILE_NAMES["litert"]
    file = directory / f"model.{quantization}.tflite"
    file.write_bytes(litert.convert(portable, quantization))
    edge.write_spec(file, edge.read_spec(full) | {"model": file.name, "quantized": quantization})
    command = [replay_edge.__file__, "litert", str(file)]
    samples = edge.samples_of(run, portable)
    inputs = {key: value for key, value in samples.items() if key.startswith(f"{DEFAULT}/input/")}
    given, _ = parity_check.replay_in_process(file.name, command, inputs)
    outputs, (expected, _) = parity_check.arrays_under(given, f"{DEFAULT}/"), training_outputs(run)
    differences = [
        np.abs(outputs[name] - array).max()
        for name, array in expected.items()
        if array.dtype.kind == "f"
    ]
    if not np.isfinite(differences).all():
        raise parity_check.ParityError(
            f"Received {file.name} with outputs that are not finite; expected numbers. It was "
            "not published. Choose another --quantize, or omit it."
        )
    return {
        "way": quantization,
        "max_abs_diff": float(max(differences)),
        "before": _measure(run, full),
        "after": _measure(run, file),
    }


def _measure(run: Run, model: Path) -> dict[str, Any]:
    test = run.splits.test
    example_bytes = sum(column.nbytes for column in _inputs(test, [0]).values())
    step = max(1, MAX_REPLAY_BYTES // example_bytes)
    command, blocks, milliseconds = [replay_edge.__file__, "litert", str(model)], [], []
    for start in range(0, len(test), step):
        inputs = _inputs(test, slice(start, start + step))
        given, printed = parity_check.replay_in_process(model.name, command, inputs, ["time"])
        blocks.append(parity_check.arrays_under(given, f"{DEFAULT}/"))
        milliseconds.append(printed["milliseconds"])
    outputs = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    task = task_of(run)
    return {
        "test": task.metrics(task.from_outputs(run.splits, outputs)),
        "bytes": model.stat().st_size,
        "milliseconds": round(min(milliseconds), 4),
    }


def _inputs(test: Examples, positions: Any) -> dict[str, np.ndarray]:
    rows = test.rows[positions]
    columns = test.columns or {"pixels": test.features}
    selected = {name: np.asarray(column[rows]) for name, column in columns.items()}
    return {
        f"{DEFAULT}/input/{name}": column.astype("S") if column.dtype == object else column
        for name, column in selected.items()
    }
