"""What the command line does around a verb: flags, results for programs, errors for people."""

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import CycloptsError, Parameter


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Common:
    """Flags of every verb."""

    data_dir: Path | None = None
    """Where prepared TFDS sets lie; TFDS_DATA_DIR by default."""
    json: Annotated[bool, Parameter(negative="")] = False
    """Print one JSON object on standard output and everything else on standard error."""
    debug: Annotated[bool, Parameter(negative="")] = False
    """Show the traceback of an error."""


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class HowToTrain:
    """Flags of `train` besides the app's fields."""

    run_dir: Path | None = None
    """A new or empty directory for the run; runs/APP/DATE-TIME by default."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the arithmetic; auto takes bfloat16 where it is measured to be faster."""
    profile: Annotated[bool, Parameter(negative="")] = False
    """Record for TensorBoard what the steps spend their time on."""
    config: Path | None = None
    """A YAML file of fields; flags override it."""


COMMON, HOW = Common(), HowToTrain()


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
        os.write(kept, (json.dumps(result) + "\n").encode())

    try:
        yield emit
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def config_of(arguments: list[str]) -> str | None:
    """The value of --config, which has to be known before the rest is parsed."""
    for name, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if name == "--config":
            return value
        if name.startswith("--config="):
            return name.removeprefix("--config=")
    return None


def explain(error: BaseException) -> tuple[int, str]:
    """The exit status of an error, and what to say: received, expected, what to do."""
    text = " ".join(str(error).split())
    if isinstance(error, CycloptsError):
        return 2, f"{text} See --help."
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted."
    if status := getattr(error, "exit_status", 0):
        return status, text
    if isinstance(error, OSError) and error.strerror:
        place = error.filename or "a file"
        return 1, (
            f"Could not read or write {place}: {error.strerror}. Free space there, or choose "
            "another place with --run-dir."
        )
    kind = type(error).__name__
    return 1, f"Unexpected {kind}: {text[:200]} Run again with --debug for the traceback."
