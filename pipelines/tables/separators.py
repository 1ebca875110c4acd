"""What separates the cells of a CSV file."""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from pipelines.tables.text_files import TextFile
from pipelines.tables.unbalanced_quotes import TolerantReader

SEPARATORS = "\t;|,"  # commas last: they are also in numbers and in texts
SAMPLE_LINES = 100  # lines by which the separator is known
MIN_NAMED_ROWS = 10  # rows with names of their own
COMMENT = "#"
MAX_COMMENT_LENGTH = 60  # letters of a comment in a note
NUMBER = re.compile(r"\s*[-+]?\d[\d.,]*\s*")
# Excel writes such a first line, which names the separator.
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


class Layout(NamedTuple):
    """How rows are written.

    Attributes:
        separator: between cells.
        before: lines above the column names, the last of which names the separator or is a
            comment.
        comments: those of them that are comments.
        nameless: the column that the names leave out, where rows have a cell more: the first, as
            R writes the names of rows, or the last, which is empty.

    """

    separator: str
    num_skipped: int = 0
    comments: tuple[str, ...] = ()
    unnamed_column: Literal["", "first", "last"] = ""

    def complete_header(self, header: list[str]) -> list[str]:
        """The column names, with no word for one that is left out."""
        return (
            [""] * (self.unnamed_column == "first")
            + header
            + [""] * (self.unnamed_column == "last")
        )

    def notes(self, name: str) -> tuple[str, ...]:
        """What to tell the user of the file of this name."""
        if not self.comments:
            return ()
        count, first = len(self.comments), self.comments[0].strip()[:MAX_COMMENT_LENGTH]
        lines = "a comment line" if count == 1 else f"{count} comment lines"
        return (f"{name}: {lines} above the column names left out, such as {first!r}",)


def layout(file: TextFile) -> Layout:
    """How the rows of a file are written, by its first lines."""
    with file.first_lines(SAMPLE_LINES) as text:
        numbered = ((number, line) for number, line in enumerate(text, 1) if line.strip())
        some = [*itertools.islice(numbered, SAMPLE_LINES)]
    if some and (named := SEPARATOR_LINE.fullmatch(some[0][1])):
        return Layout(named[1], some[0][0])
    marked = [line for _, line in itertools.takewhile(_is_comment, some)]
    others = [line for _, line in some[len(marked) :]]
    if not others:  # no rows either way
        return Layout(_separator(marked))
    separator = _separator(others)
    if marked and _names_columns(marked[-1], others, separator):
        separator = _separator([marked.pop(), *others])
        others = [line for _, line in some[len(marked) :]]
    before = some[len(marked) - 1][0] if marked else 0
    return Layout(separator, before, tuple(marked), _nameless(others, separator))


def _nameless(lines: Sequence[str], separator: str) -> Literal["", "first", "last"]:
    header, *rows = TolerantReader(lines, separator)
    if not rows or {len(cells) for cells in rows} != {len(header) + 1}:
        return ""
    if not any(cells[-1].strip() for cells in rows):
        return "last"
    # A few rows may have a comma more in a text.
    names = {cells[0] for cells in rows}
    return "first" if len(names) == len(rows) >= MIN_NAMED_ROWS and len(header) > 1 else ""


def _is_comment(numbered: tuple[int, str]) -> bool:
    return numbered[1].lstrip(' \t"').startswith(COMMENT)


def _names_columns(comment: str, others: Sequence[str], separator: str) -> bool:
    """Whether a line that begins with # holds the column names, and the next one is a row."""
    (marked,), (top, *rows) = (
        TolerantReader([comment], separator),
        TolerantReader(others, separator),
    )
    if len(marked) != len(top):
        return False
    return _has_number(top) or not any(map(_has_number, rows))


def _has_number(cells: Iterable[str]) -> bool:
    return any(NUMBER.fullmatch(cell) for cell in cells)


def _separator(lines: Sequence[str]) -> str:
    """The one by which most rows have as many cells as the first, of several the one with most."""
    there = [one for one in SEPARATORS if lines and one in lines[0]]
    if len(there) < 2:
        return there[0] if there else ","
    scores = {}
    for separator in there:
        first, *others = (len(cells) for cells in TolerantReader(lines, separator))
        alike = sum(count == first for count in others) / max(1, len(others))
        scores[separator] = (first > 1, alike, first)
    return max(scores, key=lambda separator: scores[separator])
