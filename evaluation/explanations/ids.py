"""Explain a recommender: only its lists for single users can be explained."""

from typing import Any

from apps.app import ModalityName
from evaluation.explanations.explanation import Explanation
from training.run import Run

NAME: ModalityName = "ids"
NOT_OFFERED = (
    "A recommender as a whole has no explanation here: its numbers of users and items have no "
    "meaning of their own. Name users to explain their lists; popularity.png and activity.png of "
    "evaluate show how it treats popular items and active users."
)


def explain(run: Run) -> Explanation:  # noqa: ARG001
    """Say that there is no explanation of the whole model."""
    return Explanation({"not_offered": NOT_OFFERED}, {}, [NOT_OFFERED])


def answer_figures(run: Run, explained: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG001
    """Draw nothing: numbers and words suffice."""
    return {}
