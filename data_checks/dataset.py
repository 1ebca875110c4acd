"""The data as checks see them: the splits of training, their origins, one number an example."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from apps.app import App
from data_checks.finding import MOST_SHOWN, Shown
from pipelines.examples import Examples
from pipelines.inspection import Look
from pipelines.splits import Splits

WIDEST = 160  # characters of what is shown of an example


class Part(NamedTuple):
    """Examples of one split; `dropped` are those that training leaves out of it as doubles."""

    split: str
    examples: Examples
    dropped: bool = False


class Group(NamedTuple):
    """Examples that are alike, by their numbers in the pool."""

    members: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """What is examined.

    Every example of every split has one number, its place in the pool of all:
    first those of train, then valid, test, and at last the doubles that an
    official test or validation split makes training leave out.
    """

    app: App
    splits: Splits
    look: Look

    @functools.cached_property
    def parts(self) -> tuple[Part, ...]:
        """Of the pool, in their order."""
        held = self.splits
        parts = [Part(name, getattr(held, name)) for name in ("train", "valid", "test")]
        parts += [Part(name, one, True) for name, one in held.dropped_duplicates.items()]
        return tuple(parts)

    @functools.cached_property
    def ends(self) -> np.ndarray:
        """Where in the pool each part ends."""
        return np.cumsum([len(part.examples) for part in self.parts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    @functools.cached_property
    def hashes(self) -> np.ndarray:
        """A hash of each example's content."""
        return np.concatenate([part.examples.content_hashes() for part in self.parts])

    @functools.cached_property
    def keys(self) -> np.ndarray:
        """The number by which a list of training's exceptions names each example."""
        return np.concatenate([part.examples.keys() for part in self.parts])

    @functools.cached_property
    def targets(self) -> np.ndarray:
        """Of each example."""
        return np.concatenate([part.examples.targets for part in self.parts])

    @functools.cached_property
    def split(self) -> np.ndarray:
        """Of each example: 0 train, 1 valid, 2 test."""
        names = ("train", "valid", "test")
        sizes = [len(part.examples) for part in self.parts]
        return np.repeat([names.index(part.split) for part in self.parts], sizes)

    @functools.cached_property
    def trains(self) -> np.ndarray:
        """Which examples training reads, to learn or to validate: all but test and doubles."""
        used = [part.split != "test" and not part.dropped for part in self.parts]
        return np.repeat(used, [len(part.examples) for part in self.parts])

    @functools.cached_property
    def dropped(self) -> np.ndarray:
        """Which examples training leaves out as doubles."""
        return np.repeat(
            [part.dropped for part in self.parts], [len(part.examples) for part in self.parts]
        )

    @functools.cached_property
    def home(self) -> np.ndarray:
        """Of each example the split within which copies count as such.

        A cut draws rows one by one, so all that it cuts counts as train.
        """
        if not self.of_rows:
            return self.split
        own = self.splits.train.features
        cut = [part.examples.features is own for part in self.parts]
        return np.where(np.repeat(cut, [len(part.examples) for part in self.parts]), 0, self.split)

    @property
    def of_rows(self) -> bool:
        """Whether an example is a row, which may equal another one by chance."""
        return self.splits.train.row_hashes is not None

    def numbers(self, split: str) -> np.ndarray:
        """The numbers in the pool of a split's examples, without doubles."""
        place = ("train", "valid", "test").index(split)
        return np.arange(self.ends[place] - len(self.parts[place].examples), self.ends[place])

    def place(self, number: int) -> tuple[Part, int]:
        """The part of an example, and its position there."""
        which = int(np.searchsorted(self.ends, number, side="right"))
        part = self.parts[which]
        return part, int(number - (self.ends[which] - len(part.examples)))

    def features(self, numbers: np.ndarray) -> Any:
        """The features of examples of one array, in the order of the numbers."""
        numbers = np.asarray(numbers)
        which = np.searchsorted(self.ends, numbers, side="right")
        storage = self.parts[0].examples.features
        found = np.empty((len(numbers), *storage.shape[1:]), storage.dtype)
        for place, part in enumerate(self.parts):
            mine = np.flatnonzero(which == place)
            start = self.ends[place] - len(part.examples)
            rows = part.examples.rows[numbers[mine] - start]
            found[mine] = part.examples.features[rows]
        return found

    def column(self, name: str) -> np.ndarray:
        """One column of all examples, where they are rows."""
        return np.concatenate(
            [part.examples.columns[name][part.examples.rows] for part in self.parts]
        )

    def origin(self, number: int) -> tuple[Any, int]:
        """What an example was read from, and its row or file there; (None, row) if unknown."""
        part, position = self.place(number)
        row = int(part.examples.rows[position])
        origins = part.examples.origins
        return (None, row) if origins is None else (origins.read, int(origins.rows[row]))

    def where(self, number: int) -> str:
        """An example as people find it."""
        read, row = self.origin(number)
        return f"record {row}" if read is None else read.where(row)

    def shown(self, numbers: Sequence[int] | np.ndarray, said: str = "") -> list[Shown]:
        """A few examples, for people."""
        return [
            Shown(
                self.place(number)[0].split, self.where(number), said or self.text(number), number
            )
            for number in map(int, numbers[:MOST_SHOWN])
        ]

    def text(self, number: int) -> str:
        """What an example is: its content in short, and its target."""
        part, position = self.place(number)
        examples, row = part.examples, part.examples.rows[position]
        answer = self.answer(examples.target[row])
        if columns := examples.columns:
            cells = [f"{name}={_cell(column[row])}" for name, column in columns.items()]
            return _short(" ".join(cells), WIDEST - len(answer)) + f" -> {answer}"
        if examples.features.dtype == object:
            cell = _cell(examples.features[row])
            return f"{_short(cell, WIDEST - len(answer))!r} -> {answer}"
        return answer

    def answer(self, target: Any) -> str:
        """A target as people read it."""
        labels = self.splits.labels
        return labels[int(target)] if labels else f"{float(target):g}"

    def reads(self) -> Iterator[tuple[str, Any, np.ndarray]]:
        """Each table or listing once: its split, itself, and which of its rows became examples."""
        kept: dict[int, list[np.ndarray]] = {}
        known: dict[int, tuple[str, Any]] = {}
        for part in self.parts:
            origins = part.examples.origins
            if origins is not None:
                known.setdefault(id(origins.read), (part.split, origins.read))
                rows = origins.rows[part.examples.rows]
                kept.setdefault(id(origins.read), []).append(rows)
        for key, (split, read) in known.items():
            yield split, read, np.concatenate(kept[key])


def _cell(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else f"{value:.6g}"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
