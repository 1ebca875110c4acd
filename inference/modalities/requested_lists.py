"""Lists on request: for users or for liked items, filtered, diverse, with reasons.

They need the scores of all items, unlike `top_items`.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from inference.modalities.candidates import (
    Filters,
    candidates,
    unknown_attributes,
    unknown_items,
)
from inference.modalities.diversity import diverse_positions
from inference.modalities.item_scores import catalogue, ids_of, list_scorer_of, max_batch_size
from inference.modalities.item_similarity import offered_vectors
from inference.modalities.reasons import NUM_REASONS, nearest_of_history
from inference.options import MAX_LIST_LENGTH
from pipelines.ids.numbering import encode_id

MAX_LISTED_ITEMS = 2**16  # of all lists of a request
MAX_LIKED_ITEMS = 1000  # of a person
MAX_NAMED = 5  # attributes or columns in a message
NO_SIMILARITY = "because this model recommends the same items to all users"


class ListRequest(NamedTuple):
    """The inputs of `recommend_with`; empty names are ignored everywhere.

    Attributes:
        user: string [n].
        liked: string [n, l]; a row with a known item is scored by these items, not by the user.
            `user` or `liked` may have a single row, which counts for all.
        only: see `Filters`, as for the next three.
        exclude: of items.
        only_with: of attributes.
        exclude_with: of attributes.
        k: int32 []; length of the lists, at most all items.
        exclude_seen: bool []; leave out interactions of the user. Liked items never are in a list.
        diversity: float32 [], 0 to 1; the weight of `diverse_positions`.

    """

    user: Any
    liked: Any
    only: Any
    exclude: Any
    only_with: Any
    exclude_with: Any
    k: Any
    exclude_seen: Any
    diversity: Any

    @property
    def filters(self) -> Filters:
        """The filters of candidates."""
        return Filters(self.only, self.exclude, self.only_with, self.exclude_with)


class Scored(NamedTuple):
    """Scores of all items, and the items by which reasons are given.

    Attributes:
        scores: float32 [n, items]; minus infinity for items that are left out.
        history: numbers of the interactions of the user, or of the liked items, int32 [n, h]; 0 is
            no item.

    """

    scores: Any
    history: Any


def recommend_with(model: Any, vectors: Any, request: ListRequest) -> dict[str, Any]:
    """Return the named outputs of a request; inside a graph or outside.

    `items` and `scores` are [n, k], `reasons` and `similarities` [n, k, r], each filled up with
    empty names and 0; `unknown` [u] are the names of items that training has not seen. Raises
    tf.errors.InvalidArgumentError for requests that are too large, for attributes that no item
    has, and for a diversity that is not in [0, 1], or above 0 if the model has no item vectors.
    """
    ids = ids_of(model)
    request = _checked(request, ids, has_vectors=vectors is not None)
    found = scored(model, request)
    indices, scores = _best(ids, vectors, found.scores, request)
    is_item, offered = tf.math.is_finite(scores), catalogue(ids)
    reasons, similarities = _reasons(ids, vectors, indices, is_item, found.history)
    known = offered if ids.offered is ids.items else tf.constant([*map(encode_id, ids.items)])
    names_of_reasons = tf.gather(known, tf.maximum(reasons - 1, 0))
    return {
        "items": tf.where(is_item, tf.gather(offered, indices), ""),
        "scores": tf.where(is_item, scores, 0.0),
        "reasons": tf.where(reasons > 0, names_of_reasons, ""),
        "similarities": similarities,
        "unknown": unknown_items(ids, request.liked, request.only, request.exclude),
    }


def scored(model: Any, request: ListRequest) -> Scored:
    """Score all items for a request with as many rows of `user` as of `liked`."""
    ids = ids_of(model)
    liked = _distinct(ids.item_numbers.lookup(request.liked))
    likes = tf.reduce_any(liked > 0, 1, keepdims=True)
    seen = ids.histories_of(request.user, in_test=True).to_tensor()
    scores = _scores(model, ids.user_numbers.lookup(request.user), liked, likes)
    left_out = tf.concat([tf.where(request.exclude_seen, seen, 0), liked], 1)
    allowed = candidates(ids, request.filters) & ~_rows_with(ids, left_out)
    history = tf.concat([tf.where(likes, 0, seen), liked], 1)
    return Scored(tf.where(allowed, scores, float("-inf")), history)


def _checked(request: ListRequest, ids: Any, *, has_vectors: bool) -> ListRequest:
    """Return the request with as many rows of `user` as of `liked`, and k in its range."""
    count, unknown = len(ids.offered), unknown_attributes(ids, request.filters)
    users, (rows, length) = tf.shape(request.user)[0], tf.unstack(tf.shape(request.liked))
    n = tf.where(users == 1, rows, users)
    k = tf.clip_by_value(request.k, 0, count)
    limit, named = max_batch_size(count), tf.strings.as_string
    diversity = ["diversity ", named(request.diversity, shortest=True)]
    highest, why = (1.0, "") if has_vectors else (0.0, f", {NO_SIMILARITY}")
    with tf.control_dependencies(
        [
            _require(
                (users == rows) | (users == 1) | (rows == 1),
                [named(users), " users and ", named(rows), " lists of liked items"],
                "as many of both, or one of either",
            ),
            _require(n <= limit, [named(n), " users"], f"at most {limit} at once"),
            _require(
                (length <= MAX_LIKED_ITEMS) & (n * length <= MAX_LISTED_ITEMS),
                [named(n), " lists of ", named(length), " liked items"],
                f"at most {MAX_LIKED_ITEMS} in a list and {MAX_LISTED_ITEMS} in all",
            ),
            _require(
                (k <= MAX_LIST_LENGTH) & (n * k <= MAX_LISTED_ITEMS),
                [named(n), " users and k ", named(request.k)],
                f"lists of at most {MAX_LIST_LENGTH} items, and {MAX_LISTED_ITEMS} in all",
            ),
            _require(
                (request.diversity >= 0) & (request.diversity <= highest),
                diversity,
                f"a weight from 0 to {highest:g}{why}",
            ),
            _require(
                tf.size(unknown) == 0,
                ["the attributes ", tf.strings.reduce_join(unknown[:MAX_NAMED], separator=", ")],
                _expected_attributes(ids),
            ),
        ]
    ):
        user = tf.broadcast_to(request.user, n[None])
        return request._replace(user=user, liked=tf.broadcast_to(request.liked, [n, length]), k=k)


def _expected_attributes(ids: Any) -> str:
    if not ids.attributes.names:
        return "none, because the model was trained without columns of items (--items)"
    columns = ", ".join(ids.attributes.columns[:MAX_NAMED])
    return f"COLUMN=VALUE with a value of training, and a column of categories or lists: {columns}"


def _require(is_valid: Any, received: list[Any], expected: str) -> Any:
    """Return an operation that raises InvalidArgumentError unless the condition holds."""
    message = tf.strings.join(["Received ", *received, f"; expected {expected}"])
    return tf.debugging.Assert(is_valid, [message])


def _distinct(numbers: Any) -> Any:
    """Replace repeated numbers of a row, other than 0, by 0; the last of equal ones stays."""
    places = tf.range(tf.shape(numbers)[1])
    is_later = places[:, None] < places[None]
    equal = numbers[:, :, None] == numbers[:, None]
    return tf.where(tf.reduce_any(equal & is_later, 2), 0, numbers)


def _scores(model: Any, users: Any, liked: Any, likes: Any) -> Any:
    """Return the scores of all offered items, [n, items]: by the liked items if there are any."""
    scorer, items = list_scorer_of(model), tf.constant(ids_of(model).offered_numbers)

    def by_liked() -> Any:
        return scorer.list_scores_of_liked(liked, items)

    def by_user() -> Any:
        return scorer.list_scores(users, items)

    def by_both() -> Any:
        return tf.where(likes, by_liked(), by_user())

    return tf.cond(
        tf.reduce_any(likes),
        lambda: tf.cond(tf.reduce_all(likes), by_liked, by_both),
        by_user,
    )


def _rows_with(ids: Any, numbers: Any) -> Any:
    """Return which of the offered items are among the numbers of each row, bool [n, items]."""
    n = tf.shape(numbers)[0]
    rows = tf.broadcast_to(tf.range(n)[:, None], tf.shape(numbers))
    pairs = tf.stack([rows, ids.offered_indices(numbers)], 2)
    pairs = tf.boolean_mask(pairs, pairs[:, :, 1] >= 0)
    ones = tf.ones_like(pairs[:, 0])
    return tf.scatter_nd(pairs, ones, [n, len(ids.offered)]) > 0


def _best(ids: Any, vectors: Any, scores: Any, request: ListRequest) -> tuple[Any, Any]:
    """Return indices and scores of the best items, [n, k] both."""

    def by_score() -> tuple[Any, Any]:
        top = tf.math.top_k(scores, request.k)
        return top.indices, top.values

    if vectors is None:
        return by_score()
    return tf.cond(
        (request.diversity > 0) & (request.k > 0),
        lambda: diverse_positions(
            scores, offered_vectors(ids, vectors), request.k, request.diversity
        ),
        by_score,
    )


def _reasons(ids: Any, vectors: Any, indices: Any, is_item: Any, history: Any) -> tuple[Any, Any]:
    """Return numbers and similarities of the nearest items of each history, [n, k, r] both."""
    shape = tf.concat([tf.shape(indices), [NUM_REASONS]], 0)

    def none() -> tuple[Any, Any]:
        return tf.zeros(shape, tf.int32), tf.zeros(shape)

    if vectors is None:
        return none()
    numbers = tf.where(is_item, tf.gather(tf.constant(ids.offered_numbers), indices), 0)
    # A loop over no rows has no shape.
    return tf.cond(shape[0] > 0, lambda: nearest_of_history(vectors, numbers, history), none)
