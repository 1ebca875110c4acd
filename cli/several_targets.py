"""The verbs on the runs of several targets: each prints its result and returns it for --json."""

from typing import TYPE_CHECKING, Any

from apps.app import App
from cli.options import TrainFlags
from exporting.options import ExportOptions

if TYPE_CHECKING:
    from training.target_runs import TargetRuns


def train(by_target: dict[str, App], options: TrainFlags, *, verbose: int = 2) -> dict[str, Any]:
    """Train and score a run for each target, or one for each fold of each target."""
    from evaluation import several_targets

    summary = several_targets.train(by_target, options, options.folds, verbose=verbose)
    _print_scores(summary)
    print(f"runs  {summary['run']}")
    return summary


def evaluate(group: "TargetRuns", sensitive: str = "") -> dict[str, Any]:
    """Evaluate the run of each target and draw its figures."""
    from training import startup

    startup.start_tensorflow()
    from evaluation import several_targets

    evaluated = several_targets.evaluate(group, sensitive)
    _print_scores(evaluated)
    for target, scored in evaluated["targets"].items():
        for name in scored["pictures"]:
            print(f"figure  {group.runs[target].path / name}")
    return evaluated


def predict(group: "TargetRuns", inputs: list[str]) -> dict[str, Any]:
    """Predict all targets of inputs: a number, or a class and its probability."""
    from training import startup

    startup.start_tensorflow()
    from evaluation import console_tables, several_targets
    from inference.inputs import Notes

    notes = Notes()
    predictions = several_targets.predict(group, inputs, notes)
    console_tables.print_predictions([_flat(row) for row in predictions])
    return {"predictions": predictions, "notes": notes}


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    cells = {"input": row["input"]}
    for target, predicted in row.items():
        if "value" in predicted and target != "input":
            cells[target] = predicted["value"]
        elif target != "input":
            cells[target] = predicted["class"]
            cells[f"probability of {target}"] = predicted["probability"]
    return cells


def export(group: "TargetRuns", options: ExportOptions) -> dict[str, Any]:
    """Write a version for servers that answers all targets."""
    from training import startup

    startup.start_tensorflow()
    from exporting.several_targets import export as write_version

    return write_version(group, options)


def _print_scores(summary: dict[str, Any]) -> None:
    """Print the scores of each target; with folds their means."""
    from evaluation import console_tables

    for target, scored in summary["targets"].items():
        print(f"target {target}")
        if "spread" in scored:
            console_tables.print_folds(scored)
        elif scored:
            console_tables.print_scores(scored)
            console_tables.print_task_tables(scored)
