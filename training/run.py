"""The run directory: the files of one training."""

import dataclasses
import functools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apps
from apps.app import App, ModalityName, TaskName
from pipelines.files import atomic_write, expand_home, replace_home
from training import model_file, nearest_run
from training.manifest import TASKS, RunError, read
from training.options import TrainOptions

if TYPE_CHECKING:
    from pipelines.inspection import Inspection
    from pipelines.splits import Fold, Splits
    from training.coverage import Coverage
    from training.decision import Decision
    from training.held_out import HeldOutPredictions
    from training.samples import Samples

MANIFEST, SCORES, CHECKPOINT = nearest_run.MANIFEST, "scores.json", nearest_run.CHECKPOINT
COLUMNS = "columns.csv"  # how each column of a table is read
QUARANTINE = "quarantine.csv"  # copy of the list of excluded examples
INTERRUPTED = "interrupted"  # value of `stopped` in the manifest after Ctrl-C
ELSEWHERE = Path(os.devnull)  # run directory of a worker that writes no files


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained run on disk; its parts are loaded at first use."""

    path: Path
    data_dir: Path | None = None

    @classmethod
    def load(cls, path: Path, data_dir: Path | None = None) -> "Run":
        """Load the run of a directory. Raises RunError if it holds no finished run.

        Without `data_dir` prepared TFDS sets are read from the directory used in training, if it
        still exists.
        """
        # A loop of links fails below like any directory without run.json.
        run = cls(Path(os.path.realpath(path)), data_dir)
        for name in (MANIFEST, "model.keras"):
            if not (run.path / name).is_file():
                raise RunError(
                    f"Received the run {str(path)!r}, which holds no {name}; "
                    f"{nearest_run.expectation(path)}"
                )
        if data_dir is None:
            remembered = remembered_directory(run.manifest["data"].get("directory"))
            run = dataclasses.replace(run, data_dir=remembered)
        return run

    @functools.cached_property
    def manifest(self) -> dict[str, Any]:
        """run.json: fields, versions, fingerprints, seed, hardware, precision, input, labels."""
        return read(self.path / MANIFEST)

    @functools.cached_property
    def app(self) -> App:
        """The app with the fields of this run."""
        return apps.get(self.manifest["app"]).from_json(self.manifest["fields"])

    @property
    def modality(self) -> ModalityName:
        """The kind of input: image, row, text or ids."""
        return self.manifest["question"]

    @property
    def task(self) -> TaskName:
        """The kind of prediction: classification, regression or ranking."""
        return TASKS[self.manifest["answer"]]

    @property
    def thresholds(self) -> Any:
        """Probability from which an example has each class, float32 [classes], if it has several.

        Raises KeyError for other tasks.
        """
        import numpy as np

        return np.array(self.manifest["thresholds"], "float32")

    @functools.cached_property
    def coverage(self) -> "Coverage | None":
        """Intervals of numbers or sets of classes; None if the examples were too few for them.

        Raises RunError if run.json is damaged.
        """
        from training.coverage import from_json

        try:
            return from_json(self.manifest.get("coverage"))
        except ValueError as error:
            raise RunError(
                f"Received {self.path / MANIFEST} with a damaged coverage ({error}); expected that "
                "of training. Restore the file or train again."
            ) from error

    @functools.cached_property
    def decision(self) -> "Decision | None":
        """How probabilities become an answer; None if the most probable class is the answer.

        Raises RunError if run.json is damaged.
        """
        from training.decision import from_json

        try:
            return from_json(self.manifest.get("decision"), self.manifest["labels"])
        except ValueError as error:
            raise RunError(
                f"Received {self.path / MANIFEST} with a damaged decision ({error}); expected one "
                "of athanor decide. Remove it: athanor decide RUN --reset."
            ) from error

    @functools.cached_property
    def held_out(self) -> "HeldOutPredictions":
        """Predictions for validation examples to which no part of the model was fitted."""
        from training import held_out

        path = self.path / held_out.FILE
        try:
            return held_out.HeldOutPredictions.load(path)
        except (OSError, ValueError) as error:
            raise RunError(
                f"Received {path}, which cannot be read ({getattr(error, 'strerror', 0) or error})"
                "; expected predictions as training wrote them. Restore the file or train again."
            ) from error

    @property
    def fold(self) -> "Fold | None":
        """Fold that is the test set; None without cross-validation."""
        from pipelines.splits import Fold

        content = self.manifest["data"]["fold"]
        return Fold(**content) if content else None

    @property
    def train_options(self) -> TrainOptions:
        """The options with which training repeats this run."""
        mirrored = self.manifest["strategy"] == "mirrored"
        half = self.manifest["precision"]["policy"] == "mixed_bfloat16"
        return TrainOptions(
            data_dir=self.data_dir,
            precision="bfloat16" if half else "float32",
            strategy=self.manifest["strategy"],
            devices=self.manifest["replicas"] if mirrored else None,
            quarantine=self.quarantine,
            **(
                {"coverage": covered["level"]} if (covered := self.manifest.get("coverage")) else {}
            ),
            on_nan="halve" if self.manifest.get("halvings") else "stop",
            deterministic=self.manifest.get("deterministic", False),
        )

    @property
    def quarantine(self) -> Path | None:
        """List of examples that train and validation exclude; None if there is none."""
        return self.path / QUARANTINE if self.manifest["data"].get("quarantine") else None

    @functools.cached_property
    def splits(self) -> "Splits":
        """Data of this run, loaded again. Raises RunError if they have changed."""
        return self.load_splits()

    def load_splits(self, inspection: "Inspection | None" = None) -> "Splits":
        """Load the data of this run; with an inspection the examples know where they come from.

        Raises RunError if they have changed.
        """
        from pipelines.quarantine import training_splits

        loaded = self.app.load_splits(self.data_dir, inspection)
        splits = training_splits(loaded, self.fold, self.quarantine)
        if splits.fingerprint() != self.manifest["data"]["fingerprint"]:
            raise RunError(
                f"Received data {self.app.data!r} that differ from those of the run {self.path}; "
                "expected the same examples. Restore them, or train again."
            )
        return splits

    @functools.cached_property
    def model(self) -> Any:
        """Best model, from raw input to probabilities or numbers."""
        path, labels = self.path / "model.keras", self.manifest["labels"]
        try:
            model = model_file.read_model(path)
            if labels and model.output_shape[-1] != len(labels):
                raise ValueError(f"the run has {len(labels)} labels, it gives {model.output_shape}")
            return model
        except ValueError as error:
            raise RunError(
                f"Received {path}, which cannot be read ({error}); expected a model as training "
                "wrote it. Restore the file or train again."
            ) from error

    @functools.cached_property
    def samples(self) -> "Samples":
        """Some raw inputs and the predictions of training for them."""
        from training.samples import load

        path = self.path / "samples.npz"
        try:
            return load(path, self.manifest["data"]["spec"].get("features"))
        except (OSError, ValueError) as error:
            raise RunError(
                f"Received {path}, which cannot be read ({getattr(error, 'strerror', 0) or error})"
                "; expected samples as training wrote them. Restore the file or train again."
            ) from error

    def remember(self, **parts: Any) -> None:
        """Set parts that are in memory already, so that they are not loaded again."""
        self.__dict__.update(parts)


def sets_directory(app: App, data_dir: Path | None) -> str | None:
    """Return the directory of prepared TFDS sets to store: --data-dir, else TFDS_DATA_DIR.

    The variable counts only if the app reads such a set.
    """
    reads_sets = any(address.startswith("tfds:") for address in app.addresses.values())
    directory = data_dir or (os.environ.get("TFDS_DATA_DIR") if reads_sets else None)
    return replace_home(str(expand_home(str(directory)).absolute())) if directory else None


def remembered_directory(name: str | None) -> Path | None:
    """Return the directory stored by `sets_directory`; None if it no longer exists."""
    directory = expand_home(name) if name else None
    return directory if directory and directory.is_dir() else None


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, as_json(content))


def as_json(content: Any) -> str:
    """Return the text of a JSON file."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, "utf-8")
