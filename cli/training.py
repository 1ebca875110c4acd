"""What the command line does for the verbs that make runs: train, tune, replay, several workers."""

import contextlib
import dataclasses
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import apps
from cli.options import EXPORT, HOW, Common, HowToReplay, HowToShare, HowToTrain, HowToTune
from cli.output import given, require_workers
from cli.runs import evaluate, export, judged, load, predict, short


def train(app: apps.App, how: HowToTrain, common: Common) -> dict[str, Any]:
    """Train and judge: once, or once a fold."""
    from training import startup
    from training.distributed import cluster

    every = how.checkpoint_every
    if every is not None and not 0 <= every < math.inf:
        raise apps.FieldError(
            f"Received --checkpoint-every {every:g}; expected seconds, or 0 for after every call."
        )
    if how.resume:
        app, how, common = _resumed(app, how, common)
    if cluster.wanted(how.strategy):
        require_workers(how)
    app.require_data()
    startup.tensorflow(how.devices, how.strategy)
    from evaluation import console_tables, cross_validation, report
    from inference import saved_graph
    from training import provenance
    from training.options import How
    from training.resume import trained_in
    from training.run import ELSEWHERE
    from training.train import train as trained

    on_terminal = sys.stdout.isatty() and not common.json
    options = _named(how, How) | {
        "data_dir": common.data_dir,
        "verbose": 1 if on_terminal else 2,
        "every": every,
    }
    if how.folds is not None:
        summary = cross_validation.cross_validate(
            app, how.folds, how.run_dir, trust=common.trust, **options
        )
        console_tables.folds(summary)
        return summary
    run = trained_in(how.run_dir, app, common.data_dir, listed=how.quarantine)
    if run:
        provenance.require(run.path, provenance.RUN, trust=common.trust)
    run = run or trained(app, run_dir=how.run_dir, **options)
    if run.path == ELSEWHERE:
        return {}
    scored = report.score(run)
    saved_graph.keep(run)
    console_tables.scores(scored)
    print(f"run  {short(run.path)}")
    return judged(run, scored)


def _named(flags: Any, wanted: type) -> dict[str, Any]:
    """Those flags for which a dataclass has a field of the same name."""
    names = {one.name for one in dataclasses.fields(wanted)}
    return {name: value for name, value in vars(flags).items() if name in names}


def _resumed(app: apps.App, how: HowToTrain, common: Common) -> tuple[apps.App, HowToTrain, Common]:
    """The app and the flags that a run began with, but for what is given now."""
    from training import resume
    from training.run import QUARANTINE, remembered_directory

    path = how.resume
    if how.run_dir not in (None, path) or how.folds is not None or path is None:
        raise apps.FieldError(
            "Received --resume with --run-dir or --folds; expected it alone. The run goes on in "
            "its own directory."
        )
    known = resume.begun(path, type(app))
    began: dict[str, Any] = {
        "quarantine": path / QUARANTINE if (path / QUARANTINE).exists() else None,
        "strategy": known.strategy,
        "devices": known.devices if known.strategy == "mirrored" else None,
        "deterministic": known.about["deterministic"],
    }
    now = {name: value for name, value in given(sys.argv, how).items() if name in began}
    fields = known.fields | given(sys.argv, app)
    how = dataclasses.replace(how, run_dir=path, **(began | now))
    data_dir = common.data_dir or remembered_directory(known.directory)
    return type(app).from_json(fields), how, dataclasses.replace(common, data_dir=data_dir)


def tune(app: apps.App, how: HowToTune, common: Common) -> dict[str, Any]:
    """Search, and judge the best trial's model."""
    _require_tuner()
    from training import startup

    app.require_data()
    startup.tensorflow(how.devices)
    from evaluation import console_tables, report
    from tuning import report as told
    from tuning.search import Asked, search

    with told.live() as watch:
        asked = Asked(**_named(how, Asked))
        command = [sys.executable, *sys.argv]
        found = search(
            app,
            asked,
            data_dir=common.data_dir,
            command=command,
            watch=watch,
            trust=common.trust,
        )
    if found is None:
        return {}
    summary = told.conclude(found)
    scored = report.score(found.best)
    console_tables.scores(scored)
    print(f"best  {short(found.best.path)}, an ordinary run: athanor {app.name()} export it")
    return summary | judged(found.best, scored)


def _require_tuner() -> None:
    import importlib.util

    missing = [name for name in ("keras_tuner", "optuna") if not importlib.util.find_spec(name)]
    if missing:
        raise apps.FieldError(
            f"Received tune without {' and '.join(missing)}; expected the extra `tune`: "
            "pip install 'athanor[tune]'."
        )


def check_distribute(app: apps.App, how: HowToShare, common: Common) -> dict[str, Any]:
    """Twenty steps on one device and on several."""
    from training import startup

    app.require_data()
    several = how.strategy == "multiworker"
    devices = how.devices if several else how.devices or 2
    startup.tensorflow(devices, how.strategy)
    from evaluation import console_tables
    from training.distributed.equivalence import compared

    options: dict[str, Any] = {"data_dir": common.data_dir, "precision": how.precision}
    found = compared(app, devices, strategy=how.strategy, **options)
    if found is None:
        return {}
    beside = "several workers" if several else f"{devices} devices"
    console_tables.table(["", "one device", beside, "difference"], found.rows())
    return found.json()


def replay(path: Path, how: HowToReplay, common: Common) -> dict[str, Any]:
    """Make a run again and compare."""
    from training import provenance, startup
    from training.run import Run

    told = Run.load(path).manifest
    # Its model is read, to compare the weights.
    provenance.require(path, provenance.RUN, trust=common.trust)
    mirrored = told["strategy"] == "mirrored"
    startup.tensorflow(told["replicas"] if mirrored else None, told["strategy"])
    from evaluation.replay import replay as made_again

    with contextlib.ExitStack() as held:
        place = how.run_dir
        if place is None:
            place = Path(held.enter_context(tempfile.TemporaryDirectory())) / "replay"
        found = made_again(Run.load(path, common.data_dir), place)
    print(f"{found.verdict}  {found.compared:,} numbers of history, scores and weights")
    for line in (found.first, *found.elsewhere):
        if line:
            print(f"differs  {line}")
    return found._asdict()


def require_same(path: Path, found: dict[str, Any]) -> None:
    """Raise DifferentError where a replay came out otherwise."""
    from evaluation.replay import DifferentError

    if found["verdict"] == "different":
        raise DifferentError(
            f"Received the run {path}, which comes out otherwise: {found['first']}; expected the "
            "same within a thousandth. Compare versions and hardware, or train with "
            "--deterministic."
        )


def launch(command: list[str], app: apps.App, how: Any, workers: int, restarts: int) -> None:
    """Several workers of one command on this machine."""
    from training import directory
    from training.distributed import launch

    bounds = (("--workers", workers, 2, launch.MOST_WORKERS), ("--restarts", restarts, 0, 1000))
    for name, number, least, most in bounds:
        if not least <= number <= most:
            raise apps.FieldError(f"Received {name} {number}; expected {least} to {most}.")
    trains = isinstance(how, HowToTrain)
    given_place = (how.resume or how.run_dir) if trains else None
    place = (given_place or directory.claimed(app)) if trains else None
    given = ["--strategy", "multiworker"] if how.strategy in ("one", "mirrored") else []
    if place is not None and not how.resume:
        directory.require_empty(place)
    # Fixed here, so that all starts of one training mean the same directory.
    where = ["--run-dir", str(place)] if trains and not given_place else []
    program = [sys.executable, str(Path(__file__).resolve().parents[1] / "athanor.py")]
    try:
        launch.launch(
            [*program, *command, *given, *where],
            workers=workers,
            restarts=restarts,
            run_dir=place,
            plain="--json" in command,
        )
    finally:
        if place and where:
            with contextlib.suppress(OSError):  # it holds a run
                place.rmdir()


def demonstrate(app_class: type[apps.App], common: Common) -> dict[str, Any]:
    """All verbs of one app on its embedded data, as a row of a table."""
    started = time.perf_counter()
    trained = train(app_class(data="embedded"), HOW, common)
    run = Path(trained["run"])
    evaluate(app_class, run, common)
    exported = export(app_class, run, EXPORT, common)
    from apps import metrics
    from evaluation import console_tables
    from inference.predict import examples

    asked = predict(app_class, run, examples(load(app_class, run, common)), common)
    metric, value = next(iter(trained["test"].items()))
    best = max if metrics.metric(metric).higher_is_better else min
    beside = {name: row[metric] for name, row in trained["baselines"].items() if metric in row}
    name = best(beside, key=lambda name: beside[name])
    return {
        "app": app_class.name(),
        "metric": metric,
        "test": value,
        "best beside it": f"{console_tables.text(beside[name])} {name.replace('_', ' ')}",
        "export": "passed" if exported["parity"]["passed"] else "failed",
        "asked": len(asked["predictions"]),
        "seconds": round(time.perf_counter() - started, 1),
        "run": short(run),
    }
