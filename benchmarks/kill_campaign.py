"""Kill trainings, a search and an export at random times and compare the resumed results.

    python benchmarks/kill_campaign.py --kills 200

About forty minutes on two cores. SIGKILL is sent at a random time within the duration of the
undisturbed command. In a third of the cases the newest file of the unfinished run is then truncated
or one of its bits flipped. The same command is started again until it ends; its files must equal
those of the undisturbed command bit for bit. Every command is forked from a process that has
imported TensorFlow, so that most kills do not hit imports.
"""

import argparse
import csv
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import protocol
import tensorflow
from protocol import Program, Run, Table

SHARE_DAMAGED = 1 / 3
# Fields that differ between any two processes.
# Times, and the ledger of the test set, which knows the undisturbed run.
VOLATILE_FIELDS = {"seconds", "examples_per_second", "run", "versions", "test_set", "note"}


class Subject(NamedTuple):
    """A command whose processes are killed.

    Attributes:
        name: in the table.
        words: the command, without its directory.
        devices: parts of the CPU that share its work.
        prepared: whether the directory holds a finished run before it.

    """

    name: str
    words: tuple[str, ...]
    devices: int = 1
    prepared: bool = False


OFTEN = ("--checkpoint-every", "0.1", "--precision", "float32")
TWO = ("--strategy", "mirrored", "--devices", "2")
MNIST = ("mnist", "train", "--model", "mlp", "--epochs", "4", "--dropout", "0.2", *OFTEN)
ROWS = ("regression", "train", "--epochs", "5", *OFTEN)
STAGES = ("finetune", "train", "--epochs", "2", "--head-epochs", "2", *OFTEN)
TEXTS = ("text", "train", "--epochs", "2", *OFTEN)
RATINGS = ("recommender", "train", "--model", "svdpp", "--epochs", "3", *OFTEN)
SEARCH = ("mnist", "tune", "--model", "mlp", "--epochs", "2", "--trials", "4")
TRAININGS = (MNIST, ROWS, STAGES, TEXTS, RATINGS)
SUBJECTS = (
    *(Subject(words[0], words) for words in TRAININGS),
    *(Subject(f"{words[0]} with two replicas", (*words, *TWO), 2) for words in TRAININGS),
    Subject("search", (*SEARCH, "--precision", "float32")),
    Subject("export", ("mnist", "export"), prepared=True),
)


def started(subject: Subject, directory: Path) -> int:
    """Fork a process that runs the command; its number."""
    child = os.fork()
    if child:
        return child
    said = os.open(directory.with_suffix(".log"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(said, 1)
    os.dup2(said, 2)
    where = [str(directory)] if subject.prepared else ["--run-dir", str(directory)]
    sys.argv = ["athanor", *subject.words, *where]
    try:
        from training import startup

        startup.split_cpu(subject.devices)
        athanor.main()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)  # never back into the campaign


def undisturbed(subject: Subject, directory: Path) -> float:
    """Run the command to its end; the seconds that it takes."""
    start = time.perf_counter()
    _, status = os.waitpid(started(subject, directory), 0)
    if status:
        raise SystemExit(f"{subject.name} failed:\n{directory.with_suffix('.log').read_text()}")
    return time.perf_counter() - start


def disturbed(
    subject: Subject, directory: Path, seconds: float, kills: int, draw: random.Random
) -> dict[str, int]:
    """Run the command to its end, with so many kills on the way, as long as it lasts."""
    told = {"kills": 0, "damaged": 0, "starts": 0, "unrecoverable": 0}
    while True:
        child = started(subject, directory)
        told["starts"] += 1
        until = time.perf_counter() + draw.uniform(0, seconds)
        done = status = 0
        while not done and (told["kills"] >= kills or time.perf_counter() < until):
            done, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.002)
        if done:
            told["unrecoverable"] += status != 0
            return told
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        told["kills"] += 1
        if draw.random() < SHARE_DAMAGED:
            told["damaged"] += damaged(subject, directory, draw)


def damaged(subject: Subject, directory: Path, draw: random.Random) -> bool:
    """Cut the newest file of what is not finished, or change one of its bits."""
    unfinished = directory
    if subject.prepared:
        made = [path for path in (directory / "export").glob(".*") if path.is_dir()]
        unfinished = max(made, key=lambda path: path.stat().st_mtime, default=directory / "none")
    elif (directory / "run.json").exists() or (directory / "trials.csv").exists():
        return False
    files = [
        path
        for path in unfinished.rglob("*")
        if path.is_file()
        and "logs" not in path.parts
        and path.stat().st_size > 1
        # The search's first lines and the note of whose directory it is.
        and path.name not in ("unfinished.txt", "search.json")
    ]
    if not files:
        return False
    newest = max(files, key=lambda path: path.stat().st_mtime_ns)
    content = bytearray(newest.read_bytes())
    if draw.random() < 0.5:
        content = content[: draw.randrange(len(content))]
    else:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    newest.write_bytes(content)
    return True


def left(subject: Subject, directory: Path) -> dict[str, Any]:
    """All that a finished command left, but for times."""
    found: dict[str, Any] = {}
    for name in ("history.csv", "trials.csv"):
        for path in sorted(directory.glob(name)):
            with path.open(newline="") as file:
                found[name] = [_lasting(row) for row in csv.DictReader(file)]
    for name in ("run.json", "scores.json"):
        for path in sorted(directory.glob(name)):
            found[name] = _lasting(json.loads(path.read_text()))
    models = [directory / "model.keras", *directory.glob("best/model.keras")]
    for path in (path for path in models if path.exists()):
        found[str(path.relative_to(directory))] = weights(path)
    if (directory / "samples.npz").exists():
        with np.load(directory / "samples.npz") as file:
            found["answers"] = file["answers"].tobytes()
    if subject.prepared:
        # Floats alone: a random layer's state, which no answer uses, begins anew in each process.
        reader = tensorflow.train.load_checkpoint(
            directory / "export" / "1" / "variables" / "variables"
        )
        names = sorted(reader.get_variable_to_shape_map())
        values = [np.asarray(reader.get_tensor(name)) for name in names]
        found["export"] = [one.tobytes() for one in values if one.dtype.kind == "f"]
        found["versions"] = sorted(one.name for one in (directory / "export").iterdir())
    return found


def weights(path: Path) -> dict[str, bytes]:
    """Of a saved model, by their names."""
    found: dict[str, bytes] = {}
    with (
        zipfile.ZipFile(path) as archive,
        archive.open("model.weights.h5") as file,
        h5py.File(file) as content,
    ):
        names: list[str] = []
        content.visit(names.append)
        for name in names:
            if isinstance(content[name], h5py.Dataset):
                found[name] = content[name][()].tobytes()
    return found


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in VOLATILE_FIELDS}


def campaign(subject: Subject, place: Path, kills: int, draw: random.Random) -> dict[str, Any]:
    """As many kills as are asked for, over as many runs as that takes."""
    counts = {"kills": 0, "damaged": 0, "starts": 0, "unrecoverable": 0, "runs": 0, "different": 0}
    first = place / "undisturbed"
    finished = place / "finished"
    if subject.prepared:
        undisturbed(SUBJECTS[0], finished)
        shutil.copytree(finished, first)
    seconds = undisturbed(subject, first)
    expected = left(subject, first)
    while counts["kills"] < kills:
        directory = place / f"run-{counts['runs']}"
        if subject.prepared:
            shutil.copytree(finished, directory)
        told = disturbed(subject, directory, seconds, kills - counts["kills"], draw)
        found = {} if told["unrecoverable"] else left(subject, directory)
        same = found == expected
        if not same:
            other = [name for name in expected if found.get(name) != expected[name]]
            print(f"{subject.name}: different {', '.join(other)}", file=sys.stderr)
            print(directory.with_suffix(".log").read_text()[-3000:], file=sys.stderr)
        counts = {name: counts[name] + told.get(name, 0) for name in counts}
        counts["runs"] += 1
        counts["different"] += not same
        if same:
            shutil.rmtree(directory)
    return {**counts, "seconds": round(seconds, 1)}


def main() -> None:
    """Kill, start again, compare, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--only", help="names of subjects, with commas between")
    parser.add_argument("--dry", action="store_true", help="keep no result")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else [one.name for one in SUBJECTS]
    subjects = [one for one in SUBJECTS if one.name in names]
    draw = random.Random(0)
    runs, rows, lost = [], [], 0
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        for number, subject in enumerate(subjects):
            kills = given.kills * (number + 1) // len(subjects) - given.kills * number // len(
                subjects
            )
            start = time.perf_counter()
            (Path(place) / str(number)).mkdir()
            counts = campaign(subject, Path(place) / str(number), kills, draw)
            print(f"{subject.name}: {counts}", file=sys.stderr, flush=True)
            seconds = round(time.perf_counter() - start, 1)
            runs.append(Run(subject.name, 0, seconds, 0.0, None, counts))
            lost += counts["unrecoverable"] + counts["different"]
            header = ["kills", "damaged", "starts", "runs", "unrecoverable", "different"]
            rows.append([subject.name, *(str(counts[name]) for name in header)])
        os.chdir(protocol.ROOT)
    programs = [Program(one.name, ("-m", "athanor", *one.words)) for one in subjects]
    conditions = protocol.block(programs, 1) | {"how": "one after another, draws of seed 0"}
    total = sum(run.answer["kills"] for run in runs)
    table = Table(["killed command", "kills", "newest file damaged", *header[2:]], rows)
    if not given.dry:
        title = f"{total} SIGKILLs at random instants"
        protocol.write("kill_campaign", title, conditions, runs, table)
    raise SystemExit(1 if lost else 0)


if __name__ == "__main__":
    sys.path.insert(0, str(protocol.ROOT))
    # Imported, not started: a process with TensorFlow's threads cannot be forked.
    import keras  # noqa: F401

    import athanor
    import tuning.search  # noqa: F401

    main()
