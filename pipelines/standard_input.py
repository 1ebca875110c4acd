"""Store a table that arrives on standard input, so that a run can read it again."""

import shutil
import sys
from collections.abc import Collection
from pathlib import Path

from pipelines.examples import AddressError
from pipelines.frames import store_by_digest
from pipelines.table_paths import TABLE_KINDS

SIGNATURES = {b"PAR1": "parquet", b"ARROW1": "feather", b"PK\x03\x04": "xlsx", b"{": "jsonl"}


def is_standard_input(address: str) -> bool:
    """Whether an address is `-`, `:-`, or names a kind of table, such as `parquet:-`."""
    kind, _, name = address.rpartition(":")
    return name == "-" and kind in ("", *TABLE_KINDS)


def store_as_address(address: str, kinds: Collection[str] = TABLE_KINDS) -> str:
    """Write standard input to a file in the state directory, and return its address.

    Without a kind in the address the content decides: by default it is a CSV file. Raises
    AddressError if it is empty, a terminal, or of a kind that is not one of `kinds`.
    """
    content = sys.stdin.buffer
    if sys.stdin.isatty():
        raise AddressError(
            "Received the address -, but standard input is a terminal; expected a table. Pipe "
            "one, or give its path."
        )
    head = content.peek(8)[:8] if hasattr(content, "peek") else b""
    if not head:
        raise AddressError(
            "Received the address -, but standard input is empty; expected a table. Pipe one, or "
            "give its path."
        )
    detected = (kind for signature, kind in SIGNATURES.items() if head.startswith(signature))
    kind = address.rpartition(":")[0] or next(detected, "csv")
    if kind not in kinds:
        raise AddressError(
            f"Received a table of the kind {kind} on standard input; expected an address of "
            f"{', '.join(kinds)}."
        )

    def write(path: Path) -> None:
        with path.open("wb") as file:
            shutil.copyfileobj(content, file)

    return f"{kind}:{store_by_digest(f'.{kind}', write)}"
