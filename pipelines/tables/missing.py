"""Codes for missing values, such as NA or "-", as people and programs write them in tables."""

from collections.abc import Iterable

# Codes of pandas, R, SQL, Excel and C, in lower case; missing in columns of every kind.
MISSING_WORDS = frozenset(
    [
        "", "na", "n/a", "n.a.", "n.a", "#n/a", "#na", "#n/a n/a", "<na>", "nan", "-nan", "+nan",
        "nat", "null", "#null!", "<null>", "(null)", "[null]", "\\n", "?", "??", "(blank)",
        "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "1.#inf", "-1.#inf", "#value!", "#ref!",
        "(empty)", "#div/0!", "#num!", "#name?", "#error!", "#spill!", "#calc!",
    ]
)  # fmt: skip
# In a column of categories these are values: a house without a basement has the basement "none".
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
# The codes for missing values by kind of column: ids and labels, numbers, texts.
ID_WORDS = MISSING_WORDS | NONE_WORDS | {"-", "--", "---", "\u2013", "\u2014"}
NUMBER_WORDS = MISSING_WORDS | NONE_WORDS | DASH_WORDS | INFINITY_WORDS | UNKNOWN_WORDS
TEXT_WORDS = MISSING_WORDS - {"?", "??"}  # a question mark can be a whole text
# Codes are short, even with blanks around them.
MAX_CODE_BYTES = 4 * max(len(word.encode()) for word in NUMBER_WORDS)


def normalized(cell: object) -> str | None:
    """Return a text cell in lower case without surrounding blanks; None for any other cell."""
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "replace")
    if not isinstance(cell, str):
        return None
    cell = cell.strip()
    return (cell if cell.isascii() else cell.strip(BLANK_CHARACTERS)).casefold()


def is_missing(cell: object, words: frozenset[str] = MISSING_WORDS) -> bool:
    """Whether a cell is a missing value: one of `words`, or NaN if it is a number."""
    if isinstance(cell, bytes) and len(cell) > MAX_CODE_BYTES:
        return False
    text = normalized(cell)
    return text in words if text is not None else cell != cell


def missing_words_of_labels(counts: dict[str, int]) -> frozenset[str]:
    """Return the codes for missing values in a column of class labels, given their counts.

    NA and null always count as missing. "none" is a class if its first letter has the same case
    as those of the other labels, and at least one of them is not more frequent, as in none, mild,
    severe. "-" is a class if "+" is one.
    """
    labels = {text: count for text, count in counts.items() if not is_missing(text, ID_WORDS)}
    min_count = min(labels.values(), default=0)
    classes = {
        word
        for text, count in counts.items()
        if (word := normalized(text)) in NONE_WORDS
        and count >= min_count > 0
        and _begin_in_same_case(text, labels)
    }
    if "+" in labels:
        classes.add("-")
    return ID_WORDS - classes


def _begin_in_same_case(text: str, others: Iterable[str]) -> bool:
    """Whether all these texts begin with a lower-case letter, or none does."""
    return len({other.strip()[:1].islower() for other in (text, *others)}) == 1
