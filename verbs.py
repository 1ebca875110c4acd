"""What the command line does for a verb: ask the rooms, show the answer, return it for --json."""

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apps
from console import (
    EXPORT,
    HOW,
    Common,
    HowToCheck,
    HowToExport,
    HowToServe,
    HowToShare,
    HowToTrain,
    HowToTune,
    require_workers,
)

STARTED = time.perf_counter()
# What `predict` is given, by kind of question.
INPUTS = {"image": "FILE", "row": "FILE.csv", "text": "TEXT", "ids": "USER"}


def train(app: apps.App, how: HowToTrain, common: Common) -> dict[str, Any]:
    """Train and judge: once, or once a fold."""
    from training import cluster, start

    if cluster.wanted(how.strategy):
        require_workers(how)
    start.tensorflow(how.devices, how.strategy)
    from evaluation import folds, report, show
    from training.run import ELSEWHERE
    from training.train import train as trained

    on_terminal = sys.stdout.isatty() and not common.json
    options: dict[str, Any] = {
        "data_dir": common.data_dir,
        "precision": how.precision,
        "strategy": how.strategy,
        "devices": how.devices,
        "quarantine": how.quarantine,
        "profile": how.profile,
        "verbose": 1 if on_terminal else 2,
    }
    if how.folds is not None:
        summary = folds.cross_validate(app, how.folds, how.run_dir, **options)
        show.folds(summary)
        return summary
    run = trained(app, run_dir=how.run_dir, **options)
    if run.path == ELSEWHERE:
        return {}
    scored = report.score(run)
    show.scores(scored)
    print(f"run  {_short(run.path)}")
    return _judged(run, scored)


def tune(app: apps.App, how: HowToTune, common: Common) -> dict[str, Any]:
    """Search, and judge the best trial's model."""
    _require_tuner()
    from training import start

    start.tensorflow(how.devices)
    from evaluation import report as judged
    from evaluation import show
    from tuning import report
    from tuning.search import Asked, search

    with report.live() as watch:
        asked = {one.name: getattr(how, one.name) for one in dataclasses.fields(Asked)}
        command = [sys.executable, *sys.argv]
        found = search(app, Asked(**asked), data_dir=common.data_dir, command=command, watch=watch)
    if found is None:
        return {}
    summary = report.conclude(found)
    scored = judged.score(found.best)
    show.scores(scored)
    print(f"best  {_short(found.best.path)}, an ordinary run: athanor {app.name()} export it")
    return summary | _judged(found.best, scored)


def _require_tuner() -> None:
    import importlib.util

    missing = [name for name in ("keras_tuner", "optuna") if not importlib.util.find_spec(name)]
    if missing:
        raise apps.FieldError(
            f"Received tune without {' and '.join(missing)}; expected the extra `tune`: "
            "pip install 'athanor[tune]'."
        )


def evaluate(app: type[apps.App], path: Path, common: Common) -> dict[str, Any]:
    """Judge a run and draw its pictures."""
    run = load(app, path, common)
    from evaluation import report, show

    scored = report.evaluate(run)
    show.scores(scored)
    show.details(scored)
    for name in scored["pictures"]:
        print(f"picture  {_short(run.path / name)}")
    return _judged(run, scored)


def _judged(run: Any, scored: dict[str, Any]) -> dict[str, Any]:
    total = round(time.perf_counter() - STARTED, 3)
    return {
        "run": str(run.path),
        "test": scored["test"],
        "baselines": scored["baselines"],
        "remarks": scored["remarks"],
        "seconds": {**run.passport["seconds"], "total": total},
        "examples_per_second": run.passport["examples_per_second"],
    }


def predict(app: type[apps.App], path: Path, inputs: list[str], common: Common) -> dict[str, Any]:
    """Ask a run."""
    if not inputs:
        raise apps.FieldError(
            f"Received no inputs; expected some: athanor {app.name()} predict {path} "
            f"{INPUTS[app.question]}..."
        )
    run = load(app, path, common)
    from evaluation import show
    from serving.predict import predict as asked

    predictions = asked(run, inputs)
    show.predictions(predictions)
    return {"predictions": predictions}


def export(app: type[apps.App], path: Path, how: HowToExport, common: Common) -> dict[str, Any]:
    """Publish a run as a version to serve, or say why not."""
    from serving import formats

    asked = formats.asked(how.format, how.quantize)
    if how.refresh_items and app.answer != "ranking":
        raise apps.FieldError(
            f"Received --refresh-items {how.refresh_items} for {app.name()}, which recommends no "
            "items; expected a recommender. Leave it out."
        )
    run = load(app, path, common)
    from evaluation import show
    from serving.export import export as published

    exported = published(run, formats=asked, quantize=how.quantize, items=how.refresh_items)
    print(f"export  {_short(Path(exported['export']))}")
    show.proofs(exported)
    for note in exported["notes"]:
        print(f"note    {note}")
    request = exported["request"]
    print(f"ask     {exported['curl'].replace(request, _short(Path(request)))}")
    return exported


def serve(runs: list[str], how: HowToServe) -> None:
    """Serve exports until the process is told to end."""
    from serving import opening

    opening.serve(runs, **dataclasses.asdict(how))


def load(app: type[apps.App], path: Path, common: Common) -> Any:
    """The run in a directory; raises FieldError where it is another app's."""
    from training.run import Run

    run = Run.load(path, common.data_dir)
    if run.passport["app"] != app.name():
        raise apps.FieldError(
            f"Received {str(path)!r}, a run of {run.passport['app']}; expected one of "
            f"{app.name()}. Ask athanor {run.passport['app']} instead."
        )
    from training import start

    start.tensorflow()
    return run


def demonstrate(app_class: type[apps.App], common: Common) -> dict[str, Any]:
    """All verbs of one app on its embedded data, as a row of a table."""
    started = time.perf_counter()
    trained = train(app_class(data="embedded"), HOW, common)
    run = Path(trained["run"])
    evaluate(app_class, run, common)
    exported = export(app_class, run, EXPORT, common)
    from evaluation import kinds
    from serving.predict import examples

    asked = predict(app_class, run, examples(load(app_class, run, common)), common)
    metric, value = next(iter(trained["test"].items()))
    best = min if metric in kinds.LOWER_IS_BETTER else max
    beside = {name: row[metric] for name, row in trained["baselines"].items() if metric in row}
    name = best(beside, key=lambda name: beside[name])
    return {
        "app": app_class.name(),
        "metric": metric,
        "test": value,
        "best beside it": f"{beside[name]:.4f} {name.replace('_', ' ')}",
        "export": "passed" if exported["parity"]["passed"] else "failed",
        "asked": len(asked["predictions"]),
        "seconds": round(time.perf_counter() - started, 1),
        "run": _short(run),
    }


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
    from checking import places

    places.require_free(how.report, how.write_quarantine)
    from training import start

    start.tensorflow()
    from checking import outputs

    outputs.check(app, common.data_dir, how.report, how.write_quarantine, how.fail_on, emit)


def check_distribute(app: apps.App, how: HowToShare, common: Common) -> dict[str, Any]:
    """Twenty steps on one device and on several."""
    from training import start

    several = how.strategy == "multiworker"
    devices = how.devices if several else how.devices or 2
    start.tensorflow(devices, how.strategy)
    from evaluation import show
    from training.equivalence import compared

    options: dict[str, Any] = {"data_dir": common.data_dir, "precision": how.precision}
    found = compared(app, devices, strategy=how.strategy, **options)
    if found is None:
        return {}
    beside = "several workers" if several else f"{devices} devices"
    show.table(["", "one device", beside, "difference"], found.rows())
    return found._asdict()


def launch(command: list[str], app: apps.App, how: Any, workers: int, restarts: int) -> None:
    """Several workers of one command on this machine; `latest` is theirs to point at at the end."""
    if workers < 2 or restarts < 0:
        name, least = ("--workers", 2) if workers < 2 else ("--restarts", 0)
        number = workers if workers < 2 else restarts
        raise apps.FieldError(f"Received {name} {number}; expected at least {least}.")
    from training import launch, run

    trains = isinstance(how, HowToTrain)
    place = (how.run_dir or run.unused_directory(app)) if trains else None
    given = ["--strategy", "multiworker"] if how.strategy in ("one", "mirrored") else []
    if place is not None:
        run.require_empty(place)
    # Fixed here, so that all starts of one training mean the same directory.
    where = ["--run-dir", str(place)] if trains and not how.run_dir else []
    program = [sys.executable, str(Path(__file__).with_name("athanor.py"))]
    try:
        launch.launch(
            [*program, *command, *given, *where],
            workers=workers,
            restarts=restarts,
            run_dir=place,
            plain="--json" in command,
        )
    finally:
        if where and place and (place / run.PASSPORT).exists():
            run.point_latest(place)


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
