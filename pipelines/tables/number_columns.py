"""Infer how the numbers of a column are written, and whether it is a column of numbers."""

import re
from collections import Counter
from collections.abc import Mapping
from math import isfinite

import numpy as np

from pipelines.tables import cells as raw
from pipelines.tables.cells import AnyCells
from pipelines.tables.inferred_column import (
    MIN_SHARE_OF_KIND,
    NUM_SCREENED_CELLS,
    InferredColumn,
    covers_column,
    text_of,
)
from pipelines.tables.numerals import (
    NumberStyle,
    Numeral,
    number_style,
    parse_numeral,
    proven_decimal_mark,
)
from pipelines.tables.units import FRACTION, convert, is_convertible, is_share, main_unit

# A smaller share of numbers is enough if the other cells are a few distinct words, or remarks.
MIN_SHARE_BESIDE_WORDS = 0.5
MAX_WORDS_BESIDE_NUMBERS, MIN_NUMBERS_PER_WORD = 10, 4  # distinct words and numbers
MIN_DISTINCT_NUMBERS = 20  # in a column that also holds words
MIN_CATEGORY_COUNT = 4  # cells that a word needs to be a category
DIGIT = re.compile(rb"\d")
MAX_BOUND_SHARE = 0.2  # of the numbers may be bounds such as <5; if more are, they are classes


def parse_numerals(known: Mapping[bytes, int], num_plain: int) -> dict[bytes, Numeral]:
    """Parse the cells that are numbers, without bounds such as <5 if those are classes."""
    numerals = {cell: numeral for cell in known if (numeral := parse_numeral(text_of(cell)))}
    bounds = sum(known[cell] for cell, numeral in numerals.items() if numeral.bound)
    if bounds > MAX_BOUND_SHARE * (num_plain + sum(known[cell] for cell in numerals)):
        return {cell: numeral for cell, numeral in numerals.items() if not numeral.bound}
    return numerals


def as_number_column(
    numerals: Mapping[bytes, Numeral],
    known: Mapping[bytes, int],
    of_plain: NumberStyle,
    plain: np.ndarray,
) -> InferredColumn:
    """Return a column of numbers, or of categories if too many cells are no numbers of one unit."""
    inferred, read = number_column(numerals, known, of_plain, plain)
    num_plain = int(np.isfinite(plain).sum())
    if not covers_column(read, known, num_plain):
        numbers = len(np.unique(plain[np.isfinite(plain)])) + len(read)
        words = {cell: count for cell, count in known.items() if cell not in read}
        share = (num_plain + sum(known[cell] for cell in read)) / (num_plain + sum(known.values()))
        if share < MIN_SHARE_BESIDE_WORDS or not (
            _words_are_exceptions(words, numbers) or _words_are_remarks(words, numbers)
        ):
            return InferredColumn("category")
    return inferred


def number_column(
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
    read = {c: numeral for c, numeral in numerals.items() if is_convertible(numeral.unit, unit)}
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
    plain_unit = _unit_of_plain_shares(read, plain, unit)
    if plain_unit:
        example = next((cell for cell, numeral in read.items() if numeral.unit), example)
    return InferredColumn("number", style, example=example, plain_unit=plain_unit), read


def _unit_of_plain_shares(numerals: Mapping[bytes, Numeral], plain: np.ndarray, unit: str) -> str:
    """Return FRACTION if 0.02 beside 1 % means 2 %; "" if 2 beside 1 % does.

    Fractions are at most 1, and nearer to the percents if they are multiplied by 100.
    """
    if not is_share(unit):
        return ""
    without_unit = [abs(one.value(".")) for one in numerals.values() if not one.unit]
    numbers = np.concatenate([np.abs(plain[np.isfinite(plain)]), without_unit])
    shares = [abs(convert(one.value("."), one.unit, unit)) for one in numerals.values() if one.unit]
    if not (numbers > 0).any() or numbers.max() > 1:
        return ""
    factor = convert(1.0, FRACTION, unit)
    return FRACTION if np.median(numbers[numbers > 0]) * factor**0.5 < np.median(shares) else ""


def _words_are_exceptions(words: Mapping[bytes, int], numbers: int) -> bool:
    return len(words) <= MAX_WORDS_BESIDE_NUMBERS and numbers >= max(
        MIN_DISTINCT_NUMBERS, MIN_NUMBERS_PER_WORD * len(words)
    )


def _words_are_remarks(words: Mapping[bytes, int], numbers: int) -> bool:
    """Whether words are remarks: texts without digits that rarely repeat."""
    plain = {cell: count for cell, count in words.items() if not DIGIT.search(cell)}
    rare = sum(count for count in plain.values() if count < MIN_CATEGORY_COUNT)
    return numbers >= MIN_DISTINCT_NUMBERS and rare >= MIN_SHARE_OF_KIND * sum(words.values())


def plain_number_style(column: AnyCells) -> NumberStyle:
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
    return text_of(cell).strip().lstrip("+-").lower().partition("e")[0]
