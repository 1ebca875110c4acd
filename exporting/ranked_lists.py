"""Compare ranked lists with those of training: items with equal scores may change places."""

from typing import NamedTuple

import numpy as np

from exporting.differences import (
    Difference,
    Outputs,
    OutputsDifferError,
    compare_numbers,
    require_shape,
)
from inference.modalities.diversity import POOL_PER_ITEM

# By how much the value of an item in a diverse list may be below the highest one. Items of nearly
# equal values may change places, and other items follow, so that lists need not be equal.
MAX_SHORTFALL = 1e-3


def compare_lists(given: Outputs, expected: Outputs, tolerance: float) -> Difference:
    """Compare ranked lists; items with equal scores may change places.

    The item at each rank must have had the score of this rank in training.
    """
    require_shape("items", given["items"], given["scores"])
    expected_scores = expected["scores"][:, : given["scores"].shape[-1]]
    differences = [
        compare_numbers("scores", given["scores"], expected_scores, tolerance),
        compare_numbers(
            "score in training of items",
            training_scores(given, expected),
            expected_scores,
            tolerance,
        ),
    ]
    return max(differences, key=lambda difference: difference.used_share)


def training_scores(given: Outputs, expected: Outputs) -> np.ndarray:
    """Return the scores in training of the given items; NaN for items that were no candidates.

    Raises OutputsDifferError if a list names an item twice.
    """
    lists = given["items"].tolist()
    if repeating := [row for row, items in enumerate(lists) if _has_repeats(items)]:
        raise OutputsDifferError(f"items [{repeating[0]}] name one item twice")
    scores_of_items = [
        dict(zip(items, scores, strict=True))
        for items, scores in zip(expected["items"].tolist(), expected["scores"], strict=True)
    ]
    rows = [
        [scores.get(item, np.nan) for item in items]
        for scores, items in zip(scores_of_items, lists, strict=True)
    ]
    return np.array(rows, "float32").reshape(given["scores"].shape)


def _has_repeats(items: list[bytes]) -> bool:
    nonempty = [item for item in items if item]
    return len(set(nonempty)) < len(nonempty)


class ItemVectors(NamedTuple):
    """Unit vectors of items by name."""

    places: dict[bytes, int]
    vectors: np.ndarray

    def of(self, items: np.ndarray) -> np.ndarray:
        """Return the vectors of items, [n, components]."""
        return self.vectors[[self.places[item] for item in items.tolist()]]

    def similarities(self, item: bytes, others: np.ndarray) -> np.ndarray:
        """Return the similarities of an item to others, [n]."""
        return self.of(others) @ self.vectors[self.places[item]]


def compare_requested_lists(given: Outputs, expected: Outputs, tolerance: float) -> Difference:
    """Compare the outputs of `recommend_with`. Raises OutputsDifferError.

    `expected` has the `items` and `scores` of every candidate, the best first, the `unknown` items
    and the `diversity`; and if the model has item vectors, `names` and `vectors` of all known items
    and the `history` of each row, names too.
    """
    require_shape("items", given["items"], given["scores"])
    if sorted(given["unknown"]) != sorted(expected["unknown"]):
        raise OutputsDifferError("unknown items are others than in training")
    if "vectors" not in expected:
        if given["similarities"].any() or (given["reasons"] != b"").any():
            raise OutputsDifferError("items have reasons, in training none")
        return compare_lists(given, expected, tolerance)
    places = {name: place for place, name in enumerate(expected["names"].tolist())}
    vectors = ItemVectors(places, expected["vectors"])
    reasons = _compare_reasons(given, expected["history"], vectors, tolerance)
    if expected["diversity"]:
        lists = _compare_diverse_lists(given, expected, vectors, tolerance)
    else:
        lists = compare_lists(given, expected, tolerance)
    return max(lists, reasons, key=lambda difference: difference.used_share)


def _compare_diverse_lists(
    given: Outputs, expected: Outputs, vectors: ItemVectors, tolerance: float
) -> Difference:
    """Compare the scores, and require that each place has an item of the highest value."""
    of_training = training_scores(given, expected)
    difference = compare_numbers("scores", given["scores"], of_training, tolerance)
    for row, items in enumerate(given["items"]):
        is_candidate = expected["items"][row] != b""
        ranked, scores = expected["items"][row][is_candidate], expected["scores"][row][is_candidate]
        chosen = items[items != b""]
        if len(chosen) != min(len(items), len(ranked)):
            raise OutputsDifferError(f"items [{row}] are fewer than the candidates")
        place_of = {name: place for place, name in enumerate(ranked.tolist())}
        shortfalls = list_shortfalls(
            [place_of[item] for item in chosen.tolist()],
            scores,
            vectors.of(ranked),
            size=POOL_PER_ITEM * len(items),
            weight=float(expected["diversity"]),
            tolerance=tolerance,
        )
        if max(shortfalls, default=0.0) > MAX_SHORTFALL:
            raise OutputsDifferError(f"items [{row}] are not those of maximal marginal relevance")
    return difference


def list_shortfalls(
    places: list[int],
    scores: np.ndarray,
    vectors: np.ndarray,
    *,
    size: int,
    weight: float,
    tolerance: float,
) -> list[float]:
    """Return by how much the value of each place of a diverse list is below the highest one.

    The value is that of `inference.modalities.diversity`, given the items before.

    Args:
        places: of the list's items among the candidates.
        scores: of the candidates, the highest first.
        vectors: of the candidates.
        size: of the pool; candidates with nearly the score of its last one may be outside.
        weight: of diversity.
        tolerance: of scores, relative to numbers above 1.

    """
    if not places:
        return []
    last = scores[:size][-1]
    margin = tolerance * max(1.0, abs(float(last)))
    surely = (np.arange(len(scores)) < size) & ((scores > last + margin) | (len(scores) <= size))
    span = float(scores[0] - last)
    relevance = (scores - last) / span if span > margin else np.zeros(len(scores))
    slack = 10 * margin / span if span > margin else 0.0
    redundancy, left, shortfalls = np.zeros(len(scores)), surely.copy(), []
    for rank, place in enumerate(places):
        value = (1 - weight) * relevance - weight * redundancy
        best = value[left].max(initial=-np.inf)
        shortfalls.append(
            float(best - value[place]) - slack if scores[place] >= last - margin else 1.0
        )
        similarity = vectors @ vectors[place]
        redundancy = np.maximum(redundancy, similarity) if rank else similarity
        left[place] = False
    return shortfalls


def _compare_reasons(
    given: Outputs, histories: np.ndarray, vectors: ItemVectors, tolerance: float
) -> Difference:
    """Compare the similarities of reasons with those of the items of the histories."""
    of_history = np.zeros_like(given["similarities"])
    of_reasons = np.zeros_like(of_history)
    for row, rank in np.argwhere(given["items"] != b""):
        item, past = given["items"][row, rank], histories[row]
        past = past[(past != b"") & (past != item)]
        best = np.sort(vectors.similarities(item, past))[::-1][: of_history.shape[-1]]
        of_history[row, rank, : len(best)] = np.maximum(best, 0.0)
        reasons = given["reasons"][row, rank]
        reasons = reasons[np.isin(reasons, past)]
        of_reasons[row, rank, : len(reasons)] = vectors.similarities(item, reasons)
    differences = [
        compare_numbers(name, given["similarities"], numbers, tolerance)
        for name, numbers in (("similarities", of_history), ("those of reasons", of_reasons))
    ]
    return max(differences, key=lambda difference: difference.used_share)
