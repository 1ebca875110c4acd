"""The results of a search: on the terminal, as trials.csv, and for TensorBoard."""

import csv
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf
from keras_tuner.src.engine.trial import Trial
from tensorboard.plugins.hparams import api as hparams

from evaluation import console_tables
from pipelines.files import atomic_write, plain_path
from tuning.oracles import SCORE, JournaledOracle, OnChange

MAX_SHOWN_TRIALS = 10


def status(oracle: JournaledOracle, trial: Trial) -> str:
    """Return the status of a trial: running, completed, pruned or failed."""
    name = trial.status.lower()
    return "pruned" if trial.trial_id in oracle.pruned and name == "completed" else name


def row(oracle: JournaledOracle, trial: Trial) -> dict[str, Any]:
    """Return a trial as a row of the table."""
    reports, times = oracle.reports[trial.trial_id], oracle.seconds[trial.trial_id]
    return {
        "trial": trial.trial_id,
        "status": status(oracle, trial),
        **(reports[-1].scores if reports else {SCORE: ""}),
        **{name: trial.hyperparameters.values.get(name) for name in _parameter_names(oracle)},
        # With several objectives the last report holds the costs of the artifact.
        "epochs": sum(report.scores.keys() == {SCORE} for report in reports),
        "seconds": round(times[-1] - times[0], 1),
        "reason": trial.message or "",
    }


def _parameter_names(oracle: JournaledOracle) -> list[str]:
    return [parameter.name for parameter in oracle.get_space().space]


def table(oracle: JournaledOracle) -> list[dict[str, Any]]:
    """Return a row for each trial: the completed ones, best first, then the others."""
    finished = oracle.finished()
    others = [trial for _, trial in sorted(oracle.trials.items()) if trial not in finished]
    return [row(oracle, trial) for trial in [*finished, *others]]


def write_table(oracle: JournaledOracle, path: Path) -> None:
    """Write the trials to a CSV file, in the order in which they began."""
    rows = [row(oracle, trial) for _, trial in sorted(oracle.trials.items())]
    names = list(dict.fromkeys(name for entry in rows for name in entry))
    with atomic_write(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)


def write_hparams(oracle: JournaledOracle, directory: Path) -> None:
    """Write values and scores of every trial for TensorBoard's page of hyperparameters."""
    shutil.rmtree(
        directory, ignore_errors=True
    )  # an earlier start of the search may have left files
    for trial in oracle.finished():
        with (
            plain_path(directory.parent) as plain,
            tf.summary.create_file_writer(
                str(plain / directory.name / trial.trial_id)
            ).as_default(),
        ):
            values = {k: v for k, v in trial.hyperparameters.values.items() if "/" not in k}
            hparams.hparams(values, trial_id=trial.trial_id)
            for report in oracle.reports[trial.trial_id]:
                for name, value in report.scores.items():
                    tf.summary.scalar(name, value, step=report.step)


@contextmanager
def show_progress() -> Iterator[Callable[[JournaledOracle], OnChange]]:
    """Show a running search: a table on a terminal, a line for each trial in a pipe.

    Yields what `search` takes as `watch`.
    """
    if not sys.stdout.isatty():
        yield lambda oracle: lambda ended: _print_line(oracle) if ended else None
        return
    from rich.live import Live

    with Live(refresh_per_second=4) as display:
        yield lambda oracle: lambda _: display.update(_live_table(oracle))


def _print_line(oracle: JournaledOracle) -> None:
    """Print the trial that ended last."""
    trial = oracle.trials[oracle.end_order[-1]]
    cells = row(oracle, trial)
    score = f"{SCORE} {cells[SCORE]:.5g}" if trial.score is not None else cells["reason"]
    finished = oracle.finished()
    best = f", best {finished[0].score:.5g}" if finished else ""
    names = _parameter_names(oracle)
    values = " ".join(f"{name}={console_tables.text(cells[name])}" for name in names)
    print(f"trial {trial.trial_id} {cells['status']}: {score}{best}; {values}", flush=True)


def _live_table(oracle: JournaledOracle) -> Any:
    from rich import box
    from rich.table import Table

    running = list(oracle.ongoing_trials.values())
    rows = [row(oracle, trial) for trial in [*running, *oracle.finished()[:MAX_SHOWN_TRIALS]]]
    failed = sum(trial.status == "FAILED" for trial in oracle.trials.values())
    title = f"{len(oracle.trials)} of {oracle.limits.trials} trials, {failed} failed"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    names = [name for name in (rows[0] if rows else {}) if name != "reason"]
    for name in names:
        table.add_column(name)
    for entry in rows:
        table.add_row(*(console_tables.text(entry.get(name, "")) for name in names))
    return table


def summarize(outcome: Any) -> dict[str, Any]:
    """Print the results of a search, draw its figures, and return it all for --json."""
    from tuning import figures

    oracle, objective = outcome.oracle, outcome.objective
    write_hparams(oracle, outcome.directory / "logs")
    file_names = figures.draw(oracle, outcome.directory, objective)
    print_table(oracle)
    if outcome.choice:
        rows = [_pick(outcome, name) for name in ("best", "balanced", "smallest")]
        console_tables.print_table(
            list(rows[0]),
            [entry.values() for entry in rows],
            "Trials that no other beats in every objective",
        )
    print(_verdict(oracle, objective))
    for name in file_names:
        print(f"figure  {outcome.directory / name}")
    return {
        "search": str(outcome.directory),
        "objective": objective,
        "trials": table(oracle),
        "front": outcome.choice.front if outcome.choice else [],
        "picks": rows if outcome.choice else [],
    }


def _pick(outcome: Any, name: str) -> dict[str, Any]:
    trial = getattr(outcome.choice, name)
    return {"pick": name, "trial": trial, **outcome.oracle.reports[trial][-1].scores}


def _verdict(oracle: JournaledOracle, objective: str) -> str:
    """Compare the best trial with the first one on the validation examples, in a sentence."""
    best, first = oracle.finished()[0], oracle.default_trial
    if first is None:
        return f"best {objective} {best.score:.5g}, trial {best.trial_id}"
    if best.trial_id == first.trial_id:
        return f"No trial was better than the flags as given: {objective} {first.score:.5g}."
    return (
        f"{objective} {best.score:.5g} by trial {best.trial_id}; {first.score:.5g} with the flags "
        f"as given. The best of {len(oracle.finished())} on the validation examples is optimistic: "
        "the scores on the test examples below are not."
    )


def print_table(oracle: JournaledOracle) -> None:
    """Print the best trials, and each failed one with its reason."""
    rows = table(oracle)
    best = [entry for entry in rows if entry["status"] != "failed"][:MAX_SHOWN_TRIALS]
    if best:
        names = [name for name in best[0] if name != "reason"]
        cells = [[entry.get(name, "") for name in names] for entry in best]
        console_tables.print_table(names, cells)
    for entry in rows:
        if entry["status"] == "failed":
            print(f"trial {entry['trial']} failed: {entry['reason']}")
