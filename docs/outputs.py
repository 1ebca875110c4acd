"""Run the commands of the documentation and put what they print below them.

    python docs/outputs.py README.md docs/regression.md

A fenced block of the language `console` holds commands after `$ ` and what each of them prints. All
blocks of a page run in order in one new directory that holds the example files below. The
examples come from ../shared; without that folder nothing is run.
"""

import argparse
import csv
import gzip
import itertools
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
# Of more lines that differ in nothing but their numbers, the page shows the ends.
MAX_ALIKE = 4
COLUMNS = "100"


def records(output: str) -> list[str]:
    """The lines of an output; the title of an epoch and its numbers are one record."""
    joined = re.sub(r"^(Epoch .*)\n", "\\1\0", output.rstrip(), flags=re.MULTILINE)
    return [record.replace("\0", "\n") for record in joined.splitlines()]


def masked(line: str) -> str:
    """A line without what differs between two runs: numbers and the width of columns."""
    return re.sub(r"\s+|-{3,}", " ", re.sub(r"\d[\d.,e+-]*", "#", line)).strip()


def shapes(output: str) -> list[str]:
    """The masked lines of an output; lines alike that follow each other count once."""
    lines = [masked(line) for line in records(output) if line.strip() not in ("", "...")]
    return [line for line, _ in itertools.groupby(lines)]


def shortened(output: str) -> str:
    """An output whose long series of lines alike show their first two and their last."""
    kept: list[str] = []
    for _, alike in itertools.groupby(records(output), masked):
        lines = list(alike)
        kept += [*lines[:2], "...", lines[-1]] if len(lines) > MAX_ALIKE else lines
    return "".join(f"{line}\n" for line in kept)


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block, and the output below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def write_examples(directory: Path) -> None:
    """Write the files that the pages call by name."""
    data = SHARED / "data"
    (directory / "cars.csv").write_bytes((data / "auto_mpg/auto_mpg.csv").read_bytes())
    (directory / "titanic.csv").write_bytes((data / "titanic/titanic.csv").read_bytes())
    (directory / "backbone.weights.h5").symlink_to(
        next((data / "keras_weights").glob("mobilenet_0.75*"))
    )
    with gzip.open(data / "movielens_100k/u.data.gz", "rt") as file:
        ratings = [line.split() for line in file]
    _write(directory / "ratings.csv", ["user", "film", "stars", "time"], ratings)
    _write_homes(directory)
    _write_tfds(directory)


def _write_homes(directory: Path) -> None:
    """Houses with faults: a copied target, a shifted key, a new category, a letter for a number."""
    names = ["key", "size", "rooms", "town", "euros", "price"]
    towns = ("Bern", "Basel", "Genève")
    rows = [[k, 40 + 7 * k % 160, 1 + k % 6, towns[k % 3]] for k in range(200)]
    rows = [[*row, 1000 * (price := 3 * row[1] + 20 * row[2]), price] for row in rows]
    sold = [[key + 100, *row] for key, *row in rows[150:]]
    rows[8][1], sold[0][3] = "a", "Genf"
    _write(directory / "homes.csv", names, rows[:150])
    _write(directory / "sold.csv", names, sold)


def _write_tfds(directory: Path) -> None:
    """Questions of six classes (TREC), and 700 photographs of flowers in five folders."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    place = SHARED / "tfds"
    questions = tfds.as_numpy(tfds.load("trec", split="train", data_dir=place))
    classes = ("abbreviation", "entity", "description", "person", "place", "number")
    rows = [[one["text"].decode(), classes[one["label-coarse"]]] for one in questions]
    _write(directory / "questions.csv", ["question", "topic"], rows)
    flowers, about = tfds.load("tf_flowers160", split="train[:700]", data_dir=place, with_info=True)
    for number, example in enumerate(flowers):
        folder = about.features["label"].int2str(int(example["label"]))
        (directory / "photos" / folder).mkdir(parents=True, exist_ok=True)
        picture = tf.io.encode_jpeg(example["image"], quality=95).numpy()
        (directory / "photos" / folder / f"{number}.jpg").write_bytes(picture)


def _write(path: Path, names: list[str], rows: list[list]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *rows])


def run(command: str, directory: Path) -> str:
    """What a command prints, on both streams."""
    (binary := directory / ".bin").mkdir(exist_ok=True)
    script = binary / "athanor"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m athanor "$@"\n')
    script.chmod(0o755)
    changed = {
        "PATH": f"{binary}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": COLUMNS,
        "TFDS_DATA_DIR": str(SHARED / "tfds"),
        "XDG_STATE_HOME": str(directory / ".state"),
    }
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=directory,
        env=os.environ | changed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ended.stdout.replace(str(directory), "~").replace(str(SHARED), "../shared")


def refreshed(page: str) -> str:
    """The page with the output of each command made anew."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        if BLOCK.search(page):
            write_examples(directory)

        def made(block: re.Match[str]) -> str:
            found = (command for command, _ in commands(block[0]))
            return "".join(f"$ {one}\n{shortened(run(one, directory))}" for one in found)

        return BLOCK.sub(made, page)


def main() -> None:
    """Rewrite the pages that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", type=Path)
    for path in parser.parse_args().pages:
        path.write_text(refreshed(path.read_text()))


if __name__ == "__main__":
    main()
