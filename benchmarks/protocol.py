"""Run programs by the rules that make benchmark results comparable and repeatable.

Programs are separate processes, started in turn (A B A B) and measured from outside or by their
own clock. Ratios compare runs that follow each other. Each result file records versions, hardware
and settings.
"""

import dataclasses
import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results"
PACKAGES = (
    "athanor",
    "tensorflow",
    "keras",
    "numpy",
    "tensorflow-datasets",
    "torch",
    "lightgbm",
    "catboost",
)


@dataclasses.dataclass(frozen=True)
class Program:
    """A program to measure.

    Attributes:
        name: the name in tables.
        arguments: arguments of python; a script is named from the root of the checkout.
            The seed is appended.
        read: selects the results from the JSON line that the program prints last.

    """

    name: str
    arguments: tuple[str, ...]
    read: Callable[[dict[str, Any]], dict[str, Any]] = dict

    @property
    def command(self) -> str:
        """The command that a user would type, without paths of this machine."""
        typed = f"python {shlex.join(self.arguments)} --seed SEED".replace(str(ROOT.parent), "..")
        return re.sub(re.escape(tempfile.gettempdir()) + r"/\w+", "DIRECTORY", typed)


@dataclasses.dataclass(frozen=True)
class Run:
    """One process.

    Attributes:
        program: name of the program.
        seed: seed of everything random in it.
        seconds: duration of the whole process, measured from outside.
        load: load average of the last minute before it, which includes the previous run.
        others: cores that other processes kept busy during the run; None if unknown.
        answer: the results that the program printed.

    """

    program: str
    seed: int
    seconds: float
    load: float
    others: float | None
    answer: dict[str, Any]


class Spread(NamedTuple):
    """Median, minimum and maximum of numbers."""

    median: float
    least: float
    most: float

    def text(self, digits: int) -> str:
        """Format as `median (least to most)`."""
        median, least, most = (f"{number:,.{digits}f}" for number in self)
        return median if least == most else f"{median} ({least} to {most})"


class Table(NamedTuple):
    """A table of formatted cells."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def require_mnist() -> None:
    """Exit with one line unless MNIST is prepared in the directory of TFDS."""
    directory = Path(os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets")
    if not any(directory.glob("mnist/*/dataset_info.json")):
        raise SystemExit(
            f"Found no prepared MNIST in {directory}; set TFDS_DATA_DIR to the directory that "
            'contains it, or prepare it once: python -c "import tensorflow_datasets; '
            "tensorflow_datasets.load('mnist')\"."
        )


def require_torch() -> None:
    """Exit with one line unless PyTorch is installed."""
    if importlib.util.find_spec("torch") is None:
        raise SystemExit(
            "PyTorch is not installed; install it: pip install 'athanor[bench]', or: make bench."
        )


def run(program: Program, seed: int, directory: Path) -> Run:
    """Start a program, wait for it, and time it. Exits with its last output if it fails."""
    script = [str(ROOT / part) if part.endswith(".py") else part for part in program.arguments]
    load, foreign = os.getloadavg()[0], _foreign_seconds()
    start = time.perf_counter()
    process = subprocess.run(
        [sys.executable, *script, "--seed", str(seed)],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{program.command} failed:\n{process.stderr[-2000:]}")
    others = None
    if foreign is not None and (now := _foreign_seconds()) is not None:
        others = round(max(0.0, now - foreign) / seconds, 3)
    answer = program.read(json.loads(process.stdout.splitlines()[-1]))
    print(f"{program.name}, seed {seed}: {seconds:.1f} s  {answer}", file=sys.stderr)
    return Run(program.name, seed, round(seconds, 3), round(load, 2), others, answer)


def in_turn(programs: Sequence[Program], repeats: int, directory: Path) -> list[Run]:
    """Run A B A B ...; the seed is the number of the repeat."""
    return [run(program, seed, directory) for seed in range(repeats) for program in programs]


def values(runs: Iterable[Run], program: Program, name: str) -> list[float]:
    """Return a number of each run of a program: `seconds`, or one that it printed."""
    return [
        run.seconds if name == "seconds" else run.answer[name]
        for run in runs
        if run.program == program.name
    ]


def spread(numbers: Sequence[float]) -> Spread:
    """Return median, minimum and maximum."""
    return Spread(statistics.median(numbers), min(numbers), max(numbers))


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratio of each pair."""
    return [a / b for a, b in zip(above, below, strict=True)]


def accuracies(programs: Sequence[Program], runs: Sequence[Run], **peers: str) -> Table:
    """Return the test accuracy of each program over its seeds; `peers` are names and headers."""
    rows = []
    for program in programs:
        mean, *means = (
            f"{100 * statistics.mean(values(runs, program, name)):.2f} %"
            for name in ("accuracy", *peers)
        )
        accuracy = spread(values(runs, program, "accuracy"))
        interval = f"{100 * accuracy.least:.2f} to {100 * accuracy.most:.2f}"
        seconds = spread(values(runs, program, "seconds")).text(0)
        rows.append([program.name, mean, interval, *means, seconds])
    return Table(["run", "mean", "seeds", *peers.values(), "seconds, all"], rows)


def block(programs: Sequence[Program], repeats: int, **more: Any) -> dict[str, Any]:
    """Return the conditions on which a result depends, to be stored with it."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | _versions(),
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "programs": {program.name: program.command for program in programs},
        "repeats": repeats,
        "seeds": list(range(repeats)),
        "order": "in turn: each program once, then each again",
        **more,
    }


def write(
    name: str, title: str, protocol: dict[str, Any], runs: Sequence[Run], table: Table, **more: Any
) -> None:
    """Write a result to results/NAME.json and print its table."""
    content = {
        "title": title,
        "table": table._asdict(),
        **more,
        "protocol": protocol,
        "runs": [dataclasses.asdict(run) for run in runs],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    print("\n".join([title, "", markdown(table), "", f"written to benchmarks/results/{name}.json"]))


def markdown(table: Table) -> str:
    """Return a table in Markdown that is aligned as plain text too; numbers are right-aligned."""
    widths = [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (cell.ljust if not i else cell.rjust for i, cell in enumerate(cells))
        padded = [
            first(widths[0]),
            *(fill(width) for fill, width in zip(rest, widths[1:], strict=True)),
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(map(line, [table.header, rule, *table.rows]))


def commit() -> str | None:
    """Return the measured commit, with a star if files differ from it."""
    git = ["git", "-C", str(ROOT)]
    code = ["--", ".", ":!*.md", ":!benchmarks/results"]
    try:
        head = subprocess.check_output([*git, "rev-parse", "--short", "HEAD"], text=True)
        changed = subprocess.check_output([*git, "status", "--porcelain", "-uno", *code])
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.strip() + ("*" if changed else "")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    parts = {key.strip(): value.strip() for key, value in facts.items()}
    bfloat16_flags = [flag for flag in parts.get("flags", "").split() if flag.endswith("_bf16")]
    return " ".join([parts.get("model name", platform.machine()), *bfloat16_flags])


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _foreign_seconds() -> float | None:
    """Return the processor seconds of all processes except this one and those it started."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _wait, *rest = map(int, fields)
    used = [resource.getrusage(scope) for scope in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own = sum(usage.ru_utime + usage.ru_stime for usage in used)
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK") - own
