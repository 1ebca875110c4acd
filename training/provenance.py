"""Whether a run or an export was made by this user, or comes from elsewhere.

A model is a program: the graph of a SavedModel can read and write files, and what Keras makes
of a stranger's configuration is only as safe as Keras is. So what is written here is marked by a
secret of the user's, and what has no such mark is loaded only where the user says that they
trust it.
"""

import contextlib
import functools
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.files import whole

SIGNATURE_FILE = "origin.txt"
KEY_VARIABLE = "ATHANOR_KEY_FILE"  # a key that several machines or users share
RUN_FILES = ("run.json", "model.keras", "samples.npz")
# What a server reads of a version.
EXPORT_FILES = ("saved_model.pb", "variables/*", "assets/*", "assets.extra/*", "about.json")


class ProvenanceError(ValueError):
    """What comes from elsewhere, or was changed since it was made."""

    exit_status = 2


def sign(
    directory: Path, patterns: Sequence[str], written: Mapping[str, bytes] | None = None
) -> None:
    """Write the mark of a directory whose files are whole.

    Args:
        directory: of a run, or of a version of an export.
        patterns: of the files that are loaded.
        written: contents by name of files that will be written after the mark.

    """
    with whole(directory / SIGNATURE_FILE) as beside:
        beside.write_text(_digest_of(directory, patterns, written or {}) + "\n")


def require_signature(directory: Path, patterns: Sequence[str], *, trust: bool = False) -> None:
    """Raise ProvenanceError unless all that is loaded from a directory has this user's mark.

    With `trust` it may come from anywhere.
    """
    if trust:
        return
    try:
        found = (directory / SIGNATURE_FILE).read_text("ascii").strip()
        if hmac.compare_digest(found, _digest_of(directory, patterns, {})):
            return
        reason = "was made by somebody else, or changed since"
    except (OSError, ValueError):
        reason = f"has no mark of yours ({SIGNATURE_FILE})"
    raise ProvenanceError(
        f"Received {directory}, which {reason}; expected a model that you made, for it can read "
        "and write your files. If you trust who made it, add --trust."
    )


def _digest_of(directory: Path, patterns: Sequence[str], written: Mapping[str, bytes]) -> str:
    """The keyed digest of all files that match, by name and content."""
    names = {path.relative_to(directory) for one in patterns for path in directory.glob(one)}
    names |= {Path(name) for name in written}
    digest = hmac.new(_key(), digestmod=hashlib.sha256)
    for name in sorted(names):
        path = directory / name
        if path.is_dir() and str(name) not in written:
            continue
        content = written.get(str(name))
        own = hashlib.sha256(content).hexdigest() if content is not None else _digest(path)
        digest.update(f"{name}\0{own}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def _key() -> bytes:
    """The secret of this user, made when it is first needed; it is written nowhere else.

    Where no place can be written it lasts as long as the process.
    """
    place = key_file()
    with contextlib.suppress(OSError):
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _create_key(place)
        if key := place.read_bytes().strip():
            return key
    return secrets.token_bytes(32)


def _create_key(place: Path) -> None:
    beside = place.with_name(f".{os.getpid()}-{place.name}")
    try:
        beside.touch(mode=0o600)
        beside.write_text(secrets.token_hex(32))
        # Of several processes that begin at once the first one's stays.
        os.link(beside, place)
    except FileExistsError:
        pass
    except OSError:  # some file systems have no links
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)


def key_file() -> Path:
    """Where the secret lies."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    return Path(os.environ.get(KEY_VARIABLE) or f"{config}/athanor/key")
