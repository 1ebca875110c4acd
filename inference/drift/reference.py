"""The reference: counts of the training examples in a few bins of each column."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from apps.app import ModalityName
from inference import artifacts
from inference.drift.columns import COMPARED, Columns
from inference.drift.known_values import KnownValues

REFERENCE = "reference.json"  # in a run, and in an export
FORMAT = 1
NUM_NUMBER_BINS = 10
NUM_CATEGORIES = 20
MAX_COLUMNS = 300  # the first ones of a wide table
Kind = Literal["number", "category", "length"]


class Bins(NamedTuple):
    """The bins of a column, and the number of reference examples in each.

    Attributes:
        name: of the column.
        kind: number; category; or the length of a text in bytes.
        edges: upper ends of the bins of numbers; one more bin is for larger numbers, and one for
            missing ones.
        values: the categories; one more bin is for all others.
        counts: reference examples in each bin.

    """

    name: str
    kind: Kind
    edges: list[float]
    values: list[bytes]
    counts: np.ndarray

    @classmethod
    def of(cls, name: str, kind: Kind, column: np.ndarray) -> "Bins":
        """Make bins with about as many examples each, or of the most frequent categories."""
        edges: list[float] = []
        values: list[bytes] = []
        if kind == "category":
            found, counts = np.unique(as_bytes(column), return_counts=True)
            values = found[np.argsort(-counts, kind="stable")[:NUM_CATEGORIES]].tolist()
        else:
            edges = _edges(as_numbers(column, kind))
        bins = cls(name, kind, edges, values, np.zeros(0))
        return bins._replace(counts=bins.histogram(column))

    @property
    def size(self) -> int:
        """The number of bins."""
        return len(self.values) + 1 if self.kind == "category" else len(self.edges) + 2

    def histogram(self, column: np.ndarray) -> np.ndarray:
        """Return the number of examples in each bin."""
        if self.kind == "category":
            place = {value: index for index, value in enumerate(self.values)}
            other = len(self.values)
            places = [place.get(one, other) for one in as_bytes(column).tolist()]
            return np.bincount(places, minlength=self.size)
        numbers = as_numbers(column, self.kind)
        indices = np.searchsorted(self.edges, numbers, side="left")
        indices[np.isnan(numbers)] = self.size - 1
        return np.bincount(indices, minlength=self.size)

    def to_json(self) -> dict[str, Any]:
        """Return the bins as JSON."""
        values = [value.decode("utf-8", "surrogateescape") for value in self.values]
        return self._asdict() | {"values": values, "counts": self.counts.tolist()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Bins":
        """Read the bins. Raises LookupError, TypeError or ValueError."""
        values = [value.encode("utf-8", "surrogateescape") for value in content["values"]]
        counts = np.asarray(content["counts"], "int64")
        edges = [float(edge) for edge in content["edges"]]
        bins = cls(str(content["name"]), content["kind"], edges, values, counts)
        if bins.counts.shape != (bins.size,):
            raise ValueError(f"{len(counts)} counts of {bins.size} bins")
        return bins


def _edges(numbers: np.ndarray) -> list[float]:
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return []
    distinct = np.unique(finite)
    if len(distinct) <= NUM_NUMBER_BINS:
        return distinct.tolist()
    cuts = np.quantile(finite, np.linspace(0, 1, NUM_NUMBER_BINS + 1)[1:-1])
    return np.unique(cuts).tolist()


def as_numbers(column: np.ndarray, kind: Kind) -> np.ndarray:
    """Return the numbers of a column, or the lengths of its texts."""
    if kind == "length":
        return np.array([len(one) for one in as_bytes(column).tolist()], "float64")
    return np.asarray(column, "float64").ravel()


def as_bytes(column: np.ndarray) -> np.ndarray:
    """Return a column of texts as an array of fixed-width bytes or of objects."""
    column = np.asarray(column).ravel()
    if column.dtype.kind == "U":
        return np.char.encode(column, "utf-8")
    return column


@dataclasses.dataclass(frozen=True)
class Reference:
    """The bins of all columns of inputs and outputs.

    Attributes:
        modality: of the inputs.
        inputs: bins of the training examples.
        outputs: bins of the predictions for the test examples.
        known: words or ids of the training examples.

    """

    modality: ModalityName
    inputs: tuple[Bins, ...]
    outputs: tuple[Bins, ...] = ()
    known: Mapping[str, KnownValues] = dataclasses.field(default_factory=dict)

    def columns(self, inputs: Mapping[str, Any]) -> Columns:
        """Return the columns of raw inputs that can be compared."""
        return COMPARED[self.modality].columns(inputs, self.known)

    def to_json(self) -> dict[str, Any]:
        """Return the content of reference.json."""
        return {
            "format": FORMAT,
            "modality": self.modality,
            "inputs": [one.to_json() for one in self.inputs],
            "outputs": [one.to_json() for one in self.outputs],
            "known": {name: one.to_json() for name, one in self.known.items()},
        }


def read(directory: Path) -> Reference | None:
    """Read the reference of a run or an export; None if it has none of this format."""
    content = artifacts.read(directory / REFERENCE)
    if content.get("format") != FORMAT:
        return None
    try:
        inputs, outputs = (_bins(content[part]) for part in ("inputs", "outputs"))
        known = {name: KnownValues.from_json(one) for name, one in content["known"].items()}
        if content["modality"] not in COMPARED:
            return None
    except (LookupError, TypeError, ValueError, AttributeError):
        return None
    return Reference(content["modality"], inputs, outputs, known)


def _bins(content: Sequence[Mapping[str, Any]]) -> tuple[Bins, ...]:
    return tuple(Bins.from_json(one) for one in content)
