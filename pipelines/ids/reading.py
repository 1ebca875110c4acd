"""Who met what: tables become examples of users and items."""

import dataclasses
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipelines.examples import DataError, Examples
from pipelines.ids.columns import KINDS, Columns, find_column
from pipelines.ids.splitting import Split, choose_scheme
from pipelines.ids.timelines import Timeline, parse_timeline
from pipelines.inspection import Inspection, origins_of
from pipelines.labels import cells_as_bytes
from pipelines.splits import Source, Splits, split_source
from pipelines.tables.cell_formats import (
    CellFormat,
    InferredFormat,
    infer_format,
    infer_formats,
    parse_numbers,
)
from pipelines.tables.cells import missing_of
from pipelines.tables.missing import ID_WORDS
from pipelines.tables.table import Table, Tables, listed

WHOLE = re.compile(rb"(\d+)(?:\.0+)?")


class Met(NamedTuple):
    """Examples of one table, the time of each where it is known, and what reading left out.

    `line` is how the times were read.
    """

    examples: Examples
    times: np.ndarray | None
    notes: tuple[str, ...]
    line: Timeline | None = None


def splits(
    tables: Tables, columns: Columns, split: Split, inspection: Inspection | None = None
) -> Splits:
    """Features {user, item} of UTF-8 bytes and float32 ratings, cut into splits.

    Without a column of ratings every target is 1. Rows without a user, an item
    or a finite rating are left out; of a pair that is there repeatedly the last
    by time, else by row, is kept. How test and validation pairs are chosen is
    told in `pairs.choose`. The notes tell what was done.
    Raises DataError where a column is missing or nothing is left.
    """
    names = Columns(**{kind: find_column(tables.train, columns, kind) for kind in KINDS})
    some = {name: tables.train.columns[name] for name in (names.rating, names.time) if name}
    found_in = infer_formats(dataclasses.replace(tables.train, columns=some))
    train = met(tables.train, names, found_in, inspection)
    valid, test = (
        None if part is None else met(part, names, found_in, inspection).examples
        for part in (tables.valid, tables.test)
    )
    if train.line and split != "random" and test is None:
        train.line.require(f"--time {names.time}")
    notes = [*tables.notes, *train.notes]
    if not names.rating:
        notes.append("no column of ratings: a pair counts as met, whatever was thought of it")
    source = Source(train.examples.hashed(), valid, test, notes=tuple(notes))
    scheme = choose_scheme(split, source.train, train.times, names.time, official=test is not None)
    return dataclasses.replace(split_source(source, scheme), noise_floor=tables.noise_floor)


def met(
    table: Table,
    columns: Columns,
    found_in: Mapping[str, InferredFormat] | None = None,
    inspection: Inspection | None = None,
) -> Met:
    """The usable pairs of a table, each once. Raises DataError where there is none.

    `found_in` is what the columns of ratings and times are in the training table, if this is
    another.
    """
    found_in = found_in or {}
    for name in filter(None, dataclasses.astuple(columns)):
        if name not in table.columns:
            raise DataError(
                f"Received test data with the columns {listed(table.columns)}; expected "
                f"{name!r} too, as in training."
            )
    users, items = (names_of(table, name) for name in (columns.user, columns.item))
    ratings = np.ones(len(table), "float32")
    if columns.rating:
        with np.errstate(over="ignore"):  # beyond float32 is no finite rating
            ratings = rated(table, columns.rating, found_in).astype("float32")
    named = (users != b"") & (items != b"")
    rows = np.flatnonzero(named & np.isfinite(ratings))
    line = (
        parse_timeline(table.columns[columns.time], found_in.get(columns.time))
        if columns.time
        else None
    )
    # Unknown times are the oldest.
    known = line is not None and not line.problem
    times = np.where(np.isnan(line.times), -np.inf, line.times) if line and known else None
    kept = _last(users, items, rows, times)
    if not len(kept):
        raise DataError(
            f"Received {len(table)} rows, none with a user ({columns.user}), an item "
            f"({columns.item}) and a rating that is a number ({columns.rating or 'none'}); "
            "expected some. Check --user, --item and --rating."
        )
    counts = {
        "rows without a user or an item left out": int((~named).sum()),
        "rows whose rating is no number left out": int((named & ~np.isfinite(ratings)).sum()),
        "repeated pairs left out, of each the last kept": len(rows) - len(kept),
    }
    notes = tuple(f"{count} {what}" for what, count in counts.items() if count)
    if line and not line.problem and (line.description or np.isnan(line.times[kept]).any()):
        unknown = int(np.isnan(line.times[kept]).sum())
        lost = f"; {unknown} that cannot be read count as the oldest" * bool(unknown)
        notes += (f"time {columns.time}: {line.description or 'numbers in their own order'}{lost}",)
    features = {"user": users[kept], "item": items[kept]}
    examples = Examples.of(features, ratings[kept], origins_of(inspection, table, kept))
    return Met(examples, None if times is None else times[kept], notes, line)


def rated(
    table: Table, name: str, found_in: Mapping[str, InferredFormat] | None = None
) -> np.ndarray:
    """Ratings as float64; NaN where a cell is none."""
    column = table.columns[name]
    form = ((found_in or {}).get(name) or infer_format(column)).form
    return parse_numbers(column, form if form.kind == "number" else CellFormat("number"))


def names_of(table: Table, name: str) -> np.ndarray:
    """Ids as UTF-8 bytes; class numbers by their names, 7.0 as 7; b"" for NULL and the like."""
    column, labels = table.columns[name], table.labels.get(name)
    if column.dtype == object:
        found = np.array(column, object)
        found[missing_of(column, ID_WORDS)] = b""
        return _whole(found)
    texts = [labels[number].encode() for number in column] if labels else cells_as_bytes(column)
    return np.array([*texts, None], dtype=object)[:-1]


def _whole(ids: np.ndarray) -> np.ndarray:
    """Ids 7.0 as 7 where all are whole numbers: programs write so beside a missing one."""
    known = {one: WHOLE.fullmatch(one) for one in set(ids.tolist()) - {b""}}
    if not known or not all(known.values()):
        return ids
    short = {one: found[1] for one, found in known.items() if found}
    return np.array([*(short.get(one, one) for one in ids), None], object)[:-1]


def _last(
    users: np.ndarray, items: np.ndarray, rows: np.ndarray, times: np.ndarray | None
) -> np.ndarray:
    """Of each pair among these rows the last, in the order of the rows."""
    ordered = rows if times is None else rows[np.argsort(times[rows], kind="stable")]
    last = {(users[row], items[row]): row for row in ordered}
    return np.sort(np.fromiter(last.values(), int, len(last)))


def vocabulary(column: np.ndarray) -> np.ndarray:
    """The distinct ids in the order of their bytes."""
    return np.array(sorted(set(column)), dtype=object)


def numbered(known: np.ndarray, column: np.ndarray) -> np.ndarray:
    """The number of each id, from 1; 0 for unknown ones."""
    numbers = {name: number for number, name in enumerate(known, 1)}
    return np.array([numbers.get(name, 0) for name in column], "int32")


def encoded(name: str) -> bytes:
    """The bytes of an id."""
    return name.encode("utf-8", "surrogateescape")
