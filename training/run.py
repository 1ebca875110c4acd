"""The run directory: everything that one training left behind, each file whole."""

import contextlib
import dataclasses
import fcntl
import functools
import importlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import apps
from apps.app import App
from pipelines.files import whole

if TYPE_CHECKING:
    from pipelines.splits import Splits
    from training.samples import Samples

PASSPORT, CHECKPOINT, UNFINISHED = "run.json", "checkpoint.npz", "unfinished.txt"
QUARANTINE = "quarantine.csv"  # the list that training was given
# What training writes before the first epoch is finished.
WRITTEN = (UNFINISHED, "logs", "history.csv", "model.keras", "samples.npz", QUARANTINE)
# All that UNFINISHED holds: by it a directory is known as ours.
NOTE = "This training of athanor has not ended. The same command goes on with it.\n"
INTERRUPTED = "interrupted"  # by Ctrl-C, in the passport
ELSEWHERE = Path(os.devnull)  # the run of a worker that writes none


class RunError(ValueError):
    """A run directory that cannot be used: what was received, what was expected."""

    exit_status = 2


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained run on the disk; its parts are loaded when they are first asked for."""

    path: Path
    data_dir: Path | None = None

    @classmethod
    def load(cls, path: Path, data_dir: Path | None = None) -> "Run":
        """The run in a directory. Raises RunError where there is no finished one."""
        run = cls(path.resolve(), data_dir)
        for name in (PASSPORT, "model.keras"):
            if not (run.path / name).is_file():
                raise RunError(
                    f"Received the run {str(path)!r}, which holds no {name}; expected the "
                    "directory of a finished run. Train one, or look in runs/."
                )
        run.passport  # noqa: B018 - read now, so that a damaged file is named here
        return run

    @functools.cached_property
    def passport(self) -> dict[str, Any]:
        """run.json: fields, versions, fingerprints, seed, hardware, precision, input, labels."""
        try:
            return json.loads((self.path / PASSPORT).read_text())
        except ValueError as error:
            raise RunError(
                f"Received {self.path / PASSPORT}, which is damaged ({error}); expected JSON as "
                "training wrote it. Restore the file or train again."
            ) from error

    @functools.cached_property
    def app(self) -> App:
        """The app with the fields of this run."""
        return apps.named(self.passport["app"]).from_json(self.passport["fields"])

    @functools.cached_property
    def splits(self) -> "Splits":
        """The data of this run, found again. Raises RunError where they have changed."""
        from pipelines.quarantine import without
        from pipelines.splits import Fold, fold

        splits = self.app.splits(self.data_dir)
        if self.passport["data"]["fold"]:
            splits = fold(splits, Fold(**self.passport["data"]["fold"]))
        if self.passport["data"].get("quarantine"):
            splits = without(splits, self.path / QUARANTINE)
        if splits.fingerprint() != self.passport["data"]["fingerprint"]:
            raise RunError(
                f"Received data {self.app.data!r} that differ from those of the run {self.path}; "
                "expected the same examples. Restore them, or train again."
            )
        return splits

    @functools.cached_property
    def model(self) -> Any:
        """The best model, from raw input to probabilities or numbers."""
        import keras
        import tensorflow as tf

        for module in apps.LAYERS:
            importlib.import_module(module)
        try:
            # Eagerly also where a tf.function asks first: its graph would not hold the weights.
            with tf.init_scope():
                return keras.saving.load_model(self.path / "model.keras", compile=False)
        except (OSError, ValueError) as error:
            raise RunError(
                f"Received {self.path / 'model.keras'}, which cannot be read; expected a model as "
                "training wrote it. Restore the file or train again."
            ) from error

    @functools.cached_property
    def samples(self) -> "Samples":
        """Some raw inputs and the answers that training gave to them."""
        from training.samples import load

        path = self.path / "samples.npz"
        try:
            return load(path)
        except (OSError, ValueError) as error:
            raise RunError(
                f"Received {path}, which cannot be read; expected samples as training wrote them. "
                "Restore the file or train again."
            ) from error

    def remember(self, **parts: Any) -> None:
        """Keep parts that training has in memory, so that nobody loads them again."""
        self.__dict__.update(parts)


@contextlib.contextmanager
def taken(app: App, run_dir: Path | None) -> Iterator[Path]:
    """Hold a run directory, new or of an interrupted training, while a run is made in it.

    Where no epoch was finished, what was written there is removed again, and nothing else.
    Raises RunError; nothing is overwritten.
    """
    path = run_dir or unused_directory(app)
    require_empty(path)
    with contextlib.ExitStack() as held:
        try:
            before = {one.name for one in path.iterdir()} if path.exists() else None
            path.mkdir(parents=True, exist_ok=True)
            # Written first: a process that ends at any later time leaves what is known as ours.
            note = held.enter_context((path / UNFINISHED).open("a+"))
            _hold(note, path)
            require_empty(path)  # who held it before may have finished just now
            held.callback(_remove_nothings, path.resolve(), before)
            if not note.tell():
                note.write(NOTE)
                note.flush()
            (path / "logs").mkdir(exist_ok=True)
            (path / PASSPORT).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from error
        yield path.resolve()


def empty_directory(app: App, run_dir: Path | None) -> Path:
    """Make an empty directory for several runs. Raises RunError; nothing is overwritten."""
    path = run_dir or unused_directory(app)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise _not_empty(path, "expected a new one")
    except OSError as error:
        raise _unwritable(path, error) from error
    return path.resolve()


def require_empty(path: Path) -> None:
    """Raise RunError where a directory holds something, but for a training to go on with."""
    try:
        filled = path.exists() and any(path.iterdir())
    except OSError as error:
        raise _unwritable(path, error) from error
    if filled and not unfinished(path):
        raise _not_empty(path, "expected a new one, or that of an interrupted training")


def unfinished(path: Path) -> bool:
    """Whether a directory is that of a training of ours that the same command goes on with."""
    if not _is_ours(path):
        return False
    if not (path / PASSPORT).exists():
        return True
    passport = Run(path).passport
    # Ctrl-C before the first checkpoint was whole leaves an epoch and no checkpoint.
    resumable = (path / CHECKPOINT).exists() or passport.get("epochs") == 1
    return passport.get("stopped") == INTERRUPTED and resumable


def _is_ours(path: Path) -> bool:
    try:
        text = (path / UNFINISHED).read_text()
        # A process that ended before it wrote the note left it empty, and nothing else.
        return text == NOTE or (not text and len(list(path.iterdir())) == 1)
    except (OSError, ValueError):
        return False


def _hold(note: IO[str], path: Path) -> None:
    # The system lets go of it when the process ends, however that comes.
    try:
        fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(
            f"Received the run directory {str(path)!r}, in which a training is running; expected "
            "a free one. Wait for it, or choose another with --run-dir."
        ) from None
    except OSError:
        return  # some file systems of networks know no locks


def _remove_nothings(path: Path, before: set[str] | None) -> None:
    if (path / CHECKPOINT).exists() or (path / PASSPORT).exists():
        return
    for name in set(WRITTEN) - (before or set()):
        if (path / name).is_dir():
            shutil.rmtree(path / name, ignore_errors=True)
        else:
            (path / name).unlink(missing_ok=True)
    if before is None:
        with contextlib.suppress(OSError):  # it holds what others wrote
            path.rmdir()


def _not_empty(path: Path, expected: str) -> RunError:
    return RunError(
        f"Received the run directory {str(path)!r}, which is not empty; {expected}. "
        "Nothing was overwritten; choose another with --run-dir."
    )


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(
        f"Received the run directory {str(path)!r}, which cannot be written "
        f"({error.strerror}); expected a writable place. Choose another with --run-dir."
    )


def finish(path: Path, passport: dict[str, Any]) -> None:
    """Write a run's passport, by which it is known as finished.

    The checkpoint of one that was interrupted stays.
    """
    write_json(path / PASSPORT, passport)
    if passport["stopped"] != INTERRUPTED:
        tidy(path)


def tidy(path: Path) -> None:
    """Remove from a finished run what only an unfinished one needs, and torn files."""
    for name in (*WRITTEN, PASSPORT, CHECKPOINT):
        for torn in path.glob(f".[0-9]*-{name}"):  # of a process that was killed
            torn.unlink()
    for name in (CHECKPOINT, UNFINISHED):
        (path / name).unlink(missing_ok=True)


def unused_directory(app: App) -> Path:
    """Where the next run of an app would be: runs/<app>/<stamp>."""
    path = Path("runs") / app.name() / time.strftime("%Y%m%d-%H%M%S")
    names = (path.with_name(f"{path.name}-{n}") for n in range(2, 1000))
    return path if not path.exists() else next(name for name in names if not name.exists())


def point_latest(path: Path) -> None:
    """Make `latest`, beside a run directory, point at it."""
    link = path.parent / f".latest-{os.getpid()}"
    link.symlink_to(path.name)
    link.replace(path.parent / "latest")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with whole(path) as beside:
        beside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
