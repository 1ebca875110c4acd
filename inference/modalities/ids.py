"""Ids: signatures that rate pairs, recommend items and find similar items."""

import csv
import functools
import io
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from apps.app import ModalityName
from inference.inputs import Note
from inference.modalities import id_predictions, requested_signature
from inference.modalities.id_predictions import PAIR, id_line
from inference.modalities.item_scores import TopItems, catalogue, ids_of, max_batch_size, top_items
from inference.modalities.item_similarity import item_vectors, most_similar
from inference.named_outputs import name_outputs, named_function
from inference.options import LIST_LENGTH
from inference.portable import CodeTable, Lists, Portable, as_float32, tail_model
from inference.values import Predictions, as_list, is_table, predict_table
from pipelines.examples import Batch
from pipelines.ids.numbering import encode_id
from training.run import Run

if TYPE_CHECKING:
    from pipelines.ids.preprocessing import Ids

NAME: ModalityName = "ids"
predict = id_predictions.predict
MAX_WRITTEN_INTERACTIONS = 1_000_000  # pairs in the JSON beside a LiteRT or ONNX file
NUM_EXAMPLE_IDS = 20  # users, and items, in about.json
SYNTHETIC_USERS = (b"a new user", b"another new user", b"one more")
ITEM_VECTORS: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def signatures(run: Run) -> dict[str, Any]:
    """Return `serving_default`, also called `rating`, over pairs, and signatures of lists.

    `recommend(user [n], k [], exclude_seen [])` returns items and scores [n, k] from the
    catalogue in the artifact, the best first; k is at most the size of the catalogue. If
    `exclude_seen` leaves fewer items, empty names and scores 0 fill the rest, which our
    server removes. Unknown users get popular items.
    `recommend_with` has filters, lists for liked items, diversity and reasons; its inputs are those
    of `ListRequest`, and all are optional.
    `similar(item [n], k [])` returns the most similar items and their similarity, -1 to 1,
    [n, k]; empty names and 0 for an unknown item and after the last one. It is missing if
    the model recommends the same items to all users.
    """
    functions = _lists_and_ratings(run)
    functions = {"serving_default": functions["rating"], **functions}
    vectors = _cached_item_vectors(run.model)
    return functions if vectors is None else functions | {"similar": _similar(run, vectors)}


def _lists_and_ratings(run: Run) -> dict[str, Any]:
    predict_pairs, model = named_function(run), run.model

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name) for name in PAIR], autograph=False
    )
    def rating(user: Any, item: Any) -> dict[str, Any]:
        return predict_pairs({"user": user, "item": item})

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "user"),
            tf.TensorSpec([], tf.int32, "k"),
            tf.TensorSpec([], tf.bool, "exclude_seen"),
        ],
        autograph=False,
    )
    def recommend(user: Any, k: Any, exclude_seen: Any) -> dict[str, Any]:
        return _named_items(model, top_items(model, user, k, exclude_seen, in_test=True))

    requested = requested_signature.make_function(model, _cached_item_vectors(model))
    return {"rating": rating, "recommend": recommend, requested_signature.NAME: requested}


def predict_functions(run: Run) -> dict[str, Any]:
    """Return the functions for `predict`.

    `known` maps ids to numbers, unknown ones to 0, and those known by content alone to -1.
    """
    ids = ids_of(run.model)

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name) for name in PAIR], autograph=False
    )
    def known(user: Any, item: Any) -> dict[str, Any]:
        numbers = ids({"user": user, "item": item})
        trained = dict(zip(PAIR, ids.trained, strict=True))
        return {side: tf.where(numbers[side] > trained[side], -1, numbers[side]) for side in PAIR}

    return _lists_and_ratings(run) | {"known": known}


def vocabularies(run: Run) -> dict[str, Any]:
    """Return the users and items of training."""
    ids = ids_of(run.model)
    return {"users": list(ids.users), "items": list(ids.items)}


def _named_items(model: Any, top: TopItems) -> dict[str, Any]:
    """Return names and scores of items; "" and 0 for minus infinity, which JSON lacks."""
    is_item = tf.math.is_finite(top.scores)
    names = tf.gather(catalogue(ids_of(model)), top.indices)
    return {"items": tf.where(is_item, names, ""), "scores": tf.where(is_item, top.scores, 0.0)}


def _cached_item_vectors(model: Any) -> Any:
    """Return `item_vectors` as a tf.Variable or None, computed once for a loaded model.

    A variable is stored once for all signatures, outside of the graph.
    """
    if model not in ITEM_VECTORS:
        vectors = item_vectors(model)
        ITEM_VECTORS[model] = None if vectors is None else tf.Variable(vectors, trainable=False)
    return ITEM_VECTORS[model]


def _similar(run: Run, vectors: Any) -> Any:
    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "item"),
            tf.TensorSpec([], tf.int32, "k"),
        ],
        autograph=False,
    )
    def similar(item: Any, k: Any) -> dict[str, Any]:
        items, scores = most_similar(run.model, vectors, item, k)
        return {"items": items, "scores": scores}

    return similar


def sample_inputs(raw: dict[str, np.ndarray], run: Run) -> dict[str, np.ndarray]:
    """Return pairs as inputs of each signature, and expected lists of items."""
    pairs = {name: raw[name].astype("S") for name in PAIR}
    of_pairs = {
        f"{signature}/input/{name}": column
        for signature in ("serving_default", "rating")
        for name, column in pairs.items()
    }
    k, exclude = np.int32(LIST_LENGTH), np.bool_(True)
    count = len(ids_of(run.model).offered)
    first = slice(max_batch_size(count))
    inputs: dict[str, Any] = of_pairs | {
        "recommend/input/user": pairs["user"][first],
        "recommend/input/k": k,
        "recommend/input/exclude_seen": exclude,
        **_recommended(run, raw["user"][first], count),
    }
    vectors = _cached_item_vectors(run.model)
    inputs |= requested_signature.samples(run.model, vectors, raw)
    if vectors is None:
        return inputs
    items, scores = most_similar(
        run.model, vectors, tf.constant(raw["item"][first]), tf.constant(count)
    )
    return inputs | {
        "similar/input/item": pairs["item"][first],
        "similar/input/k": k,
        "similar/output/items": items.numpy().astype("S"),
        "similar/output/scores": scores.numpy(),
    }


def _recommended(run: Run, users: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Return all items ordered by score; the check accepts any order of equal scores."""
    top = top_items(
        run.model, tf.constant(users), tf.constant(count), tf.constant(True), in_test=True
    )
    indices, scores = top.indices.numpy(), top.scores.numpy()
    names = np.array([encode_id(name) for name in ids_of(run.model).offered], "S")
    is_item = np.isfinite(scores)
    return {
        "recommend/output/items": np.where(is_item, names[indices], b""),
        "recommend/output/scores": np.where(is_item, scores, np.float32(0)),
    }


def synthetic_features(run: Run) -> dict[str, np.ndarray]:
    """Return pairs of unknown users and items that can be recommended."""
    items = [encode_id(name) for name in ids_of(run.model).offered[: len(SYNTHETIC_USERS)]]
    return {
        "user": np.array(SYNTHETIC_USERS[: len(items)], object),
        "item": np.array(items, object),
    }


def portable(run: Run) -> Portable:
    """Return a model of pairs of numbers; the JSON beside it says how to make lists from scores."""
    model, ids = as_float32(run.model), ids_of(run.model)
    tail = tail_model(model, ids_of(model))

    def pairs(user: Any, item: Any) -> dict[str, Any]:
        return name_outputs(run.task, tail({"user": user, "item": item}))

    tables = {
        "user": CodeTable(tuple(ids.users), 1, 0),
        "item": CodeTable(tuple(ids.items), 1, 0),
    }
    specs = tuple(tf.TensorSpec([None], tf.int32, name) for name in PAIR)
    left_out = {
        "rating": "it is serving_default",
        "similar": "only the SavedModel has the similar items",
        requested_signature.NAME: "only the SavedModel has it; filter the candidates of recommend",
    }
    return Portable(pairs, specs, tables, left_out=left_out, lists=_lists(ids))


def _lists(ids: "Ids") -> Lists:
    """Return candidates and interactions for lists; too many interactions are left out."""
    if ids.num_interactions > MAX_WRITTEN_INTERACTIONS:
        return Lists(list(ids.offered), None)
    rows, indices = (
        ids.interactions_of(tf.constant([encode_id(name) for name in ids.users]), in_test=True)
        .numpy()
        .T
    )
    interactions: dict[str, list[int]] = {}
    for row, index in zip(rows.tolist(), indices.tolist(), strict=True):
        interactions.setdefault(ids.users[row], []).append(index)
    return Lists(list(ids.offered), interactions)


def model_info(run: Run, *, with_examples: bool = False) -> dict[str, Any]:
    """Return example items and their attributes; and example users if `with_examples`."""
    ids = ids_of(run.model)
    examples = {
        "users": ids.users if with_examples else [],
        "items": ids.offered,
        "attributes": ids.attributes.texts,
    }
    return {
        kind: [encode_id(name).decode("utf-8", "replace") for name in names[:NUM_EXAMPLE_IDS]]
        for kind, names in examples.items()
    }


def predict_values(run: Run, values: Any, note: Note) -> Predictions:
    """Predict a list of users or of (user, item) pairs, or the rows of a table of them."""
    if is_table(values):
        return predict_table(values, functools.partial(predict, run), note)
    expected = "a list of users, of (user, item) pairs, or a data frame of both"
    lines = [id_line(value) for value in as_list(values, expected)]
    return predict(run, lines, note)


def write_examples(folder: Path, batch: Batch, run: Run) -> list[str]:  # noqa: ARG001
    """Return inputs of `predict`: the first user, and the pair of each example."""
    pairs = [
        (user.decode(errors="replace"), item.decode(errors="replace"))
        for user, item in zip(batch.features["user"], batch.features["item"], strict=True)
    ]
    return [_cells(pairs[0][0]), *(_cells(*pair) for pair in pairs)]


def _cells(*cells: str) -> str:
    """Format cells as a line of a CSV file."""
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().rstrip("\r\n")
