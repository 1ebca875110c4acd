"""Baselines for texts with one class each: class frequencies, and a support vector machine."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import softmax

from apps.calibration import best_factors
from evaluation.modalities.baselines import majority
from evaluation.tasks.classification import Predictions, of_test_set
from pipelines.splits import Splits
from pipelines.texts.ngram_features import (
    inverse_document_frequencies,
    log_count_ratios,
    max_ngrams,
    scaled,
)
from pipelines.texts.ngrams import Corpus, NgramKinds, frequent_ngrams, ngrams_of

LONGEST_NGRAM = 3  # words
ABSENT_CLASS_SCORE = -10.0


def baselines(splits: Splits) -> dict[str, Predictions]:
    """Predict by class frequencies, and by a linear support vector machine at its usual settings.

    Its features are n-grams of words in training texts, times log-count ratios for two classes;
    for more classes, TF-IDF weights of n-grams of words and, of short texts, of characters.

    References:
        Wang and Manning, Baselines and Bigrams, ACL 2012 (NB-SVM, without interpolation).

    """
    num_classes = len(splits.labels)
    kinds = NgramKinds.of(splits.train, LONGEST_NGRAM, num_classes)
    corpus = frequent_ngrams(splits.train, kinds, max_ngrams(num_classes))
    valid, test = (ngrams_of(part, kinds, corpus.known) for part in (splits.valid, splits.test))
    name, scores = "nb-svm" if num_classes == 2 else "tf-idf_svm", _scores(corpus, num_classes)
    factor = best_factors(scores(valid)[:, np.newaxis], splits.valid.targets, splits.valid.weights)
    probabilities = {
        "majority": majority(splits.train.targets, num_classes, len(splits.test)),
        name: softmax(scores(test) * factor, axis=1),
    }
    return {name: of_test_set(splits, rows) for name, rows in probabilities.items()}


def _scores(corpus: Corpus, num_classes: int) -> Callable[[Any], np.ndarray]:
    """Fit, and return the function from n-grams of texts to scores [texts, classes]."""
    from sklearn.svm import LinearSVC

    classes, features = corpus.texts.targets, _features(corpus, num_classes)
    known = np.unique(classes)
    machine = LinearSVC(random_state=0)
    if len(known) > 1:
        machine.fit(features(corpus.present), classes, corpus.texts.relative_weights)

    def scores(present: Any) -> np.ndarray:
        # A class without training texts is never predicted.
        found = np.full((present.shape[0], num_classes), ABSENT_CLASS_SCORE)
        found[:, known] = 0.0
        if len(known) > 1:
            margins = machine.decision_function(features(present))
            found[:, known] = margins if margins.ndim > 1 else np.stack([-margins, margins], 1)
        return found

    return scores


def _features(corpus: Corpus, num_classes: int) -> Callable[[Any], Any]:
    """Return the function from n-grams of texts, sparse [texts, n-grams], to weighted ones."""
    sizes = [*map(len, corpus.known)]
    if num_classes > 2:
        idf = inverse_document_frequencies(corpus.present)
        return functools.partial(scaled, importance=idf, kinds=sizes)
    words = slice(0, sizes[0])
    ratios = log_count_ratios(corpus.present[:, words], corpus.texts.targets == 1)
    return lambda present: present[:, words].multiply(ratios).tocsr()
