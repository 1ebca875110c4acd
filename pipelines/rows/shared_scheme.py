"""Splits that several targets of one table share, though each may be missing in other rows."""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from pipelines.examples import Examples
from pipelines.hash_splits import row_hashes
from pipelines.split_columns import SplitReader
from pipelines.splits import HashScheme, SplitRequest, Splits, SplitScheme
from pipelines.tables.format_inference import InferredFormat
from pipelines.tables.identifiers import read_identifiers
from pipelines.tables.table import Table
from pipelines.tables.weights import WeightColumn


@dataclasses.dataclass(frozen=True)
class SharedScheme:
    """Assigns rows to splits by all rows of a table, with or without a target.

    Attributes:
        scheme: assigns all rows.
        everyone: all rows.
        classes: by which they are stratified; None if no target holds classes.
        rows: the position in `everyone` of each stored example of one target.

    """

    scheme: SplitScheme
    everyone: Examples
    classes: np.ndarray | None
    rows: np.ndarray

    @classmethod
    def of(
        cls,
        table: Table,
        targets: Iterable[str],
        inferred: Mapping[str, InferredFormat],
        split_reader: SplitReader,
        weights: WeightColumn,
        usable: np.ndarray,
    ) -> "SharedScheme":
        """Make the scheme of the training table for the target of its `usable` rows."""
        weight = weights.of_table(table)
        rows = np.arange(len(table)) if weight is None else np.flatnonzero(weight > 0)
        plain = Examples.of(np.zeros((len(rows), 0)), np.zeros(len(rows)))
        hashed = dataclasses.replace(plain, row_hashes=row_hashes(table)[rows])
        everyone = split_reader.read(hashed, table, rows)
        of_classes = [name for name in sorted(targets) if inferred[name].form.kind == "category"]
        classes = read_identifiers(table, of_classes[0])[1][rows] if of_classes else None
        scheme = split_reader.scheme or HashScheme()
        return cls(scheme, everyone, classes, np.searchsorted(rows, usable))

    def assign(
        self,
        examples: Examples,
        classes: np.ndarray | None,  # noqa: ARG002
        request: SplitRequest,
    ) -> np.ndarray:
        """Assign each example as the same row of the whole table."""
        return self.scheme.assign(self.everyone, self.classes, request)[self.rows[examples.rows]]

    def notes(self, splits: Splits, request: SplitRequest) -> tuple[str, ...]:
        """Return the notes on the splits of this target."""
        return self.scheme.notes(splits, request)
