"""Generate a large data set, run check-data on it, and print its time and memory.

python benchmarks/recipes/check_data.py --kind row --count 1000000 --seed 0
"""

import argparse
import csv
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
ROWS_PER_BLOCK = 50_000


def rows(count: int, seed: int) -> Iterator[list]:
    """Yield rows of seven numbers, two categories, and a target: their sum with noise."""
    random = np.random.default_rng(seed)
    yield [*(f"x{k}" for k in range(7)), "town", "kind", "target"]
    for start in range(0, count, ROWS_PER_BLOCK):
        size = min(ROWS_PER_BLOCK, count - start)
        numbers = random.normal(100, 20, (size, 7))
        towns, kinds = random.integers(0, 200, size), random.integers(0, 5, size)
        target = numbers @ np.arange(7) + towns + 30 * kinds + random.normal(0, 100, size)
        for line, town, kind, answer in zip(numbers, towns, kinds, target, strict=True):
            yield [*(f"{x:.4f}" for x in line), f"town {town}", f"kind {kind}", f"{answer:.2f}"]


def texts(count: int, seed: int) -> Iterator[list]:
    """Yield texts of eight to thirty of ten thousand words, in ten classes."""
    random = np.random.default_rng(seed)
    words = np.array([f"w{k}" for k in range(10_000)])
    yield ["text", "label"]
    for _ in range(count):
        chosen = words[random.zipf(1.3, random.integers(8, 31)) % 10_000]
        yield [" ".join(chosen), f"class {random.integers(10)}"]


def ids(count: int, seed: int) -> Iterator[list]:
    """Yield ratings of 50,000 users and 10,000 items, in order of time."""
    random = np.random.default_rng(seed)
    yield ["user_id", "item_id", "rating", "timestamp"]
    for number in range(count):
        user, item = random.integers(50_000), random.integers(10_000)
        yield [user, item, random.integers(1, 6), 1_500_000_000 + 60 * number]


def write_images(count: int, seed: int, root: Path) -> None:
    """Write smooth JPEG files of 128 by 128 pixels into ten class folders."""
    from PIL import Image

    random = np.random.default_rng(seed)
    for number in range(count):
        folder = root / f"class {number % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        small.resize((128, 128), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")


TABLES: dict[str, Callable[[int, int], Iterator[list]]] = {"row": rows, "text": texts, "ids": ids}
COMMANDS = {
    "row": ["regression", "--data", "csv:rows.csv"],
    "text": ["text", "--data", "csv:rows.csv"],
    "ids": ["recommender", "--data", "csv:rows.csv"],
    "image": ["finetune", "--data", "folder:pictures"],
}


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=COMMANDS, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.kind == "image":
        write_images(options.count, options.seed, Path("pictures"))
    else:
        with Path("rows.csv").open("w", newline="") as file:
            csv.writer(file).writerows(TABLES[options.kind](options.count, options.seed))
    app, *flags = COMMANDS[options.kind]
    command = [sys.executable, str(ROOT / "athanor.py"), app, "check-data", *flags]
    start = time.perf_counter()
    process = subprocess.run(
        [*command, "--json", "--fail-on", "never"], stdout=subprocess.PIPE, check=True
    )
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    diagnosis = json.loads(process.stdout)
    shutil.rmtree("pictures", ignore_errors=True)
    answer = {
        "examples": sum(diagnosis["examples"].values()),
        "seconds_checked": round(seconds, 1),
        "seconds_cpu": round(used.ru_utime + used.ru_stime, 1),
        "megabytes": round(used.ru_maxrss / 1024),
        "counts": diagnosis["counts"],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
