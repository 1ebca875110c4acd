"""Probable label errors among images."""

from collections.abc import Iterator

import numpy as np

from data_checks.dataset import CheckedData
from data_checks.finding import Finding, counted
from data_checks.images import near_duplicates

MIN_IMAGES, MAX_IMAGES = 100, 5000  # fewer are not checked; of more a random sample is
NUM_NEIGHBOURS = 5
MIN_AGREEMENT = 0.9  # share of neighbours that have the class of the image, in these data


def label_errors(data: CheckedData) -> Iterator[Finding]:
    """Probable label errors: all nearest neighbours belong to one other class."""
    count = len(data)
    if count < MIN_IMAGES or not data.splits.labels:
        return
    sample = np.sort(np.random.default_rng(0).choice(count, min(count, MAX_IMAGES), replace=False))
    classes = data.targets[sample]
    images = near_duplicates.normalised(data.features(sample))
    neighbours = classes[near_duplicates.neighbours(images, NUM_NEIGHBOURS)]
    if (neighbours == classes[:, None]).mean() < MIN_AGREEMENT:
        return  # In these data the class of the neighbours says little.
    unanimous = (neighbours == neighbours[:, :1]).all(1)
    rows = np.flatnonzero(unanimous & (neighbours[:, 0] != classes))
    suspects = sample[rows]
    if len(suspects):
        yield Finding(
            "probable label errors",
            "note",
            f"{counted(len(suspects), 'picture is', 'pictures are')} labelled differently from all "
            "five nearest neighbours",
            "Look at them: some are mislabelled, others only unusual.",
            len(suspects),
            len(suspects) / len(sample),
            [
                case._replace(
                    detail=f"{case.detail}; its neighbours: {data.target_text(neighbours[k, 0])}"
                )
                for case, k in zip(data.occurrences(suspects), rows, strict=False)
            ],
        )
