"""Every app in every format: how far from training, how large, or why not.

    python benchmarks/formats.py

A few minutes on two cores. Each app is trained on its embedded data and exported; see
recipes/formats.py. The second table is what smaller files for LiteRT cost.
"""

import importlib.metadata
import tempfile
from pathlib import Path
from typing import Any

import protocol
from protocol import Program, Run, Table

APPS = ("regression", "mnist", "finetune", "text", "recommender")
FORMATS = ("savedmodel", "litert", "onnx")
RUNTIMES = ("ai-edge-litert", "onnxruntime", "tf2onnx")


def cell(proof: dict[str, Any]) -> str:
    """What became of an app in a format."""
    if "refuses" in proof:
        return f"refuses: {proof['refuses']}"
    size = f"{proof['bytes'] / 1e3:,.0f} kB"
    return f"passes, {proof['max_abs_diff']:.1e} of {proof['tolerance']:.0e}, {size}"


def carried(runs: list[Run]) -> Table:
    """A row an app, a column a format."""
    rows = [[run.program, *(cell(run.answer["formats"][name]) for name in FORMATS)] for run in runs]
    return Table(["app", *FORMATS], rows)


def smaller(runs: list[Run]) -> Table:
    """Three rows an app: as it is, and smaller."""
    rows = []
    for run in runs:
        ways = run.answer["quantized"]
        if not ways:
            continue
        sides = {"as it is": ways["int8"]["before"]}
        sides |= {way: told["after"] for way, told in ways.items()}
        for way, side in sides.items():
            metric, score = next(iter(side["test"].items()))
            moved = f"{ways[way]['max_abs_diff']:.1e}" if way in ways else ""
            size, time = f"{side['bytes'] / 1e3:,.0f}", f"{side['milliseconds']:.3f}"
            rows.append([run.program, way, metric, f"{score:.4f}", moved, size, time])
    header = ["app", "weights", "metric", "test", "largest difference", "kB", "ms for one"]
    return Table(header, rows)


def main() -> None:
    """Measure, print and keep."""
    programs = [Program(name, ("benchmarks/recipes/formats.py", "--app", name)) for name in APPS]
    conditions = protocol.block(programs, 1)
    conditions["versions"] |= {name: importlib.metadata.version(name) for name in RUNTIMES}
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn(programs, 1, Path(directory))
    title = (
        "Every app in every format: largest difference from training over 64 inputs, of what "
        "is allowed, and size"
    )
    protocol.write("formats", title, conditions, runs, carried(runs))
    title = "LiteRT with smaller weights, on the test examples by its own runtime"
    protocol.write("formats_quantized", title, conditions, runs, smaller(runs))


if __name__ == "__main__":
    main()
