"""Words for missing values, as people and programs write them."""

from collections.abc import Iterable

# Those of pandas, R, SQL, Excel and C, in lower case; they are missing in every column.
MISSING_WORDS = frozenset(
    [
        "", "na", "n/a", "n.a.", "n.a", "#n/a", "#na", "#n/a n/a", "<na>", "nan", "-nan", "+nan",
        "nat", "null", "#null!", "<null>", "(null)", "[null]", "\\n", "?", "??", "(blank)",
        "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "1.#inf", "-1.#inf", "#value!", "#ref!",
        "(empty)", "#div/0!", "#num!", "#name?", "#error!", "#spill!", "#calc!",
    ]
)  # fmt: skip
# These may also be a category: a house without a basement has the basement "none".
NONE_WORDS = frozenset(["none", "nil", "<none>", "(none)"])
DASH_WORDS = frozenset(
    ["-", "--", "---", "\u2013", "\u2014", "\u2212", ".", "..", "...", "\u2026", "_", "*", "#", "x"]
)
INFINITY_WORDS = frozenset(
    f"{sign}{word}" for sign in ("", "+", "-", "\u2212") for word in ("inf", "infinity")
)
UNKNOWN_WORDS = frozenset(
    [
        "unknown", "unk", "unknwn", "undefined", "missing", "not available", "not applicable",
        "0000-00-00", "0000-00-00 00:00:00", "00/00/0000", "00.00.0000",  # MySQL has no date
        "not known", "no data", "n/d", "nd", "n.d.", "tbd", "tba", "void", "empty", "blank", "∞",
    ]
)  # fmt: skip
# Includes invisible characters that str.strip keeps.
BLANK_CHARACTERS = " \t\r\n\u00a0\u3000\u200b\u200c\u200d\u2060\ufeff\u00ad"
ID_WORDS = MISSING_WORDS | NONE_WORDS | {"-", "--", "---", "\u2013", "\u2014"}
NUMBER_WORDS = MISSING_WORDS | NONE_WORDS | DASH_WORDS | INFINITY_WORDS | UNKNOWN_WORDS
MAX_WORD_BYTES = max(len(word.encode()) for word in NUMBER_WORDS)  # bytes
TEXT_WORDS = MISSING_WORDS - {"?", "??"}


def normalized(cell: object) -> str | None:
    """Return a cell in lower case without surrounding blanks; None if it is not a text."""
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "replace")
    if not isinstance(cell, str):
        return None
    cell = cell.strip()
    return (cell if cell.isascii() else cell.strip(BLANK_CHARACTERS)).casefold()


def is_missing(cell: object, words: frozenset[str] = MISSING_WORDS) -> bool:
    """Whether a cell is a missing value; a number is one if it is NaN."""
    if isinstance(cell, bytes) and len(cell) > 4 * MAX_WORD_BYTES:
        return False
    found = normalized(cell)
    return found in words if found is not None else cell != cell


def missing_words_of_labels(counts: dict[str, int]) -> frozenset[str]:
    """Return the words for missing values in a column of class labels with these counts.

    NA and null always count as missing. "none" is a class if it is capitalised like the other
    labels and is not rarer than each of them, as in none, mild, severe. So is "-" beside "+".
    """
    known = {text: count for text, count in counts.items() if not is_missing(text, ID_WORDS)}
    least = min(known.values(), default=0)
    kept = {
        word
        for text, count in counts.items()
        if (word := normalized(text)) in NONE_WORDS and count >= least > 0 and _alike(text, known)
    }
    if "+" in known:
        kept.add("-")
    return ID_WORDS - kept


def _alike(text: str, others: Iterable[str]) -> bool:
    """Whether all words begin with a lower-case letter, or none does."""
    return len({other.strip()[:1].islower() for other in (text, *others)}) == 1
