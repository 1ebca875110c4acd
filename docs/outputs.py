"""Run the commands of the documentation and write their outputs below them.

    python docs/outputs.py README.md README.zh.md docs/*.md

A fenced block of the language `console` holds commands after `$ ` and what each of them prints.
The commands run in order in a new directory with example files, which are made from
../shared. All pages take about five minutes on two quiet cores.
"""

import argparse
import contextlib
import csv
import gzip
import itertools
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
# Longer series of lines that differ only in their numbers are shortened.
MAX_SIMILAR_LINES = 4
HOMES_HEADER = ["key", "size", "rooms", "town", "euros", "price"]
FILMS_HEADER = ["movieId", "title", "genres", "tags", "ratings", "first_rated", "stars"]
MIN_RATINGS = 10
TERMINAL_COLUMNS = "100"


def records(output: str) -> list[str]:
    """Return the lines of an output; the two lines of an epoch are one record."""
    joined = re.sub(r"^(Epoch \d+/\d+)\n", "\\1\0", output.rstrip(), flags=re.MULTILINE)
    return [record.replace("\0", "\n") for record in joined.splitlines()]


def masked(line: str) -> str:
    """Replace what differs between two runs in a line: numbers and the width of columns."""
    # The faster precision is measured, and a busy machine may measure the other one.
    line = line.replace("precision mixed_bfloat16", "precision float32")
    return re.sub(r"\s+|-{3,}", " ", re.sub(r"\d[\d.,e+-]*(m(?=s/step))?", "#", line)).strip()


def shapes(output: str) -> list[str]:
    """Return the masked lines of an output; of equal neighbours only one."""
    lines = [masked(line) for line in records(output) if line.strip() not in ("", "...")]
    return [line for line, _ in itertools.groupby(lines)]


def shortened(output: str) -> str:
    """Shorten long series of similar lines to the first two and the last one."""
    shown: list[str] = []
    for _, similar in itertools.groupby(records(output), masked):
        lines = list(similar)
        is_long = len(lines) > MAX_SIMILAR_LINES
        shown += [*lines[:2], "...", lines[-1]] if is_long else lines
    return "".join(f"{line}\n" for line in shown)


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block, and the output below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def write_examples(page: str, directory: Path) -> None:
    """Write the example files that the commands of a page name."""
    words = {word for block in BLOCK.findall(page) for word in block.split()}
    for name, write in EXAMPLES.items():
        if name in words and not (directory / name).exists():
            write(directory / name)


def _copied(source: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(next((SHARED / "data").glob(source)))


def _write_new_cars(path: Path) -> None:
    names, *rows = (SHARED / "data/auto_mpg/auto_mpg.csv").read_text().splitlines()[:4]
    path.write_text("\n".join([names, *rows]) + "\n")


def _write_ratings(path: Path) -> None:
    with gzip.open(SHARED / "data/movielens_100k/u.data.gz", "rt") as file:
        ratings = [line.split() for line in file]
    _write(path, ["user", "film", "stars", "time"], ratings)


def _films() -> list[list[Any]]:
    """Join three tables of MovieLens to a row for each film, with its mean number of stars."""
    place = SHARED / "data/ml_latest_small_2018"
    ratings, tags = defaultdict(list), defaultdict(list)
    for rating in _rows(place / "ratings.csv.gz"):
        ratings[rating["movieId"]].append((int(rating["timestamp"]), float(rating["rating"])))
    for tag in _rows(place / "tags.csv"):
        tags[tag["movieId"]].append(tag["tag"])
    rows = []
    for film in _rows(place / "movies.csv.gz"):
        if known := ratings[film["movieId"]]:
            times, stars = zip(*known, strict=True)
            words = "|".join(dict.fromkeys(tags[film["movieId"]]))
            mean = round(statistics.mean(stars), 2)
            rows.append([*film.values(), words, len(known), min(times), mean])
    return rows


def _write_films(path: Path) -> None:
    _write(path, FILMS_HEADER, [row for row in _films() if row[4] >= MIN_RATINGS])


def _write_new_films(path: Path) -> None:
    """Write three of the films of nine ratings, without their stars."""
    few = [row for row in _films() if row[4] == MIN_RATINGS - 1]
    _write(path, FILMS_HEADER[:-1], [row[:-1] for row in few[:: len(few) // 3][:3]])


def _homes() -> list[list[Any]]:
    """Return rows of houses; one cell is not a number, and a column leaks the price."""
    towns = ("Bern", "Basel", "Genève")
    rows: list[list[Any]] = []
    for key in range(200):
        size, rooms = 40 + 7 * key % 160, 1 + key % 6
        price = 3 * size + 20 * rooms
        rows.append([key, size, rooms, towns[key % 3], 1000 * price, price])
    rows[8][1] = "a"
    return rows


def _write_homes(path: Path) -> None:
    _write(path, HOMES_HEADER, _homes()[:150])


def _write_sold(path: Path) -> None:
    """Write houses with later keys, and with a town that is not in homes.csv."""
    rows = [[key + 100, *row] for key, *row in _homes()[150:]]
    rows[0][3] = "Genf"
    _write(path, HOMES_HEADER, rows)


def _write_questions(path: Path) -> None:
    """Write the training questions of TREC, with the names of their six classes."""
    import tensorflow_datasets as tfds

    questions = tfds.as_numpy(tfds.load("trec", split="train", data_dir=SHARED / "tfds"))
    classes = ("description", "entity", "abbreviation", "person", "number", "place")
    rows = [[one["text"].decode(), classes[one["label-coarse"]]] for one in questions]
    _write(path, ["question", "topic"], rows)


def _write_photos(path: Path) -> None:
    """Write 700 photographs of flowers into five folders."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    place = SHARED / "tfds"
    flowers, about = tfds.load("tf_flowers160", split="train[:700]", data_dir=place, with_info=True)
    for number, example in enumerate(flowers):
        folder = path / about.features["label"].int2str(int(example["label"]))
        folder.mkdir(parents=True, exist_ok=True)
        content = tf.io.encode_jpeg(example["image"], quality=95).numpy()
        (folder / f"{number}.jpg").write_bytes(content)


EXAMPLES: dict[str, Callable[[Path], None]] = {
    "cars.csv": _copied("auto_mpg/auto_mpg.csv"),
    "new-cars.csv": _write_new_cars,
    "backbone.weights.h5": _copied("keras_weights/mobilenet_0.75*"),
    "ratings.csv": _write_ratings,
    "films.csv": _write_films,
    "new-films.csv": _write_new_films,
    "homes.csv": _write_homes,
    "sold.csv": _write_sold,
    "questions.csv": _write_questions,
    "photos": _write_photos,
}


def _rows(path: Path) -> list[dict[str, str]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, names: list[str], rows: list[list]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *rows])


def _environment(directory: Path) -> dict[str, str]:
    """Return the variables of commands, in which `athanor` is that of this tree."""
    (binary := directory / ".bin").mkdir(exist_ok=True)
    script = binary / "athanor"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m athanor "$@"\n')
    script.chmod(0o755)
    return os.environ | {
        "PATH": f"{binary}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": TERMINAL_COLUMNS,
        "TFDS_DATA_DIR": str(SHARED / "tfds"),
        "XDG_STATE_HOME": str(directory / ".state"),
    }


def run(command: str, directory: Path) -> str:
    """Run a command; return what it prints on standard output and standard error."""
    process = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=directory,
        env=_environment(directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return process.stdout.replace(str(directory), "~").replace(str(SHARED), "../shared")


@contextlib.contextmanager
def servers(directory: Path) -> Iterator[Callable[[str], str]]:
    """Give a function that starts a server, `athanor serve ... &`; stop the servers at the end.

    The function returns what the server prints until its page can be opened.
    """
    with contextlib.ExitStack() as stack:

        def start(command: str) -> str:
            server = stack.enter_context(
                subprocess.Popen(
                    shlex.split(command.removesuffix("&")),
                    cwd=directory,
                    env=(variables := _environment(directory)),
                    executable=shutil.which("athanor", path=variables["PATH"]),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            stack.callback(server.terminate)
            printed = ""
            for line in server.stdout or ():
                printed += line
                if line.startswith("page "):
                    break
            return printed

        yield start


def refreshed(page: str, directory: Path, known: dict[str, str] | None = None) -> str:
    """Return the page with new outputs; a command in `known` is not run again."""
    write_examples(page, directory)
    known = {} if known is None else known

    with servers(directory) as start:

        def with_outputs(block: re.Match[str]) -> str:
            lines = []
            for command, _ in commands(block[0]):
                if command.endswith("&"):
                    known[command] = start(command)
                elif command not in known:
                    known[command] = shortened(run(command, directory))
                lines.append(f"$ {command}\n{known[command]}")
            return "".join(lines)

        return BLOCK.sub(with_outputs, page)


def main() -> None:
    """Rewrite the named pages; a command on several of them runs once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", type=Path)
    known: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as directory:
        for path in parser.parse_args().pages:
            path.write_text(refreshed(path.read_text(), Path(directory), known))


if __name__ == "__main__":
    main()
