"""Logistic regression on sparse n-grams, on all texts and on all but each fold of them."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

INVERSE_PENALTY = 10.0  # scikit-learn's C
TOLERANCE = 1e-3
NUM_FOLDS = 3
MAX_SCALE = 2.0
ABSENT_CLASS_BIAS = -10.0  # bias of a class without texts


class Corpus(NamedTuple):
    """The n-grams of each text, sparse [texts, n-grams], and its class, [texts]."""

    ngrams: Any
    classes: np.ndarray


class Solution(NamedTuple):
    """Several logistic regressions: number 0 of all texts, number 1 + k without fold k.

    Attributes:
        idf: inverse document frequencies, [n-grams].
        coefficients: [1 + NUM_FOLDS, n-grams, columns].
        bias: [1 + NUM_FOLDS, columns].
        scale: the factor of the logits that makes the classes of left-out texts most likely;
            0 if n-grams do not predict the class.

    """

    idf: np.ndarray
    coefficients: np.ndarray
    bias: np.ndarray
    scale: float


def to_corpus(batches: Any, num_ngrams: int) -> Corpus:
    """Turn batches of (numbers of n-grams with 0 for none, classes) into one sparse matrix."""
    rows, columns, classes, count = [], [], [], 0
    for ngrams, labels in batches:
        row, column = np.nonzero(ngrams)
        rows.append(row + count)
        columns.append(np.asarray(ngrams)[row, column])
        classes.append(np.asarray(labels))
        count += len(labels)
    coordinates = (np.concatenate(rows), np.concatenate(columns))
    present = np.ones(len(coordinates[0]), "float32")
    ngrams = sparse.csr_matrix((present, coordinates), shape=(count, num_ngrams))
    return Corpus(ngrams, np.concatenate(classes))


def text_hashes(corpus: Corpus, ngram_hashes: np.ndarray) -> np.ndarray:
    """Return the sum of the hashes of each text's n-grams, int64 [texts]; it may wrap around."""
    ngrams = corpus.ngrams
    parts = (ngram_hashes[ngrams.indices], ngrams.indices, ngrams.indptr)
    hashes = sparse.csr_matrix(parts, ngrams.shape)
    return np.asarray(hashes @ np.ones(ngrams.shape[1], "int64"))


def solve(corpus: Corpus, folds: np.ndarray, num_classes: int) -> Solution:
    """Fit the regressions; `folds` [texts] are numbers from 0."""
    document_frequency = np.asarray(corpus.ngrams.sum(0)).ravel()
    idf = 1 + np.log((1 + len(corpus.classes)) / (1 + document_frequency)).astype("float32")
    idf[document_frequency == 0] = 0.0
    tf_idf = normalize(corpus.ngrams.multiply(idf).tocsr())
    subsets = [np.full(len(folds), True), *(folds != fold for fold in range(NUM_FOLDS))]
    fits = [_fit(tf_idf[subset], corpus.classes[subset], num_classes) for subset in subsets]
    coefficients, bias = (np.stack(parts) for parts in zip(*fits, strict=True))
    out_of_fold = [tf_idf[folds == k] @ coefficients[1 + k] + bias[1 + k] for k in range(NUM_FOLDS)]
    classes = np.concatenate([corpus.classes[folds == k] for k in range(NUM_FOLDS)])
    scale = _most_likely_scale(np.concatenate(out_of_fold), classes)
    return Solution(idf, coefficients, bias, scale)


def _most_likely_scale(logits: np.ndarray, classes: np.ndarray) -> float:
    """Return the factor in [0, MAX_SCALE] of the logits that makes the classes most likely."""
    if logits.shape[1] == 1:
        logits = np.concatenate([-logits, logits], axis=1)

    def loss(scale: float) -> float:
        true = logits[np.arange(len(classes)), classes]
        return float(np.mean(logsumexp(scale * logits, axis=1) - scale * true))

    return float(minimize_scalar(loss, bounds=(0.0, MAX_SCALE), method="bounded").x)


def _fit(features: Any, classes: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients [n-grams, columns] and bias [columns]; one column for two classes."""
    columns = 1 if num_classes == 2 else num_classes
    coefficients = np.zeros((features.shape[1], columns), "float32")
    present, bias = np.unique(classes), np.zeros(1)
    if columns > 1:
        bias = np.where(np.isin(np.arange(columns), present), 0.0, ABSENT_CLASS_BIAS)
    if len(present) > 1:
        solver = "liblinear" if len(present) == 2 else "lbfgs"
        model = LogisticRegression(C=INVERSE_PENALTY, solver=solver, tol=TOLERANCE, max_iter=200)
        model.fit(features, classes)
        weights, intercepts = model.coef_, model.intercept_
        if len(present) == 2:  # scikit-learn's one column is the difference of both
            weights, intercepts = (
                np.stack([-part[0], part[0]]) / 2 for part in (weights, intercepts)
            )
        columns_present, rows_used = (
            (present, slice(None)) if columns > 1 else (slice(None), slice(1, None))
        )
        coefficients[:, columns_present], bias[columns_present] = (
            weights[rows_used].T,
            intercepts[rows_used],
        )
    return coefficients, bias
