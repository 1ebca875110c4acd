"""What the command line does around a verb: flags, results for programs, errors for people."""

import contextlib
import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import CycloptsError, Parameter

import apps


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
    """A new or empty directory for the run, or that of an interrupted one, which goes on;
    runs/APP/DATE-TIME by default."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the arithmetic; auto takes bfloat16 where it is measured to be faster."""
    strategy: Literal["one", "mirrored", "multiworker", "auto"] = "one"
    """One device; several that share every batch (mirrored); those of all processes that
    TF_CONFIG names (multiworker, see athanor launch); auto takes all that there are."""
    devices: int | None = None
    """How many GPUs, or parts of the CPU where there is none; all by default."""
    quarantine: Path | None = None
    """A list of check-data --write-quarantine: what it names is left out of training and
    validation, never out of test."""
    folds: int | None = None
    """Cross-validate: train once for each of so many folds, and give mean and spread."""
    profile: Annotated[bool, Parameter(negative="")] = False
    """Record for TensorBoard what the steps spend their time on."""
    config: Path | None = None
    """A YAML file of fields; flags override it."""


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class HowToShare:
    """Flags of `check-distribute` besides the app's fields."""

    devices: int | None = None
    """How many GPUs, or parts of the CPU where there is none: 2 by default."""
    strategy: Literal["mirrored", "multiworker"] = "mirrored"
    """Devices of this process, or those of all that TF_CONFIG names (see athanor launch)."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Number format of the arithmetic."""


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class HowToTune:
    """Flags of `tune` besides the app's fields, which are those of the first trial."""

    tuner: Literal["auto", "bayesian", "tpe", "random", "grid", "hyperband"] = "auto"
    """What proposes values: a Gaussian process or Optuna's TPE, which both stop poor trials early,
    or one of KerasTuner's; auto is bayesian, or tpe for several objectives."""
    trials: int = 20
    """So many are begun at most."""
    minutes: float | None = None
    """No trial begins later."""
    workers: int = 1
    """Processes that work on trials of their own."""
    objective: str = ""
    """A validation score, by default the app's own; after it perhaps latency and size of the
    exported artifact, with commas between: accuracy,latency,size."""
    space: Path | None = None
    """A YAML file of fields and their values instead of the app's own space."""
    keep: int = 3
    """How many of the best trials keep their models."""
    run_dir: Path | None = None
    """Directory of the search, to begin or to go on with; by default it follows from what is
    searched."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the arithmetic."""
    strategy: Literal["one", "mirrored", "auto"] = "one"
    """One device a trial, or several that share every batch."""
    devices: int | None = None
    """How many of them; all by default."""
    config: Path | None = None
    """A YAML file of fields; flags override it."""


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class HowToExport:
    """Flags of `export`."""

    format: str = "savedmodel"
    """What to write, with commas between: savedmodel, which is always there; litert; onnx."""
    quantize: Literal["int8", "float16"] | None = None
    """A smaller file of litert beside the usual one, and a table of what it costs."""
    refresh_items: Path | None = None
    """A CSV file of the items to recommend from now on; the recommender is not trained again."""


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class HowToServe:
    """Flags of `serve`."""

    host: str = "127.0.0.1"
    """Where to listen; 0.0.0.0 is every network that this machine is in."""
    port: int = 8501
    """Of HTTP; 0 takes a free one."""
    grpc_port: int | None = None
    """Of gRPC, which nothing listens to by default; 0 takes a free one."""
    batch: float = 0
    """Gather requests for so many milliseconds and answer them together; 0 does not."""
    max_body: float = 16
    """Megabytes of a request; larger ones are answered by 413."""
    timeout: float = 30
    """Seconds for an answer, then 504."""
    max_concurrency: int = 256
    """Requests at once; those beyond are answered by 503."""
    log: Path | None = None
    """A file for a line of JSON about each question and event; standard error by default."""


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class HowToCheck:
    """Flags of `check-data` besides the app's fields."""

    report: Path = Path("data-report.html")
    """The page to write; a file there that is no such page is left alone."""
    write_quarantine: Path | None = None
    """A new CSV file of what training should leave out, for train --quarantine."""
    fail_on: Literal["grave", "warning", "never"] = "grave"
    """From which severity on the exit status is 1."""
    config: Path | None = None
    """A YAML file of fields; flags override it."""


COMMON, HOW, SHARED, TUNE = Common(), HowToTrain(), HowToShare(), HowToTune()
EXPORT, SERVE, CHECK = HowToExport(), HowToServe(), HowToCheck()


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
    import yaml
    from cyclopts.config import Dict

    try:
        fields = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise apps.FieldError(
            f"Received --config {path!r}: {reason}; expected a YAML file of fields, such as "
            "'epochs: 3'."
        ) from error
    if not isinstance(fields, dict):
        raise apps.FieldError(f"Received --config {path!r}; expected lines such as 'epochs: 3'.")
    return Dict(fields, source=path, use_commands_as_keys=False)


def require_whole_numbers(arguments: list[str]) -> None:
    """Raise FieldError where a fraction is given for a whole number; cyclopts would round it."""
    whole = {
        "--" + field.name.replace("_", "-")
        for flags in (*apps.ALL, HowToTune)
        for field in dataclasses.fields(flags)
        if field.type is int
    }
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, given, value = argument.partition("=")
        value = value if given else following
        if name in whole and not re.fullmatch(r"[-+]?\d+", value) and _is_number(value):
            raise apps.FieldError(f"Received {name} {value}; expected a whole number.")


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


def explain(error: BaseException) -> tuple[int, str]:
    """The exit status of an error, and what to say: received, expected, what to do."""
    text = " ".join(str(error).split())
    if isinstance(error, CycloptsError):
        return 2, f"{text} See --help."
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted; what was finished is kept."
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
    return 1, f"Unexpected {kind}: {text[:200]} Run again with --debug for the traceback."
