"""The head alone: logistic regressions on features that do not change."""

from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import LogisticRegression

from apps.regression.logistic import layer_weights

STRENGTHS = (-3.0, 0.5)  # powers of ten between which scikit-learn's C lies
TOLERANCE, ITERATIONS = 1e-3, 200
MOST_EXAMPLES = 50_000


def path(
    features: np.ndarray, classes: np.ndarray, num_classes: int, *, copies: int, count: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weights [channels, classes] and bias of `count` regressions, from strong to weak penalties.

    A few pictures have fewer examples than a feature has channels: gradient descent on such a
    head stops nowhere near the weights that generalise, and how strong a penalty has to be
    depends on the set. Each regression starts from the one before it.

    Args:
        features: of `copies` of each picture, [examples, channels].
        classes: a number for each example.
        num_classes: of the head.
        copies: by which the weight of an example is divided.
        count: of the penalties.

    """
    step = -(-len(features) // MOST_EXAMPLES)
    features, classes = features[::step], classes[::step]
    scale = float(features.std()) or 1.0
    low, high = STRENGTHS
    model = LogisticRegression(max_iter=ITERATIONS, tol=TOLERANCE, warm_start=True)
    for number in range(count):
        power = low + (high - low) * (number + 0.5) / count
        model.C = 10.0**power / copies * step
        model.fit(features / scale, classes)
        kernel, bias = layer_weights(model, num_classes)
        yield kernel / scale, bias
