"""Measure steps and seconds of each optimizer to the loss of a tuned AdamW, on five apps.

    python benchmarks/race.py

Two hours on two cores. Each optimizer chooses from the same five multiples of its own default
learning rate, by one run each; then it runs with five seeds. Finished runs are stored in
--directory, and not repeated by another call. To count steps, programs run in parallel, each on
one core; to measure seconds, nothing else runs.
"""

import argparse
import dataclasses
import json
import math
import os
import queue
import statistics
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import protocol
from protocol import Program, Run, Table

RECIPE = "benchmarks/recipes/race.py"
APPS = ("regression", "mnist", "finetune", "text", "recommender")
PEER = "adamw"
NAMES = (
    "adabelief",
    "adan",
    "centralizedgradient",
    "lars",
    "lookahead",
    "nesterov",
    "novograd",
    "prodigy",
    "radam",
    "schedulefree",
    "soap",
    "yogi",
)
TUNING_FREE = "prodigy"
SEEDS = 5  # seeds of a program
ERRORS = ("regression", "recommender")  # apps whose score is a root mean squared error


def main() -> None:
    """Measure, print and store the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--directory", type=Path, default=Path("race"), help="Stores finished runs."
    )
    parser.add_argument("--repeats", type=int, default=2, help="Runs to measure seconds.")
    parser.add_argument("--optimizers", nargs="*", choices=NAMES, default=list(NAMES))
    options = parser.parse_args()
    directory = options.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    steps = run_race(options.optimizers, directory)
    scores = run_in_parallel(
        [
            Program(f"score {app} {name}", (RECIPE, "score", app, name))
            for app in APPS
            for name in (PEER, TUNING_FREE)
        ],
        directory,
    )
    clocks = [Program(f"pace {app}", (RECIPE, "pace", app)) for app in APPS]
    step_seconds = [
        run_or_load(clock, seed, directory) for seed in range(options.repeats) for clock in clocks
    ]
    parallel = {"how": "side by side, a core each", "tuned": "by seed 100, one run a rate"}
    protocol.write(
        "race",
        "Steps to the validation loss of a tuned AdamW",
        conditions(
            [Program("steps", (RECIPE, "steps", "APP", "NAME"))], SEEDS, directory, **parallel
        ),
        steps,
        steps_table(options.optimizers, steps),
    )
    protocol.write(
        "race_seconds",
        "Multiples of AdamW's steps / of its seconds to the same loss, medians",
        conditions(clocks, options.repeats, directory, clock="of a step, but not tracing"),
        step_seconds,
        multiples_table(options.optimizers, steps, step_seconds),
    )
    protocol.write(
        "race_scores",
        "Test scores of a tuned AdamW, and of Prodigy, whose learning rate nobody tunes",
        conditions(
            [Program("score", (RECIPE, "score", "APP", "NAME"))], SEEDS, directory, **parallel
        ),
        scores,
        scores_table(scores),
    )


def run_race(names: Sequence[str], directory: Path) -> list[Run]:
    """Run AdamW on every app, then the other optimizers up to its loss."""
    peers = run_in_parallel(
        [Program(f"steps {app} {PEER}", (RECIPE, "steps", app, PEER)) for app in APPS], directory
    )
    targets = {app: run.answer["target"] for app, run in zip(APPS, peers, strict=True)}
    others = [
        Program(
            f"steps {app} {name}",
            (RECIPE, "steps", app, name, "--target", str(targets[app])),
        )
        for app in APPS
        for name in names
    ]
    return peers + run_in_parallel(others, directory)


def run_in_parallel(programs: Sequence[Program], directory: Path) -> list[Run]:
    """Run programs in parallel, one on each core."""
    cores: queue.Queue[int] = queue.Queue()
    for core in sorted(os.sched_getaffinity(0)):
        cores.put(core)

    def run_on_core(program: Program) -> Run:
        core = cores.get()
        try:
            arguments = (*program.arguments, "--core", str(core))
            return run_or_load(dataclasses.replace(program, arguments=arguments), 0, directory)
        finally:
            cores.put(core)

    with ThreadPoolExecutor(cores.qsize()) as pool:
        return list(pool.map(run_on_core, programs))


def run_or_load(program: Program, seed: int, directory: Path) -> Run:
    """Run a program, unless an earlier call has stored its run."""
    path = directory / f"{program.name} {seed}.json"
    if not path.exists():
        commit, run = protocol.commit(), protocol.run(program, seed, directory)
        path.write_text(json.dumps({"commit": commit, "run": dataclasses.asdict(run)}))
    return Run(**json.loads(path.read_text())["run"])


def conditions(programs: Sequence[Program], repeats: int, directory: Path, **more: str) -> dict:
    """Return the conditions of all runs, also of earlier calls."""
    kinds = {program.name.split()[0] for program in programs}
    paths = [path for path in directory.glob("*.json") if path.name.split()[0] in kinds]
    commits = {json.loads(path.read_text())["commit"] for path in paths}
    command = "python benchmarks/race.py"
    return protocol.block(
        programs, repeats, commit=" and ".join(sorted(map(str, commits))), command=command, **more
    )


def median_steps(runs: Iterable[Run], app: str, name: str) -> float:
    """Return the median over all seeds; inf if most runs do not reach the target."""
    (run,) = (match for match in runs if match.program == f"steps {app} {name}")
    return statistics.median_high(math.inf if n is None else n for n in run.answer["steps"])


def steps_table(names: Sequence[str], runs: Sequence[Run]) -> Table:
    """Return a row an optimizer, a column an app."""
    answers = {run.program: run.answer for run in runs}
    rows = []
    for name in (PEER, *names):
        cells = []
        for app in APPS:
            steps = answers[f"steps {app} {name}"]["steps"]
            reached = [count for count in steps if count is not None]
            median = median_steps(runs, app, name)
            ends = f" ({min(reached):.0f} to {max(reached):.0f})" if reached else ""
            missing = "" if len(reached) == len(steps) else f", {len(reached)} of {len(steps)}"
            cells.append(("-" if math.isinf(median) else f"{median:.0f}") + ends + missing)
        rows.append([name, *cells])
    return Table(["optimizer", *APPS], rows)


def multiples_table(
    names: Sequence[str], steps: Sequence[Run], step_seconds: Sequence[Run]
) -> Table:
    """Return multiples of AdamW's steps and seconds, and their geometric means, best first."""
    results = []
    for name in names:
        pairs = []
        for app in APPS:
            step_ratio = median_steps(steps, app, name) / median_steps(steps, app, PEER)
            cost = statistics.median(
                run.answer[name] / run.answer[PEER]
                for run in step_seconds
                if run.program == f"pace {app}"
            )
            pairs.append((step_ratio, step_ratio * cost))
        steps_mean, seconds_mean = map(statistics.geometric_mean, zip(*pairs, strict=True))
        results.append((name, [*pairs, (steps_mean, seconds_mean)]))
    results.sort(key=lambda result: result[1][-1])
    rows = [
        [name, *("-" if math.isinf(a) else f"{a:.2f} / {b:.2f}" for a, b in pairs)]
        for name, pairs in results
    ]
    return Table(["steps / seconds", *APPS, "all five"], rows)


def scores_table(runs: Sequence[Run]) -> Table:
    """Return a row an app."""
    answers = {run.program: run.answer for run in runs}
    rows = []
    for app in APPS:
        answers_of_app = [answers[f"score {app} {name}"] for name in (PEER, TUNING_FREE)]
        means = [statistics.mean(answer["scores"]) for answer in answers_of_app]
        kind, sign = ("error", -1) if app in ERRORS else ("accuracy", 1)
        cells = [protocol.spread(answer["scores"]).text(4) for answer in answers_of_app]
        better = 100 * sign * (means[1] / means[0] - 1)
        rows.append(
            [f"{app}, {kind}", *cells, f"{answers_of_app[0]['rate']:g}", f"{better:+.1f} %"]
        )
    return Table(
        ["app", "AdamW, tuned", "Prodigy", "AdamW's rate", "Prodigy's mean better by"], rows
    )


if __name__ == "__main__":
    main()
