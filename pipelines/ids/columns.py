"""Find the columns of a table that hold users, items, ratings and times."""

import dataclasses
import difflib

from pipelines.examples import AddressError
from pipelines.tables.table import Table, listed


@dataclasses.dataclass(frozen=True)
class Columns:
    """Column names; for an empty one the default names are tried."""

    user: str = ""
    item: str = ""
    rating: str = ""
    time: str = ""


KINDS = tuple(field.name for field in dataclasses.fields(Columns))
# Default names, tried in this order, in any case.
DEFAULT_NAMES = Columns(
    user="user_id user userid customer_id visitor_id",
    item="movie_id item_id item itemid movieid product_id book_id track_id",
    rating="user_rating rating ratings stars",
    time="timestamp time date datetime rated_at created_at",
)


def find_column(table: Table, columns: Columns, kind: str) -> str:
    """Return the name of a column; "" if there are no ratings or times."""
    requested, names = getattr(columns, kind), table.columns
    if requested in names:
        return requested
    if not requested:
        lower = {name.lower(): name for name in names}
        defaults = getattr(DEFAULT_NAMES, kind).split()
        if present := [lower[name] for name in defaults if name in lower]:
            return present[0]
        if kind in ("rating", "time"):
            return ""
    matches = difflib.get_close_matches(requested or kind, names, 1, 0.4)
    hint = f" Did you mean {matches[0]!r}?" if matches else ""
    received = f"--{kind} {requested!r}" if requested else f"no --{kind}"
    raise AddressError(
        f"Received {received}; expected the name of a column: {listed(names)}.{hint} "
        f"Name it with --{kind} COLUMN."
    )
