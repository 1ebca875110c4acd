"""Export every app in every format: difference from training, size, or reason of a refusal.

    python benchmarks/formats.py

A few minutes on two cores. Each app is trained on its embedded data and exported; see
recipes/formats.py. The second table is the cost of smaller files for LiteRT.
"""

import argparse
import importlib.metadata
import tempfile
from pathlib import Path
from typing import Any

import protocol
from protocol import Program, Run, Table

APPS = ("regression", "mnist", "finetune", "text", "recommender")
FORMATS = ("savedmodel", "litert", "onnx")
RUNTIMES = ("ai-edge-litert", "onnxruntime", "tf2onnx")


def format_cell(result: dict[str, Any]) -> str:
    """Describe the export of an app in a format."""
    if "refuses" in result:
        return f"refuses: {result['refuses']}"
    size = f"{result['bytes'] / 1e3:,.0f} kB"
    return f"passes, {result['max_abs_diff']:.1e} of {result['tolerance']:.0e}, {size}"


def formats_table(runs: list[Run]) -> Table:
    """Return a row an app, a column a format."""
    rows = [
        [run.program, *(format_cell(run.answer["formats"][name]) for name in FORMATS)]
        for run in runs
    ]
    return Table(["app", *FORMATS], rows)


def quantized_table(runs: list[Run]) -> Table:
    """Return three rows an app: not quantised, and quantised in two ways."""
    rows = []
    for run in runs:
        quantized = run.answer["quantized"]
        if not quantized:
            continue
        variants = {"as it is": quantized["int8"]["before"]}
        variants |= {name: cost["after"] for name, cost in quantized.items()}
        for name, variant in variants.items():
            metric, score = next(iter(variant["test"].items()))
            difference = f"{quantized[name]['max_abs_diff']:.1e}" if name in quantized else ""
            size, time = f"{variant['bytes'] / 1e3:,.0f}", f"{variant['milliseconds']:.3f}"
            rows.append([run.program, name, metric, f"{score:.4f}", difference, size, time])
    header = ["app", "weights", "metric", "test", "largest difference", "kB", "ms for one"]
    return Table(header, rows)


def main() -> None:
    """Measure, print and store the results."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    programs = [Program(name, ("benchmarks/recipes/formats.py", "--app", name)) for name in APPS]
    conditions = protocol.block(programs, 1)
    conditions["versions"] |= {name: importlib.metadata.version(name) for name in RUNTIMES}
    with tempfile.TemporaryDirectory() as directory:
        runs = protocol.in_turn(programs, 1, Path(directory))
    title = (
        "Every app in every format: largest difference from training over 64 inputs, of what "
        "is allowed, and size"
    )
    protocol.write("formats", title, conditions, runs, formats_table(runs))
    title = "LiteRT with smaller weights, on the test examples by its own runtime"
    protocol.write("formats_quantized", title, conditions, runs, quantized_table(runs))


if __name__ == "__main__":
    main()
