"""Read tables as interactions of users and items, with ratings and times."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from pipelines.examples import AddressError, DataError, Examples
from pipelines.ids.columns import KINDS, Columns, find_column
from pipelines.ids.repeated_pairs import NOTES, Repeats, distinct_pairs
from pipelines.ids.splitting import Split, choose_scheme
from pipelines.inspection import Inspection, origins_of
from pipelines.splits import Source, Splits, split_source
from pipelines.tables.cell_formats import CellFormat, parse_numbers
from pipelines.tables.format_inference import InferredFormat, infer_format, infer_formats
from pipelines.tables.identifiers import read_identifiers
from pipelines.tables.table import Table, Tables, listed
from pipelines.tables.timelines import Timeline, parse_timeline

REMEDY = "Name another column with --time, or use --split random."


class Interactions(NamedTuple):
    """The interactions of one table.

    Attributes:
        examples: pairs of user and item with their rating.
        times: the time of each pair; None if unknown.
        notes: lines for the user about what reading left out.
        timeline: how the times were read.

    """

    examples: Examples
    times: np.ndarray | None
    notes: tuple[str, ...]
    timeline: Timeline | None = None


def splits(
    tables: Tables,
    columns: Columns,
    split: Split,
    inspection: Inspection | None = None,
    repeats: Repeats = "last",
) -> Splits:
    """Read interactions and split them: features {user, item} of UTF-8 bytes, float32 ratings.

    Without a rating column every target is 1. Rows without a user, an item or a finite rating are
    left out. Of repeated pairs only the last by time, or else by row, is kept, with its rating or
    the mean or sum of all. See `splitting.choose_scheme` for the split.
    Raises DataError if a column is missing or no row is left.
    """
    names = Columns(**{kind: find_column(tables.train, columns, kind) for kind in KINDS})
    numeric = {name: tables.train.columns[name] for name in (names.rating, names.time) if name}
    formats = infer_formats(dataclasses.replace(tables.train, columns=numeric))
    train = read_interactions(tables.train, names, formats, inspection, repeats)
    valid, test = (
        None
        if part is None
        else read_interactions(part, names, formats, inspection, repeats).examples
        for part in (tables.valid, tables.test)
    )
    if train.timeline and split != "random" and test is None:
        train.timeline.require(f"--time {names.time}", REMEDY)
    notes = [*tables.notes, *train.notes]
    if not names.rating:
        notes.append("no rating column: every pair counts as a positive interaction")
    if not names.time and test is None:
        notes += _without_times(tables.train, names, split)
    source = Source(train.examples.hashed(), valid, test, notes=tuple(notes))
    scheme = choose_scheme(split, source.train, train.times, names.time, official=test is not None)
    return dataclasses.replace(split_source(source, scheme), noise_floor=tables.noise_floor)


def read_interactions(
    table: Table,
    columns: Columns,
    formats: Mapping[str, InferredFormat] | None = None,
    inspection: Inspection | None = None,
    repeats: Repeats = "last",
) -> Interactions:
    """Read the usable pairs of a table, each once. Raises DataError if there is none.

    `formats` are the formats of the rating and time columns in the training table, if the table
    is another one.
    """
    formats = formats or {}
    for name in filter(None, dataclasses.astuple(columns)):
        if name not in table.columns:
            raise DataError(
                f"Received test data with the columns {listed(table.columns)}; expected "
                f"{name!r} too, as in training."
            )
    users, items = (read_ids(table, name) for name in (columns.user, columns.item))
    ratings = np.ones(len(table), "float32")
    if columns.rating:
        with np.errstate(over="ignore"):  # ratings beyond float32 become infinite
            ratings = parse_ratings(table, columns.rating, formats).astype("float32")
    named = (users != b"") & (items != b"")
    rows = np.flatnonzero(named & np.isfinite(ratings))
    timeline = (
        parse_timeline(table.columns[columns.time], formats.get(columns.time))
        if columns.time
        else None
    )
    # Unknown times count as the oldest.
    times_known = timeline is not None and not timeline.problem
    times = (
        np.where(np.isnan(timeline.times), -np.inf, timeline.times)
        if timeline and times_known
        else None
    )
    rule: Repeats = repeats if columns.rating else "last"
    usable, combined = distinct_pairs(users, items, ratings, times, rows, rule)
    if not len(usable):
        raise DataError(
            f"Received {len(table)} rows, none with a user ({columns.user}), an item "
            f"({columns.item}) and a rating that is a number ({columns.rating or 'none'}); "
            "expected some. Check --user, --item and --rating."
        )
    counts = {
        "rows without a user or an item left out": int((~named).sum()),
        "rows left out whose rating is not a number": int((named & ~np.isfinite(ratings)).sum()),
        NOTES[rule]: len(rows) - len(usable),
    }
    notes = tuple(f"{count} {text}" for text, count in counts.items() if count)
    if timeline and not timeline.problem:
        notes += _time_notes(columns.time, timeline, usable)
    features = {"user": users[usable], "item": items[usable]}
    times = None if times is None else times[usable]
    examples = Examples.of(features, combined, origins_of(inspection, table, usable))
    examples = dataclasses.replace(examples, times=times)
    return Interactions(examples, times, notes, timeline)


def _without_times(table: Table, names: Columns, split: Split) -> Iterator[str]:
    """Yield a note on the columns that may hold times, of which none has a usual name.

    Raises AddressError if the split needs times.
    """
    others = [name for name in table.columns if name not in dataclasses.astuple(names)]
    if split in ("time", "user_time"):
        raise AddressError(
            f"Received --split {split} without a column of times; expected one of the columns "
            f"{listed(table.columns)}. Name it with --time COLUMN, or use --split random."
        )
    if split == "auto" and others:
        which = "the column" if len(others) == 1 else "one of the columns"
        yield (
            f"no time column, so the newest pairs are unknown; if {which} {listed(others)} holds "
            "times, name it with --time"
        )


def _time_notes(column: str, timeline: Timeline, usable: np.ndarray) -> tuple[str, ...]:
    """Return a note on how the times of the usable rows were read, if there is anything to say."""
    unknown = int(np.isnan(timeline.times[usable]).sum())
    if not timeline.description and not unknown:
        return ()
    lost = f"; {unknown} that cannot be read count as the oldest" * bool(unknown)
    return (f"time {column}: {timeline.description or 'numbers in their own order'}{lost}",)


def parse_ratings(
    table: Table, name: str, formats: Mapping[str, InferredFormat] | None = None
) -> np.ndarray:
    """Parse ratings to float64; NaN for cells that are not numbers."""
    column = table.columns[name]
    form = ((formats or {}).get(name) or infer_format(column)).form
    return parse_numbers(column, form if form.kind == "number" else CellFormat("number"))


def read_ids(table: Table, name: str) -> np.ndarray:
    """Read ids as UTF-8 bytes, b"" for missing ones."""
    return read_identifiers(table, name).cells()
