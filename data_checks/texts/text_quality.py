"""How texts are written: wrong encodings, control characters, markup, scripts, set phrases."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from data_checks.dataset import Subject
from data_checks.finding import Finding, Severity, counted
from data_checks.texts import near_duplicates as wordings

MOST_READ = 20_000  # texts are enough to know how a set is written
BOILERPLATE = 0.2  # of the texts begin or end alike
RUN = 5  # words that begin or end a text
# UTF-8 that was read as Latin-1 or Windows-1252 and written as UTF-8 again.
MOJIBAKE = re.compile(
    rb"\xc3[\x82\x83]\xc2[\x80-\xbf]|\xc3\xa2\xe2\x82\xac|\xc3\xaf\xc2\xbb\xc2\xbf"
)
MARKUP = re.compile(rb"</?[a-zA-Z][^<>]{0,80}>|&[a-z]{2,6};|&#\d+;")
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
PERSONAL = re.compile(rb"[\w.+-]+@[\w-]+\.[a-z]{2,}")


def encoding(subject: Subject) -> Iterator[Finding]:
    """Bytes that were read wrongly, control characters, markup, addresses, other scripts."""
    checks: tuple[tuple[str, Callable[[bytes], object], str, Severity, str], ...] = (
        ("broken encoding", _is_broken, "read in a wrong encoding, such as Ã© for é", "warning",
         "Save the file as UTF-8 from where it is right."),
        ("control characters", CONTROL.search, "with control characters in them", "warning",
         "Remove them: nobody sees them, and words with them are unknown."),
        ("markup", MARKUP.search, "with tags or entities of HTML", "note",
         "Tags are left out by itself; entities are not."),
        ("addresses of people", PERSONAL.search, "with an e-mail address", "note",
         "Think of who is named before a model or its examples are given away."),
    )  # fmt: skip
    for check, holds, said, severity, advice in checks:
        which = _which(subject, holds)
        if len(which):
            yield of_texts(subject, check, which, said, advice, severity)
    yield from _scripts(subject)


def _is_broken(text: bytes) -> bool:
    return b"\xef\xbf\xbd" in text or bool(MOJIBAKE.search(text)) or not _is_utf8(text)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _scripts(subject: Subject) -> Iterator[Finding]:
    """Texts of another script than nearly all."""
    scripts = [_script(text) for text in every(subject)]
    (usual, count), *others = Counter(scripts).most_common() or [("", 0)]
    odd = {name for name, few in others if name and few <= 0.02 * len(scripts)}
    which = np.array([k for k, name in enumerate(scripts) if name in odd], "int64")
    if len(which) and count >= 0.9 * len(scripts):
        yield of_texts(
            subject,
            "other scripts",
            which,
            f"in another script than {usual.lower()}",
            "Too few to learn that language from: leave them out, or add more.",
        )


def _script(text: bytes) -> str:
    """The script of most letters of a text's beginning; empty where it has none."""
    if text.isascii():
        return "LATIN" if any(65 <= byte & 0xDF <= 90 for byte in text[:200]) else ""
    letters = [one for one in text[:400].decode("utf-8", "ignore") if one.isalpha()]
    names = Counter(unicodedata.name(one, "?").partition(" ")[0] for one in letters)
    return names.most_common(1)[0][0] if names else ""


def wording(subject: Subject) -> Iterator[Finding]:
    """Texts that begin or end alike."""
    some = some_of(subject)
    texts = [text.translate(wordings.PLAIN).split() for text in subject.features(some)]
    for check, place in (
        ("texts begin alike", slice(None, RUN)),
        ("texts end alike", slice(-RUN, None)),
    ):
        runs = [b" ".join(words[place]) if len(words) > RUN else b"" for words in texts]
        run, count = Counter(runs).most_common(1)[0]
        if not run:
            run, count = (Counter(filter(None, runs)).most_common(1) or [(b"", 0)])[0]
        if count >= BOILERPLATE * len(texts):
            yield Finding(
                check,
                "note",
                f"{count / len(texts):.0%} of the texts {check.split()[1]} with the words "
                f"{run.decode('utf-8', 'replace')!r}",
                "Remove what all have: it fills the length and says nothing.",
                count,
                count / len(texts),
            )


def every(subject: Subject) -> np.ndarray:
    """All texts of the pool."""
    return subject.features(np.arange(len(subject)))


def _which(subject: Subject, holds: Callable[[bytes], object]) -> np.ndarray:
    return np.array([k for k, text in enumerate(every(subject)) if holds(text)], "int64")


def some_of(subject: Subject) -> np.ndarray:
    """Numbers of enough texts."""
    if len(subject) <= MOST_READ:
        return np.arange(len(subject))
    return np.sort(np.random.default_rng(0).choice(len(subject), MOST_READ, replace=False))


def of_texts(
    subject: Subject,
    check: str,
    which: np.ndarray,
    said: str,
    advice: str,
    severity: Severity = "note",
) -> Finding:
    """A finding of some texts."""
    return Finding(
        check,
        severity,
        f"{counted(len(which), 'text is', 'texts are')} {said}",
        advice,
        len(which),
        len(which) / len(subject),
        subject.shown(which),
    )
