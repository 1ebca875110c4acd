"""Checks of texts: empty, truncated or unusually long ones, near copies, leaking words."""

from collections.abc import Iterator

import numpy as np

from data_checks import duplicates, target_leakage
from data_checks.dataset import Check, CheckedData
from data_checks.finding import MAX_OCCURRENCES, Finding, Occurrence, counted, severity_of
from data_checks.reading import skipped_rows
from data_checks.texts import near_duplicates
from data_checks.texts.text_quality import all_texts, boilerplate, encoding, of_texts, sample_of
from pipelines.label_sets import strata
from pipelines.texts.reading import text_cells
from pipelines.texts.stored_texts import empty_of

__all__ = ["boilerplate", "empty", "encoding", "leakage", "lengths", "near", "targets"]

MAX_TRUNCATED_SHARE = 0.1  # of the texts
MIN_LEAK_F1 = 0.98  # of a rule that predicts a class if a text contains a word
MAX_WORDS = 5000  # the most frequent ones are checked for leaks


def targets(data: CheckedData) -> Iterator[Finding]:
    """Rows that training skips because their class or their text is missing."""
    name = data.splits.reading.column
    for split, table, used in data.sources():
        skipped = np.setdiff1d(np.arange(len(table)), used)
        empty_text = empty_of(text_cells(table, name))[skipped]
        yield from skipped_rows(
            table,
            split,
            skipped[empty_text],
            "empty texts",
            "without a text",
            "Fill in their text.",
        )
        yield from skipped_rows(
            table,
            split,
            skipped[~empty_text],
            "missing classes",
            "without a class",
            "Fill in their class.",
        )


def empty(data: CheckedData) -> Iterator[Finding]:
    """Texts without letters and digits, texts of one word, unusually long texts."""
    texts = all_texts(data)
    counts = np.array([len(text.translate(near_duplicates.PLAIN).split()) for text in texts])
    wordless = np.flatnonzero(counts == 0)
    if len(wordless):
        yield Finding(
            "empty texts",
            severity_of(len(wordless) / len(texts), error=0.2),
            f"{counted(len(wordless), 'text has', 'texts have')} no letter and no digit",
            "Fill them in, or exclude them.",
            len(wordless),
            len(wordless) / len(texts),
            data.occurrences(wordless),
            wordless[data.used_in_training[wordless]],
        )
    median = float(np.median(counts))
    short = np.flatnonzero(counts == 1)
    if median >= 10 and 0 < len(short) < 0.05 * len(texts):
        yield of_texts(
            data,
            "texts of one word",
            short,
            f"one word long; the median is {median:.0f} words",
            "Check whether they were truncated.",
        )
    percentile = float(np.quantile(counts, 0.99))
    long = np.flatnonzero(counts > max(10 * percentile, 200))
    if len(long):
        yield of_texts(
            data,
            "unusually long texts",
            long,
            f"more than ten times as long as the 99th percentile, {percentile:.0f} words",
            "Look for a missing quote that merged several rows.",
            severity="warning",
        )


def lengths(data: CheckedData) -> Iterator[Finding]:
    """Texts with more words than the network reads."""
    max_length = data.app.max_length()
    if max_length is None:
        return
    counts = _words(data)
    truncated = np.flatnonzero(counts > max_length)
    share = len(truncated) / len(counts)
    if len(truncated):
        yield Finding(
            "truncated texts",
            severity_of(share, warning=MAX_TRUNCATED_SHARE),
            f"{counted(len(truncated), 'text is', 'texts are')} longer than --length {max_length}; "
            f"the median is {np.median(counts):.0f} words, the longest text has {counts.max():,}",
            "The network reads only their beginning and end. With --length "
            f"{int(np.quantile(counts, 0.95))} it reads 95 % of the texts whole, and trains more "
            "slowly.",
            len(truncated),
            share,
            [
                occurrence._replace(
                    detail=f"{counts[occurrence.number]:,} words: {occurrence.detail}"
                )
                for occurrence in data.occurrences(
                    truncated[np.argsort(-counts[truncated], kind="stable")]
                )
            ],
        )


def _words(data: CheckedData) -> np.ndarray:
    """Return the number of words of each text, as the app splits them."""
    from pipelines.texts.words import TEXTS_PER_CALL, split_words

    texts = all_texts(data)
    counts = np.empty(len(texts), "int64")
    for start in range(0, len(texts), TEXTS_PER_CALL):
        block = texts[start : start + TEXTS_PER_CALL]
        counts[start : start + TEXTS_PER_CALL] = split_words(block).row_lengths().numpy()
        data.inspection.progress("counting words", start + len(block), len(texts))
    return counts


def near(data: CheckedData) -> Iterator[Finding]:
    """Near copies: equal up to case, punctuation and spaces, or up to a few words."""
    # `duplicates.exact` reports exact copies, so compare one text of each content.
    _, first = np.unique(data.hashes, return_index=True)
    first.sort()
    texts = data.features(first)
    parts = []
    for block in near_duplicates.blocks(np.array([len(text) for text in texts])):
        parts.append(near_duplicates.signatures(texts[block].tolist()))
        data.inspection.progress("comparing texts", int(block[-1]) + 1, len(texts))
    word_hashes, bands, counts = (np.concatenate(part) for part in zip(*parts, strict=True))
    with_words = np.flatnonzero(counts > 0)
    groups = [with_words[members] for members in duplicates.group_equal(word_hashes[with_words])]
    same_words = [np.stack([m[:-1], m[1:]], 1) for m in groups] or [np.empty((0, 2), "int64")]
    similar_words = [
        pair
        for pair in near_duplicates.candidates(bands)
        if near_duplicates.overlap(texts[pair[0]], texts[pair[1]]) >= near_duplicates.MIN_OVERLAP
    ]
    pairs = np.concatenate([*same_words, np.array(similar_words, "int64").reshape(-1, 2)])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    yield from duplicates.near_copies(
        data, first[pairs], "equal up to case, punctuation or a few words"
    )


def leakage(data: CheckedData) -> Iterator[Finding]:
    """Properties of a text that predict its class: its length, first or last word, or one word."""
    sample = sample_of(data)
    texts = data.features(sample)
    words = [text.translate(near_duplicates.PLAIN).split() or [b""] for text in texts]
    columns = {
        "number of words": np.array([len(text) for text in words], "float32"),
        "first word": np.array([text[0] for text in words], object),
        "last word": np.array([text[-1] for text in words], object),
    }
    for column, score in target_leakage.leaking_columns(
        columns, strata(data.targets[sample]), classes=True
    ):
        yield Finding(
            "class leakage",
            "error",
            f"the {column} alone corrects {score:.1%} of the majority class's errors",
            "Remove it if it was added with the label, or make it alike in all classes.",
            1,
            score,
        )
    yield from _leaking_words(data, texts, data.targets[sample])


def _leaking_words(data: CheckedData, texts: np.ndarray, target: np.ndarray) -> Iterator[Finding]:
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(
        binary=True,
        max_features=MAX_WORDS,
        dtype="float32",
        token_pattern=r"(?u)\S+",
        decode_error="replace",
    )
    try:
        contains = counter.fit_transform(texts)
    except ValueError:
        return  # No text has a word.
    labels = data.splits.labels
    one_hot = target if target.ndim > 1 else np.eye(len(labels))[target]
    classes = one_hot.astype("float32")
    # F1 of predicting class k for the texts that contain word j, [words, classes].
    true_positives = contains.T @ classes
    f1 = 2 * true_positives / (np.asarray(contains.sum(0)).T + classes.sum(0) + 1e-9)
    best = f1.argmax(0)
    leaks = f1.max(0) >= MIN_LEAK_F1
    share = float(classes.sum(0)[leaks].sum() / len(target))
    if not leaks.any():
        return
    names = counter.get_feature_names_out()
    yield Finding(
        "words that leak a class",
        severity_of(share, error=0.8, warning=0.3),
        f"{counted(int(leaks.sum()), 'class has', 'classes have')} a word that nearly all "
        "its texts and almost no others contain",
        "If the word was added with the label, remove it: new texts will lack it.",
        int(leaks.sum()),
        share,
        [
            Occurrence("", labels[k], f"{names[best[k]]!r}, F1 {f1[best[k], k]:.3f}")
            for k in np.flatnonzero(leaks)[:MAX_OCCURRENCES]
        ],
    )


CHECKS: tuple[Check, ...] = (targets, empty, encoding, lengths, near, boilerplate, leakage)
