"""Addresses of data: which kind each is, and the refusal of what is none.

Nothing here needs TensorFlow, so that a mistake is answered at once.
"""

import difflib
import os
from collections.abc import Collection, Sequence

from pipelines.examples import AddressError
from pipelines.files import at_home, looks_like_a_path

FORMS = {
    "embedded": "embedded",
    "tfds": "tfds:NAME",
    "csv": "csv:PATH",
    "folder": "folder:PATH",
    "npz": "npz:PATH",
}


def parsed(address: str, kinds: Collection[str]) -> tuple[str, str]:
    """The kind of an address and the name or path in it.

    Raises AddressError where it is none of `kinds`.
    """
    kind, _, name = address.partition(":")
    if kind in kinds and (name if kind != "embedded" else address == kind):
        return kind, name
    if (there := _kind_of(address)) in kinds:
        return there, address
    *others, last = (repr(FORMS[form]) for form in kinds)
    raise AddressError(
        f"Received the data address {address!r}{_about(address)}; expected {', '.join(others)} or "
        f"{last}.{_hint(address, [*kinds])}"
    )


def _kind_of(path: str) -> str:
    """The kind of address that a plain path is, by what is there; empty where nothing is."""
    place = str(at_home(path))
    if path and os.path.isdir(place):  # noqa: PTH112 - false too where there can be no such path
        return "folder"
    if not path or not os.path.exists(place):  # noqa: PTH110
        return ""
    return "npz" if path.lower().endswith(".npz") else "csv"


def _about(address: str) -> str:
    if there := _kind_of(address):
        return f", a {'folder' if there == 'folder' else 'file'}"
    return ", where there is no file and no folder" * _is_plain_path(address)


def _is_plain_path(address: str) -> bool:
    return looks_like_a_path(address) and ":" not in address


def _hint(address: str, forms: Sequence[str]) -> str:
    """What was meant, perhaps: the right kind for what is there, or an address spelt alike."""
    kind, _, name = address.partition(":")
    if (there := _kind_of(name)) in forms:
        return f" Did you mean '{there}:{name}'?"
    if _kind_of(address) or _is_plain_path(address):
        return ""
    filled = (
        FORMS[form].replace("NAME", name or kind).replace("PATH", name or kind) for form in forms
    )
    near = difflib.get_close_matches(address, [*filled], 1, 0.5)
    return f" Did you mean {near[0]!r}?" if near else ""
