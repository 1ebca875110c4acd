"""Infer from the cells of one column whether it holds numbers, times or categories."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Literal, NamedTuple

import numpy as np

from pipelines.tables import cells as raw
from pipelines.tables.cells import AnyCells
from pipelines.tables.missing import INFINITY_WORDS, MISSING_WORDS, NUMBER_WORDS, is_missing
from pipelines.tables.numerals import (
    NumberStyle,
    Numeral,
    main_unit,
    number_style,
    parse_numeral,
    proven_decimal_mark,
    unit_factor,
)
from pipelines.tables.times import DateOrder, ParsedTime, infer_order, parse_time

Kind = Literal["number", "time", "clock", "duration", "boolean", "category", "text", "list"]
RequestedKind = Kind | Literal["ignore"]
TEXT_KINDS: tuple[Kind, ...] = ("boolean", "category", "text", "list")
# A column holds numbers if this share of its known cells are numbers.
MIN_SHARE_OF_KIND = 0.9
# A smaller share is enough if the other cells are a few distinct words, or remarks.
MIN_SHARE_BESIDE_WORDS = 0.5
MAX_WORDS_BESIDE_NUMBERS, MIN_NUMBERS_PER_WORD = 10, 4  # distinct words and numbers
MIN_DISTINCT_NUMBERS = 20  # in a column that also holds words
MIN_CATEGORY_COUNT = 4  # cells that a word needs to be a category
DIGIT = re.compile(rb"\d")
MAX_BOUND_SHARE = 0.2  # of the numbers may be bounds such as <5; if more are, they are classes
MAX_CELL_LENGTH = 100  # bytes of a number or a time
NUM_SCREENED_CELLS = 200  # distinct cells that are tried before the whole column is parsed


class InferredColumn(NamedTuple):
    """The format that the cells of one column prove; other columns may resolve what is ambiguous.

    Attributes:
        kind: what its cells hold.
        number_style: how its numbers are written.
        order: of day and month in its dates.
        ambiguous_order: whether no cell decides the order of day and month.
        example: a cell that Python's float() does not parse.

    """

    kind: Kind
    number_style: NumberStyle = NumberStyle(0, 0, {}, {})
    order: DateOrder = ""
    ambiguous_order: bool = False
    example: bytes = b""


def infer_column(column: AnyCells, kind: RequestedKind | None = None) -> InferredColumn:
    """Infer what a column holds from its own cells, and how; `kind` if the user named it."""
    if kind == "ignore":
        return InferredColumn("category")
    if kind in TEXT_KINDS:
        return InferredColumn(kind)
    if column.dtype != object:
        return InferredColumn(kind or ("time" if column.dtype.kind == "M" else "number"))
    plain = raw.numbers_of(column)
    unparsed = np.flatnonzero(~np.isfinite(plain))
    counts = raw.distinct_of(column, unparsed).counts() if len(unparsed) else Counter[bytes]()
    known = {c: n for c, n in counts.items() if not is_missing(c, NUMBER_WORDS)}
    of_plain = _plain_number_style(column)
    if kind:
        return _as_kind(kind, known, of_plain, plain)
    if not known:
        words = len(unparsed) == len(column) and not all(
            is_missing(cell, MISSING_WORDS | INFINITY_WORDS) for cell in counts
        )
        of_words: Kind = "category" if words else "number"
        return InferredColumn(of_words, of_plain, example=of_plain.example.encode())
    likely = _possible_kinds(known, len(column) - len(unparsed))
    if "time" in likely:
        times = {cell: time for cell in known if (time := parse_time(_text(cell)))}
        if _covers_column(times, known, 0) and _numbers_are_exceptions(
            plain, sum(known[cell] for cell in times)
        ):
            return _as_time_column({cell: (time, known[cell]) for cell, time in times.items()})
    if "number" in likely:
        return _as_number_column(
            _parse_numerals(known, len(column) - len(unparsed)), known, of_plain, plain
        )
    return InferredColumn("category")


def _as_kind(
    kind: Kind, known: Mapping[bytes, int], of_plain: NumberStyle, plain: np.ndarray
) -> InferredColumn:
    """Infer how the cells of a kind that the user named are written."""
    if kind == "number":
        numerals = {cell: numeral for cell in known if (numeral := parse_numeral(_text(cell)))}
        return _number_column(numerals, known, of_plain, plain)[0]
    times = {cell: (time, known[cell]) for cell in known if (time := parse_time(_text(cell)))}
    return _as_time_column(times) if times else InferredColumn(kind)


def _text(cell: bytes) -> str:
    return cell.decode("utf-8", "replace")


def _possible_kinds(known: Mapping[bytes, int], num_plain: int) -> set[Kind]:
    """Return the kinds that a column may have, except categories, from a sample of its cells."""
    sample = [
        _text(cell)
        for cell in [*known][:: -(-len(known) // NUM_SCREENED_CELLS)]
        if len(cell) < MAX_CELL_LENGTH
    ]
    min_count = 0.25 * min(len(known), NUM_SCREENED_CELLS)
    kinds: set[Kind] = set()
    if num_plain >= MIN_SHARE_BESIDE_WORDS * (num_plain + sum(known.values())):
        kinds.add("number")
    num_numerals = sum(parse_numeral(text) is not None for text in sample)
    if num_numerals >= min_count or (num_plain and num_numerals):
        kinds.add("number")
    if sum(parse_time(text) is not None for text in sample) >= min_count:
        kinds.add("time")
    return kinds


def _covers_column(read: Iterable[bytes], known: Mapping[bytes, int], num_plain: int) -> bool:
    count = num_plain + sum(known[cell] for cell in read)
    return count >= MIN_SHARE_OF_KIND * (num_plain + sum(known.values()))


def _numbers_are_exceptions(plain: np.ndarray, num_times: int) -> bool:
    """Whether plain numbers are exceptions in a column of times: few, or a code such as 0."""
    numbers = plain[np.isfinite(plain)]
    if len(numbers) <= (1 - MIN_SHARE_OF_KIND) * (len(numbers) + num_times):
        return True
    return len(numbers) <= num_times and len(np.unique(numbers)) <= MAX_WORDS_BESIDE_NUMBERS


def _as_time_column(times: Mapping[bytes, tuple[ParsedTime, int]]) -> InferredColumn:
    order = infer_order(times.values())
    ambiguous = [cell for cell, (time, _) in times.items() if time.mark]
    same = len(times) < 2
    example = next(iter(ambiguous or times))
    return InferredColumn(
        "time",
        order=order,
        ambiguous_order=bool(ambiguous) and not order and not same,
        example=example,
    )


def _parse_numerals(known: Mapping[bytes, int], num_plain: int) -> dict[bytes, Numeral]:
    """Parse the cells that are numbers, without bounds such as <5 if those are classes."""
    numerals = {cell: numeral for cell in known if (numeral := parse_numeral(_text(cell)))}
    bounds = sum(known[cell] for cell, numeral in numerals.items() if numeral.bound)
    if bounds > MAX_BOUND_SHARE * (num_plain + sum(known[cell] for cell in numerals)):
        return {cell: numeral for cell, numeral in numerals.items() if not numeral.bound}
    return numerals


def _as_number_column(
    numerals: Mapping[bytes, Numeral],
    known: Mapping[bytes, int],
    of_plain: NumberStyle,
    plain: np.ndarray,
) -> InferredColumn:
    """Return a column of numbers, or of categories if too many cells are no numbers of one unit."""
    inferred, read = _number_column(numerals, known, of_plain, plain)
    num_plain = int(np.isfinite(plain).sum())
    if not _covers_column(read, known, num_plain):
        numbers = len(np.unique(plain[np.isfinite(plain)])) + len(read)
        words = {cell: count for cell, count in known.items() if cell not in read}
        share = (num_plain + sum(known[cell] for cell in read)) / (num_plain + sum(known.values()))
        if share < MIN_SHARE_BESIDE_WORDS or not (
            _words_are_exceptions(words, numbers) or _words_are_remarks(words, numbers)
        ):
            return InferredColumn("category")
    return inferred


def _number_column(
    numerals: Mapping[bytes, Numeral],
    known: Mapping[bytes, int],
    of_plain: NumberStyle,
    plain: np.ndarray,
) -> tuple[InferredColumn, dict[bytes, Numeral]]:
    """Return a column of numbers, and its cells that are numbers of its unit."""
    num_plain = int(np.isfinite(plain).sum())
    own = number_style((numeral, known[cell]) for cell, numeral in numerals.items())
    units = Counter(own.units) + Counter({"": num_plain})
    unit = main_unit(units, MIN_SHARE_OF_KIND)
    read = {
        c: numeral
        for c, numeral in numerals.items()
        if unit_factor(numeral.unit, unit) == unit_factor(numeral.unit, unit)
    }
    style = NumberStyle(
        of_plain.decimal_points + own.decimal_points,
        own.decimal_commas,
        dict(Counter(of_plain.ambiguous) + Counter(own.ambiguous)),
        dict(units),
    )
    ambiguous = (
        c
        for c, numeral in read.items()
        if not proven_decimal_mark(numeral.digits) and {*".,"} & {*numeral.digits}
    )
    example = next(ambiguous, next(iter(read), of_plain.example.encode()))
    return InferredColumn("number", style, example=example), read


def _words_are_exceptions(words: Mapping[bytes, int], numbers: int) -> bool:
    return len(words) <= MAX_WORDS_BESIDE_NUMBERS and numbers >= max(
        MIN_DISTINCT_NUMBERS, MIN_NUMBERS_PER_WORD * len(words)
    )


def _words_are_remarks(words: Mapping[bytes, int], numbers: int) -> bool:
    """Whether words are remarks: texts without digits that rarely repeat."""
    plain = {cell: count for cell, count in words.items() if not DIGIT.search(cell)}
    rare = sum(count for count in plain.values() if count < MIN_CATEGORY_COUNT)
    return numbers >= MIN_DISTINCT_NUMBERS and rare >= MIN_SHARE_OF_KIND * sum(words.values())


def _plain_number_style(column: AnyCells) -> NumberStyle:
    """Return the style of the numbers that Python's float() parses.

    The first number that proves a decimal point decides, because checking a million takes long.
    """
    style = NumberStyle(0, 0, {}, {})
    if not raw.contains_text(column, b"."):
        return style
    for rows in (np.arange(min(len(column), NUM_SCREENED_CELLS)), None):
        counts = raw.distinct_of(column, rows).counts()
        pointed = [cell for cell in counts if b"." in cell and isfinite(raw.parse_float(cell))]
        if any(proven_decimal_mark(_digits(cell)) for cell in pointed):
            return style._replace(decimal_points=1)
    if not pointed:
        return style
    num_ambiguous = sum(counts[cell] for cell in pointed)
    return style._replace(ambiguous={".": num_ambiguous}, example=_digits(pointed[0]))


def _digits(cell: bytes) -> str:
    """Return the digits of a number without its sign and exponent."""
    return _text(cell).strip().lstrip("+-").lower().partition("e")[0]
