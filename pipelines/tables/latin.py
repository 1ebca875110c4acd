"""Which encoding a text of Latin letters has, by the letters that its languages write."""

import itertools
import math
import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple


class Language(NamedTuple):
    """How a language writes.

    Attributes:
        letters: its letters beyond ASCII in small form, frequent ones first.
        foreign: letters of ASCII that only names from elsewhere have.

    """

    letters: str
    foreign: str = ""


WESTERN = (
    Language("äüöß"),  # German
    Language("éèàêçôâîûùïœë", "w"),  # French
    Language("áóíéñúü", "kw"),  # Spanish
    Language("ãçáéíóêõâúàô", "kwy"),  # Portuguese
    Language("àèéùòì", "jkwxy"),  # Italian
    Language("éëïöüèêç"),  # Dutch
    Language("äåöé", "qwz"),  # Swedish, Finnish
    Language("øåæéö", "cqwxz"),  # Danish, Norwegian
    Language("àéèçòíóúïü", "kwy"),  # Catalan
    Language("äõüöšž", "cqwxy"),  # Estonian
    Language("íáðóéþöæúý", "cqwz"),  # Icelandic
)
CENTRAL = (
    Language("ęąłóżśćńź", "qvx"),  # Polish
    Language("íáéěčřýžšůúňťóď", "qwx"),  # Czech
    Language("áíéčžšýúľťňôóďäŕĺ", "qwx"),  # Slovak
    Language("éáöóőíüúű", "qwx"),  # Hungarian
    Language("ăîşţâ", "kqwy"),  # Romanian
    Language("čšžćđ", "qwxy"),  # Croatian, Slovene
)
TURKISH = (Language("\u0131üşçğöiâ", "qwx"),)  # its i without a dot
BALTIC = (
    Language("ėšųžįčąūę", "qwx"),  # Lithuanian
    Language("āīšēņļūžģčķ", "qwxy"),  # Latvian
    Language("äõüöšž", "cqwxy"),  # Estonian
)
LANGUAGES = {
    "cp1252": WESTERN,
    "cp1250": CENTRAL,
    "cp1254": TURKISH,
    "cp1257": BALTIC,
    "iso8859_2": CENTRAL,
    "mac_roman": WESTERN,
    "cp850": WESTERN,
    "cp852": CENTRAL,
}
FALL = 0.8  # of the share of a letter to that of the next frequent one
# Shares of other letters, of signs beside and within a word, and of what is no sign.
UNUSUAL, SYMBOL, WITHIN, CONTROL = 0.003, 0.1, 0.0003, 1e-6
UNREADABLE = "\ufffd"
FOREIGN, MIXED = -2.0, -2.0  # for a letter of ASCII, and a capital after a small letter
# How likely encodings are before any letter is seen, as a logarithm; 0 for those not named.
BEFORE = {"cp1252": 3.0, "iso8859_2": -1.0, "mac_roman": -6.0, "cp850": -6.0, "cp852": -6.0}
WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")


def best(sample: bytes, codecs: Iterable[str]) -> str:
    """Of these encodings the one in which a sample is most likely written."""
    words = set(WORD.findall(sample))
    scores = {codec: _score(words, codec) for codec in codecs}
    return max(scores, key=scores.__getitem__)


def _score(words: Iterable[bytes], codec: str) -> float:
    """The logarithm of the likelihood of words, of the language that suits best."""
    texts = [word.decode(codec, "replace") for word in words]
    pairs = itertools.chain.from_iterable(map(itertools.pairwise, texts))
    mixed = MIXED * sum(one.islower() and two.isupper() for one, two in pairs)
    likely = max(_likelihood(texts, language) for language in LANGUAGES[codec])
    return BEFORE.get(codec, 0.0) + mixed + likely


def _likelihood(texts: Iterable[str], language: Language) -> float:
    total = (1 - FALL ** len(language.letters)) / (1 - FALL)
    shares = {letter: FALL**place / total for place, letter in enumerate(language.letters)}
    found = 0.0
    for text in texts:
        for place, letter in enumerate(text):
            small = letter.lower()[:1]
            if letter.isascii():
                found += FOREIGN * (small in language.foreign)
            elif letter.isalpha():
                found += math.log(shares.get(small, UNUSUAL))
            elif letter == UNREADABLE or unicodedata.category(letter) == "Cc":
                found += math.log(CONTROL)
            else:
                found += math.log(WITHIN if 0 < place < len(text) - 1 else SYMBOL)
    return found
