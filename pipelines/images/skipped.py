"""Files of a folder that are no readable pictures: why, and how many of each class."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from pipelines.examples import DataError
from pipelines.files import printable
from pipelines.images.decoder_messages import without_decoder_messages
from pipelines.images.decoding import MOST_PIXELS, size_of
from pipelines.images.folder_walk import start_of
from pipelines.images.formats import NOT_READ_NAMES, READ_NAMES, format_of, is_read

SHOWN_FILES = 5  # that a line names
SHOWN_CLASSES = 10  # that have a line of their own

UNSORTED = "not sorted into a class"


class Skipped(NamedTuple):
    """A file that training leaves out, the class of its folder if it has one, and why."""

    path: Path
    label: str
    reason: str

    @property
    def is_other_format(self) -> bool:
        """Whether it is a picture of a format that is not read."""
        return self.reason in NOT_READ_NAMES

    @property
    def is_picture(self) -> bool:
        """Whether it could be read if it lay in the folder of a class."""
        return self.reason == UNSORTED

    def where(self, root: Path) -> str:
        """The file as people find it."""
        return printable(self.path.relative_to(root).as_posix())


def reason(path: Path) -> str:
    """Why a file is no readable picture; "" if its beginning is that of one."""
    try:
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError:
        return "that cannot be opened"
    start = start_of(path)
    return "empty" if is_empty else "" if is_read(start) else format_of(start) or "no pictures"


def damage(path: Path) -> str:
    """Why the decoder did not read a file."""
    if said := reason(path):
        return said
    try:
        with without_decoder_messages():
            is_large = size_of(path.read_bytes()).pixels > MOST_PIXELS
    except (OSError, tf.errors.InvalidArgumentError):
        return "damaged"
    return "of too many pixels" if is_large else "damaged"


def refuse(name: str, labels: Iterable[str], skipped: list[Skipped], root: Path) -> None:
    """Raise DataError if there is one of these classes, of which no picture can be read."""
    lost = {label: [one for one in skipped if one.label == label] for label in sorted(labels)}
    if not lost:
        return
    shown = [f"{label} ({_counted(some, root)})" for label, some in lost.items()]
    more = f" and {len(shown) - SHOWN_FILES} more classes" if len(shown) > SHOWN_FILES else ""
    classes = "class" if len(lost) == 1 else "classes"
    raise DataError(
        f"Received folder:{name}, where no picture of the {classes} "
        f"{', '.join(shown[:SHOWN_FILES])}{more} can be read; expected {READ_NAMES}. Convert or "
        "replace these files, or move their folder away."
    )


def notes(root: Path, skipped: list[Skipped], totals: Counter[str]) -> Iterator[str]:
    """Lines that count what is skipped, of each class, most first."""
    by_label = Counter(one.label for one in skipped)
    loose = by_label.pop("", 0)
    for label, count in by_label.most_common(SHOWN_CLASSES):
        said = _counted([one for one in skipped if one.label == label], root)
        yield f"skipped {count} of {totals[label]} files of the class {label}: {said}"
    rest = by_label.most_common()[SHOWN_CLASSES:]
    if rest:
        yield f"skipped {sum(count for _, count in rest)} files of {len(rest)} more classes"
    if loose:
        said = _counted([one for one in skipped if not one.label], root)
        yield f"skipped {loose} {'file' if loose == 1 else 'files'} in no class folder: {said}"
    if others := sorted({one.reason for one in skipped if one.is_other_format}):
        yield f"athanor reads {READ_NAMES}: convert the files of {', '.join(others)}"


def _counted(skipped: list[Skipped], root: Path) -> str:
    reasons = Counter(one.reason for one in skipped)
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    shown = ", ".join(one.where(root) for one in skipped[:SHOWN_FILES])
    more = f" and {len(skipped) - SHOWN_FILES} more" if len(skipped) > SHOWN_FILES else ""
    return f"{counts}: {shown}{more}"
