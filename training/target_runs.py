"""The runs of several targets in one directory, as `train --target a,b` makes them."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from apps.app import App
from pipelines.rows.column_names import clean_name
from training.directory import create_group_directory
from training.run import Run, RunError

SUMMARY_FILE = "targets.json"
EXPORT = "export"


def folder_of(target: str) -> str:
    """Return the name of the run directory of a target."""
    return f"target-{clean_name(target)}"


def create_directory(app: App, run_dir: Path | None, targets: Iterator[str]) -> Path:
    """Create a directory for the runs of these targets, or reuse it. Raises RunError."""
    names = [folder_of(target) for target in targets]
    return create_group_directory(app, run_dir, [SUMMARY_FILE, EXPORT, *names])


@dataclasses.dataclass(frozen=True)
class TargetRuns:
    """The runs of several targets.

    Attributes:
        path: their directory.
        runs: the run of each target.

    """

    path: Path
    runs: dict[str, Run]

    @classmethod
    def find(cls, path: Path, data_dir: Path | None = None) -> "TargetRuns | None":
        """Return the runs in a directory; None if it is not one of several targets.

        Raises RunError if a run is missing.
        """
        try:
            path = path.resolve()
            targets = json.loads((path / SUMMARY_FILE).read_text())["targets"]
            names = [str(name) for name in targets]
        except (OSError, RuntimeError):  # a link to itself, among others
            return None
        except (ValueError, LookupError, TypeError) as error:
            raise RunError(
                f"Received {path / SUMMARY_FILE}, which is damaged; expected JSON as training "
                "wrote it. Train again with the same --run-dir."
            ) from error
        return cls(path, {name: Run.load(path / folder_of(name), data_dir) for name in names})

    @property
    def app(self) -> str:
        """The name of the app."""
        return next(iter(self.runs.values())).manifest["app"]
