"""Compare `athanor finetune train` on flowers with a recipe that recomputes the frozen base.

    python benchmarks/flowers.py --weights ../shared/data/keras_weights

Fifty-five minutes on two cores, most of them the recipe's. Both programs read the same
class folders, 75 % train, 15 % validation and 10 % test of the 3,670 photographs, split by
a seed; both start from the same weights of MobileNet 0.75. The test images are read once
a run.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import protocol
from protocol import Program, Run, Table

SET = "tf_flowers160"
FILE = "mobilenet_0.75_224_imagenet.weights.h5"
SPLIT_FRACTIONS = {"train": 0.75, "val": 0.15, "test": 0.10}


def write_folders(root: Path, seed: int) -> dict[str, int]:
    """Write the set's JPEG files into train/, val/ and test/; return their numbers."""
    import tensorflow_datasets as tfds

    builder = tfds.builder(SET)
    names = builder.info.features["label"].names
    encoded = builder.as_dataset(split="train", decoders={"image": tfds.decode.SkipDecoding()})
    examples = list(encoded.as_numpy_iterator())
    ends = np.cumsum([round(share * len(examples)) for share in SPLIT_FRACTIONS.values()])[:-1]
    parts = np.split(np.random.default_rng(seed).permutation(len(examples)), ends)
    for split, part in zip(SPLIT_FRACTIONS, parts, strict=True):
        for number in part:
            folder = root / split / names[examples[number]["label"]]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.jpg").write_bytes(examples[number]["image"])
    return {split: len(part) for split, part in zip(SPLIT_FRACTIONS, parts, strict=True)}


def main() -> None:
    """Measure, print and store the results."""
    options = _options()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / "flowers"
        sizes = write_folders(folder, options.cut)
        plain = (f"--folder={folder}", f"--weights={options.weights.resolve() / FILE}")
        ours = f"-m athanor finetune train --data folder:{folder} --json".split()
        programs = (
            Program("plain recipe", ("benchmarks/recipes/flowers_plain.py", *plain)),
            Program("athanor finetune", (*ours, f"--weights={options.weights.resolve()}"), _scores),
        )
        conditions = protocol.block(
            programs,
            options.repeats,
            sizes=sizes,
            cut=f"seed {options.cut}",
            clock="wall time of whole processes, from outside",
            judged="test pictures, once a run; the epoch is chosen on validation pictures",
        )
        runs = protocol.in_turn(programs, options.repeats, Path(directory))
    title = f"Flowers, {sizes['test']} test images, MobileNet 0.75"
    protocol.write("flowers", title, conditions, runs, _table(programs, runs))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1, help="Runs of each program.")
    parser.add_argument("--cut", type=int, default=0, help="Seed of the cut.")
    parser.add_argument(
        "--weights", type=Path, default=protocol.ROOT.parent / "shared/data/keras_weights"
    )
    options = parser.parse_args()
    if not (options.weights / FILE).is_file():
        raise SystemExit(f"Found no {FILE} in {options.weights}; name its directory: --weights.")
    return options


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    return {"accuracy": result["test"]["accuracy"], "train_seconds": result["seconds"]["train"]}


def _table(programs: Sequence[Program], runs: Sequence[Run]) -> Table:
    seconds = [protocol.values(runs, program, "seconds") for program in programs]
    faster = protocol.spread(protocol.ratios(*seconds)).text(1)
    rows = []
    for program, times, ratio in zip(programs, seconds, ("1", faster), strict=True):
        accuracy = statistics.mean(protocol.values(runs, program, "accuracy"))
        rows.append(
            [program.name, protocol.spread(times).text(0), ratio, f"{100 * accuracy:.1f} %"]
        )
    return Table(["program", "seconds", "times as fast", "test accuracy"], rows)


if __name__ == "__main__":
    main()
