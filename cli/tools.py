"""The commands that belong to no app."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import apps
from apps.options import CommonOptions
from cli import output, training
from cli.options import COMMON, COMPARE, FLAGS, OUTPUT, REPLAY, SERVE, OutputFlags
from cli.runs import check_optimizer as run_checks
from cli.runs import short
from evaluation.options import CompareOptions, ReplayOptions
from serving.options import ServeOptions

MODELS = Path("models")
# Headings of the demo's table that differ from the keys of --json.
DEMO_HEADINGS = {"best beside it": "best baseline", "asked": "predictions"}
RunDirectory = Annotated[Path, Parameter(help="A run directory.")]
Common = Annotated[CommonOptions, FLAGS]
Printed = Annotated[OutputFlags, FLAGS]
Optimizer = Annotated[
    str,
    Parameter(help="A name, or package.module:Class, importable from this directory."),
]


def version() -> str:
    """Return the version that is installed."""
    import importlib.metadata

    return importlib.metadata.version("athanor")


def list_apps(*, common: Common = COMMON, printed: Printed = OUTPUT) -> None:  # noqa: ARG001
    """List the apps: name, modality of the inputs, task, and description."""
    from evaluation import console_tables
    from training.manifest import ANSWERS

    rows = [
        {
            "app": app.name(),
            "question": app.modality,
            "answer": " or ".join(ANSWERS[task] for task in app.tasks),
            "about": apps.summary(app),
        }
        for app in apps.ALL
    ]
    with output.output(printed.json) as emit:
        columns = ["app", "input", "prediction", "description"]
        console_tables.print_table(columns, [row.values() for row in rows])
        emit({"apps": rows})


def demo(*, common: Common = COMMON, printed: Printed = OUTPUT) -> None:
    """Train, evaluate, export and predict with every app on its embedded data; print a table."""
    from training import startup

    with output.output(printed.json) as emit:
        startup.start_tensorflow()
        from evaluation import console_tables

        verbose = output.verbosity(printed.json)
        rows = [training.demonstrate(app, common, verbose=verbose) for app in apps.ALL]
        columns = [DEMO_HEADINGS.get(name, name) for name in rows[0]]
        console_tables.print_table(columns, [row.values() for row in rows], "All on embedded data")
        emit({"demo": rows})


def doctor(
    *,
    prune: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
    printed: Printed = OUTPUT,
) -> None:
    """Show versions, devices, precision, data directories and known problems.

    Args:
        prune: Remove from the cache directory the decoded data sets of other versions of athanor,
            and the least recently used ones beyond 5 GiB.

    """
    from training import startup

    with output.output(printed.json) as emit:
        if prune:
            from pipelines import decoded

            freed = decoded.prune_stale() + decoded.prune()
            print(f"removed {freed / 2**20:,.1f} MiB of decoded sets")
        startup.start_tensorflow()
        from evaluation import console_tables
        from training.doctor import examine

        findings = list(examine(common.data_dir))
        console_tables.print_table(["", ""], findings)
        emit({"findings": dict(findings)})


def compare(
    *runs: RunDirectory,
    options: Annotated[CompareOptions, FLAGS] = COMPARE,
    printed: Printed = OUTPUT,
) -> None:
    """Show runs side by side: fields that differ, and test scores.

    Warns if runs differ in their data, splits or folds.
    """
    from evaluation import compare as comparison
    from evaluation import console_tables, rounding
    from training.run import Run

    if not runs:
        raise apps.FieldError("Received no runs; expected directories: athanor compare RUN RUN...")
    with output.output(printed.json) as emit:
        compared = comparison.compare([Run.load(path) for path in runs])
        console_tables.print_table(
            [rounding.heading(name, compared.units) for name in compared.columns], compared.cells()
        )
        emit({"runs": compared.rows, "warnings": compared.warnings})
        if options.strict:
            comparison.require_comparable(compared)
        for warning in compared.warnings:
            print(warning)


def serve(
    *runs: Annotated[str, Parameter(help="Runs with an export, each RUN or NAME=RUN.")],
    options: Annotated[ServeOptions, FLAGS] = SERVE,
) -> None:
    """Serve runs over HTTP with TensorFlow Serving's interface, until Ctrl-C.

    Each run is served under the name of its app, or NAME. The server loads new exports
    while it runs, and no request fails meanwhile.
    """
    from serving.startup import serve as serve_models

    serve_models(runs, options)


def publish(
    run: Annotated[Path, Parameter(help="A run with an export, or the runs of an app.")],
    name: Annotated[str, Parameter(help="The name under which its versions are served.")],
    *,
    models: Annotated[
        Path, Parameter(help="The directory that holds a directory for each name.")
    ] = MODELS,
    common: Common = COMMON,
    printed: Printed = OUTPUT,
) -> None:
    """Publish the newest export of a run as the next version of a name.

    A running server of that name loads it: athanor serve NAME=models/NAME.
    """
    from serving.publish import publish as publish_export

    with output.output(printed.json) as emit:
        published = publish_export(run, name, models, trust=common.trust)
        print(f"published  {short(published.version)}, from {short(published.export)}")
        print(f"serve      athanor serve {name}={models / name}")
        emit({"version": str(published.version), "export": str(published.export)})


def replay(
    run: RunDirectory,
    *,
    options: Annotated[ReplayOptions, FLAGS] = REPLAY,
    printed: Printed = OUTPUT,
) -> None:
    """Train a run again from its run.json, and name the first number that differs.

    The exit status is 1 if numbers differ by more than a thousandth.
    """
    with output.output(printed.json) as emit:
        result = training.replay(run, options)
        emit(result)
        training.require_same(run, result)


def check_optimizer(
    address: Optimizer,
    *,
    common: Common = COMMON,  # noqa: ARG001
    printed: Printed = OUTPUT,
) -> None:
    """Run the checks that every optimizer has to pass, also an optimizer of your own."""
    from training import startup

    with output.output(printed.json) as emit:
        startup.start_tensorflow()
        from conformance.suite import FailedChecksError

        checked = run_checks(address)
        emit(checked)
        if checked["broken"]:
            raise FailedChecksError(
                f"Received {address!r}, which fails {checked['broken']} of "
                f"{len(checked['checks'])} checks; expected none. See the lines above."
            )
