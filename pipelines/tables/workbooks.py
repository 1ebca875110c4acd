"""Read the first sheet of an Excel workbook."""

import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.examples import DataError


def read(path: Path) -> pa.Table:
    """Read the rows of the first sheet, whose first row with a cell names the columns.

    A column of several types becomes texts. Raises DataError without openpyxl, and ValueError for
    a file that is no workbook.
    """
    rows = [row for row in _rows(path) if any(cell is not None for cell in row)]
    if not rows:
        return pa.table({})
    header, *others = rows
    names = ["" if name is None else str(name) for name in header]
    columns = [_column(cells) for cells in zip(*others, strict=True)]
    return pa.table(columns or [pa.nulls(0)] * len(names), names=names)


def _rows(path: Path) -> list[tuple[Any, ...]]:
    try:
        import openpyxl
    except ImportError as error:
        raise DataError(
            f"Received {path.name!r}, an Excel workbook; expected the package openpyxl. Install "
            "it: pip install 'athanor[excel]', or save the sheet as CSV."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles and checks of the workbook
        try:
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        except Exception as error:  # openpyxl raises errors of zip, XML and its own
            raise ValueError(f"{type(error).__name__}: {error}") from error
        try:
            return list(book.worksheets[0].iter_rows(values_only=True))
        finally:
            book.close()


def _column(cells: tuple[Any, ...]) -> pa.Array:
    try:
        return pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if cell is None else str(cell) for cell in cells])
