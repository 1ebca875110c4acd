"""Read tables as texts with classes."""

import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.examples import AddressError, DataError, Examples
from pipelines.inspection import Inspection, origins_of
from pipelines.split_columns import NO_SPLIT_COLUMNS, SplitColumns, SplitReader
from pipelines.splits import Source
from pipelines.tables.cells import CELLS_PER_BLOCK, AnyCells, Cells, num_bytes
from pipelines.tables.column_store import stored
from pipelines.tables.table import Table, Tables, listed
from pipelines.texts.classes import Classes, class_lists, single_classes
from pipelines.texts.phrases import find_containing_texts
from pipelines.texts.stored_texts import Texts, empty_of

# Default column names, tried in this order.
TEXTS = ("text", "sentence", "review", "comment", "message", "content", "body", "question", "title")
SEPARATOR = b" ||| "  # of the texts of several columns: as three words it ends all n-grams
TARGETS = ("label", "label-coarse", "intent", "target", "class", "category", "sentiment", "labels")


class Columns(NamedTuple):
    """Names of the text and the class column, "" for the default.

    `text` may name several columns, separated by commas, that are read as one text. With
    `multilabel` each cell of the class column lists any number of classes.
    """

    text: str = ""
    target: str = ""
    multilabel: bool = False


@dataclasses.dataclass(frozen=True)
class Reading:
    """The column of texts in training, which a table for `predict` needs too; "" is unknown.

    Several columns are separated by commas.
    """

    column: str = ""


def source(
    tables: Tables,
    columns: Columns,
    inspection: Inspection | None = None,
    split_columns: SplitColumns = NO_SPLIT_COLUMNS,
) -> Source:
    """Turn tables into examples of texts and class numbers, or 0 and 1 for each class.

    A TFDS feature that lists classes is multilabel without being requested. Rows without a known
    class are left out and counted in the notes. If the test split has no classes, as
    in GLUE, the validation split becomes the test split, and a part of train becomes validation.
    Raises DataError if there is no such column, or if it holds no classes.
    """
    split_columns = split_columns.found_in(tables.train, columns.target)
    requested = names_in(columns.text, tables.train)
    unnamed = {*split_columns.names} - {*requested, columns.target}
    text = text_column(tables.train.without(unnamed), columns)
    target = _target_column(tables.train.without(unnamed), columns, text)
    split_reader = SplitReader.of(split_columns, tables.train)
    parts = tables.each(lambda table: _part(table, text, target))
    are_listed = columns.multilabel or target not in tables.train.columns
    classes = (class_lists if are_listed else single_classes)(tables, target)
    count = len(classes.names)
    where = f"column{'s' * (len(names_in(text, tables.train)) > 1)} {text!r}"
    notes = [*tables.notes, f"text in {where}, {count} classes in {target!r}"]
    notes += classes.notes
    train, valid, test = (
        None if part is None else _examples(part, classes, name, notes, split_reader, inspection)
        for name, part in zip(("train", "validation", "test"), parts, strict=True)
    )
    if train is None:
        raise DataError(
            f"Received no row with a text in the column {text!r} and a class in {target!r}; "
            "expected some. Fill them in."
        )
    train = dataclasses.replace(train, groups=find_containing_texts(train.features))
    if test is None and tables.test is not None:
        valid, test = None, valid
        notes.append("the test split has no classes; " + _stand_in(test))
    reading, scheme = Reading(text), split_reader.scheme
    return Source(train, valid, test, classes.names, tuple(notes), reading, scheme)


def text_column(table: Table, columns: Columns) -> str:
    """Return the text column: the requested one, one with a default name, or the longest texts.

    Raises DataError if there is none.
    """
    texts = [name for name, column in table.columns.items() if column.dtype == object]
    requested = names_in(columns.text, table)
    if len(requested) > 1:
        _require_distinct_columns(requested, texts)
        return ",".join(requested)
    named = _find_column(texts, columns.text, TEXTS, "--text")
    if named:
        return named
    others = [name for name in texts if name != columns.target and name not in TARGETS]
    if not others:
        raise AddressError(
            f"Received the columns {listed(table.columns)}; expected one of texts. "
            "Name it with --text."
        )
    return max(others, key=lambda name: num_bytes(table.columns[name]))


def names_in(text: str, table: Table) -> list[str]:
    """Return the columns that a name of a text column stands for: itself, or a list of names."""
    if text in table.columns or "," not in text:
        return [text]
    return [name.strip() for name in text.split(",")]


def text_cells(table: Table, text: str) -> AnyCells:
    """Return the texts of a column, or those of several columns, joined by `SEPARATOR`.

    A row has no text if all of them are empty.
    """
    columns = [table.columns[name] for name in names_in(text, table)]
    if len(columns) == 1:
        return columns[0]
    parts = [
        (b"" if is_empty else cell for cell, is_empty in zip(column, empty_of(column), strict=True))
        for column in columns
    ]
    texts = (SEPARATOR.join(row) if any(row) else None for row in zip(*parts, strict=True))
    blocks = iter(lambda: [*itertools.islice(texts, CELLS_PER_BLOCK)], [])
    return Cells(stored(pa.array(block, pa.binary()) for block in blocks))


def _require_distinct_columns(requested: list[str], names: list[str]) -> None:
    unknown = next((name for name in requested if name not in names), None)
    if unknown is not None:
        raise AddressError(
            f"Received --text {','.join(requested)!r} with {unknown!r}; expected some of the "
            f"columns {listed(names)}."
        )
    if len({*requested}) < len(requested):
        raise AddressError(
            f"Received --text {','.join(requested)!r}, which names a column twice; expected each "
            "once. Leave one of them out."
        )


def _target_column(table: Table, columns: Columns, text: str) -> str:
    texts = names_in(text, table)
    others = [name for name in {**table.columns, **table.lists} if name not in texts]
    named = _find_column(others, columns.target, TARGETS, "--target")
    if named:
        return named
    if len(others) != 1:
        raise AddressError(
            f"Received the columns {listed(table.columns)}, none of them called "
            f"{', '.join(TARGETS[:-1])} or {TARGETS[-1]}; expected a column of classes. "
            "Name it with --target."
        )
    return others[0]


def _find_column(
    names: list[str], requested: str, default_names: tuple[str, ...], flag: str
) -> str:
    if requested and requested not in names:
        raise AddressError(
            f"Received {flag} {requested!r}; expected one of the columns {listed(names)}."
        )
    lower = {name.lower(): name for name in reversed(names)}
    return requested or next((lower[name] for name in default_names if name in lower), "")


class _Part(NamedTuple):
    texts: Texts
    empty: np.ndarray
    table: Table


def _part(table: Table, text: str, target: str) -> _Part:
    for name in (*names_in(text, table), target):
        if name not in table.columns and name not in table.lists:
            raise DataError(
                f"Received a split with the columns {listed(table.columns)}; expected the "
                f"column {name!r}, as in train."
            )
    texts = text_cells(table, text)
    return _Part(Texts.of(texts), empty_of(texts), table)


def _examples(
    part: _Part,
    classes: Classes,
    name: str,
    notes: list[str],
    split_reader: SplitReader,
    inspection: Inspection | None,
) -> Examples | None:
    """Return the rows with a text and a class; None if there are none."""
    targets, known = classes.targets(part.table)
    usable = np.flatnonzero(known & ~part.empty)
    num_unlabelled = int((~known).sum())
    if len(usable) and num_unlabelled:
        notes.append(f"{num_unlabelled} rows of {name} {classes.unknown} left out{classes.missing}")
    if not len(usable):
        return None
    if empty := int((part.empty & known).sum()):
        notes.append(f"{empty} rows of {name} without a text left out")
    origins = origins_of(inspection, part.table, usable)
    examples = Examples.of(part.texts.take(usable), targets[usable], origins)
    return split_reader.read(examples, part.table, usable)


def _stand_in(valid: Examples | None) -> str:
    if valid is None:
        return "a part of train is the test split"
    return "the validation split is the test split, and validation is cut from train"
