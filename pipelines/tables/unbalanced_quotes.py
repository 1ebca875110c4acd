"""Read CSV rows with unbalanced quotes, for which csv.reader would merge lines.

A quote opens a quoted cell only if another quote closes that cell before a separator or the end
of a line. Any other quote is an ordinary character.
"""

import collections
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MAX_CELL_LINES = 1000
MAX_ROWS_IN_CELL = 5  # a quoted cell with as many lines that look like rows has lost its quote


class SplitLine(NamedTuple):
    """A line split into cells.

    Attributes:
        cells: the texts of the cells.
        opens: the position of the first cell whose quote is not closed in this line, or None.
        quoted: the number of cells in quotes.

    """

    cells: list[str]
    opens: int | None = None
    quoted: int = 0


class TolerantReader:
    """Reads rows like csv.reader, but never takes rows of the file for parts of a quoted cell.

    A cell may have several lines if these are not rows themselves, or if they are few and the
    file quotes cells. The first row gives the number of cells of a row.

    Attributes:
        line_num: the number of the line read last.
        unmatched_quotes: lines with a cell whose opening quote has no closing quote.

    """

    def __init__(self, lines: Iterable[str], separator: str) -> None:
        self.line_num, self.unmatched_quotes = 0, list[int]()
        self._separator, self._width, self._quoted = separator, 0, 0
        self._lines, self._ahead = iter(lines), collections.deque[str]()
        apart = re.escape(separator)
        ends = rf'" *(?={apart}|\Z)'
        self._cell = re.compile(
            rf' *"((?:[^"]++|"")*+){ends}| *"((?:[^"\\]++|""|\\.)*+){ends}|([^{apart}]*)', re.DOTALL
        )
        self._unclosed = re.compile(r' *"(?:[^"]++|"")*+\Z')

    def __iter__(self) -> Iterator[list[str]]:
        while line := self._next():
            self._ahead.appendleft(line)
            cells, count = self._row(line)
            for _ in range(count):
                self._ahead.popleft()
            self.line_num += count
            if not self._width and any(map(str.strip, cells)):
                self._width = len(cells)
            yield cells

    def _next(self) -> str:
        return self._ahead.popleft() if self._ahead else next(self._lines, "")

    def _row(self, line: str) -> tuple[list[str], int]:
        """Return the cells of the next row and its number of lines."""
        read = self._split(line)
        self._quoted += read.quoted
        if read.opens is None:
            return read.cells, 1
        longer = self._multiline_row(read.opens)
        if longer is not None:
            return longer
        self.unmatched_quotes.append(self.line_num + 1)
        return read.cells, 1

    def _multiline_row(self, opens: int) -> tuple[list[str], int] | None:
        """Return the row whose cell at position `opens` is closed in a later line, or None."""
        joined = ""
        for count in range(1, MAX_CELL_LINES + 1):
            if count > len(self._ahead) and not self._read_ahead():
                return None
            joined += self._ahead[count - 1]
            content = joined.rstrip("\r\n")
            if count == 1 or self._unclosed.match(content, opens):
                continue
            read = self._split(content)
            if read.opens == opens:
                return None
            if read.opens is None:
                width = self._width or len(read.cells)
                return (
                    (read.cells, count) if self._is_single_row(read.cells, count, width) else None
                )
            opens = read.opens
        return None

    def _read_ahead(self) -> bool:
        line = next(self._lines, "")
        if line:
            self._ahead.append(line)
        return bool(line)

    def _is_single_row(self, cells: list[str], count: int, width: int) -> bool:
        """Whether these lines are one row, and not one row each."""
        if len(cells) != width:
            return False
        lines = itertools.islice(self._ahead, count)
        alone = all(len(self._split(line).cells) == width for line in lines)
        few = count < MAX_ROWS_IN_CELL and self._quoted > len(self.unmatched_quotes)
        return not alone or few or width == 1

    def _split(self, line: str) -> SplitLine:
        line = line.rstrip("\r\n")
        if '"' not in line:
            return SplitLine(line.split(self._separator) if line else [])
        cells, position, opens, quoted = list[str](), 0, None, 0
        while position <= len(line) and (match := self._cell.match(line, position)):
            doubled, escaped, plain = match.groups()
            if plain is None:
                text = doubled if doubled is not None else escaped.replace('\\"', '"')
                cells.append(text.replace('""', '"'))
                quoted += 1
            else:
                cells.append(plain.lstrip(" "))
                if opens is None and cells[-1].startswith('"'):
                    opens = position
            position = match.end() + 1
        return SplitLine(cells, opens, quoted)
