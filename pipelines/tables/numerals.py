"""Parse numbers as people write them: 1,234.50, 1.234,50, 1 234, $5, 12 %, (5), 72.3 kg."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from pipelines.tables.units import MIXED, convert, uses_decimal_comma

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
PER = r"(?:/[^\W\d_]{1,6}[23]?)?"  # as in $/kg
UNIT = (
    rf"(?:[^\W\d_]{{0,4}}{CURRENCY}{PER}|[^\W\d_][\w./·*^°² -]{{0,14}}(?<![\s-])|[%‰]|°\s?[A-Za-z]?"
    r"|[\"']{1,2})"
)
# Words for powers of ten, by exponent. A single m may be a metre.
MAGNITUDE_WORDS = {
    3: "k tsd tausend thousand mille tys",
    5: "lakh lakhs lac lacs",
    6: "mio million millions millionen millones milioni mln mn",
    7: "crore crores cr",
    9: "bn billion billions milliard milliards milliarden mrd mld",
    12: "trillion trillions trn",
}
CAPITALS = {"K": 3, "M": 6, "MM": 6, "B": 9}
CHARACTERS = {"千": 3, "万": 4, "萬": 4, "만": 4, "百万": 6, "億": 8, "亿": 8, "억": 8, "兆": 12}
MAGNITUDES = {
    word: exponent for exponent, words in MAGNITUDE_WORDS.items() for word in words.split()
}
MAGNITUDE = (
    rf"(?:(?:(?i:{'|'.join(sorted(MAGNITUDES, key=len, reverse=True))})|MM|[KMB])(?![^\W\d_])\.?"
    rf"|{'|'.join(sorted(CHARACTERS, key=len, reverse=True))})"
)
# A letter beside a currency is a multiple of it: $3m, 5 T€.
OF_MONEY = {"t": 3, "k": 3, "m": 6, "mn": 6, "mio": 6, "b": 9, "bn": 9, "mrd": 9}
MONEY = re.compile(
    rf"(?P<before>{CURRENCY})?(?P<letters>{'|'.join(sorted(OF_MONEY, key=len, reverse=True))})"
    rf"(?P<after>{CURRENCY}|eur|usd|chf|gbp)?"
)
NUMERAL = re.compile(
    rf"(?:(?P<bound>[<>≤≥]=?)\s*|[~≈]\s*|(?:ca|approx|circa|about)\b\.?\s*)?(?P<sign>[-+]\s*)?(?P<before>{BEFORE}\s*)?(?P<inner>[-+]\s*)?"
    rf"(?P<digits>{DIGITS})(?P<exponent>[eE][-+]?\d+)?(?:\s*\+)?"
    rf"(?:\s*(?P<magnitude>{MAGNITUDE}))?(?:\s*\+)?(?:\s*(?P<after>{UNIT}))?(?P<last>-)?"
)
# Numbers that spreadsheets quote as text ('5, ="5"), prices without cents (5,-), and footnotes.
MARKED = re.compile(r"'(?=[-+\d.,])(?P<plain>[^']+)|=\"(?P<quoted>[^\"]+)\"")
NO_CENTS = re.compile(r"(?<=\d)([.,])-{1,2}(?!\d)")
PRICE_END = re.compile(r"(?<=\d)(?::-|/-)$")  # in Sweden and in India
FOOTNOTE = re.compile(r"(?<=\d)\s*(?:\*{1,3}|[†‡]|\[\w{1,2}\])$")
BRACKETS = re.compile(rf"(?P<before>{BEFORE}\s*)?\((?P<within>[^()]+)\)(?P<after>.*)")
COMPOUND = re.compile(
    r"(?P<first>\d{1,3})\s*(?P<unit>'|ft|feet|foot|lbs?|st)\.?,?\s*(?P<second>\d{1,2}(?:\.\d+)?)\s*"
    r"(?P<second_unit>\"|''|in|inch|inches|oz|lbs?)?\.?",
    re.IGNORECASE,
)
MINUS, APOSTROPHES = "\u2212\u2012\u2013\u2014\ufe63\uff0d", "\u2019\u2018\u02bc\u2032\u0060\u00b4"
ARABIC = {"\u066b": ",", "\u066c": "'"}
SIGNS = str.maketrans({**dict.fromkeys(MINUS, "-"), **dict.fromkeys(APOSTROPHES, "'"), **ARABIC})
FRACTIONS = {"½": 0.5, "¼": 0.25, "¾": 0.75, "⅓": 1 / 3, "⅔": 2 / 3, "⅛": 0.125, "⅜": 0.375}
VULGAR = re.compile(rf"(?P<whole>\d*)\s?(?P<part>[{''.join(FRACTIONS)}])")


class Numeral(NamedTuple):
    """The parts of a written number.

    Attributes:
        sign: 1 or -1.
        digits: the digits with the marks between them.
        exponent: such as e5, or "".
        magnitude: the power of ten of a word such as k or million, 0 without one.
        unit: the currency or unit before or after the number, normalised.
        bound: whether the number is a bound such as <5 or ~5.

    """

    sign: int
    digits: str
    exponent: str
    unit: str
    bound: bool = False
    magnitude: int = 0

    def value(self, decimal: DecimalMark) -> float:
        """Return the number; `decimal` is its decimal mark unless the digits prove another."""
        digits = re.sub("[ ']", "", self.digits)
        decimal_mark = proven_decimal_mark(self.digits) or decimal
        digits = digits.replace("," if decimal_mark == "." else ".", "").replace(",", ".")
        try:
            return self.sign * float(f"{digits}e{int(self.exponent[1:] or 0) + self.magnitude}")
        except ValueError:  # a mark that occurs twice
            return float("nan")


def parse_numeral(text: str) -> Numeral | None:
    """Parse a text as a number; None if it is not one."""
    text = text.strip()
    if not text.isascii():
        text = VULGAR.sub(_decimal_fraction, text)
        text = unicodedata.normalize("NFKC", text.translate(SIGNS)).translate(SIGNS).strip()
    if match := MARKED.fullmatch(text):
        text = match["plain"] or match["quoted"]
    if match := COMPOUND.fullmatch(text):
        return _of_two_units(match)
    text = FOOTNOTE.sub("", PRICE_END.sub("", NO_CENTS.sub(r"\g<1>00", text)))
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
    unit, magnitude = _unit_and_magnitude(match)
    bound = bool(match["bound"])
    return Numeral(sign, match["digits"], match["exponent"] or "", unit, bound, magnitude)


def _of_two_units(match: re.Match) -> Numeral:
    """Parse such as 5 ft 11 in, in the larger unit."""
    unit, second = ((match[name] or "in").casefold() for name in ("unit", "second_unit"))
    unit = {"'": "ft", "feet": "ft", "foot": "ft"}.get(unit, unit.rstrip("s"))
    size = 12.0 if unit == "ft" else convert(1.0, unit, second.rstrip("s"))
    return Numeral(1, f"{int(match['first']) + float(match['second']) / size:.15g}", "", unit)


def _decimal_fraction(match: re.Match) -> str:
    return f"{int(match['whole'] or 0) + FRACTIONS[match['part']]:.6g}"


def _unit_and_magnitude(match: re.Match) -> tuple[str, int]:
    """Return the unit of a number, and the power of ten of a word such as k or million."""
    unit = normalized_unit(f"{match['before'] or ''} {match['after'] or ''}")
    if word := match["magnitude"]:
        word = word.rstrip(".")
        own = CAPITALS.get(word) or CHARACTERS.get(word) or MAGNITUDES[word.casefold()]
        return unit, own
    money = MONEY.fullmatch(unit)
    if money and (money["before"] or money["after"]):
        return money["before"] or money["after"], OF_MONEY[money["letters"]]
    return unit, 0


def normalized_unit(text: str) -> str:
    """Return a unit in lower case without blanks and plural s: 1 year and 2 years are one unit."""
    unit = "".join(text.split()).rstrip(".").casefold()
    return unit[:-1] if len(unit) > 2 and unit[-2].isalpha() and unit.endswith("s") else unit


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
        units[numeral.unit or MIXED * bool(numeral.magnitude)] += count
        mark = proven_decimal_mark(numeral.digits)
        if mark:
            proven[mark] += count
        elif "." in numeral.digits or "," in numeral.digits:
            ambiguous["." if "." in numeral.digits else ","] += count
            example = example or numeral.digits
    return NumberStyle(proven["."], proven[","], dict(ambiguous), dict(units), example)


def choose_decimal_mark(
    column: NumberStyle, others: DecimalMark | None, separator: str, unit: str = ""
) -> tuple[DecimalMark, str]:
    """Choose the decimal mark of a column; also return the reason if its cells are ambiguous.

    Args:
        column: how its numbers are written.
        others: the decimal mark that the other columns of the file prove.
        separator: the separator of cells in the file.
        unit: of the column.

    """
    if proven := column.decimal_mark:
        return proven, ""
    if not column.ambiguous:
        return others or ".", ""
    mark: DecimalMark = "." if column.ambiguous.get(".", 0) >= column.ambiguous.get(",", 0) else ","
    other: DecimalMark = "," if mark == "." else "."
    if others:
        return others, "as in the other columns"
    if mark == "." and uses_decimal_comma(unit):
        return ",", f"taken for thousands, as usual in {unit}"
    if mark == "." or separator == ";":
        return mark, "taken for the decimal mark, not for thousands"
    return other, "taken for thousands, not for the decimal mark"
