"""Predict lists with options of `predict`: liked items, filters, diversity, reasons."""

import csv
from typing import Any

import numpy as np

from inference import saved_graph
from inference.inputs import Note, UnreadableError, is_a_file, is_table_address
from inference.modalities.id_predictions import (
    LIKED,
    MAX_NAMED_IDS,
    UnknownIdError,
    as_texts,
    id_line,
    ratings,
)
from inference.options import ITEM_LISTS, PredictOptions, parse_items
from inference.request_errors import RequestError
from inference.values import as_list, is_table
from pipelines.ids.numbering import encode_id
from training.run import Run

SIGNATURE = "recommend_with"
NO_LIKED = "unknown items: popularity"  # the basis if no liked item is known


class ListError(ValueError):
    """A list that the model cannot make."""

    exit_status = 2


def predict(
    run: Run, inputs: list[str], options: PredictOptions, note: Note
) -> list[dict[str, Any]]:
    """Recommend items to each user in `inputs`, or to somebody who likes `options.liked`.

    Raises UnreadableError for inputs that are no users, and UnknownIdError with `strict` if an
    item in the options is unknown.
    """
    if options.liked and inputs:
        raise UnreadableError(
            f"Received --liked and the user {inputs[0]!r}; expected one of them. The liked items "
            "are in place of a user."
        )
    users = [_user(run, text, options) for text in inputs]
    people = [(options.liked, b"")] if options.liked else list(zip(inputs, users, strict=True))
    outputs = [_call(run, options, user) for _, user in people]
    for one in outputs[:1]:
        _report_unknown(one["unknown"].tolist(), options, note)
    return [
        row
        for (text, user), one in zip(people, outputs, strict=True)
        for row in _rows(run, text, user, one, options, note)
    ]


def predict_values(
    run: Run, values: Any, options: PredictOptions, note: Note
) -> list[dict[str, Any]]:
    """Recommend items to each user in a list, as `predict` does."""
    if is_table(values):
        raise UnreadableError(
            f"Received {options.list_flags()[0]} and a table; expected a list of users."
        )
    users = [] if values is None else as_list(values, "a list of users")
    return predict(run, [id_line(value) for value in users], options, note)


def _user(run: Run, text: str, options: PredictOptions) -> bytes:
    """Return the user in an input. Raises UnreadableError for pairs and files."""
    is_known = text in saved_graph.vocabularies(run)["users"]
    cells = [cell.strip() for cell in next(csv.reader([text], skipinitialspace=True), [])]
    is_file = not is_known and (is_table_address(text) or is_a_file(text))
    if is_file or len(cells) != 1 or not cells[0]:
        raise UnreadableError(
            f"Received {options.list_flags()[0]} and the input {text!r}; expected a user. The "
            "options of lists have no effect on ratings of pairs."
        )
    return encode_id(cells[0])


def _rows(
    run: Run,
    text: str,
    user: bytes,
    outputs: dict[str, np.ndarray],
    options: PredictOptions,
    note: Note,
) -> list[dict[str, Any]]:
    """Return the rows of one list; `text` is its input."""
    items = [item for item in outputs["items"][0].tolist() if item]
    if not items:
        note(f"No item is left to recommend to {text}.")
    rows = ratings(run, [text] * len(items), [user] * len(items), items, note)
    if options.liked:
        liked = {encode_id(item) for item in parse_items(options.liked)}
        basis = LIKED if liked - set(outputs["unknown"].tolist()) else NO_LIKED
        scores = outputs["scores"][0, : len(items)].tolist()
        rows = [
            row | {"score": score, "basis": basis} for row, score in zip(rows, scores, strict=True)
        ]
    if options.why:
        because = _because(outputs)[: len(items)]
        rows = [row | {"because": one} for row, one in zip(rows, because, strict=True)]
    return rows


def _call(run: Run, options: PredictOptions, user: bytes) -> dict[str, np.ndarray]:
    """Return the outputs for one list. Raises ListError if the model has none."""
    lists = {
        name: as_texts([encode_id(item) for item in parse_items(getattr(options, name))] or [b""])
        for name in ITEM_LISTS
    }
    inputs = lists | {
        "user": as_texts([user]),
        "liked": lists["liked"][None],
        "k": np.int32(options.k),
        "exclude_seen": np.bool_(True),
        "diversity": np.float32(options.diversity),
    }
    try:
        return saved_graph.call(run, SIGNATURE, inputs)
    except RequestError as error:
        raise ListError(error.message) from error


def _report_unknown(unknown: list[bytes], options: PredictOptions, note: Note) -> None:
    """Note unknown items of the options. Raises UnknownIdError with `strict`."""
    if not unknown:
        return
    names = [item.decode(errors="replace") for item in unknown[:MAX_NAMED_IDS]]
    listed = ", ".join(names) + ", ..." * (len(unknown) > MAX_NAMED_IDS)
    if options.strict:
        raise UnknownIdError(
            f"Received {len(unknown)} items that training has not seen: {listed}; expected known "
            "ones. Leave --strict out to ignore them."
        )
    note(f"{len(unknown)} items are unknown to training and are ignored: {listed}")


def _because(outputs: dict[str, np.ndarray]) -> list[list[dict[str, Any]]]:
    """Return the reasons of each item of a list."""
    rows = zip(outputs["reasons"][0].tolist(), outputs["similarities"][0].tolist(), strict=True)
    return [
        [
            {"item": item.decode(errors="replace"), "similarity": similarity}
            for item, similarity in zip(items, similarities, strict=True)
            if item
        ]
        for items, similarities in rows
    ]
