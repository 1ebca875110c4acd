"""Searches by our default and by KerasTuner's tuners, with equal compute, on five apps.

    python benchmarks/searches.py

Every combination of an app's values is to be trained once before, on small data, hours of work
(recipes/tuning_table.py), so a search is looked up, epoch by epoch. All may
train as many epochs as twenty whole trials have, random search also twice as many; ours
begin with the app's own values. What counts is the validation loss of the best model found,
which is what a search is asked for.
KerasTuner's oracles are as they come; Hyperband pays only for the epochs that it adds.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import protocol
from protocol import RESULTS, Program, Run, Table

# A file beside this one is called as a room is.
sys.path.remove(str(Path(__file__).resolve().parent))
sys.path.append(str(Path(__file__).resolve().parent / "recipes"))

from training import startup

startup.start_tensorflow()

import keras_tuner  # noqa: E402
import optuna  # noqa: E402
from keras_tuner.src.tuners import bayesian, hyperband, randomsearch  # noqa: E402
from tuning_table import key  # noqa: E402

import apps  # noqa: E402
from tuning import space as spaces  # noqa: E402
from tuning.oracles import SCORE, Limits  # noqa: E402
from tuning.search import MODEL_BASED, judged  # noqa: E402

TABLES = RESULTS / "tuning"
TRIALS = 20  # as --trials of the command line


class Lookup(NamedTuple):
    """An app's trainings, all done before."""

    name: str
    app: Any
    space: dict[str, tuple]
    curves: dict[str, list[float]]

    @classmethod
    def read(cls, path: Path) -> "Lookup":
        """From its file."""
        told = json.loads(path.read_text())
        space = {name: tuple(values) for name, values in told["space"].items()}
        app = apps.get(path.stem.partition("-")[0])(patience=0, **told["fields"])
        return cls(path.stem, app, space, told["curves"])

    @property
    def epochs(self) -> int:
        """Of a whole trial."""
        return max(len(curve) for curve in self.curves.values())

    def curve(self, values: dict[str, Any]) -> list[float]:
        """Best loss so far after each epoch; short where training diverged."""
        return self.curves[key({name: values[name] for name in self.space})]

    def options(self, seed: int) -> dict[str, Any]:
        """Of an oracle."""
        return {
            "objective": keras_tuner.Objective(SCORE, "min"),
            "hyperparameters": spaces.hyperparameters(self.app, self.space),
            # The default was chosen with small ones. KerasTuner counts on with every trial.
            "seed": 10_000 * (seed + 1),
        }


def searched(oracle: Any, table: Lookup, budget: int) -> tuple[float, int]:
    """The best loss that a search finds within so many epochs, and how many trials it began."""
    best, left, begun = float("inf"), budget, 0
    while left > 0:
        trial = oracle.create_trial("one")
        if trial.status != "RUNNING":
            break
        begun += 1
        values = trial.hyperparameters.values
        curve = table.curve(values)
        done = values.get("tuner/initial_epoch", 0)
        last = min(values.get("tuner/epochs", len(curve)), len(curve), done + left)
        left -= max(0, last - done)
        for epoch in range(done, last):
            best = min(best, curve[epoch])
            answer = oracle.update_trial(trial.trial_id, {SCORE: curve[epoch]}, step=epoch + 1)
            if answer.status == "STOPPED":
                left += last - epoch - 1
                break
        diverged = not curve[done:last]
        trial.status = "FAILED" if diverged else "COMPLETED"
        left -= diverged
        oracle.end_trial(trial)
    return best, begun


def ours(name: str) -> Callable[[Lookup, int, Path], Any]:
    """As `athanor APP tune --tuner NAME` begins; bayesian is the default."""

    def made(table: Lookup, seed: int, place: Path) -> Any:
        options = table.options(seed) | {"when": judged(table.app)}
        oracle = MODEL_BASED[name](directions={SCORE: "min"}, **options)
        oracle.open(place, Limits(10_000), spaces.default(table.app, table.space))
        return oracle

    return made


def kerastuner(kind: type, **more: Any) -> Callable[[Lookup, int, Path], Any]:
    """One of KerasTuner's oracles, its files left out."""
    quiet = type(kind.__name__, (kind,), {"save": lambda _: None, "_save_trial": lambda *_: None})

    def made(table: Lookup, seed: int, place: Path) -> Any:
        given = {"max_epochs": table.epochs} if kind is hyperband.HyperbandOracle else more
        oracle = quiet(**table.options(seed), **given)
        oracle._set_project_dir(str(place), "search")
        oracle.verbose = 0
        return oracle

    return made


MANY = {"max_trials": 10_000}
RANDOM = kerastuner(randomsearch.RandomSearchOracle, **MANY)
WAYS: dict[str, tuple[Callable[[Lookup, int, Path], Any], int]] = {
    "athanor's default": (ours("bayesian"), 1),
    "athanor's tpe": (ours("tpe"), 1),
    "random": (RANDOM, 1),
    "random, twice the epochs": (RANDOM, 2),
    "KerasTuner's Hyperband": (kerastuner(hyperband.HyperbandOracle, hyperband_iterations=100), 1),
    "KerasTuner's Bayesian": (kerastuner(bayesian.BayesianOptimizationOracle, **MANY), 1),
}


def one(task: tuple[Lookup, str, int]) -> Run:
    """One search."""
    table, way, seed = task
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made, times = WAYS[way]
    budget = times * TRIALS * table.epochs
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        best, begun = searched(made(table, seed, Path(place)), table, budget)
    seconds = round(time.perf_counter() - began, 3)
    answer = {"app": table.name, "loss": best, "trials": begun, "epochs": budget}
    return Run(way, seed, seconds, 0.0, None, answer)


def row(table: Lookup, runs: list[Run]) -> list[str]:
    """What the searches over a table found."""
    found = {way: [run.answer["loss"] for run in runs if run.program == way] for way in WAYS}
    pairs = list(zip(found["athanor's default"], found["random, twice the epochs"], strict=True))
    won, lost = sum(a < b for a, b in pairs), sum(a > b for a, b in pairs)
    default = table.curve(spaces.default(table.app, table.space) or {})[-1]
    best = min(curve[-1] for curve in table.curves.values() if curve)
    cells = [protocol.spread(found[way]).text(4) for way in WAYS]
    told = f"{won}, {len(pairs) - won - lost}, {lost}"
    return [table.name, f"{default:.4f}", f"{best:.4f}", *cells, told]


def main() -> None:
    """Search, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    tables = [Lookup.read(path) for path in sorted(TABLES.glob("*.json"))]
    if not tables:
        raise SystemExit(
            f"Found no tables in {TABLES}; make them first: python "
            "benchmarks/recipes/tuning_table.py --app mnist --into benchmarks/results/tuning"
        )
    runs, rows = [], []
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        for table in tables:
            tasks = [(table, way, seed) for way in WAYS for seed in range(given.seeds)]
            done = list(pool.map(one, tasks))
            rows.append(row(table, done))
            runs += done
            print(*rows[-1], sep="  ", file=sys.stderr)
    programs = [Program(way, ("benchmarks/searches.py",)) for way in WAYS]
    conditions = protocol.block(programs, given.seeds) | {"how": "looked up"}
    header = ["validation loss", "default flags", "best there is", *WAYS]
    header.append("seeds better, equal, worse than random with twice the epochs")
    title = f"Searches with the epochs of {TRIALS} whole trials"
    protocol.write("searches", title, conditions, runs, Table(header, rows))


if __name__ == "__main__":
    main()
