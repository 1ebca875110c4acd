"""Predict for ids: lists for a user, ratings of pairs."""

import csv
import io
import itertools
from typing import Any

import numpy as np

from inference import saved_graph
from inference.inputs import (
    Note,
    UnreadableError,
    is_a_file,
    is_table_address,
    read_table,
    row_names,
)
from inference.named_outputs import predict_rows
from inference.options import LIST_LENGTH
from pipelines.ids.reading import KINDS, Columns, find_column
from pipelines.labels import cells_as_bytes
from training.run import Run

PAIR = ("user", "item")
MAX_NAMED_IDS = 5  # in a message
KNOWN = "user and item"  # the basis of a prediction if training has seen both
UNKNOWN = "unknown"  # in the basis of other predictions, unless content describes what is new
LIKED = "liked items"


class UnknownIdError(ValueError):
    """Some users or items are unknown, though --strict expects known ones."""

    exit_status = 1


def predict(run: Run, inputs: list[str], note: Note) -> list[dict[str, Any]]:
    """Recommend items to a USER; predict the rating of USER,ITEM or of the pairs of a CSV file.

    An id that contains a comma is written in double quotes, as in a CSV file. Raises
    UnreadableError for other inputs.
    """
    users = frozenset(saved_graph.vocabularies(run)["users"])
    return [row for text in inputs for row in _predict_one(run, users, text, note)]


def _predict_one(
    run: Run, known_users: frozenset[str], text: str, note: Note
) -> list[dict[str, Any]]:
    if text not in known_users and (is_table_address(text) or is_a_file(text)):
        table = read_table(text, note)
        columns = Columns(**{kind: run.manifest["reading"][kind] for kind in KINDS})
        pairs = [table.columns[find_column(table, columns, name)] for name in PAIR]
        users, items = map(cells_as_bytes, pairs)
        return ratings(run, row_names(text, table), users, items, note)
    cells = [cell.strip().encode() for cell in next(csv.reader([text], skipinitialspace=True), [])]
    if len(cells) == 1 and cells[0]:
        items = _recommended(run, cells)
        if not items:
            note(f"The user {text} has interacted with every item that can be recommended.")
        return ratings(run, [text] * len(items), cells * len(items), items, note)
    if len(cells) == 2 and all(cells):
        return ratings(run, [text], cells[:1], cells[1:], note)
    raise UnreadableError(
        f"Received {text!r}; expected a user, USER,ITEM, or a CSV file of such pairs."
    )


def _recommended(run: Run, user: list[bytes]) -> list[bytes]:
    inputs = {"user": as_texts(user), "k": np.int32(LIST_LENGTH), "exclude_seen": np.bool_(True)}
    items = saved_graph.call(run, "recommend", inputs)["items"][0].tolist()
    return [item for item in items if item]  # empty names fill the list if items run out


def ratings(
    run: Run, inputs: list[str], users: list[bytes], items: list[bytes], note: Note
) -> list[dict[str, Any]]:
    """Return the predictions of pairs, each of which has the text of its input."""
    if not users:
        return []
    raw = {"user": as_texts(users), "item": as_texts(items)}
    known = saved_graph.call(run, "known", raw)
    _note_items_as_users(run, raw["user"][known["user"] == 0], note)
    return [
        {"input": text, "item": item.decode(errors="replace"), **prediction, "basis": basis}
        for text, item, prediction, basis in zip(
            inputs,
            items,
            predict_rows(run, "rating", raw),
            map(_basis, known["user"], known["item"]),
            strict=True,
        )
    ]


def _note_items_as_users(run: Run, unknown_users: np.ndarray, note: Note) -> None:
    """Note unknown users that have the name of an item."""
    distinct = dict.fromkeys(unknown_users.tolist())
    items = set(saved_graph.vocabularies(run)["items"]) if distinct else set()
    texts = (name.decode("utf-8", "surrogateescape") for name in distinct)
    for name in itertools.islice((name for name in texts if name in items), MAX_NAMED_IDS):
        shown = name.encode("utf-8", "surrogateescape").decode(errors="replace")
        note(
            f"There is no user {shown!r}, but an item of that name. Unknown users get popular "
            f"items; give USER,{shown} for a rating of the item."
        )


def require_known(predictions: list[dict[str, Any]]) -> None:
    """Raise UnknownIdError if a prediction is for an unknown user or item."""
    unknown = dict.fromkeys(row["input"] for row in predictions if UNKNOWN in row["basis"])
    if unknown:
        more = ", ..." * (len(unknown) > MAX_NAMED_IDS)
        raise UnknownIdError(
            f"Received {len(unknown)} inputs with a user or an item that training has not seen: "
            f"{', '.join(map(repr, [*unknown][:MAX_NAMED_IDS]))}{more}; expected known ones. Leave "
            "--strict out to predict them by popularity and means."
        )


def _basis(user: int, item: int) -> str:
    """Describe the basis of a prediction, from the numbers of `known` of user and item."""
    if user > 0 and item > 0:
        return KNOWN
    if not item:
        return "unknown item: the user's mean" if user else "both unknown: the mean"
    if not user:
        return "unknown user: the item, and popularity"
    new = " and ".join(side for side, number in zip(PAIR, (user, item), strict=True) if number < 0)
    return f"content of the new {new}"


def as_texts(cells: list[bytes]) -> np.ndarray:
    """Return ids as an array of objects."""
    return np.array(cells, dtype=object)


def id_line(value: Any) -> str:
    """Return a user or (user, item), as on the command line."""
    line = io.StringIO()
    cells = value if isinstance(value, tuple) else [value]
    csv.writer(line, lineterminator="").writerow(map(str, cells))
    return line.getvalue()
