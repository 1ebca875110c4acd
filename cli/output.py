"""Checks of a command's flags, its JSON output, and the messages of its errors."""

import contextlib
import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cyclopts import CycloptsError, MissingArgumentError

import apps
from apps.fields import RENAMED_FIELDS
from cli.options import TrainFlags, TuneFlags
from serving.options import ServeOptions
from training.options import CheckDistributeOptions

APP_VERBS = ("train", "tune", "check-data", "check-distribute")
RUN_VERBS = (
    "evaluate",
    "report",
    "learning-curve",
    "gate",
    "predict",
    "explain",
    "export",
    "replay",
    "compare",
)  # a run names its app
BROKEN_PIPE_STATUS = 141  # of a program that SIGPIPE ends, as shells count
# By verb: how a user can reduce its memory.
MEMORY_REMEDIES = {
    "train": "Take smaller data, a smaller --batch-size or a smaller model.",
    "tune": "Take fewer --workers, smaller data, a smaller --batch-size or a smaller model.",
    "check-distribute": "Take a smaller --batch-size, fewer --devices or a smaller model.",
    "check-data": "Take smaller data.",
    "predict": "Give fewer inputs at once.",
    "explain": "Give fewer inputs at once.",
    "serve": "Lower --max-concurrency or --max-body, or serve fewer models.",
}


@contextlib.contextmanager
def output(as_json: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that takes the result; with --json only that reaches standard output."""
    if not as_json:
        yield lambda _: None
        return
    sys.stdout.flush()
    standard_output = os.dup(1)
    # The file descriptor, because libraries in C++ print too.
    os.dup2(2, 1)

    def emit(result: dict[str, Any]) -> None:
        # Among several workers only the chief has a result.
        if result:
            os.write(standard_output, (json.dumps(result) + "\n").encode())

    try:
        yield emit
    finally:
        sys.stdout.flush()
        os.dup2(standard_output, 1)
        os.close(standard_output)


def config_of(arguments: list[str]) -> Any:
    """Return the fields of the --config file, as a config of cyclopts; None without --config.

    cyclopts needs it before it parses the arguments.
    """
    path = None
    for name, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if name == "--config" or name.startswith("--config="):
            path = value if name == "--config" else name.removeprefix("--config=")
    if path is None:
        return None
    from cyclopts.config import Dict

    from apps import fields_file

    expected = "a YAML file of fields, with lines such as 'epochs: 3'."
    fields = fields_file.read(Path(path), "--config", expected)
    for name, value in fields.items():
        require_whole_numbers([f"--{name.replace('_', '-')}={value}"])
        if not isinstance(value, str | int | float | None):
            raise apps.FieldError(
                f"Received --config {path!r} with {name}: {str(value)[:60]}; expected a number, a "
                "text, true or false."
            )
    return Dict(fields, source=path, use_commands_as_keys=False)


def with_current_names(arguments: list[str]) -> list[str]:
    """Replace old names of flags, and print a line about each."""
    if "regression" not in arguments[:4]:  # `launch --workers 2 regression` is the longest way
        return arguments
    current = []
    for argument in arguments:
        flag, *value = argument.split("=", 1)
        name = RENAMED_FIELDS.get(flag.removeprefix("--").replace("-", "_"))
        if flag.startswith("--") and name:
            renamed = f"--{name.replace('_', '-')}"
            print(f"athanor: {flag} is now called {renamed}; its value was used.", file=sys.stderr)
            argument = "=".join([renamed, *value])
        current.append(argument)
    return current


def named_values(arguments: Sequence[str], flags: Any) -> dict[str, Any]:
    """Return the fields of `flags` that a command, or its --config file, names.

    A named value counts even if it equals the default: it may replace another one.
    """
    default = type(flags)()
    names = {one.partition("=")[0].removeprefix("--").replace("-", "_") for one in arguments}
    names |= {name.removeprefix("no_") for name in names}
    names |= {RENAMED_FIELDS[name] for name in names & RENAMED_FIELDS.keys()}
    if config := getattr(config_of(list(arguments)), "config", None):
        names |= {name.replace("-", "_") for name in config}
    return {
        name: value
        for name, value in vars(flags).items()
        if name in names or value != getattr(default, name)
    }


def verbosity(as_json: bool) -> int:
    """Keras's `verbose` for this terminal: 1 is a progress bar, 2 a line an epoch."""
    return 1 if sys.stdout.isatty() and not as_json else 2


def require_whole_numbers(arguments: list[str]) -> None:
    """Raise FieldError for a fraction in place of a whole number; cyclopts would round it."""
    integer_flags = {
        "--" + field.name.replace("_", "-")
        for flags in (*apps.ALL, TrainFlags, CheckDistributeOptions, TuneFlags, ServeOptions)
        for field in dataclasses.fields(flags)
        if field.type in (int, int | None)
    } | {"--restarts"}
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, given, value = argument.partition("=")
        value = value if given else following
        if name in integer_flags and not re.fullmatch(r"[-+]?\d+", value) and _is_number(value):
            raise apps.FieldError(f"Received {name} {value}; expected a whole number.")


def require_app_first(arguments: Sequence[str]) -> None:
    """Raise FieldError for a verb before its app: athanor train regression."""
    verb, app = (*arguments, "", "")[:2]
    names = [one.name() for one in apps.ALL]
    if verb in APP_VERBS or (verb in RUN_VERBS and app in names and not Path(app).exists()):
        right = app if app in names else "APP"
        others = "" if app in names else f"; APP is one of {', '.join(names)}"
        raise apps.FieldError(
            f"Received {verb!r} without an app before it; expected athanor {right} {verb}{others}."
        )


def delimited(arguments: list[str]) -> list[str]:
    """Return the arguments of `launch`, with -- before the workers' command."""
    names = {app.name() for app in apps.ALL}
    start = next((k for k, one in enumerate(arguments) if one in names), len(arguments))
    return [*arguments[:start], "--", *arguments[start:]]


def require_workers(
    options: TrainFlags | CheckDistributeOptions, command: Sequence[str] = ()
) -> None:
    """Raise FieldError for flags that several workers cannot follow.

    `command` holds the arguments of a command that may name the strategy itself.
    """
    named = any(one.partition("=")[0] == "--strategy" for one in command)
    flags = options if isinstance(options, TrainFlags) else TrainFlags()
    if named and options.strategy not in ("multiworker", "auto"):
        received, remedy = f"--strategy {options.strategy}", "expected multiworker. Leave it out."
    elif options.devices is not None:
        received = f"--devices {options.devices}"
        remedy = "expected none, because each worker takes its GPUs. Leave it out."
    elif flags.folds is not None or flags.seeds is not None:
        received = f"--folds {flags.folds}" if flags.seeds is None else f"--seeds {flags.seeds}"
        remedy = "expected one training. Take --strategy one for it."
    else:
        return
    raise apps.FieldError(f"Received {received} for several workers; {remedy}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def explain(error: BaseException, arguments: Sequence[str] = ()) -> tuple[int, str]:
    """Return the exit status and the message of an error: received, expected, what to do.

    `arguments` are those of the command that failed. The message is empty if the reader of the
    output has ended, as in `athanor predict RUN FILE | head`, unless that stopped a training.
    """
    text = " ".join(str(error).split())
    if isinstance(error, MissingArgumentError) and (message := _missing_word(error)):
        return 2, message
    if isinstance(error, CycloptsError):
        return 2, f"{text} See --help."
    if isinstance(error, KeyboardInterrupt):
        status = getattr(error, "exit_status", 130)
        return status, text or "interrupted; finished work is stored."
    if status := getattr(error, "exit_status", 0):
        return status, text
    if isinstance(error, BrokenPipeError):
        lost = "the program that reads the output has ended (Broken pipe); finished work is stored."
        return BROKEN_PIPE_STATUS, lost if {"train", "tune"} & set(arguments) else ""
    disk_full = "No space left on device" in text
    if disk_full or (isinstance(error, OSError) and error.strerror):
        reason = "No space left on device" if disk_full else getattr(error, "strerror", "")
        path = getattr(error, "filename", None) or "a file of the run"
        return 1, (
            f"Could not write or read {path}: {reason}. Free space there, or choose another "
            "directory with --run-dir."
        )
    kind = type(error).__name__
    if kind in ("MemoryError", "ResourceExhaustedError", "_ArrayMemoryError"):
        verb = next((one for one in arguments if one in MEMORY_REMEDIES), "")
        remedy = MEMORY_REMEDIES.get(
            verb, "End other programs, or take a machine with more memory."
        )
        return 1, f"The memory of this machine is too small; nothing more was written. {remedy}"
    return 1, f"Unexpected {kind}: {text[:200]} Run again with --debug for the traceback."


def _missing_word(error: MissingArgumentError) -> str:
    """Name the word that a command lacks, such as RUN; empty if a flag lacks its value."""
    argument = error.argument
    if argument is None or not argument.field_info.is_positional:
        return ""
    word = argument.name.removeprefix("--").upper()
    command = " ".join(["athanor", *(error.command_chain or ())])
    example = ", such as runs/APP/latest" * (word == "RUN")
    return f"Received no {word} for {command}; expected one{example}. See {command} --help."
