"""Parse numbers as people write them: 1,234.50, 1.234,50, 1 234, $5, 12 %, (5), 72.3 kg."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

DecimalMark = Literal[".", ","]
CURRENCY = "[$¢£¤¥֏؋৲৳฿₠-₿﷼]"
CODES = (
    "USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|RUB|SEK|NOK|DKK|PLN|CZK|HUF|TRY|BRL|ZAR|AUD|CAD|NZD|SGD|HKD|"
    "KRW|MXN|Rs\\.?|Fr\\.|kr\\.?|zł"
)
BEFORE = f"(?:[A-Za-z]{{0,3}}{CURRENCY}|(?:{CODES})(?![A-Za-z]))"
DIGITS = (
    r"[1-9]\d{0,2}(?P<group>[., '])\d{3}(?:(?P=group)\d{3})*(?:(?!(?P=group))[.,]\d*)?"
    r"|[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d*)?"  # as in India
    r"|\d+(?:[.,]\d*)?|[.,]\d+"
)
UNIT = rf"(?:[^\W\d_][\w./·*^°² -]{{0,14}}(?<![\s-])|[%‰]|°\s?[A-Za-z]?|{CURRENCY}|[\"']{{1,2}})"
NUMERAL = re.compile(
    rf"(?:(?P<bound>[<>≤≥]=?)\s*|[~≈]\s*|(?:ca|approx|circa|about)\b\.?\s*)?(?P<sign>[-+]\s*)?(?P<before>{BEFORE}\s*)?(?P<inner>[-+]\s*)?"
    rf"(?P<digits>{DIGITS})(?P<exponent>[eE][-+]?\d+)?(?:\s*\+)?(?:\s*(?P<after>{UNIT}))?(?P<last>-)?"
)
# Numbers that spreadsheets quote as text ('5, ="5"), prices without cents (5,-), and footnotes.
MARKED = re.compile(r"'(?=[-+\d.,])(?P<plain>[^']+)|=\"(?P<quoted>[^\"]+)\"")
NO_CENTS = re.compile(r"(?<=\d)([.,])-{1,2}(?!\d)")
FOOTNOTE = re.compile(r"(?<=\d)\s*(?:\*{1,3}|[†‡]|\[\w{1,2}\])$")
BRACKETS = re.compile(rf"(?P<before>{BEFORE}\s*)?\((?P<within>[^()]+)\)(?P<after>.*)")
MINUS, APOSTROPHES = "\u2212\u2012\u2013\u2014\ufe63\uff0d", "\u2019\u2018\u02bc\u2032\u0060\u00b4"
ARABIC = {"\u066b": ",", "\u066c": "'"}
SIGNS = str.maketrans({**dict.fromkeys(MINUS, "-"), **dict.fromkeys(APOSTROPHES, "'"), **ARABIC})
# Multipliers that one column may mix: 900, 1.2k, 3M.
THOUSANDS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "bn": 1e9, "mn": 1e6, "mio": 1e6, "mrd": 1e9}


class Numeral(NamedTuple):
    """The parts of a written number.

    Attributes:
        sign: 1 or -1.
        digits: the digits with the marks between them.
        exponent: such as e5, or "".
        unit: the currency or unit before or after the number, normalised.
        bound: whether the number is a bound such as <5 or ~5.

    """

    sign: int
    digits: str
    exponent: str
    unit: str
    bound: bool = False

    def value(self, decimal: DecimalMark) -> float:
        """Return the number; `decimal` is its decimal mark unless the digits prove another."""
        digits = re.sub("[ ']", "", self.digits)
        decimal_mark = proven_decimal_mark(self.digits) or decimal
        digits = digits.replace("," if decimal_mark == "." else ".", "").replace(",", ".")
        try:
            return self.sign * float(digits + self.exponent)
        except ValueError:  # a mark that occurs twice
            return float("nan")


def parse_numeral(text: str) -> Numeral | None:
    """Parse a text as a number; None if it is not one."""
    text = text.strip()
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(SIGNS)).translate(SIGNS).strip()
    if match := MARKED.fullmatch(text):
        text = match["plain"] or match["quoted"]
    text = FOOTNOTE.sub("", NO_CENTS.sub(r"\g<1>00", text))
    sign = 1
    if "(" in text and (match := BRACKETS.fullmatch(text)):
        before = match["before"] or ""
        text, sign = f"{before}{match['within'].strip()}{match['after']}", -1
    match = NUMERAL.fullmatch(text)
    if not match:
        return None
    signs = [sign_text for sign_text in (match["sign"], match["inner"], match["last"]) if sign_text]
    if len(signs) > (sign > 0):
        return None
    if signs and signs[0].strip() == "-":
        sign = -1
    unit = normalized_unit(f"{match['before'] or ''} {match['after'] or ''}")
    bound = bool(match["bound"])
    return Numeral(sign, match["digits"], match["exponent"] or "", unit, bound)


def normalized_unit(text: str) -> str:
    """Return a unit in lower case without blanks and plural s: 1 year and 2 years are one unit."""
    unit = "".join(text.split()).rstrip(".").casefold()
    return unit[:-1] if len(unit) > 2 and unit.endswith("s") else unit


def proven_decimal_mark(digits: str) -> DecimalMark | None:
    """Return the decimal mark that these digits prove; None if they are ambiguous or have none."""
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        return "." if digits.rindex(".") > digits.rindex(",") else ","
    if not points + commas:
        return None
    mark: DecimalMark = "." if points else ","
    if points + commas > 1:
        return "," if points else "."
    before, _, after = digits.partition(mark)
    grouped = (
        len(after) == 3 and 1 <= len(before) <= 3 and (before[0] != "0" or not int(before + after))
    )
    return None if grouped else mark


class NumberStyle(NamedTuple):
    """How the numbers of a column are written.

    Attributes:
        decimal_points: number of cells that prove a decimal point.
        decimal_commas: number of cells that prove a decimal comma.
        ambiguous: by mark the number of cells such as 1.234, a fraction or a thousand.
        units: number of cells by unit.
        example: an ambiguous cell.

    """

    decimal_points: int
    decimal_commas: int
    ambiguous: Mapping[str, int]
    units: Mapping[str, int]
    example: str = ""

    @property
    def decimal_mark(self) -> DecimalMark | None:
        """The decimal mark that most cells prove; None for a tie."""
        if self.decimal_points == self.decimal_commas:
            return None
        return "." if self.decimal_points > self.decimal_commas else ","


def number_style(numerals: Iterable[tuple[Numeral, int]]) -> NumberStyle:
    """Summarise how numerals are written, each given with its number of cells."""
    proven, ambiguous, units = Counter[str](), Counter[str](), Counter[str]()
    example = ""
    for numeral, count in numerals:
        units[numeral.unit] += count
        mark = proven_decimal_mark(numeral.digits)
        if mark:
            proven[mark] += count
        elif "." in numeral.digits or "," in numeral.digits:
            ambiguous["." if "." in numeral.digits else ","] += count
            example = example or numeral.digits
    return NumberStyle(proven["."], proven[","], dict(ambiguous), dict(units), example)


def choose_decimal_mark(
    column: NumberStyle, others: DecimalMark | None, separator: str
) -> tuple[DecimalMark, str]:
    """Choose the decimal mark of a column; also return the reason if its cells are ambiguous.

    Args:
        column: how its numbers are written.
        others: the decimal mark that the other columns of the file prove.
        separator: the separator of cells in the file.

    """
    if proven := column.decimal_mark:
        return proven, ""
    if not column.ambiguous:
        return others or ".", ""
    mark: DecimalMark = "." if column.ambiguous.get(".", 0) >= column.ambiguous.get(",", 0) else ","
    other: DecimalMark = "," if mark == "." else "."
    if others:
        return others, "as in the other columns"
    if mark == "." or separator == ";":
        return mark, "taken for the decimal mark, not for thousands"
    return other, "taken for thousands, not for the decimal mark"


def main_unit(units: Mapping[str, int], min_share: float) -> str:
    """Return the unit of most cells with a unit; "" for none, "k" for mixed multipliers."""
    named = {unit: count for unit, count in units.items() if unit}
    if not named:
        return ""
    # 900 and 1.2k are mixed multipliers; 72 and 72 m are metres.
    if units.keys() <= THOUSANDS.keys() and (len(named) > 1 or units.keys() == {"", "k"}):
        return "k"
    unit = max(named, key=named.__getitem__)
    return unit if named[unit] >= min_share * sum(named.values()) else ""


def unit_factor(unit: str, of_column: str) -> float:
    """Return the factor from a number's unit to the column's unit; NaN if they differ."""
    if of_column == "k":
        return THOUSANDS.get(unit, float("nan"))
    return 1.0 if unit in ("", of_column) else float("nan")
