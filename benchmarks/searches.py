"""Compare our default search with KerasTuner's tuners at equal compute, on five apps.

    python benchmarks/searches.py

recipes/tuning_table.py must have trained every combination of an app's values once before, on
small data, which takes hours; a search then looks its scores up, epoch by epoch. Each search may
train as many epochs as twenty whole trials have, random search also twice as many; ours begin
with the app's own values. The result is the validation loss of the best model found. KerasTuner's
oracles have their default settings; Hyperband pays only for the epochs that it adds.
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

# Python would import optimizers.py of this folder in place of the package.
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
from tuning.limits import Limits  # noqa: E402
from tuning.oracles import SCORE  # noqa: E402
from tuning.search import MODEL_BASED, pruning_bounds  # noqa: E402
from tuning.space import Space  # noqa: E402

TABLES = RESULTS / "tuning"
TRIALS = 20  # as --trials of the command line


class Lookup(NamedTuple):
    """The score curves of an app's trainings, computed before."""

    name: str
    app: Any
    space: Space
    curves: dict[str, list[float]]

    @classmethod
    def read(cls, path: Path) -> "Lookup":
        """Read the curves from a file of recipes/tuning_table.py."""
        content = json.loads(path.read_text())
        space: Space = {name: tuple(values) for name, values in content["space"].items()}
        app = apps.get(path.stem.partition("-")[0])(patience=0, **content["fields"])
        return cls(path.stem, app, space, content["curves"])

    @property
    def epochs(self) -> int:
        """Number of epochs of a whole trial."""
        return max(len(curve) for curve in self.curves.values())

    def curve(self, values: dict[str, Any]) -> list[float]:
        """Return the best loss so far after each epoch; short if training diverged."""
        return self.curves[key({name: values[name] for name in self.space})]

    def options(self, seed: int) -> dict[str, Any]:
        """Return the options of an oracle."""
        return {
            "objective": keras_tuner.Objective(SCORE, "min"),
            "hyperparameters": spaces.hyperparameters(self.app, self.space),
            # Our default was chosen with small seeds. KerasTuner adds 1 for every trial.
            "seed": 10_000 * (seed + 1),
        }


def run_search(oracle: Any, table: Lookup, budget: int) -> tuple[float, int]:
    """Return the best loss that a search finds within an epoch budget, and its number of trials."""
    best, epochs_left, num_trials = float("inf"), budget, 0
    while epochs_left > 0:
        trial = oracle.create_trial("one")
        if trial.status != "RUNNING":
            break
        num_trials += 1
        values = trial.hyperparameters.values
        curve = table.curve(values)
        done = values.get("tuner/initial_epoch", 0)
        stop = min(values.get("tuner/epochs", len(curve)), len(curve), done + epochs_left)
        epochs_left -= max(0, stop - done)
        for epoch in range(done, stop):
            best = min(best, curve[epoch])
            answer = oracle.update_trial(trial.trial_id, {SCORE: curve[epoch]}, step=epoch + 1)
            if answer.status == "STOPPED":
                epochs_left += stop - epoch - 1
                break
        diverged = not curve[done:stop]
        trial.status = "FAILED" if diverged else "COMPLETED"
        epochs_left -= diverged
        oracle.end_trial(trial)
    return best, num_trials


def athanor_oracle(name: str) -> Callable[[Lookup, int, Path], Any]:
    """Return a factory of the oracle of `athanor APP tune --tuner NAME`."""

    def make(table: Lookup, seed: int, directory: Path) -> Any:
        options = table.options(seed) | {"epoch_bounds": pruning_bounds(table.app)}
        oracle = MODEL_BASED[name](directions={SCORE: "min"}, **options)
        oracle.open(directory, Limits(10_000), spaces.default(table.app, table.space))
        return oracle

    return make


def kerastuner_oracle(kind: type, **options: Any) -> Callable[[Lookup, int, Path], Any]:
    """Return a factory of one of KerasTuner's oracles, without its files."""
    quiet = type(kind.__name__, (kind,), {"save": lambda _: None, "_save_trial": lambda *_: None})

    def make(table: Lookup, seed: int, directory: Path) -> Any:
        arguments = {"max_epochs": table.epochs} if kind is hyperband.HyperbandOracle else options
        oracle = quiet(**table.options(seed), **arguments)
        oracle._set_project_dir(str(directory), "search")
        oracle.verbose = 0
        return oracle

    return make


NO_TRIAL_LIMIT = {"max_trials": 10_000}
RANDOM = kerastuner_oracle(randomsearch.RandomSearchOracle, **NO_TRIAL_LIMIT)
SEARCHERS: dict[str, tuple[Callable[[Lookup, int, Path], Any], int]] = {
    "athanor's default": (athanor_oracle("bayesian"), 1),
    "athanor's tpe": (athanor_oracle("tpe"), 1),
    "random": (RANDOM, 1),
    "random, twice the epochs": (RANDOM, 2),
    "KerasTuner's Hyperband": (
        kerastuner_oracle(hyperband.HyperbandOracle, hyperband_iterations=100),
        1,
    ),
    "KerasTuner's Bayesian": (
        kerastuner_oracle(bayesian.BayesianOptimizationOracle, **NO_TRIAL_LIMIT),
        1,
    ),
}


def run_task(task: tuple[Lookup, str, int]) -> Run:
    """Run one search."""
    table, searcher, seed = task
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    make_oracle, factor = SEARCHERS[searcher]
    budget = factor * TRIALS * table.epochs
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        best, num_trials = run_search(make_oracle(table, seed, Path(directory)), table, budget)
    seconds = round(time.perf_counter() - start, 3)
    answer = {"app": table.name, "loss": best, "trials": num_trials, "epochs": budget}
    return Run(searcher, seed, seconds, 0.0, None, answer)


def table_row(table: Lookup, runs: list[Run]) -> list[str]:
    """Return the table row of the searches of an app."""
    losses = {
        searcher: [run.answer["loss"] for run in runs if run.program == searcher]
        for searcher in SEARCHERS
    }
    pairs = list(zip(losses["athanor's default"], losses["random, twice the epochs"], strict=True))
    won, lost = sum(a < b for a, b in pairs), sum(a > b for a, b in pairs)
    default = table.curve(spaces.default(table.app, table.space) or {})[-1]
    best = min(curve[-1] for curve in table.curves.values() if curve)
    cells = [protocol.spread(losses[searcher]).text(4) for searcher in SEARCHERS]
    comparison = f"{won}, {len(pairs) - won - lost}, {lost}"
    return [table.name, f"{default:.4f}", f"{best:.4f}", *cells, comparison]


def main() -> None:
    """Search, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    tables = [Lookup.read(path) for path in sorted(TABLES.glob("*.json"))]
    if not tables:
        raise SystemExit(
            f"Found no tables in {TABLES}; make them first: python "
            "benchmarks/recipes/tuning_table.py --app mnist --into benchmarks/results/tuning"
        )
    runs, rows = [], []
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        for table in tables:
            tasks = [
                (table, searcher, seed) for searcher in SEARCHERS for seed in range(options.seeds)
            ]
            done = list(pool.map(run_task, tasks))
            rows.append(table_row(table, done))
            runs += done
            print(*rows[-1], sep="  ", file=sys.stderr)
    programs = [Program(searcher, ("benchmarks/searches.py",)) for searcher in SEARCHERS]
    conditions = protocol.block(programs, options.seeds) | {"how": "looked up"}
    header = ["validation loss", "default flags", "best combination", *SEARCHERS]
    header.append("seeds better, equal, worse than random with twice the epochs")
    title = f"Searches with the epochs of {TRIALS} whole trials"
    protocol.write("searches", title, conditions, runs, Table(header, rows))


if __name__ == "__main__":
    main()
