"""Which module reads a kind of question."""

import importlib
from typing import Any

# By kind of question: signatures, predicting, facts, samples, made_up, portable, about, write.
QUESTIONS = {
    "image": "inference.modalities.images",
    "row": "inference.modalities.rows",
    "text": "inference.modalities.texts",
    "ids": "inference.modalities.ids",
}


# Where `predict` is: these import Keras only where they have to ask the model itself.
PREDICTIONS = QUESTIONS | {"ids": "inference.modalities.id_predictions"}


def predictions(kind: str) -> Any:
    """The module that answers inputs from the user to this kind of question."""
    return importlib.import_module(PREDICTIONS[kind])


def question(kind: str) -> Any:
    """The module for questions of this kind."""
    return importlib.import_module(QUESTIONS[kind])
