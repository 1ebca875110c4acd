"""Training examples as the two matrices that networks of rows take."""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from scipy import sparse

from pipelines.batches import ordered_batches
from pipelines.examples import Batch, Examples
from pipelines.rows.preprocessing import PrepareColumns

MAX_BLOCK_ROWS, MIN_BLOCK_ROWS = 8192, 256  # examples that are preprocessed at once
MAX_BLOCK_NUMBERS = 2**23  # numbers in them, which makes blocks of wide tables shorter
MAX_KEPT_NUMBERS = 2**22  # of examples whose matrices are kept, 16 MB
MAX_BINS = 128  # of a number column
MIN_EXAMPLES_PER_BIN = 16  # on average
MAX_TOTAL_BINS = 2**14  # of all number columns: wide tables would take minutes
MAX_QUANTILE_EXAMPLES = 20_000  # from which the edges of bins are found


@dataclasses.dataclass(frozen=True)
class RowMatrices:
    """`numbers` and `flags` of examples, made block by block so that memory stays bounded.

    Two are equal if they are of the same examples.
    """

    prepare: PrepareColumns = dataclasses.field(compare=False)
    examples: Examples

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def width(self) -> int:
        """Columns of both matrices together."""
        return sum(self.prepare.widths.values())

    def select(self, rows: np.ndarray) -> "RowMatrices":
        """Return some of the rows."""
        return dataclasses.replace(self, examples=self.examples.select(rows))

    def inputs(self) -> dict[str, Any]:
        """Return the Keras inputs of their widths."""
        return {
            name: keras.Input((width,), name=name) for name, width in self.prepare.widths.items()
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Both matrices of all examples, float32."""
        blocks = [*self.prepared_blocks()]
        return {name: np.concatenate([x[name] for x in blocks]) for name in self.prepare.widths}

    def prepared_blocks(self) -> Iterator[dict[str, np.ndarray]]:
        """Blocks of rows of both matrices, float32."""
        return (x for x, _ in self._batches())

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Blocks of rows: both matrices side by side, float64, and the targets."""
        for x, target in self._batches():
            yield np.concatenate([x["numbers"], x["flags"]], axis=1, dtype="float64"), target

    def weighted_blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        """Blocks of rows as in `blocks`, and their weights of mean 1; None if all are equal."""
        weights, start = self.examples.relative_weights, 0
        for x, target in self.blocks():
            stop = start + len(x)
            yield x, target, None if weights is None else weights[start:stop]
            start = stop

    def sparse(self) -> Any:
        """Both matrices of all examples side by side, float64 and sparse: most flags are 0."""
        return sparse.vstack([sparse.csr_matrix(x) for x, _ in self.blocks()]).tocsr()

    def bin_edges(self) -> list[list[float]]:
        """Edges of the bins of each number column; more examples give more bins."""
        bins = MAX_TOTAL_BINS // self.prepare.widths["numbers"]
        bins = min(MAX_BINS, bins, len(self) // MIN_EXAMPLES_PER_BIN)
        step = -(-len(self) // MAX_QUANTILE_EXAMPLES)
        rows = np.arange(0, len(self), step)
        return distinct_quantiles(self.select(rows).arrays()["numbers"], max(1, bins))

    def _batches(self) -> Iterator[Batch]:
        if len(self) * self.width <= MAX_KEPT_NUMBERS:
            return iter(self._kept_batches)
        return self._prepared()

    @functools.cached_property
    def _kept_batches(self) -> list[Batch]:
        """All blocks in memory: to prepare a few rows again takes longer than any use of them."""
        batches = [*self._prepared()]
        for batch in batches:
            for array in (*batch.features.values(), batch.target):
                array.setflags(write=False)  # All calls share it.
        return batches

    def _prepared(self) -> Iterator[Batch]:
        rows = min(MAX_BLOCK_ROWS, max(MIN_BLOCK_ROWS, MAX_BLOCK_NUMBERS // (self.width or 1)))
        batches = ordered_batches(self.examples, batch_size=rows, prepare=self.prepare)
        return batches.as_numpy_iterator()


def distinct_quantiles(numbers: np.ndarray, bins: int) -> list[list[float]]:
    """Return the distinct quantiles of each column [rows, n]: at most bins + 1, at least two."""
    edges = []
    for column in numbers.T:
        cuts = np.unique(np.quantile(column.astype("float64"), np.linspace(0, 1, bins + 1)))
        edges.append(cuts.tolist() if len(cuts) > 1 else [float(cuts[0]), float(cuts[0]) + 1])
    return edges
