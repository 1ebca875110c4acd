"""Divide a CSV file into blocks of whole rows."""

from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

BYTES_PER_BLOCK = 2**24
QUOTE, NEWLINE, RETURN, BLANK = b'"\n\r '
NONE = np.empty(0, "int64")


class IrregularError(Exception):
    """A file whose quotes can be paired in several ways."""


class Block(NamedTuple):
    """Whole rows of a file.

    Attributes:
        content: their bytes, a view of memory that the next block overwrites.
        quotes: the positions of the quotes that begin and end cells, in turn.
        has_returns: whether a line ends with a carriage return.

    """

    content: np.ndarray
    quotes: np.ndarray = NONE
    has_returns: bool = False

    def num_lines(self) -> int:
        """Return the number of lines."""
        if self.has_returns:
            return len(self.line_ends())
        return int(np.count_nonzero(self.content == NEWLINE)) + int(self.content[-1] != NEWLINE)

    def line_ends(self) -> np.ndarray:
        """Return the position of the last character of the end of each line.

        It is the end of the block for a line without an end.
        """
        ends = self.content == NEWLINE
        if self.has_returns:
            ends |= self.content == RETURN
            ends[:-1] &= (self.content[:-1] != RETURN) | (self.content[1:] != NEWLINE)
        positions = np.flatnonzero(ends)
        return positions if ends[-1] else np.append(positions, len(ends))

    def are_outside(self, positions: np.ndarray) -> np.ndarray:
        """Return which positions are outside of quotes."""
        return np.searchsorted(self.quotes, positions) % 2 == 0

    def is_multiline(self) -> bool:
        """Whether a cell has several lines."""
        return len(self.quotes) > 0 and not self.are_outside(self.line_ends()).all()


def blocks(content: BinaryIO, separator: bytes) -> Iterator[Block]:
    """Yield all rows of a file of UTF-8, block by block.

    Raises IrregularError if a quote that begins a cell has no partner at the end of a cell.
    """
    memory, num_kept, num_read = bytearray(BYTES_PER_BLOCK), 0, -1
    while num_read:
        num_read = _read_into(memoryview(memory)[num_kept:], content)
        size = num_kept + num_read
        block = _first_rows(memory, size, separator, is_last=not num_read)
        if len(block.content):
            yield block
        num_kept = size - len(block.content)
        memory[:num_kept] = memory[size - num_kept : size]
        if num_kept > len(memory) // 2:
            memory = memory + bytearray(len(memory))


def _read_into(memory: memoryview, content: Any) -> int:
    """Fill memory from a file; return the number of bytes, which is less at the file's end."""
    size = 0
    while count := content.readinto(memory[size:]):
        size += count
    return size


def _first_rows(memory: bytearray, size: int, separator: bytes, *, is_last: bool) -> Block:
    """Return the whole rows at the beginning of memory; in the last block all bytes are."""
    end = size if is_last else memory.rfind(NEWLINE, 0, size) + 1
    block = Block(np.frombuffer(memory, "uint8", end), NONE, memory.find(RETURN, 0, end) >= 0)
    if memory.find(QUOTE, 0, end) < 0:
        return block
    block = block._replace(quotes=_enclosing_quotes(block.content, separator))
    if is_last:
        if len(block.quotes) % 2:
            raise IrregularError
        return block
    while end and not block.are_outside(np.array([end - 1]))[0]:
        end = memory.rfind(NEWLINE, 0, end - 1) + 1
    quotes = block.quotes[: np.searchsorted(block.quotes, end)]
    return block._replace(content=block.content[:end], quotes=quotes)


def _enclosing_quotes(content: np.ndarray, separator: bytes) -> np.ndarray:
    """Return the positions of the quotes that begin and end cells, in turn.

    A doubled quote counts as the end of a cell and the beginning of another one.
    """
    quotes = np.flatnonzero(content == QUOTE)
    is_edge = np.isin(np.arange(256), [*separator, NEWLINE, RETURN, QUOTE])
    opening, closing = quotes[::2], quotes[1::2]
    before, after = opening[opening > 0] - 1, closing[closing < len(content) - 1] + 1
    if is_edge[content[before]].all() and is_edge[content[after]].all():
        return quotes
    return np.array([*_paired_quotes(content, quotes.tolist(), separator)], "int64")


def _paired_quotes(content: np.ndarray, quotes: list[int], separator: bytes) -> Iterator[int]:
    """Yield the quotes that begin and end cells; others within a cell are ordinary characters.

    Blanks before the quote that begins a cell are moved into the cell.
    """
    edges, is_open, next_quote = (separator, b"\n", b"\r", b""), False, 0
    text = content.tobytes()
    for quote in quotes:
        after = text[quote + 1 : quote + 2]
        if quote < next_quote:
            continue
        if not is_open:
            start = quote
            while start and text[start - 1] == BLANK:
                start -= 1
            is_open = text[max(0, start - 1) : start] in edges
            if is_open:
                # Only a quote without blanks before it begins a cell for Arrow.
                content[start], content[start + 1 : quote + 1] = QUOTE, BLANK
                yield start
        elif after == b'"':
            next_quote = quote + 2
        elif after in edges:
            is_open = False
            yield quote
        else:
            raise IrregularError
