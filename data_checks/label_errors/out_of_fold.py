"""Class probabilities of examples by cheap models that have not seen them."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax

from apps.app import ModalityName
from apps.calibration import best_factors
from data_checks.dataset import CheckedData
from pipelines.examples import Examples
from pipelines.folds import NUM_FOLDS

ABSENT_CLASS_SCORE = -10.0
MAX_ROUNDS = 150  # of boosted trees
MAX_TREES = 1_500  # of all classes together
LEARNING_RATE, MAX_LEARNING_RATE = 0.1, 0.25  # fewer rounds learn faster
LONGEST_NGRAM = 2  # words
IMAGE_SIDE_PIXELS = 28
NUM_COMPONENTS = 50  # of pixels
NUM_KERNEL_FEATURES = 1_500
KERNEL_PENALTIES = (1e-3, 1e-2, 0.1, 1.0)  # candidates, in mean squares of a feature's sum
IMAGES_PER_BLOCK = 2_000


def out_of_fold_probabilities(data: CheckedData, numbers: np.ndarray) -> np.ndarray:
    """Return probabilities [n, classes] of these examples by cross-validation over five folds.

    Rows have boosted trees; texts a linear support vector machine of TF-IDF weights; images a
    least-squares classifier of random features of their principal components. One temperature,
    fitted on the held-out scores, makes probabilities of scores.
    """
    num_classes, labels = len(data.splits.labels), data.targets[numbers]
    scores = MODELS[data.app.modality](data, numbers, folds_of(data, numbers), num_classes)
    factor = best_factors(scores[:, np.newaxis], labels)
    return softmax(scores * factor, axis=1)


def folds_of(data: CheckedData, numbers: np.ndarray) -> np.ndarray:
    """Return the fold of each example, int32; copies and examples of a group are in one fold.

    Each class has about as many examples in every fold.
    """
    keys = data.targets[numbers].astype("uint64"), data.hashes[numbers]
    groups = [part.examples.group_hashes for part in data.parts]
    if all(one is not None for one in groups):
        hashes = [part.examples.split_hashes() for part in data.parts]
        keys = np.zeros(len(numbers), "uint64"), np.concatenate(hashes)[numbers]
    unique, index = np.unique(np.stack(keys, 1), axis=0, return_inverse=True)
    # Sorted by class; within a class hashes are a random order.
    return (np.arange(len(unique)) % NUM_FOLDS).astype("int32")[index.ravel()]


def _row_scores(
    data: CheckedData, numbers: np.ndarray, folds: np.ndarray, num_classes: int
) -> np.ndarray:
    from apps.regression.boosting import BoostingOptions, Table, choose_iterations
    from apps.regression.matrices import RowMatrices
    from apps.regression.trees import choose_inputs
    from pipelines.rows.preprocessing import PrepareColumns

    examples = _joined_rows(data, numbers, folds)
    matrices = RowMatrices(PrepareColumns.adapted(examples), examples)
    layer = choose_inputs(matrices, num_classes)
    x = layer.codes(np.concatenate([layer(block) for block in matrices.prepared_blocks()]))
    table = Table(x, examples.targets, num_classes, len(layer.flags))
    rounds = min(MAX_ROUNDS, max(30, MAX_TREES // num_classes))
    rate = min(MAX_LEARNING_RATE, LEARNING_RATE * MAX_ROUNDS / rounds)
    options = BoostingOptions(rounds, rate, max_leaves=32)
    outputs = choose_iterations(table, table, options, folds)[1]
    return np.zeros((len(x), num_classes)) if outputs is None else outputs


def _joined_rows(data: CheckedData, numbers: np.ndarray, folds: np.ndarray) -> Examples:
    """Return these rows of all splits as one table, whose target statistics keep to the folds."""
    import dataclasses

    from pipelines.rows.packing import of_matrix

    part_of = np.searchsorted(data.ends, numbers, side="right")
    first = data.parts[0].examples
    features = {
        name: np.empty((len(numbers), matrix.shape[1]), matrix.dtype)
        for name, matrix in first.features.items()
    }
    for index, part in enumerate(data.parts):
        of_part = np.flatnonzero(part_of == index)
        rows = part.examples.rows[numbers[of_part] - (data.ends[index] - len(part.examples))]
        for name, matrix in features.items():
            matrix[of_part] = part.examples.features[name][rows]
    joined = Examples.of(features, data.targets[numbers], kinds=first.kinds)
    has_texts = bool(first.kinds and of_matrix(first.kinds, "texts"))
    return dataclasses.replace(joined, folds=folds if has_texts else None)


def _text_scores(
    data: CheckedData, numbers: np.ndarray, folds: np.ndarray, num_classes: int
) -> np.ndarray:
    from sklearn.svm import LinearSVC

    from pipelines.texts.ngram_features import (
        inverse_document_frequencies,
        max_ngrams,
        scaled,
    )
    from pipelines.texts.ngrams import NgramKinds, frequent_ngrams, ngrams_of

    examples = Examples.of(data.features(numbers), data.targets[numbers])
    kinds = NgramKinds.of(examples, LONGEST_NGRAM, num_classes)
    corpus = frequent_ngrams(examples, kinds, max_ngrams(num_classes))
    same = len(corpus.texts) == len(examples)
    present = corpus.present if same else ngrams_of(examples, kinds, corpus.known)
    features = scaled(present, inverse_document_frequencies(present), [*map(len, corpus.known)])
    fit = functools.partial(_fit_linear, LinearSVC(random_state=0), features, examples.targets)
    return _by_folds(fit, folds, num_classes, len(numbers))


def _fit_linear(
    model: Any, features: Any, classes: np.ndarray, rows: np.ndarray, held_out: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit to rows; return the known classes and the scores of held-out rows [rows, classes]."""
    known = np.unique(classes[rows])
    if len(known) < 2:
        return known, np.zeros((len(held_out), len(known)))
    margins = model.fit(features[rows], classes[rows]).decision_function(features[held_out])
    return known, margins if margins.ndim > 1 else np.stack([-margins, margins], 1)


def _image_scores(
    data: CheckedData, numbers: np.ndarray, folds: np.ndarray, num_classes: int
) -> np.ndarray:
    features = random_features(_principal_components(data, numbers))
    labels = data.targets[numbers]
    tried = [
        _least_squares(features, np.eye(num_classes)[labels], folds, penalty)
        for penalty in KERNEL_PENALTIES
    ]
    return min(tried, key=lambda scores: _loss(scores, labels))


def _least_squares(
    features: np.ndarray, wanted: np.ndarray, folds: np.ndarray, penalty: float
) -> np.ndarray:
    """Return out-of-fold scores [rows, classes]; one Gram matrix serves all folds."""
    gram, moments = features.T @ features, features.T @ wanted
    ridge = penalty * np.trace(gram) / len(gram) * np.eye(len(gram))
    scores = np.zeros(wanted.shape)
    for fold in range(NUM_FOLDS):
        rows = folds == fold
        held_out = features[rows]
        weights = np.linalg.solve(
            gram - held_out.T @ held_out + ridge, moments - held_out.T @ wanted[rows]
        )
        scores[rows] = held_out @ weights
    return scores


def _loss(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the cross-entropy at the best temperature."""
    factor = best_factors(scores[:, np.newaxis], labels)
    return float(-log_softmax(scores * factor, 1)[np.arange(len(labels)), labels].mean())


def _principal_components(data: CheckedData, numbers: np.ndarray) -> np.ndarray:
    """Return the first principal components of the shrunken pixels, [images, components]."""
    from sklearn.decomposition import PCA

    blocks = [
        _shrunken(data.features(numbers[start : start + IMAGES_PER_BLOCK]))
        for start in range(0, len(numbers), IMAGES_PER_BLOCK)
    ]
    pixels = np.concatenate(blocks)
    count = min(NUM_COMPONENTS, *pixels.shape)
    return PCA(count, svd_solver="randomized", random_state=0).fit_transform(pixels)


def _shrunken(images: np.ndarray) -> np.ndarray:
    """Return pixels [images, n] from 0 to 1, of images averaged to about IMAGE_SIDE_PIXELS."""
    height, width, channels = images.shape[1:]
    factor = max(1, min(height, width) // IMAGE_SIDE_PIXELS)
    rows, columns = height // factor, width // factor
    cells = images[:, : rows * factor, : columns * factor].reshape(
        len(images), rows, factor, columns, factor, channels
    )
    return (cells.mean((2, 4), dtype="float32") / np.float32(255)).reshape(len(images), -1)


def random_features(x: np.ndarray, count: int = NUM_KERNEL_FEATURES) -> np.ndarray:
    """Return random features [rows, count + 1] of a Gaussian kernel, and a constant.

    References:
        Rahimi and Recht, Random Features for Large-Scale Kernel Machines, NeurIPS 2007.

    """
    random = np.random.default_rng(0)
    sample = x[random.permutation(len(x))[:500]]
    squares = np.square(sample[:, None] - sample[None]).sum(-1)
    # A kernel narrower than the median distance fits better by cross-validation on digits.
    length = np.sqrt(np.median(squares)) / 2 or 1.0
    directions = random.normal(size=(x.shape[1], count)) / length
    waves = np.cos(x @ directions + random.uniform(0, 2 * np.pi, count))
    return np.concatenate([waves * np.sqrt(2 / count), np.ones((len(x), 1))], 1)


def _by_folds(
    fit: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    folds: np.ndarray,
    num_classes: int,
    count: int,
) -> np.ndarray:
    """Return scores [n, classes]; a class that a fold's training lacks has a low one."""
    scores = np.full((count, num_classes), ABSENT_CLASS_SCORE)
    for fold in range(NUM_FOLDS):
        held_out = np.flatnonzero(folds == fold)
        if len(held_out):
            known, found = fit(np.flatnonzero(folds != fold), held_out)
            scores[held_out[:, None], known] = found
    return scores


MODELS: dict[ModalityName, Callable[..., np.ndarray]] = {
    "row": _row_scores,
    "text": _text_scores,
    "image": _image_scores,
}
