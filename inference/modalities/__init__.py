"""The functions of each modality for predict, exports and the server."""

from pathlib import Path
from typing import Any, Protocol

from apps.app import ModalityName
from inference.inputs import Note
from inference.modalities import ids, images, rows, texts
from inference.portable import Portable
from inference.values import Predictions
from pipelines.examples import Batch
from training.run import Run


class Modality(Protocol):
    """The functions that a modality's module defines; `raw` is features as training reads them.

    Importing such a module does not import Keras, because `predict` on a saved graph needs none.
    """

    NAME: ModalityName

    def signatures(self, run: Run) -> dict[str, Any]:
        """Make the concrete functions of an export, by signature name."""

    def predict_functions(self, run: Run) -> dict[str, Any]:
        """Make the TensorFlow functions that `predict` calls, by name."""

    def vocabularies(self, run: Run) -> dict[str, Any]:
        """List the texts that the model knows, if `predict` needs them."""

    def sample_inputs(self, raw: Any, run: Run) -> dict[str, Any]:
        """Convert raw features to inputs of every signature, by `SIGNATURE/input/NAME`.

        `SIGNATURE/output/NAME` is an expected output that training did not store.
        """

    def synthetic_features(self, run: Run) -> Any:
        """Make raw features from the schema alone, without data."""

    def portable(self, run: Run) -> Portable:
        """Make the form for LiteRT and ONNX. Raises RefusedError if the modality has none."""

    def model_info(self, run: Run, *, with_examples: bool = False) -> dict[str, Any]:
        """Describe the inputs, for about.json; with ids of users only if `with_examples`."""

    def predict(self, run: Run, inputs: list[str], note: Note) -> list[dict[str, Any]]:
        """Predict inputs from the command line, each a file, a text or an id."""

    def predict_values(self, run: Run, values: Any, note: Note) -> Predictions:
        """Predict values of Python, such as a frame or a list; see `inference.predict`."""

    def write_examples(self, folder: Path, batch: Batch, run: Run) -> list[str]:
        """Write examples to a folder; returns them as inputs of `predict`."""


MODALITIES: tuple[Modality, ...] = (images, rows, texts, ids)


def modality_of(run: Run) -> Modality:
    """Return the module for a run's modality."""
    return next(modality for modality in MODALITIES if run.modality == modality.NAME)
