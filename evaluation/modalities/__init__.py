"""Baselines and figures of each modality."""

from typing import Any, Protocol

from apps.app import ModalityName
from evaluation.modalities import ids, images, rows, texts
from pipelines.splits import Splits
from training.run import Run


class Modality(Protocol):
    """The functions that a modality's module defines."""

    NAME: ModalityName

    def baselines(self, splits: Splits) -> dict[str, Any]:
        """Train simple models, and return their predictions of the test examples by name."""

    def figures(self, run: Run, predictions: Any) -> dict[str, Any]:
        """Draw Matplotlib figures that explain the predictions of a task, by file name."""


MODALITIES: tuple[Modality, ...] = (images, rows, texts, ids)


def modality_of(run: Run) -> Modality:
    """Return the module for a run's modality."""
    return next(one for one in MODALITIES if run.modality == one.NAME)
