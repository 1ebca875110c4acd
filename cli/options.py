"""The flags of every verb besides an app's fields."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


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
    trust: Annotated[bool, Parameter(negative="")] = False
    """Load a run also where somebody else made it, or changed it since."""


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
    resume: Path | None = None
    """The directory of a run that was stopped or killed: it goes on, with its own fields."""
    force: Annotated[bool, Parameter(negative="")] = False
    """Go on also with other fields, data, devices or versions than it began with."""
    checkpoint_every: float | None = None
    """Seconds between two checkpoints; as often as costs 2 % of the time by default."""
    on_nan: Literal["stop", "halve"] = "stop"
    """Where the loss diverges: stop, or go on from the last epoch with half the learning rate,
    three times at most."""
    deterministic: Annotated[bool, Parameter(negative="")] = False
    """Let every operation add in one order, also where that is slower: on a GPU the same seed
    then gives the same numbers."""
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
    quarantine: Path | None = None
    """A list of check-data --write-quarantine: what it names is left out of training and
    validation of every trial, never out of test."""
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
    with_examples: Annotated[bool, Parameter(negative="")] = False
    """Show everybody who asks the server some examples of the test set, and ids of users; without
    it examples are made up from the schema."""


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class HowToPredict:
    """Flags of `predict`."""

    strict: Annotated[bool, Parameter(negative="")] = False
    """End with status 1 where a user or an item is unknown; of the recommender alone."""


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
    trust: Annotated[bool, Parameter(negative="")] = False
    """Serve also what somebody else exported, or changed since."""
    allow_host: tuple[str, ...] = ()
    """A further name by which the server is asked, such as that of a proxy before it; may be
    repeated. Other names are answered by 421."""


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class HowToCompare:
    """Flags of `compare`."""

    strict: Annotated[bool, Parameter(negative="")] = False
    """Exit with status 1 where the runs differ in their data, splits or folds."""


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class HowToReplay:
    """Flags of `replay`."""

    run_dir: Path | None = None
    """A new or empty directory to keep the second run in; nothing of it is kept by default."""


@Parameter(name="*")
@dataclasses.dataclass(frozen=True, kw_only=True)
class HowToCheck:
    """Flags of `check-data` besides the app's fields."""

    report: Path = Path("data-report.html")
    """The page to write; a file there that is no such page is left alone."""
    write_quarantine: Path | None = None
    """A new CSV file of what training should leave out, for --quarantine of train and tune."""
    fail_on: Literal["grave", "warning", "never"] = "grave"
    """From which severity on the exit status is 1."""
    config: Path | None = None
    """A YAML file of fields; flags override it."""


COMMON, HOW, SHARED, TUNE = Common(), HowToTrain(), HowToShare(), HowToTune()
EXPORT, SERVE, REPLAY = HowToExport(), HowToServe(), HowToReplay()
CHECK, COMPARE = HowToCheck(), HowToCompare()
PREDICT = HowToPredict()
