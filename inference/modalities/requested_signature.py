"""The signature `recommend_with`: its optional inputs, and samples for the parity check."""

from typing import Any

import numpy as np
import tensorflow as tf

from inference.modalities.item_scores import ids_of, max_batch_size
from inference.modalities.requested_lists import ListRequest, recommend_with, scored
from inference.options import LIST_LENGTH
from pipelines.ids.numbering import encode_id

NAME = "recommend_with"
# A value, as inputs of a signature cannot be absent; TensorFlow cannot store empty lists of texts.
DEFAULTS = ListRequest(
    user=[""],
    liked=[[""]],
    only=[""],
    exclude=[""],
    only_with=[""],
    exclude_with=[""],
    k=LIST_LENGTH,
    exclude_seen=True,
    diversity=0.0,
)
NUM_SAMPLES, SAMPLE_LIKED, SAMPLE_EXCLUDED, SAMPLE_DIVERSITY = 8, 2, 2, 0.3


def _specs() -> ListRequest:
    return ListRequest(
        user=tf.TensorSpec([None], tf.string, "user"),
        liked=tf.TensorSpec([None, None], tf.string, "liked"),
        only=tf.TensorSpec([None], tf.string, "only"),
        exclude=tf.TensorSpec([None], tf.string, "exclude"),
        only_with=tf.TensorSpec([None], tf.string, "only_with"),
        exclude_with=tf.TensorSpec([None], tf.string, "exclude_with"),
        k=tf.TensorSpec([], tf.int32, "k"),
        exclude_seen=tf.TensorSpec([], tf.bool, "exclude_seen"),
        diversity=tf.TensorSpec([], tf.float32, "diversity"),
    )


def make_function(model: Any, vectors: Any) -> Any:
    """Return `recommend_with` as a function of the inputs in `ListRequest`, all optional."""
    default = ListRequest(*map(tf.constant, DEFAULTS))

    @tf.function(input_signature=list(_specs()), autograph=False)
    def requested(
        user: Any = default.user,
        liked: Any = default.liked,
        only: Any = default.only,
        exclude: Any = default.exclude,
        only_with: Any = default.only_with,
        exclude_with: Any = default.exclude_with,
        k: Any = default.k,
        exclude_seen: Any = default.exclude_seen,
        diversity: Any = default.diversity,
    ) -> dict[str, Any]:
        filters = only, exclude, only_with, exclude_with
        request = ListRequest(user, liked, *filters, k, exclude_seen, diversity)
        return recommend_with(model, vectors, request)

    return requested


def samples(model: Any, vectors: Any, raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a request and what the parity check needs, by `NAME/input/...` and `NAME/output/...`.

    Half of its rows are users, half are lists of liked items with an unknown one.
    """
    ids = ids_of(model)
    rows = slice(min(NUM_SAMPLES, max_batch_size(len(ids.offered))))
    users, items = raw["user"].astype("S")[rows], raw["item"].astype("S")
    unknown = np.full(len(users), b"no such item")
    liked = np.column_stack([np.resize(items, (len(users), SAMPLE_LIKED)), unknown])
    liked[::2] = b""
    request = ListRequest(
        user=users,
        liked=liked,
        only=np.array(DEFAULTS.only, "S"),
        exclude=items[-SAMPLE_EXCLUDED:],
        only_with=np.array(DEFAULTS.only_with, "S"),
        exclude_with=np.array([encode_id(text) for text in ids.attributes.texts[:1]] or [b""]),
        k=np.int32(LIST_LENGTH),
        exclude_seen=np.bool_(True),
        diversity=np.float32(0.0 if vectors is None else SAMPLE_DIVERSITY),
    )
    outputs = _of_training(model, vectors, request)
    inputs = {f"{NAME}/input/{name}": value for name, value in request._asdict().items()}
    return inputs | {f"{NAME}/output/{name}": value for name, value in outputs.items()}


def _of_training(model: Any, vectors: Any, request: ListRequest) -> dict[str, np.ndarray]:
    """Return what `exporting.ranked_lists.compare_requested_lists` expects."""
    ids = ids_of(model)
    found = scored(model, ListRequest(*map(tf.constant, request)))
    scores, history = found.scores.numpy(), found.history.numpy()
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, 1)
    names = np.array([b"", *map(encode_id, ids.items)], "S")
    is_item = np.isfinite(ranked)
    mentioned = np.concatenate([request.liked.ravel(), request.only, request.exclude])
    outputs = {
        "items": np.where(is_item, names[ids.offered_numbers[order]], b""),
        "scores": np.where(is_item, ranked, np.float32(0)),
        "unknown": np.setdiff1d(mentioned, names),
        "diversity": request.diversity,
    }
    if vectors is None:
        return outputs
    similarity = {"names": names[1:], "vectors": np.asarray(vectors), "history": names[history]}
    return outputs | similarity
