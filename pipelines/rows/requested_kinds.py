"""The kinds of columns that the user names: --as zip=category,when=date, or a table of them."""

import csv
import difflib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from pipelines.examples import DataError
from pipelines.rows.column_kinds import describe_cells, parse_texts
from pipelines.rows.column_names import find_column
from pipelines.tables.booleans import truth_of
from pipelines.tables.cell_formats import CellFormat, parse_numbers, unparsable_rows
from pipelines.tables.cells import AnyCells, missing_of
from pipelines.tables.format_inference import InferredFormat, infer_formats
from pipelines.tables.inferred_column import RequestedKind
from pipelines.tables.kind_requests import (
    KINDS_WITH_DETAILS,
    KindRequest,
    details_of,
    parse_details,
)
from pipelines.tables.table import Table

# The user's word for each kind; date and time are found by the cells.
KIND_NAMES: dict[str, RequestedKind] = {
    "number": "number",
    "category": "category",
    "boolean": "boolean",
    "date": "time",
    "time": "clock",
    "duration": "duration",
    "text": "text",
    "list": "list",
    "ignore": "ignore",
}
EXAMPLE = "--as zip=category,when=date"
COLUMN, KIND, DETAILS = "column", "kind", "details"  # names in a table of columns
MAX_FILE_BYTES = 2**24
MAX_UNREADABLE_SHARE = 0.5  # of the known cells of a column whose kind the user names
FLAGS = "--as (or --columns)"
EXAMPLES = {
    "number": "12.5",
    "date": "2019-03-21",
    "time": "14:30",
    "duration": "1:23:45 or 90 min",
    "boolean": "yes and no",
}


def parse_kinds(text: str, flag: str = "--as") -> dict[str, KindRequest]:
    """Parse such as zip=category,when=date:dmy to a request by column name.

    A name that holds a comma stands in quotes, as in a CSV file. Raises DataError.
    """
    requests: dict[str, KindRequest] = {}
    for part in next(csv.reader([text], skipinitialspace=True), []):
        name, equals, kind = part.rpartition("=")
        if not equals or not name.strip():
            raise DataError(
                f"Received {flag} with {part!r}; expected COLUMN=KIND, such as {EXAMPLE}."
            )
        _add(requests, name.strip(), kind.split(":"), flag)
    return requests


def _add(requests: dict[str, KindRequest], name: str, words: Sequence[str], flag: str) -> None:
    kind, *details = [word.strip() for word in words]
    if name in requests:
        raise DataError(f"Received {flag} with the column {name!r} twice; expected it once.")
    if kind.lower() not in KIND_NAMES:
        matches = difflib.get_close_matches(kind.lower(), KIND_NAMES, 1)
        hint = f" Did you mean {matches[0]!r}?" if matches else ""
        raise DataError(
            f"Received {flag} with {name}={kind}; expected one of the kinds "
            f"{', '.join(KIND_NAMES)}.{hint}"
        )
    try:
        requests[name] = parse_details(KIND_NAMES[kind.lower()], details)
    except ValueError as error:
        raise DataError(f"Received {flag} with {name}={':'.join(words)}: {error}") from None


def with_file(text: str, path: str) -> str:
    """Return the kinds in a table of columns as a text for `parse_kinds`; `text` overrides them.

    Raises DataError for a file that cannot be read, or that is no table of columns.
    """
    lines = dict(_lines_of(path))
    for name, kind, details in lines.values():
        _add({}, name, [kind, *details.split()], f"--columns {path!r}")
    own = parse_kinds(text)
    kept = [
        f"{name}={':'.join([kind, *details.split()])}"
        for name, kind, details in lines.values()
        if name not in own
    ]
    output = io.StringIO()
    csv.writer(output, lineterminator="").writerow(kept)
    return ",".join(part for part in (output.getvalue(), text) if part)


def _lines_of(path: str) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Yield name, kind and details of each line of a table of columns, by its name."""
    rows = _read(path)
    if not rows or not {COLUMN, KIND} <= rows[0].keys():
        names = ", ".join(map(str, rows[0]))[:80] if rows else ""
        received = f"the columns {names}" if rows else "no line below the names"
        raise DataError(
            f"Received --columns {path!r} with {received}; expected {COLUMN}, {KIND} and "
            f"{DETAILS}, as in columns.csv of a run."
        )
    known = set[str]()
    for number, row in enumerate(rows, 2):
        name, kind, details = ((row.get(key) or "").strip() for key in (COLUMN, KIND, DETAILS))
        if not name and not kind:
            continue
        if not name or not kind or name in known:
            problem = "twice" if name in known else f"without a {KIND if name else COLUMN}"
            raise DataError(
                f"Received --columns {path!r} with line {number}, {name or kind!r} {problem}; "
                f"expected each column once, with a kind: {', '.join(KIND_NAMES)}."
            )
        known.add(name)
        # The user may have changed a kind and left the details of the former one.
        has_details = KIND_NAMES.get(kind.lower()) in KINDS_WITH_DETAILS
        yield name, (name, kind, details if has_details else "")


def _read(path: str) -> list[dict[str, str]]:
    try:
        with Path(path).expanduser().open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ValueError(f"it is larger than {MAX_FILE_BYTES:,} bytes")
        text = content.decode("utf-8-sig")
        # Spreadsheets of countries with decimal commas write semicolons.
        separator = max(",;\t", key=text.partition("\n")[0].count)
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        return [*reader]
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(
            f"Received --columns {path!r}, which cannot be read ({reason[:200]}); expected a table "
            f"in UTF-8 with the columns {COLUMN}, {KIND} and {DETAILS}."
        ) from error


def found_requests(
    requests: Mapping[str, KindRequest], names: Mapping[str, str], table: Table
) -> dict[str, KindRequest]:
    """Return requests by the names of a table. Raises AddressError if a column does not exist."""
    return {find_column(names.get(name, name), table, FLAGS): one for name, one in requests.items()}


def infer_as_requested(
    table: Table, requests: Mapping[str, KindRequest]
) -> dict[str, InferredFormat]:
    """Infer the format of each column.

    Raises DataError if most cells of a column cannot be read as the kind that the user names.
    """
    formats = infer_formats(table, requests)
    for name, request in requests.items():
        form, cells = formats[name].form, table.columns[name]
        if request.kind == "ignore" or (form.is_text and form.kind != "boolean"):
            continue
        unreadable = _unreadable_rows(cells, form)
        known = len(cells) - int(missing_of(cells, form.words).sum())
        if len(unreadable) > MAX_UNREADABLE_SHARE * known:
            word = next(word for word, kind in KIND_NAMES.items() if kind == request.kind)
            details = details_of(
                request.decimal or ".", request.unit, request.order, request.plain_unit
            )
            asked = ":".join([word, *details.split()])
            raise DataError(
                f"Received {FLAGS} {name}={asked}, but of {known:,} known cells "
                f"{describe_cells(table, name, unreadable)} no {word}; expected cells such as "
                f"{EXAMPLES[word]}. Correct the cells, or name another kind, such as category."
            )
    return formats


def _unreadable_rows(cells: AnyCells, form: CellFormat) -> np.ndarray:
    if form.kind != "boolean":
        return unparsable_rows(cells, parse_numbers(cells, form), form)
    texts = parse_texts(cells, form)
    return np.flatnonzero(texts.map(lambda text: bool(text) and truth_of(text) is None, "bool"))
