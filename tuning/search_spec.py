"""The specification of a search; the directory of another search is refused with the difference."""

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
from training.fitting import count_steps_for
from training.run import QUARANTINE, RunError, write_json
from tuning import objectives, space
from tuning.options import TuneOptions
from tuning.trial import validation_digest

SEARCH_JSON = "search.json"
SEARCH_START_TIMEOUT_SECONDS = 600.0  # that a worker waits for search.json
POLL_SECONDS = 0.2
ROOT = Path(__file__).resolve().parents[1]
# The folders whose code determines the scores of a trial.
CODE_FOLDERS = ("apps", "optimizers", "pipelines", "training", "tuning")
LIBRARIES = ("tensorflow", "keras", "keras-tuner", "numpy", "optuna")


@dataclasses.dataclass(frozen=True)
class SearchSpec:
    """What a search is: an app, a space, a tuner and objectives.

    Attributes:
        app: whose fields are drawn; the others keep their values.
        space: what the fields are drawn from.
        tuner: the name of the oracle that draws.
        objectives: "min" or "max" by name.
        options: of the search.

    """

    app: App
    space: space.Space
    tuner: str
    objectives: dict[str, str]
    options: TuneOptions

    def definition(self) -> dict[str, Any]:
        """Return what two starts of the same search have in common, by name."""
        fields = {
            name: value for name, value in self.app.to_json().items() if name not in self.space
        }
        trials = ("precision", "strategy", "devices")
        quarantined = self.options.quarantine
        return {
            "app": self.app.name(),
            "fields": fields,
            "first": space.default(self.app, self.space) or {},
            "space": space.to_json(self.space),
            "tuner": self.tuner,
            "objectives": [list(pair) for pair in self.objectives.items()],
            "how": {name: getattr(self.options, name) for name in trials},
            "quarantine": quarantined and quarantine.digest(quarantined),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the content of search.json, without the data."""
        versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
        return {**self.definition(), "code": _code_digest(), "versions": versions}

    def default_directory(self) -> Path:
        """Return the same directory for the same search, so that the same command continues it."""
        text = json.dumps(self.definition(), sort_keys=True).encode()
        name = hashlib.blake2b(text, digest_size=4).hexdigest()
        return Path("runs") / self.app.name() / f"tune-{name}"

    def splits(self) -> Splits:
        """Return the data that trials train on. Raises DataError."""
        splits = self.app.load_splits(self.options.data_dir)
        return quarantine.training_splits(splits, None, self.options.quarantine)

    def for_data(self, splits: Splits, replicas: int) -> "SearchSpec":
        """Return the same search with the fields that matter on these data.

        The automatic batch size and learning rate are those of `train`.
        """
        search_space, count = space.searchable(self.app, self.space, splits), len(splits.train)
        app = self.app
        if "learning_rate" in search_space:  # before the batch size, on which it may depend
            steps = app.epochs * count_steps_for(app, count, replicas)[0]
            app, search_space = space.with_learning_rate(app, search_space, steps)
        app, search_space = space.with_batch_size(app, search_space, count, replicas)
        return dataclasses.replace(self, app=app, space=search_space)


def make(app: App, options: TuneOptions) -> SearchSpec:
    """Return the search of an app. Raises FieldError for a wrong space or objective."""
    search_space = space.read(options.space) if options.space else dict(app.space)
    space.check(app, search_space)
    directions = objectives.directions(app, options.objective)
    tuner: str = options.tuner
    if tuner == "auto":
        tuner = "bayesian" if len(directions) == 1 else "tpe"
    return SearchSpec(app, search_space, tuner, directions, options)


def record(spec: SearchSpec, directory: Path, splits: Splits) -> str:
    """Write search.json, or compare with it; returns the digest of the validation examples.

    Raises RunError if the directory holds another search, or other files.
    """
    content = {**spec.to_json(), "data": splits.fingerprint(), "valid": validation_digest(splits)}
    path = directory / SEARCH_JSON
    require_free(directory)
    if path.exists():
        _require_same(_read(path), content, directory)
    else:
        write_json(path, content)
    # Trials read this copy, so that the user can edit the list meanwhile.
    quarantine.copy_list(spec.options.quarantine, directory / QUARANTINE)
    return content["valid"]


def require_free(directory: Path) -> None:
    """Raise RunError if a directory holds files that are no search's."""
    if (directory / SEARCH_JSON).exists():
        return
    if any(not path.name.startswith(".") for path in directory.iterdir()):
        raise RunError(
            f"Received the run directory {str(directory)!r}, which is not empty and no search; "
            "expected a new one. Nothing was overwritten."
        )


def wait_for_coordinator(spec: SearchSpec, directory: Path, splits: Splits) -> str:
    """Return the digest of the validation examples, once the coordinator has written search.json.

    Raises RunError if the coordinator's search is another one, or does not begin.
    """
    data = splits.fingerprint()
    deadline = time.monotonic() + SEARCH_START_TIMEOUT_SECONDS
    while not (directory / SEARCH_JSON).exists():
        if time.monotonic() > deadline:
            raise RunError(
                f"Received the search directory {str(directory)!r}, where no search began; "
                "expected that of the coordinator. Give all of them the same --run-dir."
            )
        time.sleep(POLL_SECONDS)
    content = _read(directory / SEARCH_JSON)
    _require_same(content, {**spec.to_json(), "data": data}, directory)
    return content["valid"]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("valid"), str):
        raise RunError(
            f"Received {path}, which is damaged; expected JSON as a search wrote it. Restore the "
            "file, or choose another --run-dir."
        )
    return content


def _require_same(old: dict[str, Any], new: dict[str, Any], directory: Path) -> None:
    differences = [line for name in new for line in _differences(name, old.get(name), new[name])]
    if differences:
        raise RunError(
            f"Received the search directory {str(directory)!r}, whose search is another one: "
            f"{'; '.join(differences)}. Choose another --run-dir, or go back to what it was."
        )


def _differences(name: str, old: Any, new: Any) -> list[str]:
    """Describe how a value of search.json differs; of a dictionary, each entry that differs."""
    if old == new:
        return []
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [f"{name} {old} there, {new} now"]
    return [
        f"{key} {old.get(key)} there, {new.get(key)} now"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def _code_digest() -> str:
    digest = hashlib.blake2b(digest_size=8)
    for folder in CODE_FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
