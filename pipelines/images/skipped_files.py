"""Files of image folders that are skipped: the reasons, and notes and errors about them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from pipelines.examples import DataError
from pipelines.files import printable
from pipelines.images.conversion import TooLargeError, is_readable, readable_names
from pipelines.images.decoding import MAX_PIXELS, image_size
from pipelines.images.file_bytes import read_image_bytes
from pipelines.images.folder_walk import read_header
from pipelines.images.formats import UNSUPPORTED_NAMES, format_name
from pipelines.images.stderr_filter import suppress_decoder_messages

MAX_LISTED_FILES = 5  # in one note
MAX_LISTED_CLASSES = 10  # with a note each

UNSORTED = "not sorted into a class"


class SkippedFile(NamedTuple):
    """A file that training leaves out, the class of its folder (or ""), and the reason."""

    path: Path
    label: str
    reason: str

    @property
    def is_other_format(self) -> bool:
        """Whether it is an image of an unsupported format."""
        return self.reason in UNSUPPORTED_NAMES

    @property
    def is_picture(self) -> bool:
        """Whether it is a readable image outside of the class folders."""
        return self.reason == UNSORTED

    def where(self, root: Path) -> str:
        """Return the path of the file relative to the root, for the user."""
        return printable(self.path.relative_to(root).as_posix())


def skip_reason(path: Path) -> str:
    """Return why a file is not a readable image; "" if it begins like one."""
    try:
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError:
        return "that cannot be opened"
    start = read_header(path)
    return (
        "empty" if is_empty else "" if is_readable(start) else format_name(start) or "not an image"
    )


def decoding_failure(path: Path) -> str:
    """Return why the decoder could not read a file."""
    if reason := skip_reason(path):
        return reason
    try:
        with suppress_decoder_messages():
            is_large = image_size(read_image_bytes(path)).pixels > MAX_PIXELS
    except TooLargeError:
        is_large = True
    except (OSError, ValueError, tf.errors.InvalidArgumentError):
        return "damaged"
    return "with too many pixels" if is_large else "damaged"


def require_readable_classes(
    name: str, labels: Iterable[str], skipped: list[SkippedFile], root: Path
) -> None:
    """Raise DataError if there are such classes: `labels` are classes without a readable image."""
    unreadable = {
        label: [file for file in skipped if file.label == label] for label in sorted(labels)
    }
    if not unreadable:
        return
    shown = [f"{label} ({_reasons_and_files(files, root)})" for label, files in unreadable.items()]
    more = (
        f" and {len(shown) - MAX_LISTED_FILES} more classes"
        if len(shown) > MAX_LISTED_FILES
        else ""
    )
    classes = "class" if len(unreadable) == 1 else "classes"
    raise DataError(
        f"Received folder:{name}, where no picture of the {classes} "
        f"{', '.join(shown[:MAX_LISTED_FILES])}{more} can be read; expected "
        f"{readable_names()}. Convert or replace these files, or move their folder away."
    )


def notes(root: Path, skipped: list[SkippedFile], totals: Counter[str]) -> Iterator[str]:
    """Yield lines that count the skipped files of each class, the largest number first."""
    by_label = Counter(file.label for file in skipped)
    loose = by_label.pop("", 0)
    for label, count in by_label.most_common(MAX_LISTED_CLASSES):
        reasons = _reasons_and_files([file for file in skipped if file.label == label], root)
        yield f"skipped {count} of {totals[label]} files of the class {label}: {reasons}"
    rest = by_label.most_common()[MAX_LISTED_CLASSES:]
    if rest:
        yield f"skipped {sum(count for _, count in rest)} files of {len(rest)} more classes"
    if loose:
        reasons = _reasons_and_files([file for file in skipped if not file.label], root)
        yield f"skipped {loose} {'file' if loose == 1 else 'files'} in no class folder: {reasons}"
    if formats := sorted({file.reason for file in skipped if file.is_other_format}):
        yield f"athanor reads {readable_names()}: convert the files of {', '.join(formats)}"


def _reasons_and_files(skipped: list[SkippedFile], root: Path) -> str:
    reasons = Counter(file.reason for file in skipped)
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    shown = ", ".join(file.where(root) for file in skipped[:MAX_LISTED_FILES])
    more = f" and {len(skipped) - MAX_LISTED_FILES} more" if len(skipped) > MAX_LISTED_FILES else ""
    return f"{counts}: {shown}{more}"
