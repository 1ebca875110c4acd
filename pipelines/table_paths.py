"""Find the files of a table: one file, those of a directory, or those that match a pattern.

This module does not import Arrow, so that a wrong path is reported at once.
"""

import glob
import os
from pathlib import Path

from pipelines.examples import AddressError
from pipelines.files import expand_home

TEXT_SUFFIXES = {".txt", ".dat", ".data"}  # of tables, but often of other files in a directory
KINDS = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".psv", *TEXT_SUFFIXES), "csv"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".feather", ".arrow", ".ipc"), "feather"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    ".xlsx": "xlsx",
}
TABLE_KINDS = ("parquet", "feather", "jsonl", "xlsx", "tsv", "csv")
COMPRESSION_SUFFIXES = {".gz", ".zst", ".bz2", ".xz"}
PATTERN_CHARACTERS = {*"*?["}


def suffix_of(name: str) -> str:
    """Return the suffix of a file in lower case; of a compressed file that of its content."""
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix in COMPRESSION_SUFFIXES else path.suffix


def kind_of_file(name: str) -> str:
    """Return the kind of address that fits the suffix of a file; by default a CSV file."""
    return "npz" if suffix_of(name) == ".npz" else KINDS.get(suffix_of(name), "csv")


def kind_of_files(name: str) -> str:
    """Return the kind of table in a directory, or of the files that match a pattern.

    It is "" if there is none, or if the files are of several kinds.
    """
    if os.path.isdir(expand_home(name)):  # noqa: PTH112 - unlike pathlib, False for impossible paths
        kinds = {KINDS[suffix_of(file)] for file in _table_files(name)}
    else:
        kinds = {kind_of_file(file) for file in _matches(name)}
    return kinds.pop() if len(kinds) == 1 else ""


def is_pattern(name: str) -> bool:
    """Whether a path is a pattern for the names of files."""
    return bool(PATTERN_CHARACTERS & {*name})


def files_of(kind: str, name: str) -> list[str]:
    """Return the files of the table at an address. Raises AddressError if there is none."""
    path = expand_home(name)
    if path.is_dir():
        files = [file for file in _table_files(name) if KINDS[suffix_of(file)] == kind]
        if kind == "tsv":
            files = [file for file in _table_files(name) if suffix_of(file) in (".tsv", ".tab")]
        received = "a directory without such files"
    elif is_pattern(name) and not os.path.lexists(path):
        files, received = _matches(name), "a pattern that no file matches"
    else:
        return [name]
    if not files:
        raise AddressError(
            f"Received {kind}:{name}, {received}; expected at least one file. Check the path."
        )
    return files


def _table_files(folder: str) -> list[str]:
    """Return the files of a directory that hold tables by their suffix, but no hidden ones."""
    try:
        paths = [*expand_home(folder).iterdir()]
    except OSError as error:
        raise AddressError(
            f"Received {folder!r}, which cannot be read ({error.strerror}); expected a directory "
            "of tables."
        ) from error
    return sorted(
        str(path)
        for path in paths
        if suffix_of(path.name) in KINDS.keys() - TEXT_SUFFIXES
        and not path.name.startswith((".", "_"))
        and path.is_file()
    )


def _matches(pattern: str) -> list[str]:
    if not is_pattern(pattern):
        return []
    try:
        found = glob.glob(str(expand_home(pattern)), recursive=True)  # noqa: PTH207 - absolute too
    except ValueError:  # a NUL character
        return []
    return sorted(file for file in found if Path(file).is_file())
