"""The commands of the command line that belong to no app."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import apps
from cli import output, training
from cli.options import (
    COMMON,
    COMPARE,
    REPLAY,
    SERVE,
    Common,
    HowToCompare,
    HowToReplay,
    HowToServe,
)
from cli.runs import check_optimizer as checked_optimizer
from cli.runs import serve as served
from cli.runs import short

MODELS = Path("models")
RunDirectory = Annotated[Path, Parameter(help="A run directory.")]
Optimizer = Annotated[
    str,
    Parameter(help="A name, or package.module:Class of your own, sought from here."),
]


def version() -> str:
    """The version that is installed."""
    import importlib.metadata

    return importlib.metadata.version("athanor")


def list_apps(*, common: Common = COMMON) -> None:
    """List the apps: name, modality of the input, task, and what it does."""
    from evaluation import console_tables
    from training.manifest import ANSWERS

    rows = [
        {
            "app": app.name(),
            "question": app.modality,
            "answer": ANSWERS[app.default_task],
            "about": apps.summary(app),
        }
        for app in apps.ALL
    ]
    with output.output(common.json) as emit:
        console_tables.table(list(rows[0]), [row.values() for row in rows])
        emit({"apps": rows})


def demo(*, common: Common = COMMON) -> None:
    """Train, judge, export and ask every app on its embedded data; ends with one table."""
    from training import startup

    with output.output(common.json) as emit:
        startup.tensorflow()
        from evaluation import console_tables

        rows = [training.demonstrate(app, common) for app in apps.ALL]
        console_tables.table(list(rows[0]), [row.values() for row in rows], "All on embedded data")
        emit({"demo": rows})


def doctor(
    *, prune: Annotated[bool, Parameter(negative="")] = False, common: Common = COMMON
) -> None:
    """Show versions, devices, precision and data directories, and what is known not to work.

    Args:
        prune: Remove decoded sets of other versions of athanor from the cache directory, and the
            least recently used beyond 5 GiB.

    """
    from training import startup

    with output.output(common.json) as emit:
        if prune:
            from pipelines import decoded

            freed = decoded.prune_stale() + decoded.prune()
            print(f"removed {freed / 2**20:,.1f} MiB of decoded sets")
        startup.tensorflow()
        from evaluation import console_tables
        from training.doctor import examine

        findings = list(examine(common.data_dir))
        console_tables.table(["", ""], findings)
        emit({"findings": dict(findings)})


def compare(*runs: RunDirectory, how: HowToCompare = COMPARE, common: Common = COMMON) -> None:
    """Show runs side by side: fields that differ, and test scores.

    Tells where runs differ in their data, splits or folds.
    """
    from evaluation import compare as sides
    from evaluation import console_tables, rounding
    from training.run import Run

    if not runs:
        raise apps.FieldError("Received no runs; expected directories: athanor compare RUN RUN...")
    with output.output(common.json) as emit:
        loaded = [Run.load(path) for path in runs]
        found = sides.compare(loaded)
        console_tables.table(
            [rounding.heading(name, found.units) for name in found.columns], found.cells()
        )
        for warning in found.warnings:
            print(warning)
        emit({"runs": found.rows, "warnings": found.warnings})
        if how.strict:
            sides.require_comparable(loaded)


def serve(
    *runs: Annotated[str, Parameter(help="Runs with an export, each RUN or NAME=RUN.")],
    how: HowToServe = SERVE,
) -> None:
    """Answer requests over HTTP, as TensorFlow Serving does, until Ctrl-C.

    Each run is served under the name of its app, or NAME. New exports are picked
    up while it runs, and no request fails meanwhile.
    """
    served(list(runs), how)


def publish(
    run: Annotated[Path, Parameter(help="A run with an export, or the runs of an app.")],
    name: Annotated[str, Parameter(help="Under which its versions are served.")],
    *,
    models: Annotated[Path, Parameter(help="The directory of all names.")] = MODELS,
    common: Common = COMMON,
) -> None:
    """Publish the newest export of a run as the next version of a name.

    A server of that name takes it up as it runs: athanor serve NAME=models/NAME.
    """
    from serving.publish import publish as published

    with output.output(common.json) as emit:
        found = published(run, name, models, trust=common.trust)
        print(f"published  {short(found.version)}, from {short(found.export)}")
        print(f"serve      athanor serve {name}={models / name}")
        emit({"version": str(found.version), "export": str(found.export)})


def replay(run: RunDirectory, *, how: HowToReplay = REPLAY, common: Common = COMMON) -> None:
    """Train a run again from its run.json, and name the first number that differs.

    Status 1 where numbers differ by more than a thousandth.
    """
    with output.output(common.json) as emit:
        found = training.replay(run, how, common)
        emit(found)
        training.require_same(run, found)


def check_optimizer(address: Optimizer, *, common: Common = COMMON) -> None:
    """Check whether an optimizer, also of your own, keeps what every optimizer promises."""
    from training import startup

    with output.output(common.json) as emit:
        startup.tensorflow()
        from conformance.table import BrokenError

        found = checked_optimizer(address)
        emit(found)
        if found["broken"]:
            raise BrokenError(
                f"Received {address!r}, which breaks {found['broken']} of "
                f"{len(found['checks'])} promises; expected none. See the lines above."
            )
