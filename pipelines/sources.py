"""One `--data` address for every app becomes splits."""

import difflib
from collections.abc import Callable
from pathlib import Path

from pipelines import tfds
from pipelines.examples import DataError
from pipelines.splits import Source, Splits, cut

FORMS = "'embedded' or 'tfds:NAME'"


def load(
    address: str,
    *,
    embedded: Callable[[], Source],
    test: str = "",
    data_dir: Path | None = None,
    memory_budget: int | None = None,
) -> Splits:
    """The splits that an address names.

    Args:
        address: `embedded`, or `tfds:NAME` for a set of tensorflow-datasets.
        embedded: makes the app's own data.
        test: the address of a test set of its own: its official test split
            where it has one, else all of it. The official test split of
            `address` is then left alone.
        data_dir: where prepared TFDS sets lie; by default TFDS_DATA_DIR, then
            TFDS's own place.
        memory_budget: bytes; larger sets are kept on the disk (see `store`).

    Raises:
        DataError: where an address or its data cannot be used.

    """

    def source(address: str) -> Source:
        kind, _, name = address.partition(":")
        if address == "embedded":
            return embedded()
        if kind == "tfds" and name:
            return tfds.source(name, data_dir, memory_budget)
        near = difflib.get_close_matches(address, ["embedded", f"tfds:{name or kind}"], 1, 0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise DataError(f"Received the data address {address!r}; expected {FORMS}.{hint}")

    own = source(address)
    if test:
        other = source(test)
        if other.form != own.form:
            raise DataError(
                f"Received the test data {test!r} of form {other.form}; expected the form of "
                f"{address!r}, {own.form}. Give a test set with the same shapes and labels."
            )
        own = own._replace(test=other.test or other.train)
    return cut(own)
