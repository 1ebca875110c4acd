"""Baselines for texts with any number of classes: constant ones, and support vector machines."""

from collections.abc import Iterator

import numpy as np
from scipy.special import expit

from apps.calibration import best_factors
from apps.text import ngram_weights
from apps.thresholds import choose_thresholds
from evaluation.modalities.text_baselines import LONGEST_NGRAM, TEXTS_PER_BLOCK
from evaluation.tasks.multilabel import Predictions
from pipelines.splits import Splits
from pipelines.texts.ngram_features import max_ngrams
from pipelines.texts.ngrams import (
    MAX_VALIDATION_OCCURRENCES,
    NgramKinds,
    frequent_ngrams,
    ngrams_of,
    sample_by_ngrams,
)


def baselines(splits: Splits) -> Iterator[tuple[str, Predictions]]:
    """Predict the same classes for all texts, and by a support vector machine for each class."""
    yield "majority", majority(splits)
    yield "tf-idf_svm", support_vector_machines(splits)


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


def support_vector_machines(splits: Splits) -> Predictions:
    """Predict each class by a linear machine on TF-IDF weights of n-grams, with C = 1.

    The thresholds are chosen on the validation texts, as for our models.
    """
    num_classes = len(splits.labels)
    kinds = NgramKinds.of(splits.train, LONGEST_NGRAM, num_classes)
    texts, known, present = frequent_ngrams(splits.train, kinds, max_ngrams(num_classes))
    sizes, weights = [*map(len, known)], texts.relative_weights
    machines = ngram_weights.fit(present, texts.targets, num_classes, sizes, weights)
    sample = sample_by_ngrams(splits.valid, kinds, MAX_VALIDATION_OCCURRENCES)
    valid, *parts = (
        machines.scores(ngrams_of(block, kinds, known), sizes)
        for block in (sample, *splits.test.blocks(TEXTS_PER_BLOCK))
    )
    test = np.concatenate(parts)
    factor = best_factors(valid[:, np.newaxis], sample.targets)
    thresholds = choose_thresholds(expit(valid * factor), sample.targets)
    return Predictions.by_thresholds(expit(test * factor), thresholds, splits.test.targets)
