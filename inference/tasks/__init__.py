"""How each task names the numbers of a model, decides by them, and shows them to the user."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from apps.app import TaskName
from inference.tasks import classification, multilabel, ranking, regression
from training.run import Run

Outputs = dict[str, Any]


class Task(Protocol):
    """The functions that a task's module defines.

    Importing such a module does not import Keras.

    Attributes:
        NAME: the name of the task.
        OUTPUT_NAMES: the name of the model's output or of each of its columns.

    """

    NAME: TaskName
    OUTPUT_NAMES: str | tuple[str, ...]

    def decisions_in_graph(self, run: Run) -> Callable[[Any], Outputs]:
        """Return a function from the model's output to the outputs that a graph derives from it."""

    def decisions_of_training(self, run: Run) -> Callable[[Outputs], Outputs]:
        """Return the same for arrays, from what training stored, to check exports.

        Its argument are the named numbers of an export.
        """

    def rows(self, run: Run, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        """Return a dict for each input, for the user."""


TASKS: tuple[Task, ...] = (classification, multilabel, regression, ranking)


def task_named(name: TaskName) -> Task:
    """Return the module for a task."""
    return next(task for task in TASKS if name == task.NAME)
