"""What separates the cells of a CSV file."""

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from pipelines.quotes import Lines
from pipelines.text_files import TextFile

SEPARATORS = "\t;|,"  # commas last: they are also in numbers and in texts
SAMPLE = 100  # lines by which the separator is known
# Excel writes such a first line, which names the separator.
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


class Layout(NamedTuple):
    """How rows are written.

    Attributes:
        separator: between cells.
        before: lines above the column names, the last of which names the separator.

    """

    separator: str
    before: int = 0


def layout(file: TextFile) -> Layout:
    """How the rows of a file are written, by its first lines."""
    with file.lines() as text:
        numbered = ((number, line) for number, line in enumerate(text, 1) if line.strip())
        some = [*itertools.islice(numbered, SAMPLE)]
    if some and (named := SEPARATOR_LINE.fullmatch(some[0][1])):
        return Layout(named[1], some[0][0])
    return Layout(_separator([line for _, line in some]))


def _separator(lines: Sequence[str]) -> str:
    """The one by which most rows have as many cells as the first, of several the one with most."""
    there = [one for one in SEPARATORS if lines and one in lines[0]]
    if len(there) < 2:
        return there[0] if there else ","
    scores = {}
    for separator in there:
        first, *others = (len(cells) for cells in Lines(lines, separator))
        alike = sum(count == first for count in others) / max(1, len(others))
        scores[separator] = (first > 1, alike, first)
    return max(scores, key=lambda separator: scores[separator])
