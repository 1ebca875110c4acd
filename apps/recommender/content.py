"""Rows of new items and users in the tables of `FactorDotProduct`, predicted from their content.

A ridge regression from the columns of the known items to their rows, as in the cold start of
Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations", 2010.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from apps.recommender.factors import Interactions, Tables
from apps.ridge import ridge_rows
from pipelines.ids.contents import Content, Side, known_ids
from pipelines.rows.preprocessing import PrepareColumns
from pipelines.rows.reading import Reading
from pipelines.splits import Splits
from pipelines.tables.cell_formats import CellFormat

MAX_DEVIATIONS = 5.0  # standardised numbers are clipped to this
DAMPING = 5.0  # an item with this many interactions counts half as much as one with very many
ROWS_PER_BLOCK = 8192  # encoded at once


@keras.saving.register_keras_serializable("athanor")
class ContentRows(keras.layers.Layer):
    """Predicts rows of items, or of users, from their columns.

    Args:
        prepare: from columns to numbers and flags.
        width: columns of a row.
        reading: how the columns of a table are read: forms, names and id_column.

    """

    def __init__(
        self, prepare: PrepareColumns, width: int, reading: Mapping[str, Any], **options: Any
    ) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False} | options)
        self.prepare, self.width, self.reading = prepare, width, dict(reading)
        self.num_features = sum(prepare.widths.values())
        self.mean = self._frozen("mean", self.num_features)
        self.scale = self._frozen("scale", self.num_features)
        self.kernel = self._frozen("kernel", self.num_features, width)
        self.bias = self._frozen("bias", width)
        self.built = True

    def _frozen(self, name: str, *shape: int) -> Any:
        return self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)

    @classmethod
    def adapted(cls, content: Content, width: int) -> "ContentRows":
        """Make the layer of a table. Every column of it gets the same total variance."""
        forms = {name: form.entries for name, form in content.reading.forms.items()}
        reading = {"forms": forms, "names": content.reading.names, "id_column": content.id_column}
        layer = cls(PrepareColumns.adapted_to_content(content.columns), width, reading)
        layer.scale.assign(np.ones(layer.num_features))
        features = layer.features(content.columns.features)
        layer.mean.assign(features.mean(0))
        variances = features.var(0)
        origins = np.unique(layer.prepare.origins, return_inverse=True)[1]
        totals = np.bincount(origins, variances)[origins]
        layer.scale.assign(np.where(totals > 0, 1 / np.sqrt(np.maximum(totals, 1e-12)), 0.0))
        return layer

    def cell_reading(self) -> Reading:
        """Return how the columns of a table are read."""
        forms = {name: CellFormat(**entries) for name, entries in self.reading["forms"].items()}
        return Reading(forms, dict(self.reading["names"]))

    def features(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Turn packed columns [n] into numbers float32 [n, num_features]."""
        blocks = [np.zeros((0, self.num_features), "float32")]
        for start in range(0, len(columns["numbers"]), ROWS_PER_BLOCK):
            part = slice(start, start + ROWS_PER_BLOCK)
            prepared = self.prepare(
                {
                    "numbers": tf.constant(columns["numbers"][part]),
                    "texts": tf.constant(columns["texts"][part].tolist(), tf.string),
                }
            )
            numbers = np.clip(prepared["numbers"], -MAX_DEVIATIONS, MAX_DEVIATIONS)
            flat = np.concatenate([numbers, prepared["flags"]], 1)
            blocks.append((flat - self.mean.numpy()) * self.scale.numpy())
        return np.concatenate(blocks)

    def rows_of(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Predict the rows of packed columns [n], [n, width]."""
        return self.features(columns) @ self.kernel.numpy() + self.bias.numpy()

    def fit(self, features: np.ndarray, rows: np.ndarray, weights: np.ndarray, start: int) -> None:
        """Fit the columns of the rows from `start` on: features [n, f], rows [n, k]."""
        kernel, bias = (variable.numpy().copy() for variable in (self.kernel, self.bias))
        part = slice(start, start + rows.shape[1])
        kernel[:, part], bias[part] = ridge_rows(features, rows, weights)
        self.kernel.assign(kernel)
        self.bias.assign(bias)

    def predict(self, features: np.ndarray, start: int, width: int) -> np.ndarray:
        """Predict `width` columns of the rows from `start` on."""
        part = slice(start, start + width)
        return features @ self.kernel.numpy()[:, part] + self.bias.numpy()[part]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of __init__."""
        prepare = keras.saving.serialize_keras_object(self.prepare)
        return super().get_config() | {
            "prepare": prepare,
            "width": self.width,
            "reading": self.reading,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ContentRows":
        """Make the layer of a configuration."""
        prepare = keras.saving.deserialize_keras_object(config["prepare"])
        return cls(**config | {"prepare": prepare})


class SideContent(NamedTuple):
    """The content of all items, or all users, in a training.

    Attributes:
        layer: predicts their rows.
        trained: features of the ids of the training pairs, 0 for ids without content, [n, f].
        new: features of the other ids, [new, f].
        weights: how much each id of the training pairs counts, [n].

    """

    layer: ContentRows
    trained: np.ndarray
    new: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, splits: Splits, side: Side, layer: ContentRows, pairs: np.ndarray) -> "SideContent":
        """Encode the content of one side; `pairs` are the pairs of each id of training."""
        content = splits.contents[side]
        rows = content.rows_of(known_ids(splits, side))
        features = layer.features(content.columns.features)
        known = np.where((rows >= 0)[:, None], features[rows], np.float32(0))
        trained, new = np.split(known, [len(pairs)])
        return cls(layer, trained, new, (rows[: len(pairs)] >= 0) * pairs / (pairs + DAMPING))

    def completed(self, table: np.ndarray, start: int) -> np.ndarray:
        """Append the rows of new ids to a table whose row 0 is for unknown ones.

        `start` is the first column of these rows in those that the layer predicts.
        """
        self.layer.fit(self.trained, table[1:], self.weights, start)
        new = self.layer.predict(self.new, start, table.shape[1])
        return np.concatenate([table, new.astype(table.dtype)])


class SideContents(NamedTuple):
    """The content of users and of items in a training, each if there is any."""

    users: SideContent | None
    items: SideContent | None

    @classmethod
    def of(
        cls, splits: Splits, layers: Mapping[str, ContentRows], interactions: Interactions
    ) -> "SideContents":
        """Encode the content of both sides."""

        def side(name: Side, numbers: np.ndarray, count: int) -> SideContent | None:
            if name not in layers:
                return None
            pairs = np.bincount(numbers, minlength=count)
            return SideContent.of(splits, name, layers[name], pairs)

        return cls(
            side("user", interactions.users, interactions.num_users),
            side("item", interactions.items, interactions.num_items),
        )

    @property
    def of_trained(self) -> list[np.ndarray | None]:
        """Features of the users and the items of the training pairs."""
        return [side and side.trained for side in self]

    def completed(self, tables: Tables, start: int) -> Tables:
        """Append the rows of new ids to both tables; see `SideContent.completed`."""
        completed = (
            table if side is None else side.completed(table, start)
            for side, table in zip(self, tables, strict=True)
        )
        return Tables(*completed)

    def completed_items(self, table: np.ndarray, start: int) -> np.ndarray:
        """Append the rows of new items."""
        return table if self.items is None else self.items.completed(table, start)
