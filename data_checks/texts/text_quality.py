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
PERSONAL = re.compile(rb"[\w.+-]+@[\w-]+\.[a-z]{2,}")


def encoding(data: CheckedData) -> Iterator[Finding]:
    """Broken encodings, control characters, markup, e-mail addresses, other scripts."""
    checks: tuple[tuple[str, Callable[[bytes], object], str, Severity, str], ...] = (
        ("broken encoding", _is_broken, "wrongly decoded, such as Ã© for é", "warning",
         "Save the file as UTF-8 from its original."),
        ("control characters", CONTROL.search, "with control characters", "warning",
         "Remove them: they are invisible and make words unknown."),
        ("markup", MARKUP.search, "with tags or entities of HTML", "note",
         "The app removes tags, but not entities."),
        ("e-mail addresses", PERSONAL.search, "with an e-mail address", "note",
         "Check privacy before you share a model or its examples."),
    )  # fmt: skip
    for check, holds, said, severity, advice in checks:
        which = _which(data, holds)
        if len(which):
            yield of_texts(data, check, which, said, advice, severity)
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
    odd = {name for name, few in others if name and few <= 0.02 * len(scripts)}
    which = np.array([k for k, name in enumerate(scripts) if name in odd], "int64")
    if len(which) and count >= 0.9 * len(scripts):
        yield of_texts(
            data,
            "other scripts",
            which,
            f"in another script than {main.lower()}",
            "Too few to learn that language: exclude them, or add more.",
        )


def _script(text: bytes) -> str:
    """Return the script of most letters at a text's beginning; empty without letters."""
    if text.isascii():
        return "LATIN" if any(65 <= byte & 0xDF <= 90 for byte in text[:200]) else ""
    letters = [one for one in text[:400].decode("utf-8", "ignore") if one.isalpha()]
    names = Counter(unicodedata.name(one, "?").partition(" ")[0] for one in letters)
    return names.most_common(1)[0][0] if names else ""


def boilerplate(data: CheckedData) -> Iterator[Finding]:
    """Texts with one beginning or end (boilerplate)."""
    some = sample_of(data)
    texts = [text.translate(near_duplicates.PLAIN).split() for text in data.features(some)]
    for check, place in (
        ("texts begin alike", slice(None, BOILERPLATE_WORDS)),
        ("texts end alike", slice(-BOILERPLATE_WORDS, None)),
    ):
        runs = [
            b" ".join(words[place]) if len(words) > BOILERPLATE_WORDS else b"" for words in texts
        ]
        run, count = Counter(runs).most_common(1)[0]
        if not run:
            run, count = (Counter(filter(None, runs)).most_common(1) or [(b"", 0)])[0]
        if count >= MAX_BOILERPLATE_SHARE * len(texts):
            yield Finding(
                check,
                "note",
                f"{count / len(texts):.0%} of the texts {check.split()[1]} with the words "
                f"{run.decode('utf-8', 'replace')!r}",
                "Remove it: it uses up the length and carries no information.",
                count,
                count / len(texts),
            )


def all_texts(data: CheckedData) -> np.ndarray:
    """All texts."""
    return data.features(np.arange(len(data)))


def _which(data: CheckedData, holds: Callable[[bytes], object]) -> np.ndarray:
    return np.array([k for k, text in enumerate(all_texts(data)) if holds(text)], "int64")


def sample_of(data: CheckedData) -> np.ndarray:
    """Numbers of at most MAX_SAMPLE texts."""
    if len(data) <= MAX_SAMPLE:
        return np.arange(len(data))
    return np.sort(np.random.default_rng(0).choice(len(data), MAX_SAMPLE, replace=False))


def of_texts(
    data: CheckedData,
    check: str,
    which: np.ndarray,
    said: str,
    advice: str,
    severity: Severity = "note",
) -> Finding:
    """Return a finding about these texts."""
    return Finding(
        check,
        severity,
        f"{counted(len(which), 'text is', 'texts are')} {said}",
        advice,
        len(which),
        len(which) / len(data),
        data.occurrences(which),
    )
