"""Which columns of a table name users, items, ratings and times."""

import dataclasses
import difflib

from pipelines.examples import AddressError
from pipelines.tables.table import Table, listed


@dataclasses.dataclass(frozen=True)
class Columns:
    """Names of the columns; where one is empty, usual names are looked for."""

    user: str = ""
    item: str = ""
    rating: str = ""
    time: str = ""


KINDS = tuple(field.name for field in dataclasses.fields(Columns))
# Names that are tried, whatever their case.
USUAL = Columns(
    user="user_id user userid customer_id visitor_id",
    item="movie_id item_id item itemid movieid product_id book_id track_id",
    rating="user_rating rating ratings stars",
    time="timestamp time date datetime rated_at created_at",
)


def found(table: Table, columns: Columns, kind: str) -> str:
    """The name of a column; empty for ratings or times that are not there."""
    wanted, names = getattr(columns, kind), table.columns
    if wanted in names:
        return wanted
    if not wanted:
        lower = {name.lower(): name for name in names}
        usual = getattr(USUAL, kind).split()
        if some := [lower[name] for name in usual if name in lower]:
            return some[0]
        if kind in ("rating", "time"):
            return ""
    near = difflib.get_close_matches(wanted or kind, names, 1, 0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    received = f"--{kind} {wanted!r}" if wanted else f"no --{kind}"
    raise AddressError(
        f"Received {received}; expected the name of a column: {listed(names)}.{hint} "
        f"Name it with --{kind} COLUMN."
    )
