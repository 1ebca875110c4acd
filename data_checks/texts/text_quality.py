"""Quality of texts: wrong encodings, control characters, markup, other scripts, boilerplate."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from data_checks.dataset import CheckedData
from data_checks.finding import Finding, Severity, counted
from data_checks.texts import near_duplicates

MAX_SAMPLE = 20_000  # texts
MAX_BOILERPLATE_SHARE = 0.2  # of the texts, with one beginning or end
BOILERPLATE_WORDS = 5  # at a text's beginning or end
# UTF-8 that was read as Latin-1 or Windows-1252 and written as UTF-8 again.
MOJIBAKE = re.compile(
    rb"\xc3[\x82\x83]\xc2[\x80-\xbf]|\xc3\xa2\xe2\x82\xac|\xc3\xaf\xc2\xbb\xc2\xbf"
)
MARKUP = re.compile(rb"</?[a-zA-Z][^<>]{0,80}>|&[a-z]{2,6};|&#\d+;")
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
EMAIL_ADDRESS = re.compile(rb"[\w.+-]+@[\w-]+\.[a-z]{2,}")


def encoding(data: CheckedData) -> Iterator[Finding]:
    """Broken encodings, control characters, markup, e-mail addresses, other scripts."""
    checks: tuple[tuple[str, Callable[[bytes], object], str, Severity, str], ...] = (
        ("broken encoding", _is_broken, "wrongly decoded, such as Ã© for é", "warning",
         "Save the file as UTF-8 from its original."),
        ("control characters", CONTROL.search, "with control characters", "warning",
         "Remove them: they are invisible and make words unknown."),
        ("markup", MARKUP.search, "with tags or entities of HTML", "note",
         "The app removes tags, but not entities."),
        ("e-mail addresses", EMAIL_ADDRESS.search, "with an e-mail address", "note",
         "Check privacy before you share a model or its examples."),
    )  # fmt: skip
    for check, matches, problem, severity, advice in checks:
        numbers = _matching(data, matches)
        if len(numbers):
            yield of_texts(data, check, numbers, problem, advice, severity)
    yield from _scripts(data)


def _is_broken(text: bytes) -> bool:
    return b"\xef\xbf\xbd" in text or bool(MOJIBAKE.search(text)) or not _is_utf8(text)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _scripts(data: CheckedData) -> Iterator[Finding]:
    """Texts in another script than nearly all others."""
    scripts = [_script(text) for text in all_texts(data)]
    (main, count), *others = Counter(scripts).most_common() or [("", 0)]
    rare = {name for name, frequency in others if name and frequency <= 0.02 * len(scripts)}
    numbers = np.array([k for k, name in enumerate(scripts) if name in rare], "int64")
    if len(numbers) and count >= 0.9 * len(scripts):
        yield of_texts(
            data,
            "other scripts",
            numbers,
            f"in another script than {main.lower()}",
            "Too few to learn that language: exclude them, or add more.",
        )


def _script(text: bytes) -> str:
    """Return the script of most letters at a text's beginning; empty without letters."""
    if text.isascii():
        return "LATIN" if any(65 <= byte & 0xDF <= 90 for byte in text[:200]) else ""
    letters = [letter for letter in text[:400].decode("utf-8", "ignore") if letter.isalpha()]
    names = Counter(unicodedata.name(letter, "?").partition(" ")[0] for letter in letters)
    return names.most_common(1)[0][0] if names else ""


def boilerplate(data: CheckedData) -> Iterator[Finding]:
    """Texts with one beginning or end (boilerplate)."""
    sample = sample_of(data)
    texts = [text.translate(near_duplicates.PLAIN).split() for text in data.features(sample)]
    for check, part in (
        ("texts begin alike", slice(None, BOILERPLATE_WORDS)),
        ("texts end alike", slice(-BOILERPLATE_WORDS, None)),
    ):
        phrases = [
            b" ".join(words[part]) if len(words) > BOILERPLATE_WORDS else b"" for words in texts
        ]
        phrase, count = Counter(phrases).most_common(1)[0]
        if not phrase:
            phrase, count = (Counter(filter(None, phrases)).most_common(1) or [(b"", 0)])[0]
        if count >= MAX_BOILERPLATE_SHARE * len(texts):
            yield Finding(
                check,
                "note",
                f"{count / len(texts):.0%} of the texts {check.split()[1]} with the words "
                f"{phrase.decode('utf-8', 'replace')!r}",
                "Remove it: it uses up the length and carries no information.",
                count,
                count / len(texts),
            )


def all_texts(data: CheckedData) -> np.ndarray:
    """Return all texts."""
    return data.features(np.arange(len(data)))


def _matching(data: CheckedData, matches: Callable[[bytes], object]) -> np.ndarray:
    return np.array([k for k, text in enumerate(all_texts(data)) if matches(text)], "int64")


def sample_of(data: CheckedData) -> np.ndarray:
    """Return the numbers of at most MAX_SAMPLE texts."""
    if len(data) <= MAX_SAMPLE:
        return np.arange(len(data))
    return np.sort(np.random.default_rng(0).choice(len(data), MAX_SAMPLE, replace=False))


def of_texts(
    data: CheckedData,
    check: str,
    numbers: np.ndarray,
    problem: str,
    advice: str,
    severity: Severity = "note",
) -> Finding:
    """Return a finding about these texts."""
    return Finding(
        check,
        severity,
        f"{counted(len(numbers), 'text is', 'texts are')} {problem}",
        advice,
        len(numbers),
        len(numbers) / len(data),
        data.occurrences(numbers),
    )
