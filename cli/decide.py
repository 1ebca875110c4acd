"""The command `decide`: how the probabilities of a run become an answer."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App

import apps
from cli import output, runs
from cli.options import FLAGS, OUTPUT, OutputFlags
from cli.tools import RunDirectory
from evaluation.options import DecideOptions

DECIDE = DecideOptions()


def add(cli: App, app_class: type[apps.App] | None, usage: str) -> None:
    """Add the command; that of an app takes only its runs."""

    @cli.command(usage=f"{usage} decide RUN [OPTIONS]")
    def decide(
        run: RunDirectory,
        *,
        options: Annotated[DecideOptions, FLAGS] = DECIDE,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Choose how a run answers: a threshold by costs, precision or recall; or "unsure".

        The validation examples decide, and the run stores it: predict, exports and the server
        answer by it, and evaluate judges it on the test examples. Nothing is trained.
        """
        with output.output(printed.json) as emit:
            emit(choose(app_class or runs.app_of(run), run, options))


def choose(app: type[apps.App], path: Path, options: DecideOptions) -> dict[str, Any]:
    """Choose and store a decision; print what it does on the validation examples."""
    options.check()
    if group := runs.target_runs(app, path, options):
        targets = ", ".join(runs.short(run.path) for run in group.runs.values())
        raise apps.FieldError(
            f"Received {str(path)!r}, the runs of several targets; expected one of {targets}."
        )
    run = runs.checked_run(app, path, options)
    had_one = run.manifest.get("decision") is not None
    from training import startup

    startup.start_sessions()
    from evaluation import console_tables, decide

    decision = decide.decide(run, options)
    if decision is None:
        print("decision  removed" if had_one else "decision  none; the most probable class is it")
    else:
        print(f"decision  {decision.text}")
        found = decision.validation
        cells = [console_tables.text(value) for value in found.values()]
        console_tables.print_table(
            [name.replace("_", " ") for name in found], [cells], "on the validation examples"
        )
    place = runs.short(run.path)
    print(f"next      athanor evaluate {place} judges it on the test examples")
    if (run.path / "export").exists():
        print(f"note      the exports have the former one: athanor export {place}")
    return {"run": str(run.path), **decide.describe(decision)}
