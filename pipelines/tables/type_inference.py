"""Infer from the cells of one column what it holds: numbers, times, booleans or categories."""

from collections import Counter
from collections.abc import Mapping

import numpy as np

from pipelines.tables import cells as raw
from pipelines.tables.booleans import boolean_texts
from pipelines.tables.cells import AnyCells
from pipelines.tables.durations import are_durations, parse_clock, parse_duration
from pipelines.tables.inferred_column import (
    MIN_SHARE_OF_KIND,
    NUM_SCREENED_CELLS,
    TEXT_KINDS,
    InferredColumn,
    Kind,
    covers_column,
    text_of,
)
from pipelines.tables.missing import INFINITY_WORDS, MISSING_WORDS, NUMBER_WORDS, is_missing
from pipelines.tables.number_columns import (
    MAX_WORDS_BESIDE_NUMBERS,
    MIN_SHARE_BESIDE_WORDS,
    as_number_column,
    number_column,
    parse_numerals,
    plain_number_style,
)
from pipelines.tables.numerals import NumberStyle, parse_numeral
from pipelines.tables.numeric_dates import numeric_form
from pipelines.tables.times import ParsedTime, infer_order, parse_time

MAX_CELL_LENGTH = 100  # bytes of a number or a time
MIN_SHARE_OF_SAMPLE = 0.25  # of a kind, before the whole column is parsed as this kind


def infer_column(column: AnyCells, kind: Kind | None = None) -> InferredColumn:
    """Infer what a column holds from its own cells, and how; `kind` if the user named it."""
    if kind in TEXT_KINDS or column.dtype != object:
        return _without_parsing(column, kind)
    plain = raw.numbers_of(column)
    unparsed = np.flatnonzero(~np.isfinite(plain))
    counts = raw.distinct_of(column, unparsed).counts() if len(unparsed) else Counter[bytes]()
    known = {c: n for c, n in counts.items() if not is_missing(c, NUMBER_WORDS)}
    of_plain = plain_number_style(column)
    if kind:
        return _as_kind(kind, known, of_plain, plain)
    if not known:
        words = len(unparsed) == len(column) and not all(
            is_missing(cell, MISSING_WORDS | INFINITY_WORDS) for cell in counts
        )
        of_words: Kind = "category" if words else "number"
        return InferredColumn(of_words, of_plain, example=of_plain.example.encode())
    if boolean := _booleans(counts, plain):
        return boolean
    likely = _possible_kinds(known, len(column) - len(unparsed))
    if column_of_times := _as_times(known, plain, likely):
        return column_of_times
    if "number" in likely:
        return as_number_column(
            parse_numerals(known, len(column) - len(unparsed)), known, of_plain, plain
        )
    return InferredColumn("category")


def _without_parsing(column: AnyCells, kind: Kind | None) -> InferredColumn:
    """Infer what a column of texts holds by the kind that the user named, or one by its type."""
    if kind == "boolean":
        is_text = column.dtype == object
        return _as_booleans(raw.distinct_of(column).counts() if is_text else {})
    if kind in ("time", "clock") and column.dtype.kind != "M":
        return InferredColumn("time", numeric_form=numeric_form(raw.numbers_of(column)))
    return InferredColumn(kind or ("time" if column.dtype.kind == "M" else "number"))


def _as_kind(
    kind: Kind, known: Mapping[bytes, int], of_plain: NumberStyle, plain: np.ndarray
) -> InferredColumn:
    """Infer how the cells of a kind that the user named are written."""
    if kind == "number":
        numerals = {cell: numeral for cell in known if (numeral := parse_numeral(text_of(cell)))}
        return number_column(numerals, known, of_plain, plain)[0]
    if kind == "duration":
        return _as_durations([cell for cell in known if parse_duration(text_of(cell))])
    clocks = [cell for cell in known if parse_clock(text_of(cell)) is not None]
    times = {cell: (time, known[cell]) for cell in known if (time := parse_time(text_of(cell)))}
    if np.isfinite(plain).sum() > sum(count for _, count in times.values()):
        return InferredColumn("time", numeric_form=numeric_form(plain))
    # A date and a time of day are both called date or time.
    if clocks and len(clocks) >= len(times):
        return InferredColumn("clock", example=clocks[0])
    return _as_time_column(times) if times else InferredColumn(kind)


def _booleans(counts: Mapping[bytes, int], plain: np.ndarray) -> InferredColumn | None:
    """Return a column of words such as yes and no, perhaps beside 0 and 1; None for others."""
    if len(counts) > NUM_SCREENED_CELLS:
        return None
    numbers = plain[np.isfinite(plain)]
    if not ((numbers == 0) | (numbers == 1)).all():
        return None
    plain_counts = {b"%d" % k: int((numbers == k).sum()) for k in (0, 1)}
    all_counts = {**counts, **{cell: count for cell, count in plain_counts.items() if count}}
    return _as_booleans(all_counts) if boolean_texts(all_counts) else None


def _as_booleans(counts: Mapping[bytes, int]) -> InferredColumn:
    no, yes = boolean_texts(counts) or ("0", "1")
    return InferredColumn("boolean", false=no, true=yes)


def _possible_kinds(known: Mapping[bytes, int], num_plain: int) -> set[Kind]:
    """Return the kinds that a column may have, except categories, from a sample of its cells."""
    sample = [
        text_of(cell)
        for cell in [*known][:: -(-len(known) // NUM_SCREENED_CELLS)]
        if len(cell) < MAX_CELL_LENGTH
    ]
    min_count = MIN_SHARE_OF_SAMPLE * min(len(known), NUM_SCREENED_CELLS)
    kinds: set[Kind] = set()
    if num_plain >= MIN_SHARE_BESIDE_WORDS * (num_plain + sum(known.values())):
        kinds.add("number")
    num_numerals = sum(parse_numeral(text) is not None for text in sample)
    if num_numerals >= min_count or (num_plain and num_numerals):
        kinds.add("number")
    if sum(parse_time(text) is not None for text in sample) >= min_count:
        kinds.add("time")
    if sum(parse_clock(text) is not None for text in sample) >= min_count:
        kinds.add("clock")
    if sum(parse_duration(text) is not None for text in sample) >= min_count:
        kinds.add("duration")
    return kinds


def _as_times(
    known: Mapping[bytes, int], plain: np.ndarray, likely: set[Kind]
) -> InferredColumn | None:
    """Return a column of lengths of time, times of day or dates; None for others."""

    def cover(read: Mapping[bytes, object]) -> bool:
        return covers_column(read, known, 0) and _numbers_are_exceptions(
            plain, sum(known[cell] for cell in read)
        )

    if "duration" in likely:
        durations = {cell: one for cell in known if (one := parse_duration(text_of(cell)))}
        if cover(durations) and are_durations(map(text_of, durations), durations.values()):
            return _as_durations([*durations])
    if "clock" in likely:
        clocks = {c: hours for c in known if (hours := parse_clock(text_of(c))) is not None}
        if cover(clocks):
            return InferredColumn("clock", example=next(iter(clocks)))
    if "time" in likely:
        times = {cell: time for cell in known if (time := parse_time(text_of(cell)))}
        if cover(times):
            return _as_time_column({cell: (time, known[cell]) for cell, time in times.items()})
    return None


def _as_durations(cells: list[bytes]) -> InferredColumn:
    # The meaning of 12:30 is the least certain.
    two = [cell for cell in cells if (one := parse_duration(text_of(cell))) and one.parts == 2]
    return InferredColumn("duration", example=next(iter(two or cells), b""))


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
