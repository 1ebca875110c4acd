"""Booleans in any words: yes and no, true and false, ja and nein, 1 and 0."""

from collections.abc import Iterable, Mapping

from pipelines.tables.missing import is_missing, normalized

# Words for false and for true; a column may mix pairs.
PAIRS = (
    ("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("off", "on"), ("0", "1"),
    ("nein", "ja"), ("non", "oui"), ("no", "si"), ("no", "sí"), ("no", "sì"), ("não", "sim"),
    ("nao", "sim"), ("nee", "ja"), ("nej", "ja"), ("nie", "tak"), ("ne", "ano"), ("нет", "да"),
    ("falsch", "wahr"), ("faux", "vrai"), ("falso", "verdadero"), ("falso", "vero"),
    ("否", "是"), ("不是", "是"), ("いいえ", "はい"), ("아니요", "예"),
    ("✗", "✓"), ("✘", "✔"), ("✕", "☑"), ("☐", "☒"), ("❌", "✅"), ("0.0", "1.0"),
)  # fmt: skip
TRUTHS = {word: truth for pair in PAIRS for truth, word in enumerate(pair)}


def truth_of(cell: bytes) -> int | None:
    """Return 1 for a word such as yes, 0 for one such as no, None for any other cell."""
    return TRUTHS.get(normalized(cell) or "")


def boolean_texts(counts: Mapping[bytes, int]) -> tuple[str, str] | None:
    """Return the most frequent words of a column for false and for true.

    None if a cell that is not missing is no boolean, if all cells mean the same, or if all are
    numbers: 0 and 1 are ordinary numbers unless they stand beside words.
    """
    known = {cell: count for cell, count in counts.items() if not is_missing(cell)}
    if len(known) > len(TRUTHS) or not all(truth_of(cell) is not None for cell in known):
        return None
    words = [most_frequent(known, truth) for truth in (0, 1)]
    if not all(words) or all(cell.replace(b".", b"").isdigit() for cell in known):
        return None
    return words[0], words[1]


def most_frequent(counts: Mapping[bytes, int], truth: int) -> str:
    """Return the most frequent word for a truth; "" if there is none."""
    # A word is easier to understand than 0 or 1.
    cells: Iterable[bytes] = sorted(cell for cell in counts if truth_of(cell) == truth)
    ranked = sorted(cells, key=lambda cell: (cell[:1].isdigit(), -counts[cell]))
    return ranked[0].decode("utf-8", "replace") if ranked else ""
