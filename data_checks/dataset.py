"""The checked data: the splits of training, the source of each example, and one index for all."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from apps.app import App
from data_checks.finding import MAX_OCCURRENCES, Finding, Occurrence
from pipelines.examples import Examples
from pipelines.inspection import Inspection
from pipelines.splits import Splits

MAX_DESCRIPTION = 160  # characters of an example's description


class Part(NamedTuple):
    """Examples of one split; `dropped` marks the duplicates that training removes from it."""

    split: str
    examples: Examples
    dropped: bool = False


class Group(NamedTuple):
    """Examples that are alike, by their numbers in the pool."""

    members: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class CheckedData:
    """All examples of all splits, numbered from 0.

    The training examples come first, then validation, test, and last the duplicates of
    official test or validation examples, which training removes.
    """

    app: App
    splits: Splits
    inspection: Inspection

    @functools.cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts in the order of their numbers."""
        parts = [Part(name, getattr(self.splits, name)) for name in ("train", "valid", "test")]
        parts += [
            Part(name, examples, True) for name, examples in self.splits.dropped_duplicates.items()
        ]
        return tuple(parts)

    @functools.cached_property
    def ends(self) -> np.ndarray:
        """The number after the last example of each part."""
        return np.cumsum([len(part.examples) for part in self.parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    @functools.cached_property
    def hashes(self) -> np.ndarray:
        """A hash of each example's content."""
        return np.concatenate([part.examples.content_hashes() for part in self.parts])

    @functools.cached_property
    def keys(self) -> np.ndarray:
        """The key of each example in a quarantine list."""
        return np.concatenate([part.examples.keys() for part in self.parts])

    @functools.cached_property
    def targets(self) -> np.ndarray:
        """The target of each example."""
        return np.concatenate([part.examples.targets for part in self.parts])

    @functools.cached_property
    def target_numbers(self) -> np.ndarray:
        """The target of each example; of several classes a number, the same for equal ones."""
        if not self.splits.is_multilabel:
            return self.targets
        keys = np.concatenate([part.examples.target_keys for part in self.parts])
        return np.unique(keys, return_inverse=True)[1]

    @functools.cached_property
    def split(self) -> np.ndarray:
        """The split of each example: 0 train, 1 valid, 2 test."""
        names = ("train", "valid", "test")
        sizes = [len(part.examples) for part in self.parts]
        return np.repeat([names.index(part.split) for part in self.parts], sizes)

    @functools.cached_property
    def used_in_training(self) -> np.ndarray:
        """Which examples training uses, for learning or validation."""
        used = [part.split != "test" and not part.dropped for part in self.parts]
        return np.repeat(used, [len(part.examples) for part in self.parts])

    @functools.cached_property
    def dropped(self) -> np.ndarray:
        """Which examples training removes as duplicates."""
        return np.repeat(
            [part.dropped for part in self.parts], [len(part.examples) for part in self.parts]
        )

    @functools.cached_property
    def copy_split(self) -> np.ndarray:
        """The split within which an example's copies are counted.

        Rows are drawn into splits one by one, so copies among drawn rows are no leak: all of
        them count as train.
        """
        if not self.has_rows:
            return self.split
        source = self.splits.train.features
        drawn = [part.examples.features is source for part in self.parts]
        return np.where(
            np.repeat(drawn, [len(part.examples) for part in self.parts]), 0, self.split
        )

    @property
    def has_rows(self) -> bool:
        """Whether examples are table rows, which may be equal by chance."""
        return self.splits.train.row_hashes is not None

    def numbers_of(self, split: str) -> np.ndarray:
        """Return the numbers of a split's examples, without removed duplicates."""
        index = ("train", "valid", "test").index(split)
        return np.arange(self.ends[index] - len(self.parts[index].examples), self.ends[index])

    def locate(self, number: int) -> tuple[Part, int]:
        """Return the part of an example, and its position in that part."""
        index = int(np.searchsorted(self.ends, number, side="right"))
        part = self.parts[index]
        return part, int(number - (self.ends[index] - len(part.examples)))

    def features(self, numbers: np.ndarray) -> Any:
        """Return the features of these examples, in the order of `numbers`."""
        numbers = np.asarray(numbers)
        part_of = np.searchsorted(self.ends, numbers, side="right")
        storage = self.parts[0].examples.features
        features = np.empty((len(numbers), *storage.shape[1:]), storage.dtype)
        for index, part in enumerate(self.parts):
            of_part = np.flatnonzero(part_of == index)
            start = self.ends[index] - len(part.examples)
            rows = part.examples.rows[numbers[of_part] - start]
            features[of_part] = part.examples.features[rows]
        return features

    def column(self, name: str) -> np.ndarray:
        """Return one column of all examples of a table."""
        return np.concatenate(
            [part.examples.columns[name][part.examples.rows] for part in self.parts]
        )

    def origin(self, number: int) -> tuple[Any, int]:
        """Return the table or listing of an example, and its row there; (None, row) if unknown."""
        part, position = self.locate(number)
        row = int(part.examples.rows[position])
        origins = part.examples.origins
        return (None, row) if origins is None else (origins.source, int(origins.rows[row]))

    def where(self, number: int) -> str:
        """Return where the user finds an example: a file, a line of a file, or a record."""
        source, row = self.origin(number)
        return f"record {row}" if source is None else source.where(row)

    def occurrences(
        self, numbers: Sequence[int] | np.ndarray, detail: str = ""
    ) -> list[Occurrence]:
        """Return the first few of these examples as occurrences of a finding."""
        return [
            Occurrence(
                self.locate(number)[0].split,
                self.where(number),
                detail or self.describe(number),
                number,
            )
            for number in map(int, numbers[:MAX_OCCURRENCES])
        ]

    def describe(self, number: int) -> str:
        """Return an example's content, shortened, and its target."""
        part, position = self.locate(number)
        examples, row = part.examples, part.examples.rows[position]
        target = self.target_text(examples.target[row])
        if columns := examples.columns:
            cells = [f"{name}={_cell(column[row])}" for name, column in columns.items()]
            return _short(" ".join(cells), MAX_DESCRIPTION - len(target)) + f" -> {target}"
        if examples.features.dtype == object:
            cell = _cell(examples.features[row])
            return f"{_short(cell, MAX_DESCRIPTION - len(target))!r} -> {target}"
        return target

    def target_text(self, target: Any) -> str:
        """Return a target as text: its class names, or the number."""
        labels = self.splits.labels
        if self.splits.is_multilabel:
            return ", ".join(labels[k] for k in np.flatnonzero(target)) or "no class"
        return labels[int(target)] if labels else f"{float(target):g}"

    def sources(self) -> Iterator[tuple[str, Any, np.ndarray]]:
        """Yield the split of each table or listing, itself, and the rows that became examples."""
        used_rows: dict[int, list[np.ndarray]] = {}
        sources: dict[int, tuple[str, Any]] = {}
        for part in self.parts:
            origins = part.examples.origins
            if origins is not None:
                sources.setdefault(id(origins.source), (part.split, origins.source))
                rows = origins.rows[part.examples.rows]
                used_rows.setdefault(id(origins.source), []).append(rows)
        for key, (split, source) in sources.items():
            yield split, source, np.concatenate(used_rows[key])


Check = Callable[[CheckedData], Iterator[Finding]]


def _cell(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else f"{value:.6g}"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
