"""Baselines and figures of each modality."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from apps.app import ModalityName
from evaluation.modalities import ids, images, rows, texts
from evaluation.slices.cuts import Cut
from pipelines.splits import Splits
from training.run import Run


class Modality(Protocol):
    """The functions that a modality's module defines."""

    NAME: ModalityName

    def baselines(self, splits: Splits) -> Iterator[tuple[str, Any]]:
        """Train simple models in turn; yield their names and predictions of the test examples."""

    def cuts(self, run: Run, predictions: Any, rows: np.ndarray) -> list[Cut]:
        """Cut the test units of these positions by what is known about them."""

    def figures(self, run: Run, predictions: Any) -> dict[str, Any]:
        """Draw Matplotlib figures that explain the predictions of a task, by file name."""


MODALITIES: tuple[Modality, ...] = (images, rows, texts, ids)


def modality_of(run: Run) -> Modality:
    """Return the module for a run's modality."""
    return next(one for one in MODALITIES if run.modality == one.NAME)
