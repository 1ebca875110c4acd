"""Compare the training throughput of one small network in athanor and in a plain PyTorch loop.

    python benchmarks/throughput.py

About twenty minutes on two quiet cores. The network has two convolutions and trains on MNIST, in
batches of 100, by SGD with momentum; one epoch to warm up, one that counts, each measurement in a
new process. It shows the effect of the input pipeline and of the number format: the network is
the same on both sides. The first two rows are the comparison; the others separate the two effects.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import protocol
from protocol import Program, Run, Table


def athanor(name: str, precision: str) -> Program:
    """Return athanor's program."""
    script = "benchmarks/recipes/convnet_athanor.py"
    return Program(f"athanor, {name}", (script, "--precision", precision), _rounded)


def pytorch(name: str, loader: str, precision: str, workers: int) -> Program:
    """Return PyTorch's program; the arrays are in the directory of the process."""
    words = f"benchmarks/recipes/convnet_pytorch.py --arrays mnist.npz --loader {loader}"
    options = f"--precision {precision} --workers {workers}"
    return Program(f"PyTorch, {name}", (*words.split(), *options.split()), _rounded)


def main() -> None:
    """Measure, print and store the results."""
    options = _options()
    protocol.require_torch()
    protocol.require_mnist()
    programs = _programs(options.workers)
    conditions = protocol.block(
        programs,
        options.repeats,
        threads="all cores on both sides",
        clock="inside: from the end of the first epoch to the end of the second",
        before="one epoch in every process, not counted",
        examples="all 60,000 of MNIST's training split, 600 batches of 100 an epoch",
    )
    with tempfile.TemporaryDirectory() as directory:
        _write_arrays(Path(directory) / "mnist.npz")
        runs = protocol.in_turn(programs, options.repeats, Path(directory))
    _require_one_size(runs)
    protocol.write(
        "throughput",
        "Training throughput, the same network on both sides",
        conditions,
        runs,
        _table(programs, runs),
        summary=_summary(programs, runs),
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="Processes of each row.")
    parser.add_argument("--workers", type=int, default=0, help="num_workers of PyTorch's loader.")
    return parser.parse_args()


def _programs(workers: int) -> list[Program]:
    return [
        athanor("precision auto", "auto"),
        pytorch("DataLoader of images", "images", "float32", workers),
        athanor("float32", "float32"),
        pytorch("DataLoader of ready tensors", "tensors", "float32", workers),
        pytorch("DataLoader of images, bfloat16", "images", "bfloat16", workers),
        pytorch("no DataLoader, bfloat16", "slices", "bfloat16", 0),
    ]


def _rounded(result: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in result.items()
    }


def _write_arrays(path: Path) -> None:
    from training import startup

    startup.start_tensorflow()
    import numpy as np

    from pipelines import tfds

    np.savez(path, **tfds.source("mnist", None, None).train.numpy()._asdict())


def _require_one_size(runs: Sequence[Run]) -> None:
    sizes = {run.program: run.answer["parameters"] for run in runs}
    if len(set(sizes.values())) != 1:
        raise SystemExit(f"The networks differ in their number of parameters: {sizes}")


def _speed_ratios(
    programs: Sequence[Program], program: Program, runs: Sequence[Run]
) -> list[float]:
    """Return examples a second of the first row as multiples of a program's, for each pair."""
    speeds = (protocol.values(runs, side, "examples_per_second") for side in (programs[0], program))
    return protocol.ratios(*speeds)


def _table(programs: Sequence[Program], runs: Sequence[Run]) -> Table:
    rows = []
    for program in programs:
        speed = protocol.spread(protocol.values(runs, program, "examples_per_second"))
        speed_ratio = protocol.spread(_speed_ratios(programs, program, runs))
        loss = protocol.spread(protocol.values(runs, program, "loss"))
        rows.append([program.name, speed.text(0), speed_ratio.text(2), f"{loss.median:.3f}"])
    header = ["program", "examples a second", "first row is times as fast", "training loss"]
    return Table(header, rows)


def _summary(programs: Sequence[Program], runs: Sequence[Run]) -> dict[str, Any]:
    return {
        program.name: {
            "examples_per_second": protocol.spread(
                protocol.values(runs, program, "examples_per_second")
            )._asdict(),
            "first_row_times_as_fast": protocol.spread(
                _speed_ratios(programs, program, runs)
            )._asdict(),
            "loss": protocol.spread(protocol.values(runs, program, "loss"))._asdict(),
        }
        for program in programs
    } | {"parameters": runs[0].answer["parameters"]}


if __name__ == "__main__":
    main()
