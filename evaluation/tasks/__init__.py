"""Metrics, intervals and figures of each task."""

from typing import Any, Protocol, TypeVar

import numpy as np

from apps.app import TaskName
from evaluation.intervals import Interval, Resamples
from evaluation.slices.cuts import Cut
from evaluation.slices.units import UnitScores
from evaluation.tasks import classification, multilabel, ranking, regression
from evaluation.tasks.class_scores import ClassScores
from pipelines.splits import Splits
from training.coverage import Coverage
from training.run import Run

Predictions = TypeVar("Predictions")


class Task(Protocol[Predictions]):
    """The functions that a task's module defines.

    Each task has a type of predictions, whose `target` holds the true values of the test examples.
    """

    NAME: TaskName

    def predict_test_set(self, run: Run) -> Predictions:
        """Predict a run's test examples."""

    def predict_held_out(self, run: Run) -> Predictions | None:
        """Return a run's predictions for validation examples that it was not fitted to.

        Raises RunError if the run has none.
        """

    def from_outputs(self, splits: Splits, outputs: dict[str, np.ndarray]) -> Predictions:
        """Make predictions of an export's outputs for the test examples."""

    def metrics(self, predictions: Predictions) -> dict[str, float]:
        """Compute the metrics, the most important first."""

    def bootstrap(self, predictions: Predictions, seed: int = 0) -> Resamples:
        """Compute each metric of every bootstrap resample."""

    def intervals(
        self, predictions: Predictions, resamples: Resamples | None = None
    ) -> dict[str, Interval]:
        """Compute the 95 % interval of each metric."""

    def unit_values(self, predictions: Predictions) -> dict[str, np.ndarray]:
        """Return the values of which a metric is the unweighted mean, by metric.

        There is one for each unit, an example or a user, that the bootstrap draws.
        """

    def unit_scores(self, predictions: Predictions) -> UnitScores:
        """Return the scores of single units, of which those of slices are made."""

    def class_cuts(self, predictions: Predictions, labels: tuple[str, ...]) -> list[Cut]:
        """Cut the test examples by their true class; none without classes."""

    def num_units(self, predictions: Predictions) -> float:
        """Return the number of units that the bootstrap draws; with weights the effective one."""

    def calibration(self, predictions: Predictions) -> dict[str, Any]:
        """Compare predicted probabilities with frequencies; empty without probabilities."""

    def uncalibrated(self, predictions: Predictions, temperature: float) -> Predictions:
        """Return the predictions without the temperature of the model."""

    def covered(
        self, predictions: Predictions, wanted: Coverage
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Return whether each interval or set contains the truth, and its size; or None."""

    def class_scores(self, predictions: Predictions, splits: Splits) -> ClassScores | None:
        """Return the scores by which examples are ranked for each class; None without classes."""

    def tables(self, predictions: Predictions, splits: Splits) -> dict[str, list[dict[str, Any]]]:
        """Make further tables for scores.json, by name."""

    def figures(self, predictions: Predictions, splits: Splits, target: str = "") -> dict[str, Any]:
        """Draw Matplotlib figures, by file name; `target` names the predicted column."""


TASKS: tuple[Task[Any], ...] = (classification, multilabel, regression, ranking)


def task_of(run: Run) -> Task[Any]:
    """Return the module for a run's task."""
    return next(one for one in TASKS if run.task == one.NAME)
