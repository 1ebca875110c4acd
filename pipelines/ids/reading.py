"""Who met what: tables become examples of users and items, and ids become numbers."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pipelines import inspection
from pipelines.examples import DataError, Examples
from pipelines.ids.columns import KINDS, Columns, found
from pipelines.ids.splitting import Split, choose
from pipelines.ids.timelines import Timeline, timeline
from pipelines.labels import texts_of
from pipelines.splits import Source, Splits, split_source
from pipelines.tables.cells import missing_of
from pipelines.tables.missing import ID_WORDS
from pipelines.tables.table import Table, Tables, listed
from pipelines.tables.values import Form, Judged, judge, judged, numbers

WHOLE = re.compile(rb"(\d+)(?:\.0+)?")


class Met(NamedTuple):
    """Examples of one table, the time of each where it is known, and what reading left out.

    `line` is how the times were read.
    """

    examples: Examples
    times: np.ndarray | None
    notes: tuple[str, ...]
    line: Timeline | None = None


def splits(tables: Tables, columns: Columns, split: Split) -> Splits:
    """Features {user, item} of UTF-8 bytes and float32 ratings, cut into splits.

    Without a column of ratings every target is 1. Rows without a user, an item
    or a finite rating are left out; of a pair that is there repeatedly the last
    by time, else by row, is kept. How test and validation pairs are chosen is
    told in `pairs.choose`. The notes tell what was done.
    Raises DataError where a column is missing or nothing is left.
    """
    names = Columns(**{kind: found(tables.train, columns, kind) for kind in KINDS})
    some = {name: tables.train.columns[name] for name in (names.rating, names.time) if name}
    found_in = judged(dataclasses.replace(tables.train, columns=some))
    train = met(tables.train, names, found_in)
    valid, test = (
        None if part is None else met(part, names, found_in).examples
        for part in (tables.valid, tables.test)
    )
    if train.line and split != "random" and test is None:
        train.line.require(f"--time {names.time}")
    notes = [*tables.notes, *train.notes]
    if not names.rating:
        notes.append("no column of ratings: a pair counts as met, whatever was thought of it")
    source = Source(train.examples.hashed(), valid, test, notes=tuple(notes))
    scheme = choose(split, source.train, train.times, names.time, official=test is not None)
    return dataclasses.replace(split_source(source, scheme), noise_floor=tables.noise_floor)


def met(table: Table, columns: Columns, found_in: Mapping[str, Judged] | None = None) -> Met:
    """The usable pairs of a table, each once. Raises DataError where there is none.

    `found_in` is what the columns of ratings and times are in the training table, if this is
    another.
    """
    found_in = found_in or {}
    for name in filter(None, dataclasses.astuple(columns)):
        if name not in table.columns:
            raise DataError(
                f"Received test data with the columns {listed(table.columns)}; expected "
                f"{name!r} too, as in training."
            )
    users, items = (names_of(table, name) for name in (columns.user, columns.item))
    ratings = np.ones(len(table), "float32")
    if columns.rating:
        with np.errstate(over="ignore"):  # beyond float32 is no finite rating
            ratings = rated(table, columns.rating, found_in).astype("float32")
    named = (users != b"") & (items != b"")
    rows = np.flatnonzero(named & np.isfinite(ratings))
    line = (
        timeline(table.columns[columns.time], found_in.get(columns.time)) if columns.time else None
    )
    # Unknown times are the oldest.
    known = line is not None and not line.fault
    times = np.where(np.isnan(line.times), -np.inf, line.times) if line and known else None
    kept = _last(users, items, rows, times)
    if not len(kept):
        raise DataError(
            f"Received {len(table)} rows, none with a user ({columns.user}), an item "
            f"({columns.item}) and a rating that is a number ({columns.rating or 'none'}); "
            "expected some. Check --user, --item and --rating."
        )
    counts = {
        "rows without a user or an item left out": int((~named).sum()),
        "rows whose rating is no number left out": int((named & ~np.isfinite(ratings)).sum()),
        "repeated pairs left out, of each the last kept": len(rows) - len(kept),
    }
    notes = tuple(f"{count} {what}" for what, count in counts.items() if count)
    if line and not line.fault and (line.said or np.isnan(line.times[kept]).any()):
        unknown = int(np.isnan(line.times[kept]).sum())
        lost = f"; {unknown} that cannot be read count as the oldest" * bool(unknown)
        notes += (f"time {columns.time}: {line.said or 'numbers in their own order'}{lost}",)
    features = {"user": users[kept], "item": items[kept]}
    examples = Examples.of(features, ratings[kept], inspection.origins(table, kept))
    return Met(examples, None if times is None else times[kept], notes, line)


def rated(table: Table, name: str, found_in: Mapping[str, Judged] | None = None) -> np.ndarray:
    """Ratings as float64; NaN where a cell is none."""
    column = table.columns[name]
    form = ((found_in or {}).get(name) or judge(column)).form
    return numbers(column, form if form.kind == "number" else Form("number"))


def names_of(table: Table, name: str) -> np.ndarray:
    """Ids as UTF-8 bytes; class numbers by their names, 7.0 as 7; b"" for NULL and the like."""
    column, labels = table.columns[name], table.labels.get(name)
    if column.dtype == object:
        found = np.array(column, object)
        found[missing_of(column, ID_WORDS)] = b""
        return _whole(found)
    texts = [labels[number].encode() for number in column] if labels else texts_of(column)
    return np.array([*texts, None], dtype=object)[:-1]


def _whole(ids: np.ndarray) -> np.ndarray:
    """Ids 7.0 as 7 where all are whole numbers: programs write so beside a missing one."""
    known = {one: WHOLE.fullmatch(one) for one in set(ids.tolist()) - {b""}}
    if not known or not all(known.values()):
        return ids
    short = {one: found[1] for one, found in known.items() if found}
    return np.array([*(short.get(one, one) for one in ids), None], object)[:-1]


def _last(
    users: np.ndarray, items: np.ndarray, rows: np.ndarray, times: np.ndarray | None
) -> np.ndarray:
    """Of each pair among these rows the last, in the order of the rows."""
    ordered = rows if times is None else rows[np.argsort(times[rows], kind="stable")]
    last = {(users[row], items[row]): row for row in ordered}
    return np.sort(np.fromiter(last.values(), int, len(last)))


def vocabulary(column: np.ndarray) -> np.ndarray:
    """The distinct ids in the order of their bytes."""
    return np.array(sorted(set(column)), dtype=object)


def numbered(known: np.ndarray, column: np.ndarray) -> np.ndarray:
    """The number of each id, from 1; 0 for unknown ones."""
    numbers = {name: number for number, name in enumerate(known, 1)}
    return np.array([numbers.get(name, 0) for name in column], "int32")


@keras.saving.register_keras_serializable("athanor")
class Ids(keras.layers.Layer):
    """Ids of users and items become numbers from 1; unknown ids become 0.

    It also holds what a list of recommendations needs: the items that can be
    recommended, all unless `offer` names others, and what each user has met already,
    in test pairs too. A judge leaves these out: the lists that it judges may hold them.

    Args:
        users: distinct ids, UTF-8.
        items: distinct ids, UTF-8.
        num_met: pairs of a known user and a known item.

    """

    def __init__(self, users: list[str], items: list[str], num_met: int, **options: Any) -> None:
        super().__init__(**options)
        self.users, self.items, self.num_met = users, items, num_met
        self.offered, self._places = items, None
        self.user_numbers, self.item_numbers = _table(users), _table(items)
        # A user's items are met[starts[user] : starts[user + 1]], numbers from 1.
        self.starts = self._stored("starts", len(users) + 2)
        self.met = self._stored("met", num_met)
        self.in_test = self._stored("in_test", num_met)  # 1 for a pair of test alone
        self.built = True

    @classmethod
    def adapted(cls, splits: Splits) -> "Ids":
        """Ids known to the training pairs; what was met in all pairs."""
        parts = [part.numpy().features for part in (splits.train, splits.valid, splits.test)]
        users, items = vocabulary(parts[0]["user"]), vocabulary(parts[0]["item"])
        who = np.concatenate([numbered(users, part["user"]) for part in parts])
        what = np.concatenate([numbered(items, part["item"]) for part in parts])
        in_test = np.arange(len(who)) >= len(who) - len(splits.test)
        known = np.flatnonzero((who > 0) & (what > 0))
        order = known[np.lexsort((what[known], who[known]))]
        layer = cls(_texts(users), _texts(items), len(order), name="ids")
        layer.starts.assign(np.searchsorted(who[order], np.arange(len(users) + 2)))
        layer.met.assign(what[order])
        layer.in_test.assign(in_test[order].astype("int32"))
        return layer

    def _stored(self, name: str, count: int) -> Any:
        return self.add_weight(
            shape=(count,), dtype="int32", trainable=False, initializer="zeros", name=name
        )

    def load_own_variables(self, store: Any) -> None:
        """Read the numbers of a file; one from before `in_test` holds no pairs of test."""
        for place, variable in enumerate((self.starts, self.met, self.in_test)):
            if str(place) in store:
                variable.assign(store[str(place)])

    def call(self, raw: dict[str, Any]) -> dict[str, Any]:
        """{user, item} of strings [n] -> {user, item} of int32 [n]."""
        return {
            "user": self.user_numbers.lookup(raw["user"]),
            "item": self.item_numbers.lookup(raw["item"]),
        }

    def offer(self, items: list[str]) -> None:
        """From now on recommend these alone, all of them known ones."""
        place = {name: number for number, name in enumerate(items)}
        self.offered = items
        self._places = tf.constant([place.get(name, -1) for name in self.items], "int32")

    def met_by(self, users: Any, *, in_test: bool) -> Any:
        """Index pairs int32 [m, 2]: position among `users` (string [n]), place among `offered`.

        What a user met in test pairs alone is among them where `in_test` says so.
        """
        numbers = self.user_numbers.lookup(users)
        first = tf.gather(self.starts.value, numbers)
        counts = tf.gather(self.starts.value, numbers + 1) - first
        places = tf.ragged.range(first, first + counts)
        rows = tf.cast(places.value_rowids(), "int32")
        met = tf.gather(self.met.value, places.values) - 1
        if self._places is not None:
            met = tf.gather(self._places, met)
        counted = met >= 0
        if not in_test:
            counted &= tf.gather(self.in_test.value, places.values) == 0
        return tf.boolean_mask(tf.stack([rows, met], 1), counted)

    def compute_output_spec(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Numbers of the same shape."""
        return {name: keras.KerasTensor(ids.shape, "int32") for name, ids in raw.items()}

    def get_config(self) -> dict[str, Any]:
        """The ids, and how many pairs are stored beside them."""
        own = {"users": self.users, "items": self.items, "num_met": self.num_met}
        return super().get_config() | own


def _table(ids: list[str]) -> Any:
    known = tf.constant([encoded(name) for name in ids], "string", [len(ids)])
    numbers = tf.range(1, len(ids) + 1, dtype=tf.int32)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(known, numbers), 0)


def _texts(ids: np.ndarray) -> list[str]:
    # Bytes that are no UTF-8 survive the way through JSON.
    return [name.decode("utf-8", "surrogateescape") for name in ids]


def encoded(name: str) -> bytes:
    """The bytes of an id."""
    return name.encode("utf-8", "surrogateescape")
