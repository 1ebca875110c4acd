"""Choose the items of the catalogue that a request may recommend; inside a graph."""

from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

if TYPE_CHECKING:
    from pipelines.ids.preprocessing import Ids


class Filters(NamedTuple):
    """Filters of a request; empty names are ignored.

    Attributes:
        only: string [m]; the candidates are among these items, or among all if it is empty.
        exclude: string [m]; these items are no candidates.
        only_with: string [a]; the candidates have one of these attributes of each column that is
            named, such as genre=Noir.
        exclude_with: string [a]; items with one of these attributes are no candidates.

    """

    only: Any
    exclude: Any
    only_with: Any
    exclude_with: Any


def candidates(ids: "Ids", filters: Filters) -> Any:
    """Return which of the offered items are candidates, bool [items]."""
    allowed = _among(ids, filters.only) | tf.reduce_all(filters.only == "")
    allowed &= ~_among(ids, filters.exclude)
    if not ids.attributes.names:
        return allowed
    attributes = tf.concat([filters.only_with, filters.exclude_with], 0)
    return tf.cond(
        tf.reduce_all(attributes == ""),
        lambda: allowed,
        lambda: allowed & _with_attributes(ids, filters.only_with, filters.exclude_with),
    )


def _among(ids: "Ids", items: Any) -> Any:
    """Return which of the offered items have one of these names, bool [items]."""
    indices = ids.offered_indices(ids.item_numbers.lookup(items))
    indices = tf.boolean_mask(indices, indices >= 0)[:, None]
    return _flags(indices, [len(ids.offered)])


def _with_attributes(ids: "Ids", only: Any, exclude: Any) -> Any:
    """Return which of the offered items the attributes allow, bool [items]."""
    columns = ids.attributes.columns
    column_of = tf.constant([0, *(columns.index(column) for column, _ in ids.attributes.names)])
    items, attributes = tf.unstack(ids.attribute_pairs.value, axis=1)

    def matches(requested: Any) -> tuple[Any, Any]:
        """Return the requested columns, bool [c], and where an item has a value, [c, items + 1]."""
        numbers = ids.attribute_numbers.lookup(requested)
        numbers = tf.boolean_mask(numbers, numbers > 0)[:, None]
        is_requested = _flags(numbers, [len(ids.attributes.names) + 1])
        places = tf.stack([tf.gather(column_of, attributes), items], 1)
        places = tf.boolean_mask(places, tf.gather(is_requested, attributes))
        of_columns = _flags(tf.gather(column_of, numbers), [len(columns)])
        return of_columns, _flags(places, [len(columns), len(ids.items) + 1])

    of_columns, has_only = matches(only)
    _, has_excluded = matches(exclude)
    allowed = tf.reduce_all(has_only | ~of_columns[:, None], 0) & ~tf.reduce_any(has_excluded, 0)
    return tf.gather(allowed, ids.offered_numbers)


def _flags(places: Any, shape: list[int]) -> Any:
    """Return a bool tensor that is true at these places, int32 [m, rank]."""
    return tf.scatter_nd(places, tf.ones_like(places[:, 0]), shape) > 0


def unknown_attributes(ids: "Ids", filters: Filters) -> Any:
    """Return the distinct attributes in the filters that no item has, string [u]."""
    names = tf.concat([filters.only_with, filters.exclude_with], 0)
    if not ids.attributes.names:
        return tf.unique(tf.boolean_mask(names, names != "")).y
    return _unknown(ids.attribute_numbers, names)


def unknown_items(ids: "Ids", *lists: Any) -> Any:
    """Return the distinct names in some lists that no known item has, string [u]."""
    return _unknown(ids.item_numbers, tf.concat([tf.reshape(one, [-1]) for one in lists], 0))


def _unknown(numbers: Any, names: Any) -> Any:
    is_unknown = (names != "") & (numbers.lookup(names) == 0)
    return tf.unique(tf.boolean_mask(names, is_unknown)).y
