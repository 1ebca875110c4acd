"""The verbs on runs and data: each prints its result and returns it for --json.

The verbs that make runs are in cli/training.py.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import apps
from apps.app import ModalityName
from apps.options import CommonOptions
from cli import several_targets
from data_checks.options import CheckDataOptions
from evaluation.options import EvaluateOptions, GateOptions
from exporting.options import ExportOptions
from inference.options import PredictOptions

REPORT_PAGE = "report.html"
STARTED = time.perf_counter()


class Inputs(NamedTuple):
    """The inputs of `predict`: a word for the usage, and a help text."""

    word: str
    help: str


INPUTS: dict[ModalityName, Inputs] = {
    "image": Inputs("FILE", "Image files."),
    "row": Inputs("FILE.csv", "CSV files of rows."),
    "text": Inputs("TEXT", "Texts, or .txt, .csv and .tsv files of them."),
    "ids": Inputs(
        "USER", "A user to recommend to; USER,ITEM for a rating; or CSV files of such pairs."
    ),
}


def evaluate(app: type[apps.App], path: Path, options: EvaluateOptions) -> dict[str, Any]:
    """Evaluate a run and draw its figures."""
    if group := target_runs(app, path, options):
        return several_targets.evaluate(group, options.sensitive)
    run = load(app, path, options)
    from evaluation import console_tables, report

    scored = report.evaluate(run, options.sensitive)
    console_tables.print_scores(scored)
    console_tables.print_comparisons(scored)
    console_tables.print_task_tables(scored)
    console_tables.print_gaps(scored["fairness"])
    for name in scored["pictures"]:
        print(f"figure  {short(run.path / name)}")
    for note in scored["picture_notes"]:
        print(f"note     {note}")
    print(f"report  {short(run.path / REPORT_PAGE)}")
    return score_summary(run, scored)


def score_summary(run: Any, scored: dict[str, Any]) -> dict[str, Any]:
    """Return a run and its scores as --json prints them."""
    total = round(time.perf_counter() - STARTED, 3)
    return {
        "run": str(run.path),
        "test": scored["test"],
        "baselines": scored["baselines"],
        "remarks": scored["remarks"],
        "comparisons": scored["comparisons"],
        "discrimination": scored["discrimination"],
        "verdict": scored["verdict"],
        "findings": scored["findings"],
        **({"fairness": scored["fairness"]} if scored.get("fairness") else {}),
        "test_set": scored["test_set"],
        "seconds": {
            **run.manifest["seconds"],
            "baselines": scored["baseline_seconds"],
            "total": total,
        },
        "examples_per_second": run.manifest["examples_per_second"],
    }


def gate(
    app: type[apps.App],
    path: Path,
    options: GateOptions,
    emit: Callable[[dict[str, Any]], None],
) -> None:
    """Check the conditions of a run, or those of the run of each target; print a table."""
    from evaluation import console_tables
    from evaluation import gate as conditions

    group = target_runs(app, path, options)
    runs = list(group.runs.values()) if group else [checked_run(app, path, options)]
    checks = [(run, conditions.check(run, options.require)) for run in runs]
    rows = [one for _, found in checks for one in found]
    cells = [[one.condition, one.value, "yes" if one.passes else "no"] for one in rows]
    console_tables.print_table(["condition", "value", "holds"], cells)
    emit({"run": str(path), "checks": [one._asdict() for one in rows]})
    for run, found in checks:
        conditions.require_all(run, found)


def predict(
    app: type[apps.App], path: Path, inputs: list[str], options: PredictOptions
) -> dict[str, Any]:
    """Predict for inputs with a run's model."""
    options.check_for(app)
    if not inputs and not options.liked:
        raise apps.FieldError(
            f"Received no inputs; expected some: athanor {app.name()} predict {path} "
            f"{INPUTS[app.modality].word}..."
        )
    if group := target_runs(app, path, options):
        return several_targets.predict(group, inputs)
    run = checked_run(app, path, options)
    from inference import saved_graph
    from training import startup

    # Importing all of TensorFlow, and Keras, would take longer than predicting with the graph.
    start = startup.start_sessions
    (start if saved_graph.is_current(run) else startup.start_tensorflow)()
    from evaluation import console_tables
    from inference.inputs import Notes
    from inference.predict import predict as predict_inputs

    notes = Notes()
    predictions = predict_inputs(run, inputs, notes, options)
    console_tables.print_predictions([row for row in predictions if "error" not in row])
    saved_graph.save(run)
    return {"predictions": predictions, "notes": notes}


def require_known(result: dict[str, Any]) -> None:
    """Raise UnknownIdError if a prediction is for a user or an item unknown to training."""
    from inference.modalities.id_predictions import require_known as required

    required(result["predictions"])


def require_all_read(result: dict[str, Any]) -> None:
    """Raise PartlyReadError if some inputs have no prediction."""
    errors = [row["error"] for row in result["predictions"] if "error" in row]
    if errors:
        from inference.inputs import PartlyReadError

        more = f" ({len(errors)} of {len(result['predictions'])} inputs)" if errors[1:] else ""
        raise PartlyReadError(" ".join(errors) + more)


def export(app: type[apps.App], path: Path, options: ExportOptions) -> dict[str, Any]:
    """Write a version of a run for servers."""
    from exporting import formats

    formats.parse_formats(options.format, options.quantize)
    options.check_for(app)
    if group := target_runs(app, path, options):
        return print_export(several_targets.export(group, options))
    run = load(app, path, options)
    from exporting.export import export as write_version

    return print_export(write_version(run, options))


def print_export(exported: dict[str, Any]) -> dict[str, Any]:
    """Print where an export is, its parity and a request; return it."""
    from evaluation import console_tables

    print(f"export  {short(Path(exported['export']))}")
    console_tables.print_parity(exported)
    for note in exported["notes"]:
        print(f"note    {note}")
    request = exported["request"]
    print(f"request {exported['curl'].replace(request, short(Path(request)))}")
    return exported


def target_runs(app: type[apps.App], path: Path, options: CommonOptions) -> Any:
    """Return the runs of several targets in a directory; None if it is not one of them.

    Raises the errors of `checked_run`.
    """
    from training.target_runs import TargetRuns

    group = TargetRuns.find(path, options.data_dir)
    for run in group.runs.values() if group else ():
        checked_run(app, run.path, options)
    return group


def load(app: type[apps.App], path: Path, options: CommonOptions) -> Any:
    """Return the run in a directory, and start TensorFlow; raises the errors of `checked_run`."""
    run = checked_run(app, path, options)
    from training import startup

    startup.start_tensorflow()
    return run


def checked_run(app: type[apps.App], path: Path, options: CommonOptions) -> Any:
    """Return the run in a directory. Raises FieldError for another app, or ProvenanceError."""
    from training import provenance
    from training.run import Run

    run = Run.load(path, options.data_dir)
    require_app(app, path, run.manifest["app"])
    provenance.require_signature(run.path, provenance.RUN_FILES, trust=options.trust)
    return run


def app_of(path: Path) -> type[apps.App]:
    """Return the app of the run in a directory; raises RunError if there is no run."""
    from training import seed_runs
    from training.run import Run
    from training.target_runs import TargetRuns

    if seeds := seed_runs.find(path):
        return apps.get(seeds["app"])
    group = TargetRuns.find(path)
    return apps.get(group.app if group else Run.load(path).manifest["app"])


def require_app(app: type[apps.App], path: Path, name: str) -> None:
    """Raise FieldError if a run is that of another app, called `name`."""
    if name != app.name():
        raise apps.FieldError(
            f"Received {str(path)!r}, a run of {name}; expected one of {app.name()}. Use athanor "
            f"{name} instead."
        )


def check_optimizer(address: str) -> dict[str, Any]:
    """Run every check of an optimizer, and print a line as each ends."""
    from conformance import suite

    sys.path.append(str(Path.cwd()))
    outcomes = []
    for outcome in suite.run(address):
        outcomes.append(outcome)
        print(
            f"{outcome.result:8} {outcome.check:32} {outcome.reason or outcome.description}",
            flush=True,
        )
    counts = suite.count_results(outcomes)
    print(", ".join(f"{count} {result}" for result, count in counts.items()), flush=True)
    totals = {suite.JSON_RESULTS[result]: count for result, count in counts.items()}
    return totals | {"checks": [outcome.to_json() for outcome in outcomes]}


def check_data(
    app: apps.App, options: CheckDataOptions, emit: Callable[[dict[str, Any]], None]
) -> None:
    """Check data; print the findings, write them to the page and to the list."""
    from data_checks import destinations

    options.check_for(type(app))
    destinations.require_free(options)
    app.require_data()
    from training import startup

    startup.start_tensorflow()
    from data_checks import outputs

    outputs.check(app, options, emit)


def short(path: Path) -> str:
    """Return a path, relative to the current directory if it lies in it."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
