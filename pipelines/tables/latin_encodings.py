"""Find the encoding of a text in Latin script by the letter frequencies of languages."""

import itertools
import math
import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple


class Language(NamedTuple):
    """The letters of a language.

    Attributes:
        letters: its non-ASCII letters in lower case, frequent ones first.
        foreign: ASCII letters that occur only in foreign names.

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
TURKISH = (Language("\u0131üşçğöiâ", "qwx"),)  # the dotless i first
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
LETTER_SHARE_RATIO = 0.8  # share of a letter relative to the next more frequent one
# Shares of other letters, of symbols at the edge of and within a word, and of control characters.
OTHER_LETTER_SHARE, SYMBOL_SHARE, INNER_SYMBOL_SHARE, CONTROL_SHARE = 0.003, 0.1, 0.0003, 1e-6
REPLACEMENT_CHARACTER = "\ufffd"
FOREIGN_LETTER_PENALTY = -2.0  # for an ASCII letter that occurs only in foreign names
INNER_CAPITAL_PENALTY = -2.0  # for a capital after a small letter
# Logarithms of the prior probabilities of encodings; 0 for the others.
LOG_PRIOR = {"cp1252": 3.0, "iso8859_2": -1.0, "mac_roman": -6.0, "cp850": -6.0, "cp852": -6.0}
NON_ASCII_WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")


def most_likely(sample: bytes, codecs: Iterable[str]) -> str:
    """Return the most likely of these encodings for a sample."""
    words = set(NON_ASCII_WORD.findall(sample))
    scores = {codec: _log_likelihood(words, codec) for codec in codecs}
    return max(scores, key=scores.__getitem__)


def _log_likelihood(words: Iterable[bytes], codec: str) -> float:
    """Return the log-likelihood of words in the best fitting language of an encoding."""
    texts = [word.decode(codec, "replace") for word in words]
    pairs = itertools.chain.from_iterable(map(itertools.pairwise, texts))
    mixed = INNER_CAPITAL_PENALTY * sum(
        first.islower() and second.isupper() for first, second in pairs
    )
    likely = max(_language_log_likelihood(texts, language) for language in LANGUAGES[codec])
    return LOG_PRIOR.get(codec, 0.0) + mixed + likely


def _language_log_likelihood(texts: Iterable[str], language: Language) -> float:
    total = (1 - LETTER_SHARE_RATIO ** len(language.letters)) / (1 - LETTER_SHARE_RATIO)
    shares = {
        letter: LETTER_SHARE_RATIO**rank / total for rank, letter in enumerate(language.letters)
    }
    log_likelihood = 0.0
    for text in texts:
        for rank, letter in enumerate(text):
            small = letter.lower()[:1]
            if letter.isascii():
                log_likelihood += FOREIGN_LETTER_PENALTY * (small in language.foreign)
            elif letter.isalpha():
                log_likelihood += math.log(shares.get(small, OTHER_LETTER_SHARE))
            elif letter == REPLACEMENT_CHARACTER or unicodedata.category(letter) == "Cc":
                log_likelihood += math.log(CONTROL_SHARE)
            else:
                log_likelihood += math.log(
                    INNER_SYMBOL_SHARE if 0 < rank < len(text) - 1 else SYMBOL_SHARE
                )
    return log_likelihood
