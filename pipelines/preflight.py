"""Check a data address before TensorFlow is loaded, which takes seconds."""

import contextlib
from collections.abc import Collection, Mapping

from pipelines import addresses
from pipelines.examples import AddressError
from pipelines.files import expand_home
from pipelines.ids import columns as pair_columns
from pipelines.images import class_folders, path_columns
from pipelines.rows import column_names, requested_kinds
from pipelines.split_columns import SplitColumns
from pipelines.table_paths import TABLE_KINDS, files_of
from pipelines.tables import table_files
from pipelines.tables.table import Table


def check_address(address: str, kinds: Collection[str], columns: Mapping[str, str]) -> None:
    """Raise AddressError for an address, a file, a folder or a column that does not exist.

    Args:
        address: as of --data or --test.
        kinds: the kinds of addresses that the app reads.
        columns: column names by their flags; --drop may name several. Empty if the file is not a
            table, or if the columns are those of another file.

    """
    kind, name = addresses.parse_address(address, kinds)
    if _is_pipe(name):  # reading it would consume it
        return
    if kind == "folder":
        class_folders.require_directory(expand_home(name))
    elif kind in TABLE_KINDS and columns:
        _require_columns(kind, name, columns)
    elif kind == "npz" or kind in TABLE_KINDS:
        for file in files_of(kind, name):
            _require_file(kind, file)


def _is_pipe(name: str) -> bool:
    with contextlib.suppress(OSError, ValueError):  # no such path, or not a valid one
        return expand_home(name).is_fifo()
    return False


def _require_file(kind: str, name: str) -> None:
    try:
        with expand_home(name).open("rb"):
            return
    except OSError as error:
        raise AddressError(
            f"Received {kind}:{name}, which cannot be read ({error.strerror}); expected a file. "
            "Check the path."
        ) from error


def _require_columns(kind: str, name: str, columns: Mapping[str, str]) -> None:
    missing: AddressError | None = None
    for table in table_files.headers(kind, name):
        try:
            _require_named(table, columns)
        except AddressError as error:
            missing = error
        else:
            return
    if missing:
        raise missing


def _require_named(table: Table, columns: Mapping[str, str]) -> None:
    if "--user" in columns:  # columns with default names
        pair_names = pair_columns.Columns(**{flag[2:]: name for flag, name in columns.items()})
        for kind in pair_columns.KINDS:
            pair_columns.find_column(table, pair_names, kind)
        return
    if "--image" in columns:
        path_columns.find_columns(
            table, path_columns.PathColumns(columns["--image"], columns["--target"])
        )
        return
    SplitColumns(columns.get("--group", ""), columns.get("--by-time", ""))  # at most one of them
    # Only an app that has --beside may have several targets.
    list_flags = {"--drop", "--beside", *(["--target"] if "--beside" in columns else [])}
    list_flags |= {"--text"} if columns.get("--text") not in table.columns else set()
    requested = [
        (flag, name)
        for flag, names in columns.items()
        for name in (names.split(",") if flag in list_flags else [names])
        if name.strip() and flag != "--as"
    ]
    kinds = requested_kinds.parse_kinds(columns.get("--as", ""))
    requested += [(requested_kinds.FLAGS, name) for name in kinds]
    column_names.require_columns(table, requested)
