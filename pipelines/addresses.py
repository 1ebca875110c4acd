"""Parse data addresses such as csv:PATH.

This module does not import TensorFlow, so that a mistake is reported at once.
"""

import difflib
import os
from collections.abc import Collection, Sequence

from pipelines.examples import AddressError
from pipelines.files import expand_home
from pipelines.table_paths import is_pattern, kind_of_file, kind_of_files

ADDRESS_FORMS = {
    "embedded": "embedded",
    "tfds": "tfds:NAME",
    "tsv": "tsv:PATH",
    "parquet": "parquet:PATH",
    "feather": "feather:PATH",
    "jsonl": "jsonl:PATH",
    "xlsx": "xlsx:PATH",
    "csv": "csv:PATH",
    "folder": "folder:PATH",
    "npz": "npz:PATH",
}


def parse_address(address: str, kinds: Collection[str]) -> tuple[str, str]:
    """Split an address into its kind and its name or path.

    Raises AddressError if its kind is not one of `kinds`.
    """
    kind, _, name = address.partition(":")
    if kind in kinds and (name if kind != "embedded" else address == kind):
        return kind, name
    path_kind = _kind_of_path(address)
    if path_kind not in kinds:
        path_kind = kind_of_files(address)
    if path_kind in kinds:
        return path_kind, address
    *others, last = (repr(ADDRESS_FORMS[form]) for form in kinds)
    raise AddressError(
        f"Received the data address {address!r}{_path_kind_note(address)}; expected "
        f"{', '.join(others)} or {last}.{_hint(address, [*kinds])}"
    )


def _kind_of_path(path: str) -> str:
    """Return the kind of address that fits an existing file or folder; "" if it does not exist."""
    expanded = str(expand_home(path))
    if path and os.path.isdir(expanded):  # noqa: PTH112 - unlike pathlib, False for impossible paths
        return "folder"
    if not path or not os.path.exists(expanded):  # noqa: PTH110
        return ""
    return kind_of_file(path)


def _path_kind_note(address: str) -> str:
    if path_kind := _kind_of_path(address):
        return f", a {'folder' if path_kind == 'folder' else 'file'}"
    if is_pattern(address):
        return ", a pattern that no file matches, or files of several kinds"
    return ", which names no existing file or folder" * _may_be_path(address)


def _may_be_path(address: str) -> bool:
    return bool(address.strip()) and ":" not in address


def _hint(address: str, kinds: Sequence[str]) -> str:
    """Suggest the right kind for an existing path, or a similarly spelt address."""
    kind, _, name = address.partition(":")
    if (path_kind := _kind_of_path(name)) in kinds:
        return f" Did you mean '{path_kind}:{name}'?"
    if _kind_of_path(address) == "folder" and "csv" in kinds:
        return " A folder of tables holds files of one kind, such as .csv or .parquet."
    if _kind_of_path(address):
        return ""
    if is_pattern(address):
        return ""
    if _may_be_path(address):
        return _nearest_kind(address, kinds) or _nearest_path(address)
    filled = (
        ADDRESS_FORMS[form].replace("NAME", name or kind).replace("PATH", name or kind)
        for form in kinds
    )
    matches = difflib.get_close_matches(address, [*filled], 1, 0.5)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def _nearest_kind(word: str, kinds: Sequence[str]) -> str:
    """Suggest the kind of address that is spelt like a word, which is no name of a file."""
    if "." in word:
        return ""
    matches = difflib.get_close_matches(word, kinds, 1, 0.7)
    return f" Did you mean {ADDRESS_FORMS[matches[0]]!r}?" if matches else ""


def _nearest_path(path: str) -> str:
    """Suggest the file or folder beside a path that does not exist whose name is most alike."""
    folder, name = os.path.split(path.rstrip("/"))
    try:
        names = os.listdir(expand_home(folder or "."))  # noqa: PTH208 - of bytes that are no text too
    except (OSError, ValueError):
        return ""
    matches = [
        os.path.join(folder, match)  # noqa: PTH118
        for match in difflib.get_close_matches(name, names, 3, 0.7)
        if os.path.exists(expand_home(os.path.join(folder, match)))  # noqa: PTH110, PTH118 - a lost link
    ]
    return f" Did you mean {matches[0]!r}?" if matches else ""
