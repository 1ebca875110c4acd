"""Which module reads a kind of question."""

import importlib
from typing import Any

# By kind of question: signatures, samples, made_up, portable, about, predict, write.
QUESTIONS = {
    "image": "serving.images",
    "row": "serving.rows",
    "text": "serving.texts",
    "ids": "serving.ids",
}


def question(kind: str) -> Any:
    """The module for questions of this kind."""
    return importlib.import_module(QUESTIONS[kind])
