"""Detect the separator, comments and header of a CSV file."""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from pipelines.tables.text_files import TextFile
from pipelines.tables.unbalanced_quotes import TolerantReader

SEPARATORS = "\t;|,"  # commas last: they also occur in numbers and in texts
SAMPLE_LINES = 100  # read to detect the separator
MIN_NAMED_ROWS = 10  # rows with distinct first cells, to take these for row names
COMMENT = "#"
MAX_COMMENT_LENGTH = 60  # characters of a comment in a note
NUMBER = re.compile(r"\s*[-+]?\d[\d.,]*\s*")
# The first line by which Excel names the separator.
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


class Layout(NamedTuple):
    """The layout of a CSV file.

    Attributes:
        separator: the character between cells.
        num_skipped: the number of lines above the column names.
        comments: the comments among these lines.
        unnamed_column: the column without a name, if rows have one cell more than the header: the
            first, where R writes row names, or the last, if it is empty.

    """

    separator: str
    num_skipped: int = 0
    comments: tuple[str, ...] = ()
    unnamed_column: Literal["", "first", "last"] = ""

    def complete_header(self, header: list[str]) -> list[str]:
        """Return the column names, with "" for the unnamed column."""
        return (
            [""] * (self.unnamed_column == "first")
            + header
            + [""] * (self.unnamed_column == "last")
        )

    def notes(self, name: str) -> tuple[str, ...]:
        """Return lines for the user about the file of this name."""
        if not self.comments:
            return ()
        count, first = len(self.comments), self.comments[0].strip()[:MAX_COMMENT_LENGTH]
        lines = "a comment line" if count == 1 else f"{count} comment lines"
        return (f"{name}: {lines} above the column names left out, such as {first!r}",)


def layout(file: TextFile, separators: str = SEPARATORS) -> Layout:
    """Detect the layout of a file from its first lines, with one of these separators."""
    with file.first_lines(SAMPLE_LINES) as text:
        numbered = ((number, line) for number, line in enumerate(text, 1) if line.strip())
        lines = [*itertools.islice(numbered, SAMPLE_LINES)]
    if lines and (named := SEPARATOR_LINE.fullmatch(lines[0][1])):
        return Layout(named[1], lines[0][0])
    marked = [line for _, line in itertools.takewhile(_is_comment, lines)]
    others = [line for _, line in lines[len(marked) :]]
    if not others:  # no rows with any separator
        return Layout(_separator(marked, separators))
    separator = _separator(others, separators)
    if marked and _names_columns(marked[-1], others, separator):
        separator = _separator([marked.pop(), *others], separators)
        others = [line for _, line in lines[len(marked) :]]
    before = lines[len(marked) - 1][0] if marked else 0
    return Layout(separator, before, tuple(marked), _nameless(others, separator))


def _nameless(lines: Sequence[str], separator: str) -> Literal["", "first", "last"]:
    header, *rows = TolerantReader(lines, separator)
    if not rows or {len(cells) for cells in rows} != {len(header) + 1}:
        return ""
    if not any(cells[-1].strip() for cells in rows):
        return "last"
    # In a few rows the additional cell may come from a comma in a text.
    names = {cells[0] for cells in rows}
    return "first" if len(names) == len(rows) >= MIN_NAMED_ROWS and len(header) > 1 else ""


def _is_comment(numbered: tuple[int, str]) -> bool:
    return numbered[1].lstrip(' \t"').startswith(COMMENT)


def _names_columns(comment: str, others: Sequence[str], separator: str) -> bool:
    """Whether a line that begins with # holds the column names and the next line is a row."""
    (marked,), (top, *rows) = (
        TolerantReader([comment], separator),
        TolerantReader(others, separator),
    )
    if len(marked) != len(top):
        return False
    return _has_number(top) or not any(map(_has_number, rows))


def _has_number(cells: Iterable[str]) -> bool:
    return any(NUMBER.fullmatch(cell) for cell in cells)


def _separator(lines: Sequence[str], separators: str) -> str:
    """Return the separator with which most rows have as many cells as the first one."""
    present = [separator for separator in separators if lines and separator in lines[0]]
    if len(present) < 2:
        return present[0] if present else separators[-1]
    scores = {}
    for separator in present:
        first, *others = (len(cells) for cells in TolerantReader(lines, separator))
        share_equal = sum(count == first for count in others) / max(1, len(others))
        scores[separator] = (first > 1, share_equal, first)
    return max(scores, key=lambda separator: scores[separator])
