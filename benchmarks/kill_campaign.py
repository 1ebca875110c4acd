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

DAMAGED_SHARE = 1 / 3
# Fields that differ between any two processes: times, remarks with times, and the ledger of the
# test set, which lists the undisturbed run.
VOLATILE_FIELDS = {
    *("seconds", "training_seconds", "baseline_seconds", "examples_per_second"),
    *("run", "versions", "test_set", "note", "remarks", "findings"),
}


class Subject(NamedTuple):
    """A command whose processes are killed.

    Attributes:
        name: the name in the table.
        words: the command, without its directory.
        devices: number of parts of the CPU that share its work.
        prepared: whether the directory contains a finished run before the command.

    """

    name: str
    words: tuple[str, ...]
    devices: int = 1
    prepared: bool = False


FREQUENT_CHECKPOINTS = ("--checkpoint-every", "0.1", "--precision", "float32")
TWO_REPLICAS = ("--strategy", "mirrored", "--devices", "2")
MNIST = (
    "mnist",
    "train",
    "--model",
    "mlp",
    "--epochs",
    "4",
    "--dropout",
    "0.2",
    *FREQUENT_CHECKPOINTS,
)
ROWS = ("regression", "train", "--epochs", "5", *FREQUENT_CHECKPOINTS)
TWO_STAGES = ("finetune", "train", "--epochs", "2", "--head-epochs", "2", *FREQUENT_CHECKPOINTS)
TEXTS = ("text", "train", "--epochs", "2", *FREQUENT_CHECKPOINTS)
RATINGS = ("recommender", "train", "--model", "svdpp", "--epochs", "3", *FREQUENT_CHECKPOINTS)
SEARCH = ("mnist", "tune", "--model", "mlp", "--epochs", "2", "--trials", "4")
TRAININGS = (MNIST, ROWS, TWO_STAGES, TEXTS, RATINGS)
SUBJECTS = (
    *(Subject(words[0], words) for words in TRAININGS),
    *(Subject(f"{words[0]} with two replicas", (*words, *TWO_REPLICAS), 2) for words in TRAININGS),
    Subject("search", (*SEARCH, "--precision", "float32")),
    Subject("export", ("mnist", "export"), prepared=True),
)


def start_process(subject: Subject, directory: Path) -> int:
    """Fork a process that runs the command; return its process id."""
    child = os.fork()
    if child:
        return child
    log = os.open(directory.with_suffix(".log"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    target = [str(directory)] if subject.prepared else ["--run-dir", str(directory)]
    sys.argv = ["athanor", *subject.words, *target]
    try:
        from training import startup

        startup.split_cpu(subject.devices)
        athanor.main()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)  # never return into the campaign


def run_undisturbed(subject: Subject, directory: Path) -> float:
    """Run the command to its end; return the seconds that it takes."""
    start = time.perf_counter()
    _, status = os.waitpid(start_process(subject, directory), 0)
    if status:
        raise SystemExit(f"{subject.name} failed:\n{directory.with_suffix('.log').read_text()}")
    return time.perf_counter() - start


def run_with_kills(
    subject: Subject, directory: Path, seconds: float, kills: int, draw: random.Random
) -> dict[str, int]:
    """Run the command to its end, with up to `kills` kills on the way; return counts."""
    counts = {"kills": 0, "damaged": 0, "starts": 0, "unrecoverable": 0}
    while True:
        child = start_process(subject, directory)
        counts["starts"] += 1
        until = time.perf_counter() + draw.uniform(0, seconds)
        done = status = 0
        while not done and (counts["kills"] >= kills or time.perf_counter() < until):
            done, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.002)
        if done:
            counts["unrecoverable"] += status != 0
            return counts
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        counts["kills"] += 1
        if draw.random() < DAMAGED_SHARE:
            counts["damaged"] += damage_newest_file(subject, directory, draw)


def damage_newest_file(subject: Subject, directory: Path, draw: random.Random) -> bool:
    """Truncate the newest file of an unfinished run or export, or flip one of its bits."""
    unfinished = directory
    if subject.prepared:
        exports = [path for path in (directory / "export").glob(".*") if path.is_dir()]
        unfinished = max(exports, key=lambda path: path.stat().st_mtime, default=directory / "none")
    elif (directory / "run.json").exists() or (directory / "trials.csv").exists():
        return False
    files = [
        path
        for path in unfinished.rglob("*")
        if path.is_file()
        and "logs" not in path.parts
        and path.stat().st_size > 1
        # The search's settings, and the note that names the directory's owner.
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


def read_results(subject: Subject, directory: Path) -> dict[str, Any]:
    """Return all results of a finished command, except times."""
    results: dict[str, Any] = {}
    for name in ("history.csv", "trials.csv"):
        for path in sorted(directory.glob(name)):
            with path.open(newline="") as file:
                results[name] = [_without_volatile_fields(row) for row in csv.DictReader(file)]
    for name in ("run.json", "scores.json"):
        for path in sorted(directory.glob(name)):
            results[name] = _without_volatile_fields(json.loads(path.read_text()))
    models = [directory / "model.keras", *directory.glob("best/model.keras")]
    for path in (path for path in models if path.exists()):
        results[str(path.relative_to(directory))] = read_weights(path)
    if (directory / "samples.npz").exists():
        with np.load(directory / "samples.npz") as file:
            results["answers"] = file["answers"].tobytes()
    if subject.prepared:
        # Only floats: the state of random layers, which predictions do not use, is always new.
        reader = tensorflow.train.load_checkpoint(
            directory / "export" / "1" / "variables" / "variables"
        )
        names = sorted(reader.get_variable_to_shape_map())
        values = [np.asarray(reader.get_tensor(name)) for name in names]
        results["export"] = [array.tobytes() for array in values if array.dtype.kind == "f"]
        results["versions"] = sorted(array.name for array in (directory / "export").iterdir())
    return results


def read_weights(path: Path) -> dict[str, bytes]:
    """Return the weights of a saved model by their names."""
    values: dict[str, bytes] = {}
    with (
        zipfile.ZipFile(path) as archive,
        archive.open("model.weights.h5") as file,
        h5py.File(file) as content,
    ):
        names: list[str] = []
        content.visit(names.append)
        for name in names:
            if isinstance(content[name], h5py.Dataset):
                values[name] = content[name][()].tobytes()
    return values


def _without_volatile_fields(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in VOLATILE_FIELDS}


def run_campaign(subject: Subject, root: Path, kills: int, draw: random.Random) -> dict[str, Any]:
    """Kill a command `kills` times, over as many runs as that takes; return counts."""
    counts = {"kills": 0, "damaged": 0, "starts": 0, "unrecoverable": 0, "runs": 0, "different": 0}
    reference = root / "undisturbed"
    finished = root / "finished"
    if subject.prepared:
        run_undisturbed(SUBJECTS[0], finished)
        shutil.copytree(finished, reference)
    seconds = run_undisturbed(subject, reference)
    expected = read_results(subject, reference)
    while counts["kills"] < kills:
        directory = root / f"run-{counts['runs']}"
        if subject.prepared:
            shutil.copytree(finished, directory)
        run_counts = run_with_kills(subject, directory, seconds, kills - counts["kills"], draw)
        results = {} if run_counts["unrecoverable"] else read_results(subject, directory)
        same = results == expected
        if not same:
            different = [name for name in expected if results.get(name) != expected[name]]
            print(f"{subject.name}: different {', '.join(different)}", file=sys.stderr)
            print(directory.with_suffix(".log").read_text()[-3000:], file=sys.stderr)
        counts = {name: counts[name] + run_counts.get(name, 0) for name in counts}
        counts["runs"] += 1
        counts["different"] += not same
        if same:
            shutil.rmtree(directory)
    return {**counts, "seconds": round(seconds, 1)}


def main() -> None:
    """Kill, start again, compare, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--only", help="comma-separated names of subjects")
    parser.add_argument("--dry", action="store_true", help="do not store the result")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else [subject.name for subject in SUBJECTS]
    subjects = [subject for subject in SUBJECTS if subject.name in names]
    draw = random.Random(0)
    runs, rows, num_failures = [], [], 0
    with tempfile.TemporaryDirectory() as root:
        os.chdir(root)
        for number, subject in enumerate(subjects):
            kills = options.kills * (number + 1) // len(subjects) - options.kills * number // len(
                subjects
            )
            start = time.perf_counter()
            (Path(root) / str(number)).mkdir()
            counts = run_campaign(subject, Path(root) / str(number), kills, draw)
            print(f"{subject.name}: {counts}", file=sys.stderr, flush=True)
            seconds = round(time.perf_counter() - start, 1)
            runs.append(Run(subject.name, 0, seconds, 0.0, None, counts))
            num_failures += counts["unrecoverable"] + counts["different"]
            header = ["kills", "damaged", "starts", "runs", "unrecoverable", "different"]
            rows.append([subject.name, *(str(counts[name]) for name in header)])
        os.chdir(protocol.ROOT)
    programs = [Program(subject.name, ("-m", "athanor", *subject.words)) for subject in subjects]
    conditions = protocol.block(programs, 1) | {"how": "one after another, draws of seed 0"}
    total = sum(run.answer["kills"] for run in runs)
    table = Table(["killed command", "kills", "newest file damaged", *header[2:]], rows)
    if not options.dry:
        title = f"{total} SIGKILLs at random times"
        protocol.write("kill_campaign", title, conditions, runs, table)
    raise SystemExit(1 if num_failures else 0)


if __name__ == "__main__":
    sys.path.insert(0, str(protocol.ROOT))
    # Only imported: a process in which TensorFlow's threads run cannot be forked.
    import keras  # noqa: F401

    import athanor
    import tuning.search  # noqa: F401

    main()
