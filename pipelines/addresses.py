"""Parse data addresses such as csv:PATH, and refuse what is not one.

This module does not import TensorFlow, so that a mistake is reported at once.
"""

import difflib
import os
from collections.abc import Collection, Sequence

from pipelines.examples import AddressError
from pipelines.files import expand_home, looks_like_path

ADDRESS_FORMS = {
    "embedded": "embedded",
    "tfds": "tfds:NAME",
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
    if (kind_there := _kind_of_path(address)) in kinds:
        return kind_there, address
    *others, last = (repr(ADDRESS_FORMS[form]) for form in kinds)
    raise AddressError(
        f"Received the data address {address!r}{_path_kind_note(address)}; expected "
        f"{', '.join(others)} or {last}.{_hint(address, [*kinds])}"
    )


def _kind_of_path(path: str) -> str:
    """Return the kind of address that fits an existing file or folder; "" if it does not exist."""
    place = str(expand_home(path))
    if path and os.path.isdir(place):  # noqa: PTH112 - false too where there can be no such path
        return "folder"
    if not path or not os.path.exists(place):  # noqa: PTH110
        return ""
    return "npz" if path.lower().endswith(".npz") else "csv"


def _path_kind_note(address: str) -> str:
    if kind_there := _kind_of_path(address):
        return f", a {'folder' if kind_there == 'folder' else 'file'}"
    return ", where there is no file and no folder" * _is_path(address)


def _is_path(address: str) -> bool:
    return looks_like_path(address) and ":" not in address


def _hint(address: str, forms: Sequence[str]) -> str:
    """Suggest the right kind for an existing path, or a similarly spelt address."""
    kind, _, name = address.partition(":")
    if (kind_there := _kind_of_path(name)) in forms:
        return f" Did you mean '{kind_there}:{name}'?"
    if _kind_of_path(address) or _is_path(address):
        return ""
    filled = (
        ADDRESS_FORMS[form].replace("NAME", name or kind).replace("PATH", name or kind)
        for form in forms
    )
    near = difflib.get_close_matches(address, [*filled], 1, 0.5)
    return f" Did you mean {near[0]!r}?" if near else ""
