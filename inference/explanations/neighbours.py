"""The training examples that are nearest to an input."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pipelines.batches import inference_batch_size
from pipelines.examples import Examples

NUM_NEIGHBOURS = 3
MAX_SEARCHED_EXAMPLES = 50_000  # training examples, drawn at random from more
MAX_SEARCHED_NUMBERS = 200_000_000  # of all vectors together


class Neighbours(NamedTuple):
    """The nearest training examples of each input, the nearest first.

    Attributes:
        examples: those that were searched.
        positions: of the nearest ones among them, [n, NUM_NEIGHBOURS].
        distances: Euclidean, [n, NUM_NEIGHBOURS].

    """

    examples: Examples
    positions: np.ndarray
    distances: np.ndarray


def nearest(embed: Callable[[Any], np.ndarray], inputs: np.ndarray, train: Examples) -> Neighbours:
    """Find the nearest training examples.

    Args:
        embed: from raw features to vectors [n, d].
        inputs: vectors [n, d].
        train: the training examples.

    """
    width = max(1, inputs.shape[1])
    searched = train.sample(max(1, min(MAX_SEARCHED_EXAMPLES, MAX_SEARCHED_NUMBERS // width)))
    inputs = inputs.astype("float64")
    count = min(NUM_NEIGHBOURS, len(searched))
    best = np.full((len(inputs), count), np.inf)
    places = np.zeros((len(inputs), count), "int64")
    size = inference_batch_size(searched.spec["features"])
    for start in range(0, len(searched), size):
        part = searched.select(np.arange(start, min(start + size, len(searched))))
        vectors = embed(part.numpy().features).astype("float64")
        squares = np.square(inputs).sum(1)[:, None] + np.square(vectors).sum(1)
        squares -= 2 * inputs @ vectors.T
        numbers = np.broadcast_to(np.arange(start, start + len(vectors)), squares.shape)
        squares = np.concatenate([best, squares], 1)
        numbers = np.concatenate([places, numbers], 1)
        order = np.argsort(squares, 1, kind="stable")[:, :count]
        best, places = (np.take_along_axis(one, order, 1) for one in (squares, numbers))
    return Neighbours(searched, places, np.sqrt(np.maximum(best, 0)))
