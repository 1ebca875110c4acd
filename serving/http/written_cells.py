"""Reads numbers that a client writes as cells of a table: "1 %", "2019-03-21", "1:23:45"."""

from collections.abc import Callable
from typing import Any

from inference.request_errors import invalid
from inference.servable import Servable, Signature

COLUMNS, NAME, FORMAT = "columns", "name", "format"  # keys of about.json
MAX_DAYS = 2_932_897  # from 1970 to the year 10,000


def read_cells(values: dict[str, Any], signature: Signature, servable: Servable) -> dict[str, Any]:
    """Replace texts by the values that training reads from such cells.

    Inputs without a cell format, and values that are no texts, stay as they are. Raises
    RequestError for a text that is neither a value nor a code for a missing one, and for a number
    of days after the year 9999, such as the seconds since 1970 of the training table.
    """
    columns = servable.about.get(COLUMNS)
    for column in filter(_is_object, columns if isinstance(columns, list) else ()):
        name, form = column.get(NAME), column.get(FORMAT)
        if not form or name not in signature.inputs:
            continue
        if form.get("kind") == "time":
            _require_days(name, values.get(name))
        if _has_text(values.get(name)):
            read = _reader(name, form)
            values = values | {name: _map_texts(values[name], read)}
    return values


def _require_days(name: str, value: Any) -> None:
    for one in value if type(value) is list else [value]:
        if type(one) in (int, float) and abs(one) >= MAX_DAYS:
            raise invalid(
                f"Input {name!r}: {one} is after the year 9999; expected a number of days since "
                f'1970, or a cell as in the training table as a text: "{one}"'
            )


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _has_text(value: Any) -> bool:
    return type(value) is str or (type(value) is list and any(type(one) is str for one in value))


def _map_texts(value: Any, read: Callable[[str], Any]) -> Any:
    if type(value) is list:
        return [_map_texts(one, read) if type(one) is str else one for one in value]
    return read(value)


def _reader(name: str, stored: dict[str, str]) -> Callable[[str], Any]:
    # Imported only for requests with texts: Arrow takes a moment.
    from pipelines.tables.cell_formats import CellFormat, parse_boolean, parse_cell
    from pipelines.tables.missing import is_missing

    form = CellFormat(**stored)  # type: ignore[arg-type]
    unit = f" ({form.measure})" * bool(form.measure)

    def read(text: str) -> Any:
        cell = text.encode("utf-8", "replace").strip()
        if form.is_text:
            return parse_boolean(cell, form).decode()
        value = parse_cell(cell, form)
        if value != value and not is_missing(cell, form.words):
            raise invalid(
                f"Input {name!r}: {text[:60]!r} cannot be read as a {form.noun}; expected a number"
                f"{unit}, or a cell as in the training table"
            )
        return value

    return read
