"""What the cells of one column prove about their kind and how they are written."""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from pipelines.tables.numerals import NumberStyle
from pipelines.tables.times import DateOrder

Kind = Literal["number", "time", "clock", "duration", "boolean", "category", "text", "list"]
RequestedKind = Kind | Literal["ignore"]
TEXT_KINDS: tuple[Kind, ...] = ("boolean", "category", "text", "list")
# A column holds numbers if this share of its known cells are numbers.
MIN_SHARE_OF_KIND = 0.9
NUM_SCREENED_CELLS = 200  # distinct cells that are tried before the whole column is parsed


class InferredColumn(NamedTuple):
    """The format that the cells of one column prove; other columns may resolve what is ambiguous.

    Attributes:
        kind: what its cells hold.
        number_style: how its numbers are written.
        order: of day and month in its dates.
        ambiguous_order: whether no cell decides the order of day and month.
        example: a cell that Python's float() does not parse.
        plain_unit: the unit of numbers without one, if it differs from that of the others.
        numeric_form: what dates that are numbers count, see `numeric_dates`.
        false: the text of false booleans.
        true: the text of true booleans.

    """

    kind: Kind
    number_style: NumberStyle = NumberStyle(0, 0, {}, {})
    order: DateOrder = ""
    ambiguous_order: bool = False
    example: bytes = b""
    plain_unit: str = ""
    numeric_form: str = ""
    false: str = ""
    true: str = ""


def text_of(cell: bytes) -> str:
    """Return a cell as text."""
    return cell.decode("utf-8", "replace")


def covers_column(read: Iterable[bytes], known: Mapping[bytes, int], num_plain: int) -> bool:
    """Whether enough of the known cells are of a kind: these and the plain numbers."""
    count = num_plain + sum(known[cell] for cell in read)
    return count >= MIN_SHARE_OF_KIND * (num_plain + sum(known.values()))
