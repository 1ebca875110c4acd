"""Sign runs and exports, and check signatures before loading a model.

A model is a program: the graph of a SavedModel can read and write files, and a foreign Keras
configuration is only as safe as Keras is. Files written here are signed with a secret key of the
user. Files without a valid signature are loaded only if the user passes --trust.
"""

import contextlib
import functools
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.files import atomic_write

SIGNATURE_FILE = "origin.txt"
MAX_SIGNATURES = 2  # in the file, while a run is changed
# Environment variable: path of a key that several machines or users share.
KEY_VARIABLE = "ATHANOR_KEY_FILE"
RUN_FILES = ("run.json", "model.keras", "samples.npz")
# Files of a version that a server reads.
EXPORT_FILES = ("saved_model.pb", "variables/*", "assets/*", "assets.extra/*", "about.json")


class ProvenanceError(ValueError):
    """Raised for files that are unsigned, signed with another key or changed since."""

    exit_status = 2


def sign(
    directory: Path, patterns: Sequence[str], written: Mapping[str, bytes] | None = None
) -> None:
    """Write the signature of a directory whose files are complete.

    Args:
        directory: Directory of a run, or of a version of an export.
        patterns: Glob patterns of the files to sign.
        written: Contents, by name, of files that will be written after the signature.

    """
    with atomic_write(directory / SIGNATURE_FILE) as temporary:
        temporary.write_text(_digest_of(directory, patterns, written or {}) + "\n")


def sign_change(directory: Path, patterns: Sequence[str], written: Mapping[str, bytes]) -> None:
    """Sign the files of a directory both as they are and as they will be after a change.

    A process that is killed during the change leaves a valid signature.
    """
    digests = (_digest_of(directory, patterns, one) for one in ({}, written))
    with atomic_write(directory / SIGNATURE_FILE) as temporary:
        temporary.write_text("".join(f"{digest}\n" for digest in digests))


def require_signature(directory: Path, patterns: Sequence[str], *, trust: bool = False) -> None:
    """Raise ProvenanceError unless the files of a directory have this user's signature.

    With `trust` nothing is checked.
    """
    if trust:
        return
    try:
        signatures = (directory / SIGNATURE_FILE).read_text("ascii").split()
        digest = _digest_of(directory, patterns, {})
        if any(hmac.compare_digest(one, digest) for one in signatures[:MAX_SIGNATURES]):
            return
        reason = "was made by another user or changed since"
    except (OSError, ValueError):
        reason = f"has no signature of yours ({SIGNATURE_FILE})"
    raise ProvenanceError(
        f"Received {directory}, which {reason}; expected a model that you made, because a model "
        "can read and write your files. If you trust its author, add --trust."
    )


def _digest_of(directory: Path, patterns: Sequence[str], written: Mapping[str, bytes]) -> str:
    """Compute the keyed digest (HMAC) of names and contents of all matching files."""
    names = {
        path.relative_to(directory) for pattern in patterns for path in directory.glob(pattern)
    }
    names |= {Path(name) for name in written}
    digest = hmac.new(_key(), digestmod=hashlib.sha256)
    for name in sorted(names):
        path = directory / name
        if path.is_dir() and str(name) not in written:
            continue
        content = written.get(str(name))
        file_digest = hashlib.sha256(content).hexdigest() if content is not None else _digest(path)
        digest.update(f"{name}\0{file_digest}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def _key() -> bytes:
    """Return the user's secret key, created at first use.

    If no file can be written, the key lasts as long as the process.
    """
    path = key_file()
    with contextlib.suppress(OSError):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _create_key(path)
        if key := path.read_bytes().strip():
            return key
    return secrets.token_bytes(32)


def _create_key(path: Path) -> None:
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        temporary.touch(mode=0o600)
        temporary.write_text(secrets.token_hex(32))
        # Of several processes that start at once, the first one's key stays.
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # some file systems have no links
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def key_file() -> Path:
    """Return the path of the secret key."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    return Path(os.environ.get(KEY_VARIABLE) or f"{config}/athanor/key")
