"""Baseline classifiers, which a network has to beat."""

import numpy as np

from pipelines.examples import Examples

NOISE_FLOOR = "noise_floor"  # the error of a perfect model, reported with the baselines
NUM_EPOCHS = 6
BATCH_SIZE = 500
MIN_BATCHES = 50  # with fewer, MIN_STEPS replaces NUM_EPOCHS
MIN_STEPS = 300
PREDICT_BATCH_SIZE = 5000


def majority(
    train_target: np.ndarray, num_classes: int, count: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Predict the training set's class frequencies for `count` examples: [count, classes]."""
    counts = np.bincount(train_target, weights, num_classes)
    return np.tile(counts / counts.sum(), (count, 1))


def softmax_regression(train: Examples, test: Examples, num_classes: int) -> np.ndarray:
    """Predict probabilities [n, classes] by multinomial logistic regression on the raw features.

    Mini-batch gradient descent with momentum and a fixed seed trains it; the learning rate falls to
    zero. Only one batch is in memory at a time, so the examples need not fit into memory. Batches
    are drawn in proportion to the weights of the examples.
    """
    sample = _flat(train, slice(None, None, max(1, len(train) // 5000)))
    mean, scale = sample.mean(0), np.float32(max(sample.std(), 1e-6))
    weights = np.zeros((sample.shape[1] + 1, num_classes), "float32")
    velocity = np.zeros_like(weights)
    random = np.random.default_rng(0)
    batch, shares = min(BATCH_SIZE, len(train)), train.relative_weights
    shares = None if shares is None else shares / len(train)
    steps = NUM_EPOCHS * (len(train) // batch) if len(train) >= MIN_BATCHES * batch else MIN_STEPS
    for step in range(steps):
        features, target = train.numpy(_draw(random, len(train), batch, shares))
        x = _with_bias((features.reshape(batch, -1) - mean) / scale)
        error = _softmax(x @ weights)
        error[np.arange(batch), target] -= 1
        # The rate 1 / trace of the covariance is stable for any data. The largest eigenvalue for
        # pixels is far below the trace, so that 32 times this rate is stable, too.
        learning_rate = 32 / np.square(x).sum(1).mean() * (1 - step / steps)
        velocity = 0.9 * velocity - learning_rate * (x.T @ error / batch)
        weights += velocity
    blocks = (
        _flat(test, slice(i, i + PREDICT_BATCH_SIZE))
        for i in range(0, len(test), PREDICT_BATCH_SIZE)
    )
    return np.concatenate([_softmax(_with_bias((x - mean) / scale) @ weights) for x in blocks])


def _draw(
    random: np.random.Generator, total: int, count: int, shares: np.ndarray | None
) -> np.ndarray:
    """Draw `count` of `total` positions, with replacement; by default all are equally likely."""
    if shares is None:
        return random.integers(0, total, count)
    return random.choice(total, count, p=shares)


def _flat(examples: Examples, positions: slice) -> np.ndarray:
    features = examples.numpy(positions).features
    return features.reshape(len(features), -1).astype("float32")


def _with_bias(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x, np.ones((len(x), 1), "float32")], axis=1, dtype="float32")


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)
