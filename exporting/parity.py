"""Compare outputs with those of training: numbers within a tolerance, all other values exactly."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from inference.artifacts import RANKED_LIST_OUTPUTS

Outputs = dict[str, np.ndarray]
# Outputs near 0 have rounding errors as large as typical outputs, whose size is this quantile.
TYPICAL_SIZE_QUANTILE = 0.25


class OutputsDifferError(ValueError):
    """Outputs differ from those of training; the message names the first or largest difference."""


class Difference(NamedTuple):
    """The difference of the number in a signature that uses the largest share of its tolerance.

    Attributes:
        value: the absolute difference.
        tolerance: the absolute tolerance of this number.

    """

    value: float
    tolerance: float

    @property
    def used_share(self) -> float:
        """The used share of the tolerance."""
        return self.value / self.tolerance


def compare(
    given: Outputs,
    expected: Outputs,
    tolerance: float,
    decide: Callable[[Outputs], Outputs] | None = None,
) -> Difference:
    """Compare every output of a signature. Raises OutputsDifferError.

    Args:
        given: the outputs of an export by name; texts as bytes.
        expected: the outputs of training; a ranked list holds every candidate, at least k.
        tolerance: relative to a number, or absolute if the number is below 1.
        decide: derives outputs such as `class` from the export's own numbers. So any of several
            classes of equal probability is right.

    """
    if given.keys() != expected.keys():
        raise OutputsDifferError(f"outputs are {sorted(given)}, in training {sorted(expected)}")
    if given.keys() == RANKED_LIST_OUTPUTS:
        return _compare_lists(given, expected, tolerance)
    if decide is not None and "probabilities" in expected:
        expected = expected | decide(given)
    differences = [
        _compare_output(name, given[name], expected[name], tolerance) for name in sorted(expected)
    ]
    return max(differences, key=lambda difference: difference.used_share)


def _compare_output(
    name: str, given: np.ndarray, expected: np.ndarray, tolerance: float
) -> Difference:
    if expected.dtype.kind == "f":
        return compare_numbers(name, given, expected, tolerance)
    _require_shape(name, given, expected)
    if len(wrong := np.argwhere(given != expected)):
        index = tuple(wrong[0])
        raise OutputsDifferError(
            f"{name} {list(map(int, index))} is {_text(given[index])}, in training "
            f"{_text(expected[index])}"
        )
    return Difference(0.0, tolerance)


def compare_numbers(
    name: str, given: np.ndarray, expected: np.ndarray, tolerance: float
) -> Difference:
    """Compare numbers, each with its own tolerance. Raises OutputsDifferError."""
    _require_shape(name, given, expected)
    size = np.abs(expected, dtype="float64")
    finite = np.isfinite(expected)
    typical_size = (
        np.quantile(size[finite], TYPICAL_SIZE_QUANTILE, method="lower") if finite.any() else 1.0
    )
    allowed = tolerance * np.maximum(np.where(finite, size, 0.0), max(1.0, float(typical_size)))
    with np.errstate(invalid="ignore"):
        # Minus infinity, the padding of a list, equals itself.
        difference = np.where(given == expected, 0.0, np.abs(given.astype("float64") - expected))
    if len(wrong := np.argwhere(~(difference <= allowed))):  # NaN always fails
        excess = np.nan_to_num(difference / allowed, nan=np.inf)[tuple(wrong.T)]
        index = tuple(wrong[excess.argmax()])
        raise OutputsDifferError(
            f"{name} {list(map(int, index))} is {given[index]}, in training {expected[index]}, "
            f"which differ by more than {allowed[index]:.2g}"
        )
    if not difference.size:
        return Difference(0.0, tolerance)
    worst = np.unravel_index((difference / allowed).argmax(), difference.shape)
    return Difference(float(difference[worst]), float(allowed[worst]))


def _compare_lists(given: Outputs, expected: Outputs, tolerance: float) -> Difference:
    """Compare ranked lists; items with equal scores may change places.

    The item at each rank must have had the score of this rank in training.
    """
    _require_shape("items", given["items"], given["scores"])
    length = given["scores"].shape[-1]
    expected_scores = expected["scores"][:, :length]
    scores_of_items = [
        dict(zip(items, scores, strict=True))
        for items, scores in zip(expected["items"].tolist(), expected["scores"], strict=True)
    ]
    lists = given["items"].tolist()
    if repeating := [row for row, items in enumerate(lists) if _has_repeats(items)]:
        raise OutputsDifferError(f"items [{repeating[0]}] name one item twice")
    rows = [
        [scores.get(item, np.nan) for item in items]
        for scores, items in zip(scores_of_items, lists, strict=True)
    ]
    training_scores = np.array(rows, "float32").reshape(expected_scores.shape)
    differences = [
        compare_numbers("scores", given["scores"], expected_scores, tolerance),
        compare_numbers("score in training of items", training_scores, expected_scores, tolerance),
    ]
    return max(differences, key=lambda difference: difference.used_share)


def _has_repeats(items: list[bytes]) -> bool:
    nonempty = [item for item in items if item]
    return len(set(nonempty)) < len(nonempty)


def _require_shape(name: str, given: np.ndarray, expected: np.ndarray) -> None:
    if given.shape != expected.shape:
        raise OutputsDifferError(
            f"{name} has the shape {given.shape}, in training {expected.shape}"
        )


def _text(value: Any) -> str:
    return repr(value.decode("utf-8", "replace")[:50]) if isinstance(value, bytes) else str(value)
