"""What the command line does for a verb: ask the rooms, show the answer, return it for --json.

The verbs that make runs are in cli/training.py.
"""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apps
from cli.options import Common, HowToCheck, HowToExport, HowToServe

STARTED = time.perf_counter()
# What `predict` is given, by kind of question.
INPUTS = {"image": "FILE", "row": "FILE.csv", "text": "TEXT", "ids": "USER"}


def evaluate(app: type[apps.App], path: Path, common: Common) -> dict[str, Any]:
    """Judge a run and draw its pictures."""
    run = load(app, path, common)
    from evaluation import console_tables, report

    scored = report.evaluate(run)
    console_tables.scores(scored)
    console_tables.details(scored)
    for name in scored["pictures"]:
        print(f"picture  {short(run.path / name)}")
    for note in scored["picture_notes"]:
        print(f"note     {note}")
    return judged(run, scored)


def judged(run: Any, scored: dict[str, Any]) -> dict[str, Any]:
    """What a program is told of a run and its scores."""
    total = round(time.perf_counter() - STARTED, 3)
    return {
        "run": str(run.path),
        "test": scored["test"],
        "baselines": scored["baselines"],
        "remarks": scored["remarks"],
        "test_set": scored["test_set"],
        "seconds": {**run.manifest["seconds"], "total": total},
        "examples_per_second": run.manifest["examples_per_second"],
    }


def predict(
    app: type[apps.App], path: Path, inputs: list[str], common: Common, *, strict: bool = False
) -> dict[str, Any]:
    """Ask a run."""
    if strict and app.modality != "ids":
        raise apps.FieldError(
            f"Received --strict for {app.name()}, whose inputs are no ids; expected a recommender. "
            "Leave it out."
        )
    if not inputs:
        raise apps.FieldError(
            f"Received no inputs; expected some: athanor {app.name()} predict {path} "
            f"{INPUTS[app.modality]}..."
        )
    run = found(app, path, common)
    from inference import saved_graph
    from training import startup

    # Keras would take longer to import than the graph takes to answer.
    (startup.without_keras if saved_graph.is_current(run) else startup.tensorflow)()
    from evaluation import console_tables
    from inference import inputs as reading
    from inference.predict import predict as asked

    with reading.notes() as notes:
        predictions = asked(run, inputs)
    console_tables.predictions([row for row in predictions if "error" not in row])
    saved_graph.keep(run)
    return {"predictions": predictions, "notes": notes}


def require_known(found: dict[str, Any]) -> None:
    """Raise UnknownIdError where `predict` met a user or an item that training has not seen."""
    from inference.modalities.id_predictions import require_known as required

    required(found["predictions"])


def require_all_read(answers: dict[str, Any]) -> None:
    """Raise PartlyReadError where some inputs had no answer."""
    wrong = [row["error"] for row in answers["predictions"] if "error" in row]
    if wrong:
        from inference.inputs import PartlyReadError

        more = f" ({len(wrong)} of {len(answers['predictions'])} inputs)" if wrong[1:] else ""
        raise PartlyReadError(" ".join(wrong) + more)


def export(app: type[apps.App], path: Path, how: HowToExport, common: Common) -> dict[str, Any]:
    """Publish a run as a version to serve, or say why not."""
    from exporting import formats

    asked = formats.asked(how.format, how.quantize)
    if how.refresh_items and app.default_task != "ranking":
        raise apps.FieldError(
            f"Received --refresh-items {how.refresh_items} for {app.name()}, which recommends no "
            "items; expected a recommender. Leave it out."
        )
    run = load(app, path, common)
    from evaluation import console_tables
    from exporting.export import export as published

    exported = published(
        run,
        formats=asked,
        quantize=how.quantize,
        items=how.refresh_items,
        with_examples=how.with_examples,
    )
    print(f"export  {short(Path(exported['export']))}")
    console_tables.proofs(exported)
    for note in exported["notes"]:
        print(f"note    {note}")
    request = exported["request"]
    print(f"ask     {exported['curl'].replace(request, short(Path(request)))}")
    return exported


def serve(runs: list[str], how: HowToServe) -> None:
    """Serve exports until the process is told to end."""
    from serving.startup import serve as serve_models

    serve_models(runs, **dataclasses.asdict(how))


def load(app: type[apps.App], path: Path, common: Common) -> Any:
    """The run in a directory, with TensorFlow started; raises as `found`."""
    run = found(app, path, common)
    from training import startup

    startup.tensorflow()
    return run


def found(app: type[apps.App], path: Path, common: Common) -> Any:
    """The run in a directory; raises FieldError where it is another app's, or OriginError."""
    from training import provenance
    from training.run import Run

    run = Run.load(path, common.data_dir)
    require_app(app, path, run.manifest["app"])
    provenance.require(run.path, provenance.RUN, trust=common.trust)
    return run


def app_of(path: Path) -> type[apps.App]:
    """The app of the run in a directory; raises RunError where there is none."""
    from training.run import Run

    return apps.get(Run.load(path).manifest["app"])


def require_app(app: type[apps.App], path: Path, name: str) -> None:
    """Raise FieldError where a run is that of another app, called `name`."""
    if name != app.name():
        raise apps.FieldError(
            f"Received {str(path)!r}, a run of {name}; expected one of {app.name()}. Ask athanor "
            f"{name} instead."
        )


def check_optimizer(address: str) -> dict[str, Any]:
    """Every check of an optimizer, a line each as it ends."""
    from conformance import table

    sys.path.append(str(Path.cwd()))
    outcomes = []
    for outcome in table.run(address):
        outcomes.append(outcome)
        print(
            f"{outcome.result:8} {outcome.check:28} {outcome.reason or outcome.promise}", flush=True
        )
    counts = {
        result: sum(outcome.result == result for outcome in outcomes)
        for result in ("kept", "broken", "skipped")
    }
    print(", ".join(f"{count} {result}" for result, count in counts.items()), flush=True)
    return counts | {"checks": [outcome._asdict() for outcome in outcomes]}


def check_data(
    app: apps.App, how: HowToCheck, common: Common, emit: Callable[[dict[str, Any]], None]
) -> None:
    """Examine data; the findings here, in the page and on the list."""
    from data_checks import destinations

    destinations.require_free(how.report, how.write_quarantine)
    app.require_data()
    from training import startup

    startup.tensorflow()
    from data_checks import outputs

    outputs.check(app, common.data_dir, how.report, how.write_quarantine, how.fail_on, emit)


def short(path: Path) -> str:
    """A path as people read it from here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
