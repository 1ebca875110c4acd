"""Infer the format of each column of a table, so that its cells can be read."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pipelines.tables.cell_formats import HOURS, CellFormat, describe_value, parse_cell
from pipelines.tables.cells import AnyCells, map_columns
from pipelines.tables.durations import parse_duration
from pipelines.tables.inferred_column import MIN_SHARE_OF_KIND, InferredColumn, text_of
from pipelines.tables.kind_requests import NO_REQUESTS, KindRequest
from pipelines.tables.numerals import DecimalMark, choose_decimal_mark
from pipelines.tables.table import Table
from pipelines.tables.times import DateOrder
from pipelines.tables.type_inference import infer_column
from pipelines.tables.units import FRACTION, convert, main_unit


class InferredFormat(NamedTuple):
    """The inferred format of a column.

    Attributes:
        form: how its cells are read.
        explanation: for the user, an example of a cell and its value; "" if that is obvious.
        ambiguous_order: whether nothing decides the order of day and month.

    """

    form: CellFormat
    explanation: str = ""
    ambiguous_order: bool = False


def infer_formats(
    table: Table, requests: Mapping[str, KindRequest] = NO_REQUESTS
) -> dict[str, InferredFormat]:
    """Infer the format of each column of a table, except for what the user requests."""
    # One to ignore is no feature, but may order the rows or weigh them.
    kinds = {name: one.kind for name, one in requests.items() if one.kind != "ignore"}
    unlabelled = [name for name in table.columns if name not in table.labels]
    columns = map_columns(
        infer_column, (table.columns[name] for name in unlabelled), map(kinds.get, unlabelled)
    )
    inferred = dict.fromkeys(table.columns, InferredColumn("category"))
    inferred.update(zip(unlabelled, columns, strict=True))
    num_proven = Counter(column.number_style.decimal_mark for column in inferred.values())
    decimal_mark: DecimalMark | None = "." if num_proven["."] > num_proven[","] else ","
    decimal_mark = None if num_proven["."] == num_proven[","] else decimal_mark
    orders = {column.order for column in inferred.values()} - {""}
    order: DateOrder = orders.pop() if len(orders) == 1 else ""
    return {
        name: _format_of(column, decimal_mark, order, table.separator, requests.get(name))
        for name, column in inferred.items()
    }


def infer_format(column: AnyCells, request: KindRequest | None = None) -> InferredFormat:
    """Infer the format of a single column."""
    return infer_formats(Table({"": column}), {"": request} if request else NO_REQUESTS)[""]


def _format_of(
    column: InferredColumn,
    decimal_mark: DecimalMark | None,
    order: DateOrder,
    separator: str,
    request: KindRequest | None,
) -> InferredFormat:
    if column.kind == "time":
        order = (request and request.order) or column.order or order
        form = CellFormat(
            "time",
            unit=(request and request.unit) or column.numeric_form,
            order=order or ("mdy" if column.ambiguous_order else ""),
        )
        undecided = column.ambiguous_order and not order
        return InferredFormat(
            form, _explain(column.example, form, "no cell proves the order" * undecided), undecided
        )
    if column.kind == "duration":
        form = CellFormat("duration", unit=(request and request.unit) or "")
        return InferredFormat(form, _explain(column.example, form, _doubt(column.example, form)))
    if column.kind == "clock":
        form = CellFormat("clock")
        return InferredFormat(form, _explain(column.example, form, ""))
    if column.kind != "number":
        return InferredFormat(CellFormat(column.kind, false=column.false, true=column.true))
    unit = main_unit(column.number_style.units, MIN_SHARE_OF_KIND)
    decimal, reason = choose_decimal_mark(column.number_style, decimal_mark, separator, unit)
    if request and request.decimal:
        decimal, reason = request.decimal, ""
    form = CellFormat(
        "number",
        decimal,
        (request and request.unit) or unit,
        plain_unit=(request and request.plain_unit) or column.plain_unit,
    )
    if form.plain_unit:
        reason = f"numbers without {form.unit} are fractions: 0.02 is {_shown_share(form.unit)}"
    return InferredFormat(form, _explain(column.example, form, reason))


def _doubt(example: bytes, form: CellFormat) -> str:
    """Return how a duration of two parts was taken; "" for other ones."""
    duration = parse_duration(text_of(example))
    if duration is None or duration.parts != 2:
        return ""
    return "hours and minutes" if form.unit == HOURS else "minutes and seconds"


def _shown_share(unit: str) -> str:
    return f"{convert(0.02, FRACTION, unit):.15g} {unit}"


def _explain(example: bytes, form: CellFormat, reason: str) -> str:
    if not example:
        return ""
    value = parse_cell(example, form)
    if np.isnan(value):
        return ""
    shown = describe_value(value, form)
    return f"{example.decode('utf-8', 'replace')!r} read as {shown}" + f" ({reason})" * bool(reason)
