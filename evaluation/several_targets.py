"""Train, evaluate and predict with a run for each of several targets."""

import dataclasses
import functools
from typing import Any

from apps.app import App
from evaluation import report
from evaluation.cross_validation import cross_validate
from evaluation.experiment import train_and_score
from inference.inputs import Note
from inference.predict import predict as predict_inputs
from pipelines import standard_input
from training.directory import is_default_directory, update_latest_link
from training.options import TrainOptions
from training.run import write_json
from training.target_runs import SUMMARY_FILE, TargetRuns, create_directory, folder_of


def train(
    apps: dict[str, App], options: TrainOptions, num_folds: int | None = None, *, verbose: int = 2
) -> dict[str, Any]:
    """Train and score the app of each target, in run directories target-a, target-b, ...

    After an interruption the same call resumes: trained targets stay as they are. The returned
    summary, also in targets.json, has the scores of each target; with folds their means.
    Raises what training a target raises; before the first one nothing is written.
    """
    first = next(iter(apps.values()))
    for app in apps.values():  # refused before anything is written
        app.load_splits(options.data_dir)
    directory = create_directory(first, options.run_dir, iter(apps))
    results = {}
    for target, app in apps.items():
        print(f"target {target}", flush=True)
        own = dataclasses.replace(options, run_dir=directory / folder_of(target))
        if num_folds is not None:
            results[target] = cross_validate(app, num_folds, own, verbose=verbose)
        else:
            results[target] = train_and_score(app, own, verbose=verbose).scores or {}
    summary = {"run": str(directory), "folds": num_folds, "targets": results}
    write_json(directory / SUMMARY_FILE, summary)
    if is_default_directory(directory, first):
        update_latest_link(directory)
    return summary


def evaluate(group: TargetRuns, sensitive: str = "") -> dict[str, Any]:
    """Evaluate the run of each target, and draw its figures."""
    results = {target: report.evaluate(run, sensitive) for target, run in group.runs.items()}
    return {"run": str(group.path), "targets": results}


def predict(group: TargetRuns, inputs: list[str], note: Note) -> list[dict[str, Any]]:
    """Predict all targets of each input: its name under `input`, then a dict for each target.

    A note on the inputs is given once.
    """
    once = functools.cache(note)
    inputs = [_stored(one) for one in inputs]
    rows_of_targets = [predict_inputs(run, inputs, once) for run in group.runs.values()]
    return [
        {"input": rows[0]["input"]} | dict(zip(group.runs, map(_without_input, rows), strict=True))
        for rows in zip(*rows_of_targets, strict=True)
    ]


def _stored(word: str) -> str:
    """Return the address of standard input in a file, which every target can read."""
    is_stored = standard_input.is_standard_input(word)
    return standard_input.store_as_address(word) if is_stored else word


def _without_input(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "input"}
