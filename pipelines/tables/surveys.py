"""What is known of a column by itself: whether it holds numbers, times or categories, and how."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from pipelines.tables import cells as raw
from pipelines.tables.cells import AnyCells
from pipelines.tables.missing import ALWAYS, INFINITE, NUMBER_WORDS, is_missing
from pipelines.tables.numerals import Numeral, Writing, numeral, own_mark, scale, unit_of, writing
from pipelines.tables.times import Moment, Order, moment, order_of

Kind = Literal["number", "time", "category"]
MOSTLY = 0.9  # a column with this share of numbers among its known cells holds numbers
HALF = 0.5  # and with this one, where all others are a few words
NUM_WORDS, NUMBERS_A_WORD = 10, 4  # such words at most, and different numbers for each at least
FEWEST_NUMBERS = 20  # different ones, in a column with such words
REPEATED = 4  # cells of a word from which on it may be a category
DIGIT = re.compile(rb"\d")
MOST_BOUNDS = 0.2  # of the numbers may be such as <5: more are classes
LONGEST = 100  # letters of a number or a time
SCREENED = 200  # different cells that tell whether a column may hold anything but categories


class Survey(NamedTuple):
    """What is known of a column before the other columns of its file are asked.

    Attributes:
        kind: what it holds.
        writing: of its numbers.
        order: of its dates.
        open: whether nothing in it decides the order.
        example: a cell that is not plain, and what it was read as.

    """

    kind: Kind
    writing: Writing = Writing(0, 0, {}, {})
    order: Order = ""
    open: bool = False
    example: bytes = b""


def survey(column: AnyCells) -> Survey:
    """Of a column by itself."""
    if column.dtype != object:
        return Survey("number")
    plain = raw.numbers_of(column)
    strange = np.flatnonzero(~np.isfinite(plain))
    counts = Counter(column[strange].tolist()) if len(strange) else Counter[bytes]()
    known = {c: n for c, n in counts.items() if not is_missing(c, NUMBER_WORDS)}
    of_plain = _plain_writing(column, plain)
    if not known:
        words = len(strange) == len(column) and not all(
            is_missing(cell, ALWAYS | INFINITE) for cell in counts
        )
        kind: Kind = "category" if words else "number"  # a cross, or nothing
        return Survey(kind, of_plain, example=of_plain.example.encode())
    likely = _likely(known, len(column) - len(strange))
    if "time" in likely:
        moments = {cell: one for cell in known if (one := moment(_text(cell)))}
        if _mostly(moments, known, 0) and _are_few(plain, sum(known[cell] for cell in moments)):
            return _of_times({cell: (one, known[cell]) for cell, one in moments.items()})
    if "number" in likely:
        return _of_numbers(_numerals(known, len(column) - len(strange)), known, of_plain, plain)
    return Survey("category")


def _text(cell: bytes) -> str:
    return cell.decode("utf-8", "replace")


def _likely(known: Mapping[bytes, int], num_plain: int) -> set[Kind]:
    """What a column may hold besides categories, by a look at some cells: names cost no more."""
    some = [_text(cell) for cell in [*known][:: -(-len(known) // SCREENED)] if len(cell) < LONGEST]
    least = 0.25 * min(len(known), SCREENED)
    found: set[Kind] = set()
    if num_plain >= HALF * (num_plain + sum(known.values())):
        found.add("number")
    num_numerals = sum(numeral(text) is not None for text in some)
    if num_numerals >= least or (num_plain and num_numerals):
        found.add("number")
    if sum(moment(text) is not None for text in some) >= least:
        found.add("time")
    return found


def _mostly(read: Iterable[bytes], known: Mapping[bytes, int], num_plain: int) -> bool:
    count = num_plain + sum(known[cell] for cell in read)
    return count >= MOSTLY * (num_plain + sum(known.values()))


def _are_few(plain: np.ndarray, num_times: int) -> bool:
    """Whether the plain numbers of a column are few beside its times, or a word such as 0."""
    numbers = plain[np.isfinite(plain)]
    if len(numbers) <= (1 - MOSTLY) * (len(numbers) + num_times):
        return True
    return len(numbers) <= num_times and len(np.unique(numbers)) <= NUM_WORDS


def _of_times(moments: Mapping[bytes, tuple[Moment, int]]) -> Survey:
    order = order_of(moments.values())
    marked = [cell for cell, (one, _) in moments.items() if one.mark]
    same = len(moments) < 2
    example = next(iter(marked or moments))
    return Survey(
        "time", order=order, open=bool(marked) and not order and not same, example=example
    )


def _numerals(known: Mapping[bytes, int], num_plain: int) -> dict[bytes, Numeral]:
    """The cells that are numbers, without <5 and the like where these are classes."""
    found = {cell: one for cell in known if (one := numeral(_text(cell)))}
    bounds = sum(known[cell] for cell, one in found.items() if one.bound)
    if bounds > MOST_BOUNDS * (num_plain + sum(known[cell] for cell in found)):
        return {cell: one for cell, one in found.items() if not one.bound}
    return found


def _of_numbers(
    numerals: Mapping[bytes, Numeral],
    known: Mapping[bytes, int],
    of_plain: Writing,
    plain: np.ndarray,
) -> Survey:
    num_plain = int(np.isfinite(plain).sum())
    own = writing((one, known[cell]) for cell, one in numerals.items())
    units = Counter(own.units) + Counter({"": num_plain})
    unit = unit_of(units, MOSTLY)
    read = {c: one for c, one in numerals.items() if scale(one.unit, unit) == scale(one.unit, unit)}
    if not _mostly(read, known, num_plain):
        numbers = len(np.unique(plain[np.isfinite(plain)])) + len(read)
        words = {cell: count for cell, count in known.items() if cell not in read}
        share = (num_plain + sum(known[cell] for cell in read)) / (num_plain + sum(known.values()))
        if share < HALF or not (_are_few_words(words, numbers) or _are_remarks(words, numbers)):
            return Survey("category")
    whole = Writing(
        of_plain.points + own.points,
        own.commas,
        dict(Counter(of_plain.open) + Counter(own.open)),
        dict(units),
    )
    marked = (c for c, one in read.items() if not own_mark(one.digits) and {*".,"} & {*one.digits})
    example = next(marked, next(iter(read), of_plain.example.encode()))
    return Survey("number", whole, example=example)


def _are_few_words(words: Mapping[bytes, int], numbers: int) -> bool:
    return len(words) <= NUM_WORDS and numbers >= max(FEWEST_NUMBERS, NUMBERS_A_WORD * len(words))


def _are_remarks(words: Mapping[bytes, int], numbers: int) -> bool:
    """Whether words are texts without digits that hardly repeat, as categories of no use."""
    plain = {cell: count for cell, count in words.items() if not DIGIT.search(cell)}
    rare = sum(count for count in plain.values() if count < REPEATED)
    return numbers >= FEWEST_NUMBERS and rare >= MOSTLY * sum(words.values())


def _plain_writing(column: AnyCells, plain: np.ndarray) -> Writing:
    """How numbers are written that need no other reading than Python's.

    The first point that proves itself decides: to look at all of a million costs too much.
    """
    found = Writing(0, 0, {}, {})
    if not raw.holds(column, b"."):
        return found
    example, unsure = "", 0
    for cell, value in zip(column, plain, strict=True):
        if b"." in cell and np.isfinite(value):
            if own_mark(digits := _text(cell).strip().lstrip("+-")):
                return found._replace(points=1)
            example, unsure = example or digits, unsure + 1
    return found._replace(open={".": unsure} if unsure else {}, example=example)
