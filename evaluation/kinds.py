"""Which module judges an answer, and which one knows a question."""

import importlib
from typing import Any

# By kind of answer: answers_of, given, metrics, intervals, details, figures.
JUDGES = {
    "classification": "evaluation.tasks.classification",
    "regression": "evaluation.tasks.regression",
    "ranking": "evaluation.tasks.ranking",
}
# By kind of question: baselines, figures.
ASKED = {
    "image": "evaluation.modalities.images",
    "row": "evaluation.modalities.rows",
    "text": "evaluation.modalities.texts",
    "ids": "evaluation.modalities.ids",
}

FLOOR = "noise_floor"  # beside the baselines, but out of reach of any model


def judge(answer: str) -> Any:
    """The module that judges answers of this kind."""
    return importlib.import_module(JUDGES[answer])


def asked(question: str) -> Any:
    """The module that knows what questions of this kind look like."""
    return importlib.import_module(ASKED[question])
