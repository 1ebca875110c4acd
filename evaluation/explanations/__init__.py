"""Explanations of a whole model on test data, for each modality."""

from typing import Any, Protocol

from apps.app import ModalityName
from evaluation.explanations import ids, images, rows, texts
from evaluation.explanations.explanation import Explanation
from training.run import Run


class Explainer(Protocol):
    """The functions that a modality's module defines."""

    NAME: ModalityName

    def explain(self, run: Run) -> Explanation:
        """Explain the model of a run on its test examples."""

    def answer_figures(self, run: Run, explained: list[dict[str, Any]]) -> dict[str, Any]:
        """Draw figures of explained answers, by file name; none if numbers and words suffice."""


MODALITIES: tuple[Explainer, ...] = (images, rows, texts, ids)


def explainer_of(run: Run) -> Explainer:
    """Return the module for a run's modality."""
    return next(one for one in MODALITIES if run.modality == one.NAME)
