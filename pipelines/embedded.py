"""The data that needs no download."""

import numpy as np

from pipelines.examples import Examples
from pipelines.splits import Source


def digits() -> Source:
    """1,797 handwritten digits of 8x8 grey pixels, real, shipped inside scikit-learn.

    Features are uint8 [8, 8, 1] from 0 (paper) to 255 (ink).
    Source: UCI, Optical Recognition of Handwritten Digits (Alpaydin and Kaynak, 1998).
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # The original counts ink from 0 to 16.
    pixels = np.round(bunch.images * (255 / 16)).astype("uint8")[..., np.newaxis]
    examples = Examples.of(pixels, bunch.target.astype("int64"))
    return Source(examples, labels=tuple(str(name) for name in bunch.target_names))
