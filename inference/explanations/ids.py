"""Explain a recommended list: the user's items that are most similar to each item of it."""

from typing import Any

from apps.app import ModalityName
from inference.inputs import Note, UnreadableError
from inference.modalities import id_lists
from inference.modalities.id_predictions import id_line
from inference.options import ExplainOptions, PredictOptions
from inference.values import as_list, is_table
from training.run import Run

NAME: ModalityName = "ids"


def explain_values(
    run: Run, values: Any, options: ExplainOptions, note: Note
) -> list[dict[str, Any]]:
    """Return the lists of users of Python, with the reasons for their items."""
    if is_table(values):
        raise UnreadableError("Received a table; expected a list of users.")
    users = [id_line(value) for value in as_list(values, "a list of users")]
    return explain(run, users, options, note)


def explain(
    run: Run,
    inputs: list[str],
    options: ExplainOptions,  # noqa: ARG001
    note: Note,
) -> list[dict[str, Any]]:
    """Return the list of each user, with the reasons for its items."""
    try:
        return id_lists.predict(run, inputs, PredictOptions(why=True), note)
    except UnreadableError as error:
        raise UnreadableError(
            f"Received {inputs[0]!r}; expected users: the list of a user is explained, ratings of "
            "pairs and files are not."
        ) from error
