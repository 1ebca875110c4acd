"""Stored examples with random access, in memory or in a memory map on the disk.

TensorFlow is imported only in functions that need it, so that a wrong path is reported quickly.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from pipelines.content_bytes import row_bytes
from pipelines.inspection import Origins
from pipelines.rows.packing import Kinds, unpack_columns


class DataError(ValueError):
    """Unusable data; the message says what was received, what was expected, and what to do."""

    exit_status = 2


class AddressError(DataError):
    """A data address or a column name that does not exist."""


# An array, or a dict of arrays; rows have the two matrices of pipelines.rows.packing.
Features = Any


class Batch(NamedTuple):
    """Features [batch, ...], or a dict of them, and targets [batch]."""

    features: Any
    target: Any


class WeightedBatch(NamedTuple):
    """A batch whose examples have weights [batch]."""

    features: Any
    target: Any
    weight: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """A view of stored examples.

    All splits of a data set share the stored arrays, so that splitting copies nothing. Arrays
    are in memory, or a memory map if images exceed the memory budget.

    Attributes:
        features: an array or a dict of arrays; for rows a matrix of numbers and one of texts.
            Texts are UTF-8 bytes: arrays of objects, or what indexing makes such arrays.
        target: the targets of all stored examples.
        rows: the stored examples of this view, in order.
        groups: for each stored example the one with which it has to be in the same split.
        origins: the source of each example; only with an inspection.
        hashes: returns the content hashes of all stored examples; computes them once.
        files: the path of each picture, relative to the root of its data set.
        row_hashes: for rows the hash of each whole row, which assigns it to a split.
        input_hashes: for rows a hash of the features, to find equal ones in this process.
        kinds: for rows the kind of each named column.
        group_hashes: the hash of each example's group, such as a customer, if the user named a
            column of groups.
        times: the time of each example, if the user named a column to split by, or of each
            interaction; None if unknown.
        folds: for training rows with texts the fold of each stored example, see pipelines.folds.
        weight: the weight of each stored example in training and scores, above 0; None if all
            count the same.
        class_weights: a further weight of each class, in training and validation alone.

    """

    features: Features
    target: np.ndarray
    rows: np.ndarray
    groups: np.ndarray | None = None
    origins: Origins | None = None
    hashes: Callable[[], np.ndarray] | None = None
    files: np.ndarray | None = None
    row_hashes: np.ndarray | None = None
    input_hashes: np.ndarray | None = None
    kinds: Kinds | None = None
    group_hashes: np.ndarray | None = None
    times: np.ndarray | None = None
    folds: np.ndarray | None = None
    weight: np.ndarray | None = None
    class_weights: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        features: Features,
        target: np.ndarray,
        origins: Origins | None = None,
        kinds: Kinds | None = None,
    ) -> "Examples":
        """Make the view of all examples of arrays of equal length."""
        return cls(features, target, np.arange(len(target)), origins=origins, kinds=kinds)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def spec(self) -> dict[str, Any]:
        """Shape and dtype of one example's features and target; the kind of each named column."""
        import tensorflow as tf

        parts = {"features": self.features, "target": self.target}
        spec = {
            name: tf.nest.map_structure(lambda array: (array.shape[1:], dtype_of(array)), part)
            for name, part in parts.items()
        }
        return spec if self.kinds is None else spec | {"columns": dict(self.kinds)}

    @functools.cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """Views of each named column of all stored examples; empty if features are one array."""
        if self.kinds is not None:
            return unpack_columns(self.features, self.kinds)
        return self.features if isinstance(self.features, dict) else {}

    @property
    def targets(self) -> np.ndarray:
        """All targets, in memory."""
        return np.asarray(self.target[self.rows])

    @property
    def target_keys(self) -> np.ndarray:
        """A number for each example, the same for equal targets: the target itself, or a hash."""
        targets = self.targets
        if targets.ndim == 1:
            return targets
        digests = (hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in targets)
        return np.frombuffer(b"".join(digests), "<u8")

    def class_counts(self, num_classes: int) -> np.ndarray:
        """Return the number of examples of each class."""
        targets = self.targets
        if targets.ndim == 1:
            return np.bincount(targets, minlength=num_classes)
        return targets.sum(0, dtype="int64")

    @property
    def stored_weights(self) -> np.ndarray | None:
        """The weight of each stored example, with that of its class; None if all are the same."""
        if self.class_weights is None:
            return self.weight
        of_class = self.class_weights[self.target]
        return of_class if self.weight is None else of_class * self.weight

    @property
    def weights(self) -> np.ndarray | None:
        """The weight of each example; None if all count the same."""
        weights = self.stored_weights
        return None if weights is None else weights[self.rows]

    @property
    def relative_weights(self) -> np.ndarray | None:
        """The weight of each example, divided by their mean; None if all count the same."""
        weights = self.weights
        return None if weights is None else weights / weights.mean()

    def unweighted(self) -> "Examples":
        """Return the same examples without weights."""
        return dataclasses.replace(self, weight=None, class_weights=None)

    def select(self, positions: np.ndarray) -> "Examples":
        """Return a view of the examples at these positions."""
        return dataclasses.replace(self, rows=self.rows[positions])

    def sample(self, count: int) -> "Examples":
        """Return at most `count` of the examples, always the same random ones, in their order."""
        if len(self) <= count:
            return self
        drawn = np.random.default_rng(0).choice(len(self), count, replace=False, shuffle=False)
        return self.select(np.sort(drawn))

    def blocks(self, size: int) -> Iterator["Examples"]:
        """Yield views of `size` consecutive examples; the last one may be smaller."""
        for start in range(0, len(self), size):
            yield self.select(np.arange(start, min(start + size, len(self))))

    def gather(self, positions: Any) -> Batch | WeightedBatch:
        """Gather a whole batch inside a TensorFlow graph; positions is an int64 vector.

        The folds of training rows become the feature `folds`. Weights are divided by the mean of
        all examples of this view.
        """
        import tensorflow as tf

        features = self.features if self.folds is None else self.features | {"folds": self.folds}
        arrays = [*tf.nest.flatten(features), self.target]
        count, weights = len(arrays), self.stored_weights
        if weights is not None:
            arrays.append((weights / weights[self.rows].mean()).astype("float32"))
        gathered = tf.numpy_function(
            lambda indices: [np.asarray(array[self.rows[indices]]) for array in arrays],
            [positions],
            [dtype_of(array) for array in arrays],
            stateful=False,
        )
        for tensor, array in zip(gathered, arrays, strict=True):
            tensor.set_shape((positions.shape[0], *array.shape[1:]))
        packed = tf.nest.pack_sequence_as(features, gathered[: count - 1])
        if weights is None:
            return Batch(packed, gathered[-1])
        return WeightedBatch(packed, *gathered[-2:])

    def numpy(self, positions: Any = slice(None)) -> Batch:
        """Return the examples at these positions, by default all, as arrays in memory."""
        import tensorflow as tf

        rows = self.rows[positions]
        return Batch(
            tf.nest.map_structure(lambda array: np.asarray(array[rows]), self.features),
            np.asarray(self.target[rows]),
        )

    def content_hashes(self, block: int = 8192) -> np.ndarray:
        """Hash the features of each example to a uint64.

        Equal inputs have equal hashes, whatever their targets.
        """
        if self.hashes is not None:
            return self.hashes()[self.rows]
        import tensorflow as tf

        digests = bytearray()
        for start in range(0, len(self), block):
            rows = self.rows[start : start + block]
            for content in row_bytes([array[rows] for array in tf.nest.flatten(self.features)]):
                digests += hashlib.blake2b(content, digest_size=8).digest()
        return np.frombuffer(bytes(digests), "<u8")

    def hashed(self) -> "Examples":
        """Return the same examples with content hashes that are computed once, at first use."""
        if self.hashes is not None:
            return self
        stored = dataclasses.replace(self, rows=np.arange(len(self.target)))
        return dataclasses.replace(self, hashes=functools.cache(stored.content_hashes))

    def split_hashes(self) -> np.ndarray:
        """Return a uint64 for each example, which assigns it to a split.

        It is the hash of the group, if the user named a column of groups. Otherwise, for rows, it
        is the hash of the whole row and its number among equal rows; else the content hash of the
        example or of a similar one, so that copies stay together.
        """
        if self.group_hashes is not None:
            return self.group_hashes[self.rows]
        if self.row_hashes is not None:
            return self.row_hashes[self.rows]
        representatives = self.rows if self.groups is None else self.groups[self.rows]
        return dataclasses.replace(self, rows=representatives).content_hashes()

    def keys(self) -> np.ndarray:
        """Return the uint64 that names each example in a quarantine list."""
        return self.content_hashes() if self.row_hashes is None else self.row_hashes[self.rows]

    def pair_hashes(self) -> np.ndarray:
        """Hash the features and target of each example to a uint64."""
        targets = np.ascontiguousarray(self.targets.astype("float64")).view("uint64")
        return self.equality_hashes() ^ (targets * np.uint64(0x9E3779B97F4A7C15))

    def equality_hashes(self) -> np.ndarray:
        """Return a uint64 for each example, the same for equal features; rows take no time."""
        if self.input_hashes is None:
            return self.content_hashes()
        return self.input_hashes[self.rows]


def dtype_of(array: np.ndarray) -> str:
    """Return the name of the dtype; `string` for texts."""
    return "string" if array.dtype == object else str(array.dtype)
