"""Questions that are ids: signatures for the server, users and pairs from the user."""

import csv
import io
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from apps.app import ModalityName
from inference.modalities import id_predictions
from inference.modalities.id_predictions import LISTED, PAIR
from inference.modalities.item_scores import Best, at_once, best, catalogue, ids_of
from inference.modalities.neighbours import described, nearest
from inference.named_outputs import named, parts
from inference.portable import CodeTable, Lists, Portable, behind, in_float32
from pipelines.examples import Batch
from pipelines.ids.reading import encoded
from training.run import Run

if TYPE_CHECKING:
    from pipelines.ids.preprocessing import Ids

NAME: ModalityName = "ids"
predict = id_predictions.predict
MOST_MET = 1_000_000  # pairs that are written beside a model of another format
NUM_NAMED = 20  # users, and items, that are named as examples
SYNTHETIC_USERS = (b"a new user", b"another new user", b"one more")
DESCRIBED: weakref.WeakKeyDictionary[Any, np.ndarray | None] = weakref.WeakKeyDictionary()


def signatures(run: Run) -> dict[str, Any]:
    """`serving_default`, also called `rating`, over pairs; `recommend` over users; `similar`.

    `recommend(user [n], k [], exclude_seen [])` gives items and scores [n, k],
    the best first, from the catalogue in the artifact; k is at most the
    catalogue's size. Where a user has met all the others, an empty name and the
    score 0 fill the rest, which our server leaves away. Unknown users are
    answered by popularity.
    `similar(item [n], k [])` gives items and scores [n, k]: the others that the
    model offers to the same users, and how alike they are, from -1 to 1; where
    there is no other, or the item is unknown, an empty name and 0. It is missing
    where the model offers the same to all.
    """
    known = _lists_and_ratings(run)
    known = {"serving_default": known["rating"], **known}
    rows = _alike(run.model)
    return known if rows is None else known | {"similar": _similar(run, rows)}


def _lists_and_ratings(run: Run) -> dict[str, Any]:
    answer, model = named(run), run.model

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name) for name in PAIR], autograph=False
    )
    def rating(user: Any, item: Any) -> dict[str, Any]:
        return answer({"user": user, "item": item})

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "user"),
            tf.TensorSpec([], tf.int32, "k"),
            tf.TensorSpec([], tf.bool, "exclude_seen"),
        ],
        autograph=False,
    )
    def recommend(user: Any, k: Any, exclude_seen: Any) -> dict[str, Any]:
        return _listed(model, best(model, user, k, exclude_seen, in_test=True))

    return {"rating": rating, "recommend": recommend}


def predict_functions(run: Run) -> dict[str, Any]:
    """The functions by which `predict` asks: also, which users and items are known."""
    ids = ids_of(run.model)

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name) for name in PAIR], autograph=False
    )
    def known(user: Any, item: Any) -> dict[str, Any]:
        return ids({"user": user, "item": item})

    return _lists_and_ratings(run) | {"known": known}


def vocabularies(run: Run) -> dict[str, Any]:
    """What `predict` has to know of the model: the users and items of training."""
    ids = ids_of(run.model)
    return {"users": list(ids.users), "items": list(ids.items)}


def _listed(model: Any, found: Best) -> dict[str, Any]:
    """Items and scores as other programs get them: JSON knows no infinity."""
    left = tf.math.is_finite(found.scores)
    names = tf.gather(catalogue(ids_of(model)), found.places)
    return {"items": tf.where(left, names, ""), "scores": tf.where(left, found.scores, 0.0)}


def _alike(model: Any) -> np.ndarray | None:
    """As `described`; a loaded model, which learns no more, is asked once."""
    if model not in DESCRIBED:
        DESCRIBED[model] = described(model)
    return DESCRIBED[model]


def _similar(run: Run, rows: np.ndarray) -> Any:
    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "item"),
            tf.TensorSpec([], tf.int32, "k"),
        ],
        autograph=False,
    )
    def similar(item: Any, k: Any) -> dict[str, Any]:
        items, scores = nearest(run.model, rows, item, k)
        return {"items": items, "scores": scores}

    return similar


def sample_inputs(raw: dict[str, np.ndarray], run: Run) -> dict[str, np.ndarray]:
    """The same pairs as input of each signature, by `SIGNATURE/input/NAME`."""
    pairs = {name: raw[name].astype("S") for name in PAIR}
    of_pairs = {
        f"{signature}/input/{name}": column
        for signature in ("serving_default", "rating")
        for name, column in pairs.items()
    }
    k, exclude = np.int32(LISTED), np.bool_(True)
    count = len(ids_of(run.model).offered)
    some = slice(at_once(count))
    known: dict[str, Any] = of_pairs | {
        "recommend/input/user": pairs["user"][some],
        "recommend/input/k": k,
        "recommend/input/exclude_seen": exclude,
        **_recommended(run, raw["user"][some], count),
    }
    rows = _alike(run.model)
    if rows is None:
        return known
    items, scores = nearest(run.model, rows, tf.constant(raw["item"][some]), tf.constant(count))
    return known | {
        "similar/input/item": pairs["item"][some],
        "similar/input/k": k,
        "similar/output/items": items.numpy().astype("S"),
        "similar/output/scores": scores.numpy(),
    }


def _recommended(run: Run, users: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Every item in the order of its score for each user: items equally good may change places."""
    found = best(run.model, tf.constant(users), tf.constant(count), tf.constant(True), in_test=True)
    places, scores = found.places.numpy(), found.scores.numpy()
    names = np.array([encoded(name) for name in ids_of(run.model).offered], "S")
    left = np.isfinite(scores)
    return {
        "recommend/output/items": np.where(left, names[places], b""),
        "recommend/output/scores": np.where(left, scores, np.float32(0)),
    }


def synthetic_features(run: Run) -> dict[str, np.ndarray]:
    """Pairs of users whom nobody knows, and of items that are recommended."""
    items = [encoded(name) for name in ids_of(run.model).offered[: len(SYNTHETIC_USERS)]]
    return {
        "user": np.array(SYNTHETIC_USERS[: len(items)], object),
        "item": np.array(items, object),
    }


def portable(run: Run) -> Portable:
    """Pairs of numbers of users and items; lists are made of their scores."""
    model, ids = in_float32(run.model), ids_of(run.model)
    rest = behind(model, ids_of(model))

    def pairs(user: Any, item: Any) -> dict[str, Any]:
        return parts(run.task, rest({"user": user, "item": item}))

    tables = {
        "user": CodeTable(tuple(ids.users), 1, 0),
        "item": CodeTable(tuple(ids.items), 1, 0),
    }
    specs = tuple(tf.TensorSpec([None], tf.int32, name) for name in PAIR)
    left_out = {
        "rating": "it is serving_default",
        "similar": "what is alike is known to the SavedModel",
    }
    return Portable(pairs, specs, tables, left_out=left_out, lists=_lists(ids))


def _lists(ids: "Ids") -> Lists:
    """Of many pairs the file would be many times the model: whoever asks knows them anyway."""
    if ids.num_met > MOST_MET:
        return Lists(list(ids.offered), None)
    rows, places = (
        ids.met_by(tf.constant([encoded(name) for name in ids.users]), in_test=True).numpy().T
    )
    met: dict[str, list[int]] = {}
    for row, place in zip(rows.tolist(), places.tolist(), strict=True):
        met.setdefault(ids.users[row], []).append(place)
    return Lists(list(ids.offered), met)


def model_info(run: Run, *, with_examples: bool = False) -> dict[str, Any]:
    """Some users and items to ask about; users only where they may be shown to everybody."""
    ids = ids_of(run.model)
    some = {"users": ids.users if with_examples else [], "items": ids.offered}
    return {
        kind: [encoded(name).decode("utf-8", "replace") for name in names[:NUM_NAMED]]
        for kind, names in some.items()
    }


def write_examples(folder: Path, some: Batch, run: Run) -> list[str]:  # noqa: ARG001
    """A user, and a pair of each example."""
    pairs = [
        (user.decode(errors="replace"), item.decode(errors="replace"))
        for user, item in zip(some.features["user"], some.features["item"], strict=True)
    ]
    return [_cells(pairs[0][0]), *(_cells(*pair) for pair in pairs)]


def _cells(*cells: str) -> str:
    """Cells as a line of a CSV file."""
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().rstrip("\r\n")
