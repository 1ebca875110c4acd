"""Answers to ids from the user: lists for a user, ratings of pairs."""

import csv
import itertools
from typing import Any

import numpy as np

from inference import saved_graph
from inference.inputs import UnreadableError, is_a_file, places_in, table, tell
from inference.named_outputs import rows
from pipelines.ids.reading import KINDS, Columns, found
from training.run import Run

LISTED = 10
PAIR = ("user", "item")
NUM_TOLD = 5  # ids in a message
KNOWN = "user and item"  # what an answer rests on where training has seen both


class UnknownIdError(ValueError):
    """A user or an item that training has not seen, where known ones are asked for."""

    exit_status = 1


def predict(run: Run, inputs: list[str]) -> list[dict[str, Any]]:
    """The first ten unmet items of a USER, the rating of USER,ITEM, or of all pairs of a CSV file.

    An id that holds a comma is written in double quotes, as in a CSV file. Raises
    UnreadableError where an input is none of these.
    """
    users = frozenset(saved_graph.vocabularies(run)["users"])
    return [answer for text in inputs for answer in _answers(run, users, text)]


def _answers(run: Run, known: frozenset[str], text: str) -> list[dict[str, Any]]:
    if text not in known and is_a_file(text):
        read = table(text)
        columns = Columns(**{kind: run.manifest["reading"][kind] for kind in KINDS})
        pairs = [read.columns[found(read, columns, name)] for name in PAIR]
        users, items = (column.tolist() for column in pairs)
        return _rated(run, places_in(text, read), users, items)
    cells = [cell.strip().encode() for cell in next(csv.reader([text], skipinitialspace=True), [])]
    if len(cells) == 1 and cells[0]:
        given = {"user": _texts(cells), "k": np.int32(LISTED), "exclude_seen": np.bool_(True)}
        # A list has no room for what its user has met.
        listed = saved_graph.ask(run, "recommend", given)["items"][0].tolist()
        items = [item for item in listed if item]
        if not items:
            tell(f"{text} has met every item that can be recommended.")
        return _rated(run, [text] * len(items), cells * len(items), items)
    if len(cells) == 2 and all(cells):
        return _rated(run, [text], cells[:1], cells[1:])
    raise UnreadableError(
        f"Received {text!r}; expected a user, USER,ITEM, or a CSV file of such pairs."
    )


def _rated(
    run: Run, inputs: list[str], users: list[bytes], items: list[bytes]
) -> list[dict[str, Any]]:
    if not users:
        return []
    raw = {"user": _texts(users), "item": _texts(items)}
    known = saved_graph.ask(run, "known", raw)
    _tell_of_items(run, raw["user"][known["user"] == 0])
    return [
        {"input": text, "item": item.decode(errors="replace"), **answer, "basis": basis}
        for text, item, answer, basis in zip(
            inputs,
            items,
            rows(run, "rating", raw),
            map(_basis, known["user"], known["item"]),
            strict=True,
        )
    ]


def _tell_of_items(run: Run, strangers: np.ndarray) -> None:
    """Tell of unknown users that are called as items are."""
    some = dict.fromkeys(strangers.tolist())
    known = set(saved_graph.vocabularies(run)["items"]) if some else set()
    shown = (name.decode("utf-8", "surrogateescape") for name in some)
    for name in itertools.islice((one for one in shown if one in known), NUM_TOLD):
        told = name.encode("utf-8", "surrogateescape").decode(errors="replace")
        tell(
            f"There is no user {told!r}, but an item of that name. An unknown user is answered "
            f"by popularity; give USER,{told} for a rating of the item."
        )


def require_known(answers: list[dict[str, Any]]) -> None:
    """Raise UnknownIdError where an answer is to an unknown user or item."""
    unknown = dict.fromkeys(answer["input"] for answer in answers if answer["basis"] != KNOWN)
    if unknown:
        more = ", ..." * (len(unknown) > NUM_TOLD)
        raise UnknownIdError(
            f"Received {len(unknown)} inputs with a user or an item that training has not seen: "
            f"{', '.join(map(repr, [*unknown][:NUM_TOLD]))}{more}; expected known ones. Leave "
            "--strict out to have them answered by popularity and means."
        )


def _basis(user: int, item: int) -> str:
    """What an answer rests on."""
    if user and item:
        return KNOWN
    if user:
        return "unknown item: the user's mean"
    return "unknown user: the item, and popularity" if item else "both unknown: the mean"


def _texts(cells: list[bytes]) -> np.ndarray:
    return np.array(cells, dtype=object)
