"""Lists in a cell, such as a|b|c, "a, b" or ["a", "b"]: how they are written, and their items."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

SEPARATORS = (b"|", b";", b",")  # of equally frequent ones the first: an item may hold a comma
BRACKETS = r"^\s*\[|\]\s*$"
SURROUNDINGS = r"^[\s\"']+|[\s\"']+$"  # of an item
MIN_DISTINCT_LISTS = 5
MIN_SHARE_OF_LISTS = 0.3  # of distinct cells that have several items
MIN_ROWS_PER_ITEM = 4  # on average
MAX_ITEM_BYTES = 40  # on average


class ListForm(NamedTuple):
    """How the lists of a column are written: their separator, and whether they are in brackets."""

    separator: str
    is_bracketed: bool

    @classmethod
    def of(cls, texts: Iterable[bytes]) -> "ListForm":
        """Return the form of most of the texts."""
        texts = [text.strip() for text in texts if text.strip()]
        bracketed = sum(map(is_bracketed, texts))
        if 2 * bracketed > len(texts):
            return cls(",", True)
        counts = {one: sum(one in text for text in texts) for one in SEPARATORS}
        return cls(max(SEPARATORS, key=counts.__getitem__).decode(), False)

    def split(self, text: bytes) -> list[bytes]:
        """Return the items of a list that are not empty, as the layer `ListItems` does."""
        if self.is_bracketed:
            text = re.sub(BRACKETS.encode(), b"", text)
        items = text.split(self.separator.encode())
        return [item for one in items if (item := re.sub(SURROUNDINGS.encode(), b"", one))]


def is_bracketed(text: bytes) -> bool:
    """Whether a text without blanks around it is in brackets."""
    return text.startswith(b"[") and text.endswith(b"]")


def count_items(texts: Iterable[bytes], form: ListForm) -> Counter[bytes]:
    """Return the number of texts that hold each item."""
    return Counter(item for text in texts for item in {*form.split(text)})


def are_lists(texts: Sequence[bytes], counts: Sequence[int]) -> bool:
    """Whether distinct texts, each with its number of rows, are lists whose items repeat."""
    if len(texts) < MIN_DISTINCT_LISTS:
        return False
    form = ListForm.of(texts)
    lists = [form.split(text) for text in texts]
    if sum(len(items) > 1 for items in lists) < MIN_SHARE_OF_LISTS * len(texts):
        return False
    rows = Counter[bytes]()
    for items, count in zip(lists, counts, strict=True):
        rows.update(dict.fromkeys(items, count))
    return (
        len(rows) < len(texts)
        and rows.total() >= MIN_ROWS_PER_ITEM * len(rows)
        and sum(map(len, rows)) <= MAX_ITEM_BYTES * len(rows)
    )
