"""Baselines for texts with any number of classes: constant ones, and one-vs-rest regression."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse

from apps.thresholds import choose_thresholds
from evaluation.tasks.multilabel import Predictions
from pipelines.examples import Examples
from pipelines.splits import Splits
from pipelines.texts.words import MAX_WORDS, split_words

MAX_CLASSES_OF_ALL_FEATURES = 100  # with more classes only words and pairs of several texts count
MIN_TEXTS_OF_FEATURE = 3
TEXTS_PER_BATCH = 2000  # split into words at once
LOGISTIC_C = 10.0  # inverse regularization, as in scikit-learn


def baselines(splits: Splits) -> dict[str, Predictions]:
    """Predict the same classes for all texts, and by logistic regression for each class."""
    return {"majority": majority(splits), "tf-idf_one-vs-rest": one_vs_rest(splits)}


def majority(splits: Splits) -> Predictions:
    """Predict the shares of the classes, and choose the same classes for every text.

    They are the most frequent ones, as many as have the highest micro F1 in training.
    """
    train, target = splits.train.targets, splits.test.targets
    shares = train.mean(0, dtype="float64")
    ascending = np.sort(shares)
    right, count = ascending[::-1].cumsum(), np.arange(1, len(shares) + 1)
    best = int((2 * right / (count + shares.sum())).argmax())
    probabilities = np.tile(shares, (len(target), 1))
    thresholds = np.full(len(shares), ascending[::-1][best], "float32")
    return Predictions(probabilities, probabilities >= ascending[::-1][best], target, thresholds)


def one_vs_rest(splits: Splits) -> Predictions:
    """Predict each class by logistic regression on TF-IDF of words and pairs.

    The thresholds are chosen on the validation texts, as for our models.
    """
    parts = [splits.train, splits.valid, splits.test]
    targets = splits.train.targets
    features, *others = _tf_idf(parts, num_classes=targets.shape[1])
    columns = _columns(features, targets, sparse.vstack(others).tocsr())
    probabilities = np.stack([*columns], 1)
    valid, test = np.split(probabilities, [len(splits.valid)])
    thresholds = choose_thresholds(valid, splits.valid.targets)
    return Predictions.by_thresholds(test, thresholds, splits.test.targets)


def _tf_idf(parts: list[Examples], num_classes: int) -> list[sparse.csr_matrix]:
    vectorizer = _vectorizer()
    if num_classes > MAX_CLASSES_OF_ALL_FEATURES:
        vectorizer.set_params(min_df=MIN_TEXTS_OF_FEATURE)
    train, *others = map(_join_words, parts)
    return [vectorizer.fit_transform(train), *map(vectorizer.transform, others)]


def _columns(
    train: sparse.csr_matrix, targets: np.ndarray, others: sparse.csr_matrix
) -> Iterator[np.ndarray]:
    """Yield the probabilities of each class in turn, so that one solution is in memory."""
    from sklearn.linear_model import LogisticRegression

    for column in targets.T:
        if not 0 < column.sum() < len(column):
            yield np.full(others.shape[0], float(column[0]))
            continue
        model = LogisticRegression(C=LOGISTIC_C, solver="liblinear").fit(train, column)
        yield model.predict_proba(others)[:, 1]


def _vectorizer() -> Any:
    """Return scikit-learn's TF-IDF of words and pairs, for texts of `_join_words`."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        lowercase=False, token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True,
        dtype=np.float32,
    )  # fmt: skip


def _join_words(examples: Examples) -> list[str]:
    """Join the words of each text with single spaces; a text without words becomes `_`."""
    texts: list[str] = []
    for start in range(0, len(examples), TEXTS_PER_BATCH):
        words = split_words(
            tf.constant(examples.numpy(slice(start, start + TEXTS_PER_BATCH)).features)
        )
        joined = tf.strings.reduce_join(words[:, :MAX_WORDS], axis=-1, separator=" ")
        texts += [text.decode() or "_" for text in joined.numpy()]
    return texts
