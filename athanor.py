"""The command line: `athanor APP VERB`, made from the fields of each app.

This is the only file that knows every room. TensorFlow is imported inside the
verbs, so that help and mistakes are answered at once.
"""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

import apps
import console
from console import COMMON, HOW, Common, HowToTrain

STARTED = time.perf_counter()


RunDirectory = Annotated[Path, Parameter(help="A run directory.")]
SUMMARY = "Train, judge, export and ask models on your own data."


def _command_line() -> App:
    cli = App(
        name="athanor",
        help=SUMMARY,
        help_format="plaintext",
        version=_version,
        suppress_keyboard_interrupt=False,
    )
    for app in apps.ALL:
        cli.command(_app_commands(app))
    for command in (list_apps, demo, doctor, compare):
        cli.command(command, name="list" if command is list_apps else command.__name__)
    return cli


def _version() -> str:
    import importlib.metadata

    return importlib.metadata.version("athanor")


def _app_commands(app_class: type[apps.App]) -> App:
    cli = App(name=app_class.name(), help=_first_line(app_class))

    @cli.command
    def train(
        app: Annotated[app_class, Parameter(name="*")] = app_class(),  # type: ignore[valid-type]  # noqa: B008
        *,
        how: HowToTrain = HOW,
        common: Common = COMMON,
    ) -> None:
        """Train a model, judge it on the test examples, and keep both in a run directory."""
        with console.output(common.json) as emit:
            emit(_train(app, how, common))

    @cli.command
    def evaluate(run: RunDirectory, *, common: Common = COMMON) -> None:
        """Judge a run: metrics, intervals, baselines, per-class table, pictures."""
        with console.output(common.json) as emit:
            emit(_evaluate(app_class, run, common))

    @cli.command
    def predict(
        run: RunDirectory,
        *inputs: Annotated[Path, Parameter(help="Files to ask about.")],
        common: Common = COMMON,
    ) -> None:
        """Answer new questions."""
        with console.output(common.json) as emit:
            emit(_predict(app_class, run, list(inputs), common))

    @cli.command
    def export(run: RunDirectory, *, common: Common = COMMON) -> None:
        """Write a SavedModel for serving, after proof that it answers as in training."""
        with console.output(common.json) as emit:
            emit(_export(app_class, run, common))

    return cli


def _train(app: apps.App, how: HowToTrain, common: Common) -> dict[str, Any]:
    from training import start

    start.tensorflow()
    from evaluation import report, show
    from training.train import train

    on_terminal = sys.stdout.isatty() and not common.json
    run = train(
        app,
        run_dir=how.run_dir,
        data_dir=common.data_dir,
        precision=how.precision,
        profile=how.profile,
        verbose=1 if on_terminal else 2,
    )
    scored = report.score(run)
    show.scores(scored)
    print(f"run  {_short(run.path)}")
    return _judged(run, scored)


def _evaluate(app: type[apps.App], path: Path, common: Common) -> dict[str, Any]:
    run = _load(app, path, common)
    from evaluation import report, show

    scored = report.evaluate(run)
    show.scores(scored)
    show.per_class(scored)
    for name in scored["pictures"]:
        print(f"picture  {_short(run.path / name)}")
    return _judged(run, scored)


def _judged(run: Any, scored: dict[str, Any]) -> dict[str, Any]:
    total = round(time.perf_counter() - STARTED, 3)
    return {
        "run": str(run.path),
        "test": scored["test"],
        "baselines": scored["baselines"],
        "seconds": {**run.passport["seconds"], "total": total},
        "examples_per_second": run.passport["examples_per_second"],
    }


def _predict(app: type[apps.App], path: Path, inputs: list[Path], common: Common) -> dict[str, Any]:
    if not inputs:
        raise apps.FieldError(
            f"Received no inputs; expected files: athanor {app.name()} predict {path} FILE..."
        )
    run = _load(app, path, common)
    from evaluation import show
    from serving.predict import predict

    predictions = predict(run, inputs)
    show.predictions(predictions)
    return {"predictions": predictions}


def _export(app: type[apps.App], path: Path, common: Common) -> dict[str, Any]:
    run = _load(app, path, common)
    from serving.export import export

    exported = export(run)
    parity = exported["parity"]
    print(
        f"export  {_short(Path(exported['export']))}\n"
        f"parity  {parity['examples']} inputs replayed in a fresh process: largest difference "
        f"{parity['max_abs_diff']:.1e}, tolerance {parity['tolerance']:.0e}"
    )
    return exported


def _load(app: type[apps.App], path: Path, common: Common) -> Any:
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


def list_apps(*, common: Common = COMMON) -> None:
    """List the apps: what each answers, to what kind of question."""
    from evaluation import show

    rows = [
        {
            "app": app.name(),
            "question": app.question,
            "answer": app.answer,
            "about": _first_line(app),
        }
        for app in apps.ALL
    ]
    with console.output(common.json) as emit:
        show.table(list(rows[0]), [row.values() for row in rows])
        emit({"apps": rows})


def demo(*, common: Common = COMMON) -> None:
    """Train, judge, export and ask every app on its embedded data; ends with one table."""
    from training import start

    with console.output(common.json) as emit:
        start.tensorflow()
        from evaluation import show

        rows = [_demonstrate(app, common) for app in apps.ALL]
        show.table(list(rows[0]), [row.values() for row in rows], "All on embedded data")
        emit({"demo": rows})


def _demonstrate(app_class: type[apps.App], common: Common) -> dict[str, Any]:
    started = time.perf_counter()
    trained = _train(app_class(data="embedded"), HOW, common)
    run = Path(trained["run"])
    _evaluate(app_class, run, common)
    exported = _export(app_class, run, common)
    from serving.predict import examples

    asked = _predict(app_class, run, examples(_load(app_class, run, common)), common)
    metric, value = next(iter(trained["test"].items()))
    return {
        "app": app_class.name(),
        "metric": metric,
        "test": value,
        **{name.replace("_", " "): row[metric] for name, row in trained["baselines"].items()},
        "export": "passed" if exported["parity"]["passed"] else "failed",
        "asked": len(asked["predictions"]),
        "seconds": round(time.perf_counter() - started, 1),
        "run": _short(run),
    }


def doctor(*, common: Common = COMMON) -> None:
    """Show versions, devices, precision and data directories, and what is known not to work."""
    from training import start

    with console.output(common.json) as emit:
        start.tensorflow()
        from evaluation import show
        from training.doctor import examine

        findings = list(examine(common.data_dir))
        show.table(["", ""], findings)
        emit({"findings": dict(findings)})


def compare(*runs: RunDirectory, common: Common = COMMON) -> None:
    """Show runs side by side: fields that differ, and test scores."""
    from evaluation import compare as sides
    from evaluation import show
    from training.run import Run

    if not runs:
        raise apps.FieldError("Received no runs; expected directories: athanor compare RUN RUN...")
    with console.output(common.json) as emit:
        columns, rows = sides.compare([Run.load(path) for path in runs])
        show.table(columns, rows)
        emit({"runs": [dict(zip(columns, row, strict=True)) for row in rows]})


def _first_line(app: type[apps.App]) -> str:
    return (app.__doc__ or "").splitlines()[0]


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 asked for something impossible."""
    arguments = sys.argv[1:]
    called = Path(sys.argv[0]).stem
    if called.startswith("athanor-"):
        arguments = [called.removeprefix("athanor-"), *arguments]
    status = _run(arguments)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    # TensorFlow takes most of a second to take itself apart, and all files are closed.
    os._exit(status)


def _run(arguments: list[str]) -> int:
    cli = _command_line()
    try:
        console.require_whole_numbers(arguments)
        if config := console.config_of(arguments):
            cli.config = [config]
        cli(arguments, exit_on_error=False, print_error=False)
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in arguments:
            raise
        status, message = console.explain(error)
        print(f"athanor: {message}", file=sys.stderr)
        return status
    return 0


if __name__ == "__main__":
    main()
