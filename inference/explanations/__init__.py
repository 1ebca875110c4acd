"""Explanations of one answer, for each modality."""

from typing import Any, Protocol

from apps.app import ModalityName
from inference.explanations import ids, images, rows, texts
from inference.inputs import Note
from inference.options import ExplainOptions
from training.run import Run


class Explainer(Protocol):
    """The functions that a modality's module defines."""

    NAME: ModalityName

    def explain(
        self, run: Run, inputs: list[str], options: ExplainOptions, note: Note
    ) -> list[dict[str, Any]]:
        """Explain the answer for each input of the command line."""

    def explain_values(
        self, run: Run, values: Any, options: ExplainOptions, note: Note
    ) -> list[dict[str, Any]]:
        """Explain values of Python, such as a frame or a list; see `inference.predict`."""


MODALITIES: tuple[Explainer, ...] = (images, rows, texts, ids)


def explainer_of(run: Run) -> Explainer:
    """Return the module for a run's modality."""
    return next(one for one in MODALITIES if run.modality == one.NAME)
