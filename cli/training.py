"""The verbs that make runs: train, tune, check-distribute, replay, several workers."""

import contextlib
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import apps
from apps.options import CommonOptions
from apps.several_targets import apps_by_target, require_one
from cli import several_targets
from cli.options import EXPORT, PREDICT, TRAIN, TrainFlags
from cli.output import named_values, require_workers
from cli.runs import REPORT_PAGE, evaluate, export, load, predict, score_summary, short
from evaluation.options import EvaluateOptions, ReplayOptions
from training.options import CheckDistributeOptions
from tuning.options import TuneOptions

MAX_RESTARTS = 1000
# A resumed run keeps these, unless the command names them.
RESUMED_OPTIONS = ("quarantine", "strategy", "devices", "deterministic", "minutes")


def train(app: apps.App, options: TrainFlags, *, verbose: int = 2) -> dict[str, Any]:
    """Train and score, once or for each fold or seed."""
    from training import startup
    from training.distributed import cluster

    if options.folds is not None and options.seeds is not None:
        raise apps.FieldError(
            "Received --folds with --seeds; expected one of the two, because folds vary the test "
            "examples and seeds keep them. Leave one out."
        )
    if options.resume:
        app, options = _resumed(app, options)
    if cluster.cluster_to_join(options.strategy):
        require_workers(options)
    by_target = apps_by_target(app)
    if by_target and options.seeds is not None:
        raise apps.FieldError(
            f"Received --seeds {options.seeds} with {len(by_target)} targets; expected one target. "
            "Train each with its own command."
        )
    if cluster.cluster_to_join(options.strategy):
        require_one(app)
    app.require_data()
    startup.start_tensorflow(options.devices, options.strategy)
    if by_target:
        return several_targets.train(by_target, options, verbose=verbose)
    from evaluation import console_tables, cross_validation, experiment

    if options.seeds is not None:
        from evaluation import seed_tables, seeds

        summary = seeds.train_seeds(app, options.seeds, options, verbose=verbose)
        seed_tables.print_seeds(summary)
        print(f"runs  {short(Path(summary['run']))}/{' '.join(r['run'] for r in summary['runs'])}")
        print(f"report  {short(Path(summary['run']) / REPORT_PAGE)}")
        return summary
    if options.folds is not None:
        summary = cross_validation.cross_validate(app, options.folds, options, verbose=verbose)
        console_tables.print_folds(summary)
        print(f"runs  {short(Path(summary['run']))}/fold-1 to fold-{options.folds}")
        return summary
    run, scores = experiment.train_and_score(app, options, verbose=verbose)
    if scores is None:
        return {}
    console_tables.print_scores(scores)
    print(f"run  {short(run.path)}")
    return score_summary(run, scores)


def _resumed(app: apps.App, options: TrainFlags) -> tuple[apps.App, TrainFlags]:
    """Return the app and the options of a stopped run; those of this command override them."""
    from training import resume
    from training.run import QUARANTINE, remembered_directory

    path = options.resume
    others = (options.folds, options.seeds)
    if options.run_dir not in (None, path) or others != (None, None) or path is None:
        raise apps.FieldError(
            "Received --resume with --run-dir, --folds or --seeds; expected it alone. The run "
            "continues in its own directory."
        )
    known = resume.load_identity(path, type(app))
    first = dataclasses.replace(
        options,
        run_dir=path,
        data_dir=options.data_dir or remembered_directory(known.directory),
        quarantine=path / QUARANTINE if (path / QUARANTINE).exists() else None,
        strategy=known.strategy,
        devices=known.devices if known.strategy == "mirrored" else None,
        deterministic=known.about["deterministic"],
        minutes=known.about.get("minutes"),
    )
    named = named_values(sys.argv, options)
    changed = {name: value for name, value in named.items() if name in RESUMED_OPTIONS}
    fields = known.fields | named_values(sys.argv, app)
    return type(app).from_json(fields), dataclasses.replace(first, **changed)


def tune(app: apps.App, options: TuneOptions) -> dict[str, Any]:
    """Search, and score the best trial's model on the test examples."""
    options.require_packages()
    from training import startup

    app.require_data()
    startup.start_tensorflow(options.devices)
    from evaluation import console_tables, report
    from tuning import report as search_report
    from tuning.search import search

    with search_report.show_progress() as watch:
        outcome = search(app, options, command=[sys.executable, *sys.argv], watch=watch)
    if outcome is None:
        return {}
    summary = search_report.summarize(outcome)
    scores = report.score(outcome.best)
    console_tables.print_scores(scores)
    best = short(outcome.best.path)
    print(f"best  {best}, an ordinary run: athanor export {best}")
    return summary | score_summary(outcome.best, scores)


def check_distribute(app: apps.App, options: CheckDistributeOptions) -> dict[str, Any]:
    """Compare twenty steps on one device with the same steps on several."""
    from training import startup

    app.require_data()
    startup.start_tensorflow(options.num_devices, options.strategy)
    from evaluation import console_tables
    from training.distributed.equivalence import compare_devices

    comparison = compare_devices(app, options)
    if comparison is None:
        return {}
    workers = options.strategy == "multiworker"
    others = "several workers" if workers else f"{options.num_devices} devices"
    console_tables.print_table(["", "one device", others, "difference"], comparison.rows())
    return comparison.json()


def replay(path: Path, options: ReplayOptions) -> dict[str, Any]:
    """Train a run again, and compare both runs."""
    from training import provenance, startup
    from training.run import Run

    run = Run.load(path, options.data_dir)
    # The run's model is read, to compare the weights.
    provenance.require_signature(path, provenance.RUN_FILES, trust=options.trust)
    startup.start_tensorflow(run.train_options.devices, run.train_options.strategy)
    from evaluation.replay import replay as train_again

    result = train_again(run, options.run_dir)
    print(f"{result.verdict}  {result.compared:,} numbers of history, scores and weights")
    for line in (result.first, *result.elsewhere):
        if line:
            print(f"differs  {line}")
    return result._asdict()


def require_same(path: Path, result: dict[str, Any]) -> None:
    """Raise ReplayDiffersError if the second run differs from the first."""
    from evaluation.replay import ReplayDiffersError

    if result["verdict"] == "different":
        raise ReplayDiffersError(
            f"Received the run {path}, whose second training differs: {result['first']}; expected "
            "the same numbers within a thousandth. Compare versions and hardware, or train with "
            "--deterministic."
        )


def launch(
    command: list[str],
    app: apps.App,
    options: TrainFlags | CheckDistributeOptions,
    workers: int,
    restarts: int,
) -> None:
    """Run one command as several workers of this machine."""
    from training import directory
    from training.distributed import launch
    from training.options import MAX_WORKERS

    bounds = (("--workers", workers, 2, MAX_WORKERS), ("--restarts", restarts, 0, MAX_RESTARTS))
    for name, number, minimum, maximum in bounds:
        if not minimum <= number <= maximum:
            raise apps.FieldError(f"Received {name} {number}; expected {minimum} to {maximum}.")
    run_dir = created = None
    require_one(app)
    if isinstance(options, TrainFlags):
        run_dir = options.resume or options.run_dir
        if run_dir is None:
            # Created here, so that restarted workers use the same directory.
            run_dir = created = directory.create_run_directory(app)
        if not options.resume:
            directory.require_empty(run_dir)
    flags = ["--strategy", "multiworker"] if options.strategy in ("one", "mirrored") else []
    flags += ["--run-dir", str(created)] if created else []
    program = [sys.executable, str(Path(__file__).resolve().parents[1] / "athanor.py")]
    try:
        launch.launch(
            [*program, *command, *flags],
            workers=workers,
            restarts=restarts,
            run_dir=run_dir,
            plain="--json" in command,
        )
    finally:
        if created:
            with contextlib.suppress(OSError):  # it is not empty: it holds a run
                created.rmdir()


def demonstrate(
    app_class: type[apps.App], common: CommonOptions, *, verbose: int
) -> dict[str, Any]:
    """Run all verbs of one app on its embedded data; return a row of the table."""
    started = time.perf_counter()
    trained = train(app_class(data="embedded"), TRAIN, verbose=verbose)
    run = Path(trained["run"])
    evaluate(app_class, run, EvaluateOptions(data_dir=common.data_dir, trust=common.trust))
    exported = export(app_class, run, EXPORT)
    from apps import metrics
    from evaluation import console_tables
    from inference.predict import examples

    predicted = predict(app_class, run, examples(load(app_class, run, common)), PREDICT)
    metric, value = next(iter(trained["test"].items()))
    sign = metrics.metric(metric).sign
    baselines = {name: row[metric] for name, row in trained["baselines"].items() if metric in row}
    best = max(baselines, key=lambda name: sign * baselines[name])
    return {
        "app": app_class.name(),
        "metric": metric,
        "test": value,
        "best beside it": f"{console_tables.text(baselines[best])} {best.replace('_', ' ')}",
        "export": "passed" if exported["parity"]["passed"] else "failed",
        "asked": len(predicted["predictions"]),
        "seconds": round(time.perf_counter() - started, 1),
        "run": short(run),
    }
