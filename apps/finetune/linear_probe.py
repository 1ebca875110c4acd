"""Fit linear probes: logistic regressions on frozen features, from strong to weak penalties."""

import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from apps.regression.logistic import layer_weights

MIN_LOG10_C, MAX_LOG10_C = -3.0, 0.5  # of scikit-learn's C
TOLERANCE, MAX_ITERATIONS = 1e-3, 200
MAX_EXAMPLES = 50_000


def regularization_path(
    features: np.ndarray,
    classes: np.ndarray,
    num_classes: int,
    *,
    weights: np.ndarray | None = None,
    copies: int,
    count: int,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield kernel [channels, classes] and bias of `count` regressions, strong penalties first.

    With few images there are fewer examples than channels: gradient descent on such a head
    stops far from the weights that generalise, and the best penalty depends on the data. Each
    regression starts from the one before it.

    Args:
        features: the features of `copies` versions of each image, [examples, channels].
        classes: class numbers, [examples].
        num_classes: classes of the head.
        weights: the weight of each example, [examples]; by default 1.
        copies: divides the weight of each example.
        count: number of penalties.

    """
    step = -(-len(features) // MAX_EXAMPLES)
    features, classes = features[::step], classes[::step]
    weights = None if weights is None else weights[::step]
    scale = float(features.std()) or 1.0
    model = LogisticRegression(max_iter=MAX_ITERATIONS, tol=TOLERANCE, warm_start=True)
    for number in range(count):
        log10_c = MIN_LOG10_C + (MAX_LOG10_C - MIN_LOG10_C) * (number + 0.5) / count
        model.C = 10.0**log10_c / copies * step
        with warnings.catch_warnings():
            # Validation compares the regressions as they are, converged or not.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features / scale, classes, weights)
        kernel, bias = layer_weights(model, num_classes)
        yield kernel / scale, bias
