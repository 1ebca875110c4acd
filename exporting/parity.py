"""Compare outputs with those of training: numbers within a tolerance, all other values exactly."""

from collections.abc import Callable
from typing import Any

import numpy as np

from exporting.differences import (
    Difference,
    Outputs,
    OutputsDifferError,
    compare_numbers,
    require_shape,
)
from exporting.ranked_lists import compare_lists, compare_requested_lists
from inference.artifacts import RANKED_LIST_OUTPUTS, REQUESTED_LIST_OUTPUTS

__all__ = ["Difference", "OutputsDifferError", "compare", "compare_numbers"]


def compare(
    given: Outputs,
    expected: Outputs,
    tolerance: float,
    decide: Callable[[Outputs], Outputs] | None = None,
) -> Difference:
    """Compare every output of a signature. Raises OutputsDifferError.

    Args:
        given: the outputs of an export by name; texts as bytes.
        expected: the outputs of training; a ranked list holds every candidate, at least k. For
            those of `compare_requested_lists`.
        tolerance: relative to a number, or absolute if the number is below 1.
        decide: derives outputs such as `class` from the export's own numbers. So any of several
            classes of equal probability is right.

    """
    if given.keys() == REQUESTED_LIST_OUTPUTS and expected.keys() >= RANKED_LIST_OUTPUTS:
        return compare_requested_lists(given, expected, tolerance)
    if given.keys() != expected.keys():
        raise OutputsDifferError(f"outputs are {sorted(given)}, in training {sorted(expected)}")
    if given.keys() == RANKED_LIST_OUTPUTS:
        return compare_lists(given, expected, tolerance)
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
    require_shape(name, given, expected)
    if len(wrong := np.argwhere(given != expected)):
        index = tuple(wrong[0])
        raise OutputsDifferError(
            f"{name} {list(map(int, index))} is {_text(given[index])}, in training "
            f"{_text(expected[index])}"
        )
    return Difference(0.0, tolerance)


def _text(value: Any) -> str:
    return repr(value.decode("utf-8", "replace")[:50]) if isinstance(value, bytes) else str(value)
