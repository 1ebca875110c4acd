"""The directory of a run in progress: locked by one training, which never overwrites another."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Any

from apps.app import App
from training import provenance
from training.run import CHECKPOINT, MANIFEST, QUARANTINE, Run, RunError, as_json, write_text

MARKER_FILE = "unfinished.txt"
# Files and folders that training writes before the end of the first epoch.
TRAINING_FILES = (
    *(MARKER_FILE, "logs", "history.csv", "model.keras", "samples.npz"),
    *(CHECKPOINT, QUARANTINE, provenance.SIGNATURE_FILE),
)
CHECKPOINT_SUFFIX = ".checkpoint"
# The whole content of MARKER_FILE, which identifies the directory of a training.
MARKER_TEXT = "This training of athanor has not ended. The same command goes on with it.\n"


@contextlib.contextmanager
def reserve(app: App, run_dir: Path | None) -> Iterator[Path]:
    """Lock a run directory, new or of an interrupted training, while a run is made in it.

    If training ends before its first checkpoint, only the files that it wrote are removed.
    Raises RunError if the directory cannot be used; nothing is overwritten.
    """
    path = run_dir or _default_parent(app)
    if run_dir:
        require_empty(path)
    with contextlib.ExitStack() as stack:
        try:
            created = [parent for parent in (path, *path.parents) if not parent.exists()]
            if run_dir is None:
                path = create_run_directory(app)
                created = [path, *created]
            before = {parent.name for parent in path.iterdir()} if path not in created else None
            path.mkdir(parents=True, exist_ok=True)
            # Written first, so that a killed process leaves a directory that can be recognised.
            marker = stack.enter_context((path / MARKER_FILE).open("a+"))
            _lock(marker, path)
            require_empty(path)  # the previous holder may have finished just now
            stack.callback(_remove_if_untrained, path.resolve(), before, created)
            if not marker.tell():
                marker.write(MARKER_TEXT)
                marker.flush()
            for name in ("logs", CHECKPOINT):
                (path / name).mkdir(exist_ok=True)
            (path / MANIFEST).unlink(missing_ok=True)
            if not checkpoint_paths(path):  # the signature is written at the end
                (path / "model.keras").unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from error
        yield path.resolve()


def create_group_directory(app: App, run_dir: Path | None, names: Collection[str]) -> Path:
    """Create a directory for several runs, or reuse one that contains only some of them.

    Raises RunError if the directory cannot be used; nothing is overwritten.
    """
    path = run_dir or _default_parent(app)
    try:
        path = run_dir or create_run_directory(app)
        path.mkdir(parents=True, exist_ok=True)
        if any(child.name not in names for child in path.iterdir()):
            raise _not_empty(path, "expected a new one, or what the same command left unfinished")
    except OSError as error:
        raise _unwritable(path, error) from error
    return path.resolve()


def require_empty(path: Path) -> None:
    """Raise RunError unless a directory is empty or has a training that can be resumed."""
    try:
        filled = path.exists() and any(path.iterdir())
    except OSError as error:
        raise _unwritable(path, error) from error
    if filled and not is_resumable(path):
        raise _not_empty(path, "expected a new one, or that of an interrupted training")


def is_resumable(path: Path) -> bool:
    """Whether a directory has an unfinished training that the same command resumes."""
    if not _has_marker_file(path):
        return False
    if not (path / MANIFEST).exists():
        return True
    # A stopped run keeps its best model; without a checkpoint it cannot resume, so it is
    # never overwritten.
    return bool(Run(path).manifest.get("stopped") and checkpoint_paths(path))


def _has_marker_file(path: Path) -> bool:
    try:
        text = (path / MARKER_FILE).read_text()
        # A process that ended before it wrote the text left an empty file and nothing else.
        return text == MARKER_TEXT or (not text and len(list(path.iterdir())) == 1)
    except (OSError, ValueError):
        return False


def _lock(marker: IO[str], path: Path) -> None:
    # The system releases the lock when the process ends, for whatever reason.
    try:
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(
            f"Received the run directory {str(path)!r}, in which a training is running; expected "
            "a free one. Wait for it, or choose another with --run-dir."
        ) from None
    except OSError:
        return  # some network file systems have no locks


def _remove_if_untrained(path: Path, before: set[str] | None, created: list[Path]) -> None:
    if has_trained_steps(path) or (path / MANIFEST).exists():
        return
    for name in set(TRAINING_FILES) - (before or set()):
        if (path / name).is_dir():
            shutil.rmtree(path / name, ignore_errors=True)
        else:
            (path / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it contains files of others
        for parent in created:
            parent.rmdir()


def _not_empty(path: Path, expected: str) -> RunError:
    return RunError(
        f"Received the run directory {str(path)!r}, which is not empty; {expected}. "
        "Nothing was overwritten; choose another with --run-dir."
    )


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(
        f"Received the run directory {str(path)!r}, which cannot be written "
        f"({error.strerror}); expected a writable directory. Choose another with --run-dir."
    )


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Write a run's manifest, which marks it as finished.

    A run that was stopped keeps its checkpoints.
    """
    text = as_json(manifest)
    provenance.sign(path, provenance.RUN_FILES, {MANIFEST: text.encode()})
    write_text(path / MANIFEST, text)
    if not manifest["stopped"]:
        remove_training_files(path)


def rewrite_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Replace the manifest of a finished run; at every moment its signature is valid."""
    text = as_json(manifest)
    provenance.sign_change(path, provenance.RUN_FILES, {MANIFEST: text.encode()})
    write_text(path / MANIFEST, text)
    provenance.sign(path, provenance.RUN_FILES)


def remove_training_files(path: Path) -> None:
    """Remove checkpoints, the marker file and partly written files from a finished run."""
    for name in (*TRAINING_FILES, MANIFEST):
        for partial in path.glob(f".[0-9]*-{name}"):  # of a process that was killed
            partial.unlink()
    _remove_checkpoints(path)
    (path / MARKER_FILE).unlink(missing_ok=True)


def checkpoint_paths(path: Path) -> list[Path]:
    """List the checkpoints of a run directory, the newest first."""
    checkpoints = [
        file for file in (path / CHECKPOINT).glob(f"*{CHECKPOINT_SUFFIX}") if file.stem.isdigit()
    ]
    return sorted(checkpoints, key=lambda file: int(file.stem), reverse=True)


def next_checkpoint_path(path: Path) -> Path:
    """Return the path of the next checkpoint; number 0 is the one before the first step."""
    last = next(iter(checkpoint_paths(path)), None)
    return path / CHECKPOINT / f"{int(last.stem) + 1 if last else 0:06d}{CHECKPOINT_SUFFIX}"


def has_trained_steps(path: Path) -> bool:
    """Whether a checkpoint was written after a training step."""
    return any(int(file.stem) for file in checkpoint_paths(path))


def _remove_checkpoints(path: Path) -> None:
    partial = (path / CHECKPOINT).glob(f".[0-9]*{CHECKPOINT_SUFFIX}")
    for file in (*checkpoint_paths(path), *partial):
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it contains files of others, or does not exist
        (path / CHECKPOINT).rmdir()


def create_run_directory(app: App) -> Path:
    """Create the directory of an app's next run: runs/<app>/<stamp>, with -2 if that exists.

    Processes that start at once get different ones. Raises RunError if it cannot be created.
    """
    stamp, number = time.strftime("%Y%m%d-%H%M%S"), 1
    path = _default_parent(app) / stamp
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                path.mkdir()
                return path
            except FileExistsError:
                number += 1
                path = path.with_name(f"{stamp}-{number}")
    except OSError as error:
        raise _unwritable(path, error) from error


def _default_parent(app: App) -> Path:
    return Path("runs") / app.name()


def is_default_directory(path: Path, app: App) -> bool:
    """Whether a run directory is in the default place of an app."""
    return path.parent == _default_parent(app).resolve()


def update_latest_link(path: Path) -> None:
    """Point the link `latest`, in the same folder, at a run directory."""
    link = path.parent / f".latest-{os.getpid()}"
    link.symlink_to(path.name)
    link.replace(path.parent / "latest")
