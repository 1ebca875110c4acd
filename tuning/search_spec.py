"""What a search directory is a search of; another is refused with the difference named."""

import dataclasses
import hashlib
import importlib.metadata
import json
import time
from pathlib import Path
from typing import Any

from apps.app import App
from pipelines import quarantine
from pipelines.splits import Splits
from training.run import QUARANTINE, RunError, write_json
from tuning import objectives, space
from tuning.trial import digest

STATED = "search.json"
PATIENCE = 600.0  # seconds for a chief to begin
ROOT = Path(__file__).resolve().parents[1]
# Whose code decides what a trial finds.
ROOMS = ("apps", "optimizers", "pipelines", "training", "tuning")
LIBRARIES = ("tensorflow", "keras", "keras-tuner", "numpy", "optuna")


@dataclasses.dataclass(frozen=True)
class Told:
    """What the user asked to search.

    Attributes:
        app: whose fields are drawn; the others are as they are.
        space: what they are drawn from.
        tuner: what draws them.
        objectives: "min" or "max" by name.
        how: each trial is trained.
        listed: a list of what training and validation leave out.

    """

    app: App
    space: space.Space
    tuner: str
    objectives: dict[str, str]
    how: dict[str, Any]
    listed: Path | None = None

    def asked(self) -> dict[str, Any]:
        """By name."""
        fields = {
            name: value for name, value in self.app.to_json().items() if name not in self.space
        }
        return {
            "app": self.app.name(),
            "fields": fields,
            "first": space.default(self.app, self.space) or {},
            "space": space.told(self.space),
            "tuner": self.tuner,
            "objectives": [list(pair) for pair in self.objectives.items()],
            "how": self.how,
            "quarantine": self.listed and quarantine.digest(self.listed),
        }

    def json(self) -> dict[str, Any]:
        """By name, as it is written."""
        versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
        return {**self.asked(), "code": _code(), "versions": versions}

    def usual_directory(self) -> Path:
        """The same for the same search, so that the same command goes on with it."""
        text = json.dumps(self.asked(), sort_keys=True).encode()
        name = hashlib.blake2b(text, digest_size=4).hexdigest()
        return Path("runs") / self.app.name() / f"tune-{name}"

    def splits(self, data_dir: Path | None) -> Splits:
        """The data of its trials. Raises DataError."""
        return quarantine.of_training(self.app.load_splits(data_dir), None, self.listed)

    def of(self, splits: Splits, replicas: int) -> "Told":
        """The same for these data: fields that matter, and a batch size that is a number."""
        drawn_from, count = space.searched(self.app, self.space, splits), len(splits.train)
        app, drawn_from = space.with_batch_size(self.app, drawn_from, count, replicas)
        return dataclasses.replace(self, app=app, space=drawn_from)


def told(
    app: App,
    tuner: str,
    objective: str,
    space_file: Path | None,
    how: dict[str, Any],
    listed: Path | None,
) -> Told:
    """What is meant, with how each trial is trained; raises FieldError where it cannot be."""
    drawn_from = space.read(space_file) if space_file else dict(app.space)
    space.check(app, drawn_from)
    ways = objectives.directions(app, objective)
    if tuner == "auto":
        tuner = "bayesian" if len(ways) == 1 else "tpe"
    return Told(app, drawn_from, tuner, ways, how, listed)


def settle(told: Told, directory: Path, splits: Splits) -> str:
    """Write what is searched, or compare it; returns the digest of the validation examples.

    Raises RunError where the directory is of another search, or of no search.
    """
    stated = {**told.json(), "data": splits.fingerprint(), "valid": digest(splits)}
    path = directory / STATED
    require_free(directory)
    if path.exists():
        _require_same(_read(path), stated, directory)
    else:
        write_json(path, stated)
    # Trials take this one, so that the other may be mended meanwhile.
    quarantine.keep(told.listed, directory / QUARANTINE)
    return stated["valid"]


def require_free(directory: Path) -> None:
    """Raise RunError where a directory holds something, but for that of a search."""
    if (directory / STATED).exists():
        return
    if any(not one.name.startswith(".") for one in directory.iterdir()):
        raise RunError(
            f"Received the run directory {str(directory)!r}, which is not empty and no search; "
            "expected a new one. Nothing was overwritten."
        )


def awaited(told: Told, directory: Path, splits: Splits) -> str:
    """The digest of the validation examples, as soon as the chief has written it.

    Raises RunError where the chief's search is another one, or does not begin.
    """
    data = splits.fingerprint()
    late = time.monotonic() + PATIENCE
    while not (directory / STATED).exists():
        if time.monotonic() > late:
            raise RunError(
                f"Received the search directory {str(directory)!r}, where no search began; "
                "expected that of the chief. Give all of them the same --run-dir."
            )
        time.sleep(0.2)
    stated = _read(directory / STATED)
    _require_same(stated, {**told.json(), "data": data}, directory)
    return stated["valid"]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("valid"), str):
        raise RunError(
            f"Received {path}, which is damaged; expected JSON as a search wrote it. Restore the "
            "file, or choose another --run-dir."
        )
    return found


def _require_same(old: dict[str, Any], new: dict[str, Any], directory: Path) -> None:
    changed = [
        f"{name} {old.get(name)} there, {new[name]} now"
        for name in new
        if old.get(name) != new[name]
    ]
    for name in ("fields", "space", "first", "versions"):
        if old.get(name) != new[name]:
            there = old.get(name)
            before = there if isinstance(there, dict) else {}
            told = [
                f"{key} {before.get(key)} there, {new[name].get(key)} now"
                for key in sorted({*before, *new[name]})
                if before.get(key) != new[name].get(key)
            ]
            changed = [line for line in changed if not line.startswith(f"{name} ")] + told
    if changed:
        raise RunError(
            f"Received the search directory {str(directory)!r}, whose search is another one: "
            f"{'; '.join(changed)}. Choose another --run-dir, or go back to what it was."
        )


def _code() -> str:
    digest = hashlib.blake2b(digest_size=8)
    for room in ROOMS:
        for path in sorted((ROOT / room).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
