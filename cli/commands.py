"""The commands of the command line, `athanor APP VERB`, made from the fields of each app.

TensorFlow is imported inside the commands, so that help and error messages appear at once.
"""

from typing import Annotated, Any

from cyclopts import App, Parameter

import apps
from cli import decide, explaining, output, reports, runs, tools, training
from cli.options import (
    CHECK_DATA,
    CHECK_DISTRIBUTE,
    EVALUATE,
    EXPORT,
    FLAGS,
    GATE,
    LEARNING_CURVE,
    OUTPUT,
    PREDICT,
    REPLAY,
    TRAIN,
    TUNE,
    CheckDataFlags,
    OutputFlags,
    TrainFlags,
    TuneFlags,
)
from cli.tools import RunDirectory
from evaluation.options import (
    EvaluateOptions,
    GateOptions,
    LearningCurveOptions,
    ReplayOptions,
)
from exporting.options import ExportOptions
from inference.options import PredictOptions
from training.options import CheckDistributeOptions

LAUNCHABLE = (["train"], ["check-distribute"])
SUMMARY = "Train, evaluate, export and serve models on your own data."


def command_line(app_name: str | None = None) -> App:
    """Return the commands of all apps; if an app is named, the others are only listed."""
    cli = App(
        name="athanor",
        help=SUMMARY,
        usage="Usage: athanor COMMAND",
        help_format="plaintext",
        version=tools.version,
        suppress_keyboard_interrupt=False,
    )
    for app in apps.ALL:
        complete = app_name in (None, app.name())
        listed = App(name=app.name(), help=apps.summary(app))
        cli.command(_app_commands(app) if complete else listed)
    _add_run_commands(cli, None, "Usage: athanor")
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
    # The usage is given, because cyclopts would read every field again to write it.
    usage = f"Usage: athanor {app_class.name()}"
    cli = App(name=app_class.name(), help=apps.summary(app_class), usage=f"{usage} COMMAND")
    Fields: Any = Annotated[app_class, Parameter(name="*")]  # noqa: N806
    fields = app_class()

    @cli.command(usage=f"{usage} train [OPTIONS]")
    def train(
        app: Fields = fields,
        *,
        options: Annotated[TrainFlags, FLAGS] = TRAIN,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Train a model, evaluate it on the test examples, and keep both in a run directory."""
        with output.output(printed.json) as emit:
            emit(training.train(app, options, verbose=output.verbosity(printed.json)))

    @cli.command(usage=f"{usage} tune [OPTIONS]")
    def tune(
        app: Fields = fields,
        *,
        options: Annotated[TuneFlags, FLAGS] = TUNE,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Search for better fields; the same command continues an interrupted search."""
        with output.output(printed.json) as emit:
            emit(training.tune(app, options))

    @cli.command(usage=f"{usage} check-distribute [OPTIONS]")
    def check_distribute(
        app: Fields = fields,
        *,
        options: Annotated[CheckDistributeOptions, FLAGS] = CHECK_DISTRIBUTE,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Compare twenty steps on one device with the same steps on several devices."""
        with output.output(printed.json) as emit:
            emit(training.check_distribute(app, options))

    @cli.command(usage=f"{usage} check-data [OPTIONS]")
    def check_data(
        app: Fields = fields,
        *,
        options: Annotated[CheckDataFlags, FLAGS] = CHECK_DATA,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Check data before training: duplicates, leakage, labels, unreadable files.

        The exit status is 1 if a finding is an error.
        """
        with output.output(printed.json) as emit:
            runs.check_data(app, options, emit)

    _add_run_commands(cli, app_class, usage)
    _add_replay(cli, app_class, usage)
    return cli


def _add_run_commands(cli: App, app_class: type[apps.App] | None, usage: str) -> None:
    """Add the commands that take a run; those of an app take only its runs."""
    _add_score_commands(cli, app_class, usage)
    decide.add(cli, app_class, usage)
    _add_use_commands(cli, app_class, usage)
    explaining.add_command(cli, app_class, usage)


def _add_score_commands(cli: App, app_class: type[apps.App] | None, usage: str) -> None:
    """Add the commands on the scores of a run."""

    @cli.command(usage=f"{usage} evaluate RUN [OPTIONS]")
    def evaluate(
        run: RunDirectory,
        *,
        options: Annotated[EvaluateOptions, FLAGS] = EVALUATE,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Evaluate a run: metrics, intervals, baselines, per-class table, figures."""
        with output.output(printed.json) as emit:
            emit(runs.evaluate(app_class or runs.app_of(run), run, options))

    @cli.command(usage=f"{usage} report RUN [OPTIONS]")
    def report(
        run: RunDirectory,
        *,
        options: Annotated[EvaluateOptions, FLAGS] = EVALUATE,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Write the report of a run, by which people decide: a page, a model card, JSON."""
        with output.output(printed.json) as emit:
            emit(reports.report(app_class or runs.app_of(run), run, options))

    @cli.command(usage=f"{usage} learning-curve RUN [OPTIONS]")
    def learning_curve(
        run: RunDirectory,
        *,
        options: Annotated[LearningCurveOptions, FLAGS] = LEARNING_CURVE,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Train on parts of the training examples, and say what twice as many would bring.

        It takes about three times the seconds of the run's training.
        """
        with output.output(printed.json) as emit:
            app, verbose = app_class or runs.app_of(run), output.verbosity(printed.json)
            emit(reports.learning_curve(app, run, options, verbose=verbose))

    @cli.command(usage=f"{usage} gate RUN --require CONDITIONS [OPTIONS]")
    def gate(
        run: RunDirectory,
        *,
        options: Annotated[GateOptions, FLAGS] = GATE,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Check that the scores of a run fulfil conditions; the exit status is 1 if they do not.

        A condition is about a metric, an end of its interval (accuracy.low), the worst class
        (per_class.recall) or slice (worst_slice.accuracy), groups of people (fairness.tpr_gap),
        ece, brier, examples, or it is better_than_baselines.
        """
        with output.output(printed.json) as emit:
            app = app_class or runs.app_of(run)
            runs.gate(app, run, options, emit)


def _add_use_commands(cli: App, app_class: type[apps.App] | None, usage: str) -> None:
    """Add the commands that use the model of a run."""

    @cli.command(usage=f"{usage} predict RUN [INPUTS...] [OPTIONS]")
    def predict(
        run: RunDirectory,
        *inputs: Annotated[str, Parameter(help=_input_help(app_class))],
        options: Annotated[PredictOptions, FLAGS] = PREDICT,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Predict for new inputs."""
        with output.output(printed.json) as emit:
            app = app_class or runs.app_of(run)
            result = runs.predict(app, run, list(inputs), options)
            emit(result)
            runs.require_all_read(result)
            if options.strict:
                runs.require_known(result)

    @cli.command(usage=f"{usage} export RUN [OPTIONS]")
    def export(
        run: RunDirectory,
        *,
        options: Annotated[ExportOptions, FLAGS] = EXPORT,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Write a version for servers, after a check that it predicts as in training."""
        with output.output(printed.json) as emit:
            emit(runs.export(app_class or runs.app_of(run), run, options))


def _input_help(app_class: type[apps.App] | None) -> str:
    if app_class is None:
        return "Files, texts or users: see the app."
    return runs.INPUTS[app_class.modality].help


def _add_replay(cli: App, app_class: type[apps.App], usage: str) -> None:
    """Add `compare` and `replay` to an app; they are top-level commands too."""
    cli.command(tools.compare, usage=f"{usage} compare RUN RUN... [OPTIONS]")

    @cli.command(usage=f"{usage} replay RUN [OPTIONS]")
    def replay(
        run: RunDirectory,
        *,
        options: Annotated[ReplayOptions, FLAGS] = REPLAY,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Train a run again from its run.json, and name the first number that differs."""
        runs.require_app(app_class, run, runs.app_of(run).name())
        tools.replay(run, options=options, printed=printed)


def launch(
    *command: Annotated[str, Parameter(help="APP train or APP check-distribute, and its flags.")],
    workers: int = 2,
    restarts: int = 3,
) -> None:
    """Train as several processes of this machine that share every batch.

    Each line of worker N begins with [N]. Worker 0 is the chief: only it writes the run
    directory. When a worker fails, all workers stop, and the command ends with its exit
    status; Ctrl-C keeps the finished work of the chief. To use several machines, set
    TF_CONFIG on each and run `athanor APP train --strategy multiworker` there.

    Args:
        workers: Number of processes; each takes an equal part of the GPUs.
        restarts: Maximum number of restarts of all workers after a signal ended one.

    """
    app, options = _parsed_for_workers(list(command))
    training.launch(list(command), app, options, workers, restarts)


def _parsed_for_workers(
    command: list[str],
) -> tuple[apps.App, TrainFlags | CheckDistributeOptions]:
    """Return the app and options of the workers' command, parsed here to show a mistake once."""
    known = [app.name() for app in apps.ALL]
    if command[:1] not in [[name] for name in known] or command[1:2] not in LAUNCHABLE:
        raise apps.FieldError(
            f"Received {' '.join(command[:2]) or 'no command'!r} for the workers; expected APP "
            f"train or APP check-distribute with one of {', '.join(known)}: athanor launch "
            "--workers 2 mnist train."
        )
    cli = command_line(command[0])
    if config := output.config_of(command):
        cli.config = [config]
    _, given, _ = cli.parse_args(command, exit_on_error=False, print_error=False)
    default = TRAIN if command[1] == "train" else CHECK_DISTRIBUTE
    options = given.arguments.get("options", default)
    output.require_workers(options, command)
    return given.arguments.get("app", apps.get(command[0])()), options
