"""The command line: `athanor APP VERB`, made from the fields of each app.

This is the only file that knows every room. TensorFlow is imported inside the
commands, so that help and mistakes are answered at once.
"""

import contextlib
import io
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

import apps
from cli import output, runs, tools, training
from cli.help import page as help_page
from cli.options import (
    CHECK,
    COMMON,
    EXPORT,
    HOW,
    PREDICT,
    REPLAY,
    SHARED,
    TUNE,
    Common,
    HowToCheck,
    HowToExport,
    HowToPredict,
    HowToReplay,
    HowToShare,
    HowToTrain,
    HowToTune,
)
from cli.tools import RunDirectory

ASKED = {
    "image": "Image files to ask about.",
    "row": "CSV files of rows to ask about.",
    "text": "Texts to ask about, or .txt, .csv and .tsv files of them.",
    "ids": "A user to recommend to; USER,ITEM for a rating; or CSV files of such pairs.",
}
LAUNCHED = (["train"], ["check-distribute"])
SUMMARY = "Train, judge, export and ask models on your own data."


def _command_line(asked: str | None = None) -> App:
    """Every app's commands, or in full only those of the app that is asked for."""
    cli = App(
        name="athanor",
        help=SUMMARY,
        usage="Usage: athanor COMMAND",
        help_format="plaintext",
        version=tools.version,
        suppress_keyboard_interrupt=False,
    )
    for app in apps.ALL:
        known = asked in (None, app.name())
        named = App(name=app.name(), help=apps.summary(app))
        cli.command(_app_commands(app) if known else named)
    _add_commands_on_runs(cli, None, "Usage: athanor")
    for command, usage in (
        (tools.list_apps, "list [OPTIONS]"),
        (tools.demo, "demo [OPTIONS]"),
        (tools.doctor, "doctor [OPTIONS]"),
        (tools.compare, "compare RUN RUN... [OPTIONS]"),
        (tools.replay, "replay RUN [OPTIONS]"),
        (tools.publish, "publish RUN NAME [OPTIONS]"),
        (tools.serve, "serve RUN [NAME=RUN...] [OPTIONS]"),
        (tools.check_optimizer, "check-optimizer NAME|MODULE:CLASS [OPTIONS]"),
        (launch, "launch [OPTIONS] APP train|check-distribute [OPTIONS OF APP]"),
    ):
        cli.command(command, name=usage.partition(" ")[0], usage=f"Usage: athanor {usage}")
    return cli


def _app_commands(app_class: type[apps.App]) -> App:
    # Told how a command is used, cyclopts need not read every field once more.
    usage = f"Usage: athanor {app_class.name()}"
    cli = App(name=app_class.name(), help=apps.summary(app_class), usage=f"{usage} COMMAND")

    @cli.command(usage=f"{usage} train [OPTIONS]")
    def train(
        app: Annotated[app_class, Parameter(name="*")] = app_class(),  # type: ignore[valid-type]  # noqa: B008
        *,
        how: HowToTrain = HOW,
        common: Common = COMMON,
    ) -> None:
        """Train a model, judge it on the test examples, and keep both in a run directory."""
        with output.output(common.json) as emit:
            emit(training.train(app, how, common))

    @cli.command(usage=f"{usage} tune [OPTIONS]")
    def tune(
        app: Annotated[app_class, Parameter(name="*")] = app_class(),  # type: ignore[valid-type]  # noqa: B008
        *,
        how: HowToTune = TUNE,
        common: Common = COMMON,
    ) -> None:
        """Search for better fields; killed and started again, it goes on."""
        with output.output(common.json) as emit:
            emit(training.tune(app, how, common))

    @cli.command(usage=f"{usage} check-distribute [OPTIONS]")
    def check_distribute(
        app: Annotated[app_class, Parameter(name="*")] = app_class(),  # type: ignore[valid-type]  # noqa: B008
        *,
        how: HowToShare = SHARED,
        common: Common = COMMON,
    ) -> None:
        """Compare twenty steps on one device with the same on several that share the work."""
        with output.output(common.json) as emit:
            emit(training.check_distribute(app, how, common))

    @cli.command(usage=f"{usage} check-data [OPTIONS]")
    def check_data(
        app: Annotated[app_class, Parameter(name="*")] = app_class(),  # type: ignore[valid-type]  # noqa: B008
        *,
        how: HowToCheck = CHECK,
        common: Common = COMMON,
    ) -> None:
        """Look for what is wrong with data before training: copies, leaks, labels, files.

        The exit status is 1 where something grave is found.
        """
        with output.output(common.json) as emit:
            runs.check_data(app, how, common, emit)

    _add_commands_on_runs(cli, app_class, usage)
    _add_replay(cli, app_class, usage)
    return cli


def _add_commands_on_runs(cli: App, app_class: type[apps.App] | None, usage: str) -> None:
    """Those that begin with a run, which knows its app; below an app it has to be of that one."""

    @cli.command(usage=f"{usage} evaluate RUN [OPTIONS]")
    def evaluate(run: RunDirectory, *, common: Common = COMMON) -> None:
        """Judge a run: metrics, intervals, baselines, per-class table, pictures."""
        with output.output(common.json) as emit:
            emit(runs.evaluate(app_class or runs.app_of(run), run, common))

    @cli.command(usage=f"{usage} predict RUN [INPUTS...] [OPTIONS]")
    def predict(
        run: RunDirectory,
        *inputs: Annotated[str, Parameter(help=_asked(app_class))],
        how: HowToPredict = PREDICT,
        common: Common = COMMON,
    ) -> None:
        """Answer new questions."""
        with output.output(common.json) as emit:
            app = app_class or runs.app_of(run)
            found = runs.predict(app, run, list(inputs), common, strict=how.strict)
            emit(found)
            runs.require_all_read(found)
            if how.strict:
                runs.require_known(found)

    @cli.command(usage=f"{usage} export RUN [OPTIONS]")
    def export(run: RunDirectory, *, how: HowToExport = EXPORT, common: Common = COMMON) -> None:
        """Write a version for servers, after proof that it answers as in training."""
        with output.output(common.json) as emit:
            emit(runs.export(app_class or runs.app_of(run), run, how, common))


def _asked(app_class: type[apps.App] | None) -> str:
    return ASKED[app_class.modality] if app_class else "Files, texts or users, as the app asks for."


def _add_replay(cli: App, app_class: type[apps.App], usage: str) -> None:
    """What is also at the top."""
    cli.command(tools.compare, usage=f"{usage} compare RUN RUN... [OPTIONS]")

    @cli.command(usage=f"{usage} replay RUN [OPTIONS]")
    def replay(run: RunDirectory, *, how: HowToReplay = REPLAY, common: Common = COMMON) -> None:
        """Train a run again from its run.json, and name the first number that differs."""
        runs.require_app(app_class, run, runs.app_of(run).name())
        tools.replay(run, how=how, common=common)


def launch(
    *command: Annotated[str, Parameter(help="APP train or APP check-distribute, and its flags.")],
    workers: int = 2,
    restarts: int = 3,
) -> None:
    """Train as several processes of this machine that share every batch.

    Each line of worker N begins with [N]. Number 0 is the chief, which alone
    writes the run directory. When one fails all are stopped, and its exit status
    is the command's; Ctrl-C keeps what the chief finished. For several machines
    give TF_CONFIG and the command `athanor APP train --strategy multiworker` to
    each of them.

    Args:
        workers: How many processes; each takes an equal part of the GPUs.
        restarts: How many times all are started again after a signal ended one.

    """
    app, how = _asked_of_workers(list(command))
    training.launch(list(command), app, how, workers, restarts)


def _asked_of_workers(command: list[str]) -> tuple[apps.App, HowToTrain | HowToShare]:
    """The app and the flags of a command, read here so that a mistake is answered once."""
    known = [app.name() for app in apps.ALL]
    if command[:1] not in [[name] for name in known] or command[1:2] not in LAUNCHED:
        raise apps.FieldError(
            f"Received {' '.join(command[:2]) or 'no command'!r} for the workers; expected APP "
            f"train or APP check-distribute with one of {', '.join(known)}: athanor launch "
            "--workers 2 mnist train."
        )
    cli = _command_line(command[0])
    if config := output.config_of(command):
        cli.config = [config]
    _, given, _ = cli.parse_args(command, exit_on_error=False, print_error=False)
    default = apps.get(command[0])()
    how = given.arguments.get("how", HOW if command[1] == "train" else SHARED)
    output.require_workers(how, command)
    return given.arguments.get("app", default), how


def main() -> None:
    """Run the command line and exit.

    0 done, 1 failed, 2 asked for something impossible, 3 lost another worker.
    """
    _silence_libraries()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may hold bytes that are no text
        sys.stdout.reconfigure(errors="backslashreplace")
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


def _silence_libraries() -> None:
    """Hide what libraries warn of, which no user can mend, unless Python is asked to show it."""
    if not sys.warnoptions and "--debug" not in sys.argv:
        warnings.simplefilter("ignore")
        os.environ["PYTHONWARNINGS"] = "ignore"  # for joblib's processes


def _run(arguments: list[str]) -> int:
    # Reading the fields of five apps would take longer than people wait for help.
    cli = _command_line(arguments[0] if arguments else "")
    try:
        output.require_app_first(arguments)
        asked = {"--help", "-h"} & set(arguments)
        if asked or not arguments:
            # Parsing what is not going to run would take a quarter of the time.
            page = help_page(cli, [one for one in arguments if one not in asked])
            with contextlib.suppress(BrokenPipeError):  # who reads it has seen enough
                print(page, flush=True)
            return 0
        if arguments == ["--version"]:
            print(tools.version())
            return 0
        output.require_whole_numbers(arguments)
        if arguments[0] == "launch":
            arguments = output.delimited(arguments)
        elif config := output.config_of(arguments):
            cli.config = [config]
        cli(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in arguments:
            raise
        status, message = output.explain(error, arguments)
        print(f"athanor: {message}", file=sys.stderr)
        return status
    return 0


if __name__ == "__main__":
    main()
