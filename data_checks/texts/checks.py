"""Texts: empty, cut, broken or foreign ones, near copies, and words that give a class away."""

from collections.abc import Iterator

import numpy as np

from data_checks import duplicates, target_leakage
from data_checks.dataset import Subject
from data_checks.finding import MOST_SHOWN, Finding, Shown, counted, graded
from data_checks.reading import left_out
from data_checks.texts import near_duplicates as wordings
from data_checks.texts.text_quality import encoding, every, of_texts, some_of, wording
from pipelines.texts.reading import Columns, empty_of, text_column

__all__ = ["empty", "encoding", "giveaways", "lengths", "near", "targets", "wording"]

CUT_MUCH = 0.1  # of the texts are longer than the length
GIVES_AWAY = 0.98  # F1 of a word for a class
MOST_WORDS = 5000


def targets(subject: Subject) -> Iterator[Finding]:
    """Rows that training leaves out for their class, or their text, is missing."""
    wanted = Columns(*(getattr(subject.app, name, "") for name in Columns._fields))
    name = text_column(subject.look.tables.train, wanted)
    for split, table, kept in subject.reads():
        lost = np.setdiff1d(np.arange(len(table)), kept)
        without = empty_of(table.columns[name])[lost]
        yield from left_out(
            table, split, lost[without], "empty texts", "have no text", "Fill in their text."
        )
        yield from left_out(
            table, split, lost[~without], "missing classes", "have no class", "Fill in their class."
        )


def empty(subject: Subject) -> Iterator[Finding]:
    """Texts without a letter or a digit, of one word, and much longer than all others."""
    texts = every(subject)
    counts = np.array([len(text.translate(wordings.PLAIN).split()) for text in texts])
    without = np.flatnonzero(counts == 0)
    if len(without):
        yield Finding(
            "empty texts",
            graded(len(without) / len(texts), grave=0.2),
            f"{counted(len(without), 'text has', 'texts have')} not one letter or digit",
            "Fill them in, or leave them out.",
            len(without),
            len(without) / len(texts),
            subject.shown(without),
            without[subject.trains[without]],
        )
    usual = float(np.median(counts))
    short = np.flatnonzero(counts == 1)
    if usual >= 10 and 0 < len(short) < 0.05 * len(texts):
        yield of_texts(
            subject,
            "texts of one word",
            short,
            f"of one word, where {usual:.0f} are usual",
            "Look whether they were cut.",
        )
    tail = float(np.quantile(counts, 0.99))
    long = np.flatnonzero(counts > max(10 * tail, 200))
    if len(long):
        yield of_texts(
            subject,
            "texts much longer than all",
            long,
            f"ten times as long as 99 of 100, {tail:.0f} words",
            "Look for a missing quote, by which several rows became one.",
            severity="warning",
        )


def lengths(subject: Subject) -> Iterator[Finding]:
    """Texts of which the network reads a part."""
    longest = subject.app.max_length()
    if longest is None:
        return
    counts = _words(subject)
    cut = np.flatnonzero(counts > longest)
    share = len(cut) / len(counts)
    if len(cut):
        yield Finding(
            "texts cut by the length",
            graded(share, warning=CUT_MUCH),
            f"{counted(len(cut), 'text is', 'texts are')} longer than --length {longest}; half of "
            f"all have {np.median(counts):.0f} words, the longest {counts.max():,}",
            f"Of these only the ends are read; --length {int(np.quantile(counts, 0.95))} would "
            "read 95 of 100 whole, and take longer.",
            len(cut),
            share,
            [
                one._replace(said=f"{counts[one.number]:,} words: {one.said}")
                for one in subject.shown(cut[np.argsort(-counts[cut], kind="stable")])
            ],
        )


def _words(subject: Subject) -> np.ndarray:
    """Words of each text, as the app splits them."""
    from pipelines.texts.preprocessing import TEXTS_PER_CALL, split_words

    texts = every(subject)
    counts = np.empty(len(texts), "int64")
    for start in range(0, len(texts), TEXTS_PER_CALL):
        some = texts[start : start + TEXTS_PER_CALL]
        counts[start : start + TEXTS_PER_CALL] = split_words(some).row_lengths().numpy()
        subject.look.progress("counting words", start + len(some), len(texts))
    return counts


def near(subject: Subject) -> Iterator[Finding]:
    """The same but for capitals, marks and spaces, or but for a few words."""
    _, first = np.unique(subject.hashes, return_index=True)
    first.sort()
    texts = subject.features(first)
    parts = []
    for some in wordings.blocks(np.array([len(text) for text in texts])):
        parts.append(wordings.signatures(texts[some].tolist()))
        subject.look.progress("comparing texts", int(some[-1]) + 1, len(texts))
    whole, bands, counts = (np.concatenate(part) for part in zip(*parts, strict=True))
    said = np.flatnonzero(counts > 0)
    same = [said[members] for members in duplicates.grouped(whole[said])]
    written = [np.stack([m[:-1], m[1:]], 1) for m in same] or [np.empty((0, 2), "int64")]
    alike = [
        pair
        for pair in wordings.candidates(bands)
        if wordings.overlap(texts[pair[0]], texts[pair[1]]) >= wordings.OVERLAP
    ]
    pairs = np.concatenate([*written, np.array(alike, "int64").reshape(-1, 2)])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    yield from duplicates.near(subject, first[pairs], "the same but for case, marks or a few words")


def giveaways(subject: Subject) -> Iterator[Finding]:
    """A class that one word, the first or last word, or the length of a text tells."""
    some = some_of(subject)
    texts = subject.features(some)
    words = [text.translate(wordings.PLAIN).split() or [b""] for text in texts]
    columns = {
        "number of words": np.array([len(one) for one in words], "float32"),
        "first word": np.array([one[0] for one in words], object),
        "last word": np.array([one[-1] for one in words], object),
    }
    for column, score in target_leakage.told(columns, subject.targets[some], classes=True):
        yield Finding(
            "class given away",
            "grave",
            f"the {column} alone tells the class of {score:.1%} of what a guess leaves open",
            "Remove what was added with the label, or make all classes alike in it.",
            1,
            score,
        )
    yield from _telling_words(subject, texts, subject.targets[some])


def _telling_words(subject: Subject, texts: np.ndarray, target: np.ndarray) -> Iterator[Finding]:
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(
        binary=True,
        max_features=MOST_WORDS,
        dtype="float32",
        token_pattern=r"(?u)\S+",
        decode_error="replace",
    )
    try:
        there = counter.fit_transform(texts)
    except ValueError:
        return  # not one word
    labels = subject.splits.labels
    classes = np.eye(len(labels), dtype="float32")[target]
    both = there.T @ classes
    f1 = 2 * both / (np.asarray(there.sum(0)).T + classes.sum(0) + 1e-9)
    best = f1.argmax(0)
    sure = f1.max(0) >= GIVES_AWAY
    covered = float(classes.sum(0)[sure].sum() / len(target))
    if not sure.any():
        return
    names = counter.get_feature_names_out()
    yield Finding(
        "words that give a class away",
        graded(covered, grave=0.8, warning=0.3),
        f"{counted(int(sure.sum()), 'class has', 'classes have')} a word that nearly all its texts "
        "hold and no others",
        "If it was added with the label, remove it: new texts will not have it.",
        int(sure.sum()),
        covered,
        [
            Shown("", labels[k], f"{names[best[k]]!r}, F1 {f1[best[k], k]:.3f}")
            for k in np.flatnonzero(sure)[:MOST_SHOWN]
        ],
    )
