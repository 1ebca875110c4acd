"""Steps and seconds of each optimizer to the loss of a tuned AdamW, on five apps.

    python benchmarks/race.py

Two hours on two cores. Each optimizer has the same five multiples of its own default learning
rate to choose from, by one run each; then five seeds race. What is done is kept in
--directory, and not done again when the command is repeated. Counting steps, programs run
side by side, each on one core; the clock runs with nothing beside it.
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
SEEDS = 5  # of a program
ERRORS = ("regression", "recommender")  # whose score is a root of a mean squared error


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, default=Path("race"), help="Of what is done.")
    parser.add_argument("--repeats", type=int, default=2, help="Runs of the clock.")
    parser.add_argument("--optimizers", nargs="*", choices=NAMES, default=list(NAMES))
    given = parser.parse_args()
    directory = given.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    steps = race(given.optimizers, directory)
    scores = side_by_side(
        [
            Program(f"score {app} {name}", (RECIPE, "score", app, name))
            for app in APPS
            for name in (PEER, TUNING_FREE)
        ],
        directory,
    )
    clocks = [Program(f"pace {app}", (RECIPE, "pace", app)) for app in APPS]
    paces = [kept(one, seed, directory) for seed in range(given.repeats) for one in clocks]
    together = {"how": "side by side, a core each", "tuned": "by seed 100, one run a rate"}
    protocol.write(
        "race",
        "Steps to the validation loss that a tuned AdamW leaves",
        conditions(
            [Program("steps", (RECIPE, "steps", "APP", "NAME"))], SEEDS, directory, **together
        ),
        steps,
        steps_table(given.optimizers, steps),
    )
    protocol.write(
        "race_seconds",
        "Multiples of AdamW's steps / of its seconds to the same loss, medians",
        conditions(clocks, given.repeats, directory, clock="of a step, but not tracing"),
        paces,
        multiples_table(given.optimizers, steps, paces),
    )
    protocol.write(
        "race_scores",
        "Test scores of a tuned AdamW, and of Prodigy, whose learning rate nobody tunes",
        conditions(
            [Program("score", (RECIPE, "score", "APP", "NAME"))], SEEDS, directory, **together
        ),
        scores,
        scores_table(scores),
    )


def race(names: Sequence[str], directory: Path) -> list[Run]:
    """AdamW on every app, then the others, to its loss."""
    peers = side_by_side(
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
    return peers + side_by_side(others, directory)


def side_by_side(programs: Sequence[Program], directory: Path) -> list[Run]:
    """As many at once as there are cores, each on one."""
    cores: queue.Queue[int] = queue.Queue()
    for core in sorted(os.sched_getaffinity(0)):
        cores.put(core)

    def one(program: Program) -> Run:
        core = cores.get()
        try:
            arguments = (*program.arguments, "--core", str(core))
            return kept(dataclasses.replace(program, arguments=arguments), 0, directory)
        finally:
            cores.put(core)

    with ThreadPoolExecutor(cores.qsize()) as pool:
        return list(pool.map(one, programs))


def kept(program: Program, seed: int, directory: Path) -> Run:
    """A run; that of an earlier call where there is one."""
    path = directory / f"{program.name} {seed}.json"
    if not path.exists():
        commit, run = protocol.commit(), protocol.run(program, seed, directory)
        path.write_text(json.dumps({"commit": commit, "run": dataclasses.asdict(run)}))
    return Run(**json.loads(path.read_text())["run"])


def conditions(programs: Sequence[Program], repeats: int, directory: Path, **more: str) -> dict:
    """Of what was done, also by earlier calls."""
    kinds = {program.name.split()[0] for program in programs}
    paths = [path for path in directory.glob("*.json") if path.name.split()[0] in kinds]
    commits = {json.loads(path.read_text())["commit"] for path in paths}
    command = "python benchmarks/race.py"
    return protocol.block(
        programs, repeats, commit=" and ".join(sorted(map(str, commits))), command=command, **more
    )


def median_steps(runs: Iterable[Run], app: str, name: str) -> float:
    """Of all seeds; inf where most do not come to the target."""
    (run,) = (one for one in runs if one.program == f"steps {app} {name}")
    return statistics.median_high(math.inf if n is None else n for n in run.answer["steps"])


def steps_table(names: Sequence[str], runs: Sequence[Run]) -> Table:
    """A row an optimizer, a column an app."""
    answers = {run.program: run.answer for run in runs}
    rows = []
    for name in (PEER, *names):
        cells = []
        for app in APPS:
            steps = answers[f"steps {app} {name}"]["steps"]
            found = [one for one in steps if one is not None]
            median = median_steps(runs, app, name)
            ends = f" ({min(found):.0f} to {max(found):.0f})" if found else ""
            missing = "" if len(found) == len(steps) else f", {len(found)} of {len(steps)}"
            cells.append(("-" if math.isinf(median) else f"{median:.0f}") + ends + missing)
        rows.append([name, *cells])
    return Table(["optimizer", *APPS], rows)


def multiples_table(names: Sequence[str], steps: Sequence[Run], paces: Sequence[Run]) -> Table:
    """Of AdamW's steps and seconds on each app, and the geometric means, best first."""
    found = []
    for name in names:
        pairs = []
        for app in APPS:
            share = median_steps(steps, app, name) / median_steps(steps, app, PEER)
            cost = statistics.median(
                run.answer[name] / run.answer[PEER] for run in paces if run.program == f"pace {app}"
            )
            pairs.append((share, share * cost))
        found.append(
            (name, *pairs, tuple(map(statistics.geometric_mean, zip(*pairs, strict=True))))
        )
    found.sort(key=lambda row: row[-1])
    rows = [
        [name, *("-" if math.isinf(a) else f"{a:.2f} / {b:.2f}" for a, b in pairs)]
        for name, *pairs in found
    ]
    return Table(["steps / seconds", *APPS, "all five"], rows)


def scores_table(runs: Sequence[Run]) -> Table:
    """A row an app."""
    answers = {run.program: run.answer for run in runs}
    rows = []
    for app in APPS:
        both = [answers[f"score {app} {name}"] for name in (PEER, TUNING_FREE)]
        means = [statistics.mean(one["scores"]) for one in both]
        kind, sign = ("error", -1) if app in ERRORS else ("accuracy", 1)
        cells = [protocol.spread(one["scores"]).text(4) for one in both]
        better = 100 * sign * (means[1] / means[0] - 1)
        rows.append([f"{app}, {kind}", *cells, f"{both[0]['rate']:g}", f"{better:+.1f} %"])
    return Table(
        ["app", "AdamW, tuned", "Prodigy", "AdamW's rate", "Prodigy's mean better by"], rows
    )


if __name__ == "__main__":
    main()
