"""What the command line does around a verb: flags, results for programs, errors for people."""

import contextlib
import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cyclopts import CycloptsError

import apps
from cli.options import HowToServe, HowToShare, HowToTrain, HowToTune

# Verbs that need an app, and those that know it by the run.
OF_APPS = ("train", "tune", "check-data", "check-distribute")
OF_RUNS = ("evaluate", "predict", "export", "replay", "compare")
# What makes a verb need less memory.
LESS_MEMORY = {
    "train": "Take smaller data, a smaller --batch-size or a smaller model.",
    "tune": "Take fewer --workers, smaller data, a smaller --batch-size or a smaller model.",
    "check-distribute": "Take a smaller --batch-size, fewer --devices or a smaller model.",
    "check-data": "Take smaller data.",
    "predict": "Give fewer inputs at once.",
    "serve": "Lower --max-concurrency or --max-body, or serve fewer models.",
}


@contextlib.contextmanager
def output(as_json: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Give a function for the result; with --json it alone reaches standard output."""
    if not as_json:
        yield lambda _: None
        return
    sys.stdout.flush()
    kept = os.dup(1)
    # At the level of the system: libraries in C++ print too.
    os.dup2(2, 1)

    def emit(result: dict[str, Any]) -> None:
        # Of several workers only the chief has one.
        if result:
            os.write(kept, (json.dumps(result) + "\n").encode())

    try:
        yield emit
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def config_of(arguments: list[str]) -> Any:
    """The fields in the file named by --config, for cyclopts; None where none is named.

    It has to be known before the rest is parsed.
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


def given(arguments: Sequence[str], flags: Any) -> dict[str, Any]:
    """Those of an app's fields, or a verb's flags, that a command or its --config file names.

    A named value counts also where it equals the default: somebody may go back to it.
    """
    default = type(flags)()
    names = {one.partition("=")[0].removeprefix("--").replace("-", "_") for one in arguments}
    names |= {name.removeprefix("no_") for name in names}
    if config := getattr(config_of(list(arguments)), "config", None):
        names |= {name.replace("-", "_") for name in config}
    return {
        name: value
        for name, value in vars(flags).items()
        if name in names or value != getattr(default, name)
    }


def require_whole_numbers(arguments: list[str]) -> None:
    """Raise FieldError where a fraction is given for a whole number; cyclopts would round it."""
    whole = {
        "--" + field.name.replace("_", "-")
        for flags in (*apps.ALL, HowToTrain, HowToShare, HowToTune, HowToServe)
        for field in dataclasses.fields(flags)
        if field.type in (int, int | None)
    } | {"--restarts"}
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, given, value = argument.partition("=")
        value = value if given else following
        if name in whole and not re.fullmatch(r"[-+]?\d+", value) and _is_number(value):
            raise apps.FieldError(f"Received {name} {value}; expected a whole number.")


def require_app_first(arguments: Sequence[str]) -> None:
    """Raise FieldError for a verb before its app: athanor train regression."""
    verb, app = (*arguments, "", "")[:2]
    names = [one.name() for one in apps.ALL]
    if verb in OF_APPS or (verb in OF_RUNS and app in names and not Path(app).exists()):
        right = app if app in names else "APP"
        others = "" if app in names else f"; APP is one of {', '.join(names)}"
        raise apps.FieldError(
            f"Received {verb!r} without an app before it; expected athanor {right} {verb}{others}."
        )


def delimited(arguments: list[str]) -> list[str]:
    """The arguments of `launch`, with -- before the command that is the workers' own."""
    names = {app.name() for app in apps.ALL}
    place = next((place for place, one in enumerate(arguments) if one in names), len(arguments))
    return [*arguments[:place], "--", *arguments[place:]]


def require_workers(how: HowToTrain | HowToShare, command: Sequence[str] = ()) -> None:
    """Raise FieldError for flags, of a command if it is given, that several workers cannot heed."""
    asked = any(one.partition("=")[0] == "--strategy" for one in command)
    folds = getattr(how, "folds", None)
    if asked and how.strategy not in ("multiworker", "auto"):
        received, remedy = f"--strategy {how.strategy}", "expected multiworker. Leave it out."
    elif how.devices is not None:
        received, remedy = f"--devices {how.devices}", "expected none, for each takes its GPUs."
    elif folds is not None:
        received, remedy = f"--folds {folds}", "expected one training. Take --strategy one for it."
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
    """The exit status of an error, and what to say: received, expected, what to do.

    `arguments` are those of the command that failed.
    """
    text = " ".join(str(error).split())
    if isinstance(error, CycloptsError):
        return 2, f"{text} See --help."
    if isinstance(error, KeyboardInterrupt):
        status = getattr(error, "exit_status", 130)
        return status, text or "interrupted; what was finished is kept."
    if status := getattr(error, "exit_status", 0):
        return status, text
    full = "No space left on device" in text
    if full or (isinstance(error, OSError) and error.strerror):
        reason = "No space left on device" if full else getattr(error, "strerror", "")
        place = getattr(error, "filename", None) or "a file of the run"
        return 1, (
            f"Could not write or read {place}: {reason}. Free space there, or choose another "
            "place with --run-dir."
        )
    kind = type(error).__name__
    if kind in ("MemoryError", "ResourceExhaustedError", "_ArrayMemoryError"):
        verb = next((one for one in arguments if one in LESS_MEMORY), "")
        remedy = LESS_MEMORY.get(verb, "End other programs, or take a machine with more memory.")
        return 1, f"The memory of this machine is too small; nothing more was kept. {remedy}"
    return 1, f"Unexpected {kind}: {text[:200]} Run again with --debug for the traceback."
