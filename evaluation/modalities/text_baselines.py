"""Baselines for texts with one class each: class frequencies, and a support vector machine."""

import functools
from collections.abc import Callable, Iterator
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
from pipelines.texts.ngrams import (
    MAX_VALIDATION_OCCURRENCES,
    Corpus,
    NgramKinds,
    frequent_ngrams,
    ngrams_of,
    sample_by_ngrams,
)

# From n-grams of texts, sparse [texts, n-grams], to weighted ones.
Features = Callable[[Any], Any]

LONGEST_NGRAM = 3  # words
TEXTS_PER_BLOCK = 10_000  # that are predicted together
ABSENT_CLASS_SCORE = -10.0


def baselines(splits: Splits) -> Iterator[tuple[str, Predictions]]:
    """Predict by class frequencies, and by linear support vector machines at usual settings.

    Their features are TF-IDF weights of n-grams of words and, of short texts, of characters; for
    two classes also n-grams of words times log-count ratios.

    References:
        Wang and Manning, Baselines and Bigrams, ACL 2012 (NB-SVM, without interpolation).

    """
    num_classes = len(splits.labels)
    frequencies = majority(splits.train.targets, num_classes, len(splits.test))
    yield "majority", of_test_set(splits, frequencies)
    kinds = NgramKinds.of(splits.train, LONGEST_NGRAM, num_classes)
    corpus = frequent_ngrams(splits.train, kinds, max_ngrams(num_classes))
    sample = sample_by_ngrams(splits.valid, kinds, MAX_VALIDATION_OCCURRENCES)
    valid = ngrams_of(sample, kinds, corpus.known)
    for name, features in _features(corpus, num_classes).items():
        scores = _scores(corpus, features, num_classes)
        factor = best_factors(scores(valid)[:, np.newaxis], sample.targets, sample.weights)
        blocks = splits.test.blocks(TEXTS_PER_BLOCK)
        parts = [scores(ngrams_of(block, kinds, corpus.known)) for block in blocks]
        yield name, of_test_set(splits, softmax(np.concatenate(parts) * factor, axis=1))


def _scores(corpus: Corpus, features: Features, num_classes: int) -> Callable[[Any], np.ndarray]:
    """Fit, and return the function from n-grams of texts to scores [texts, classes]."""
    from sklearn.svm import LinearSVC

    classes = corpus.texts.targets
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


def _features(corpus: Corpus, num_classes: int) -> dict[str, Features]:
    """Return the features of each machine."""
    sizes = [*map(len, corpus.known)]
    idf = inverse_document_frequencies(corpus.present)
    tf_idf = functools.partial(scaled, importance=idf, kinds=sizes)
    if num_classes > 2:
        return {"tf-idf_svm": tf_idf}
    words = slice(0, sizes[0])
    ratios = log_count_ratios(corpus.present[:, words], corpus.texts.targets == 1)
    nb_svm = lambda present: present[:, words].multiply(ratios).tocsr()  # noqa: E731
    return {"nb-svm": nb_svm, "tf-idf_svm": tf_idf}
