"""Compares outputs with those of training: numbers within a tolerance, names and lists exactly."""

from typing import Any, NamedTuple

import numpy as np

from inference.artifacts import RANKED_LIST_OUTPUTS

Outputs = dict[str, np.ndarray]
# The rounding error of an output near 0 has the size of typical outputs: this quantile of them.
TYPICAL_QUANTILE = 0.25


class DifferentError(ValueError):
    """Outputs differ from those of training; says where they first differ."""


class Difference(NamedTuple):
    """The number of a signature that uses the largest share of its tolerance.

    Attributes:
        value: its absolute difference.
        tolerance: its tolerance.

    """

    value: float
    tolerance: float

    @property
    def used_share(self) -> float:
        """The used share of the tolerance."""
        return self.value / self.tolerance


def compare(
    given: Outputs, expected: Outputs, tolerance: float, labels: np.ndarray | None = None
) -> Difference:
    """Compare every output of a signature. Raises DifferentError.

    Args:
        given: the outputs of an export by name; texts as bytes.
        expected: those of training; of ranked lists every candidate, at least k.
        tolerance: relative to a number, or absolute if the number is below 1.
        labels: the classes of training as bytes. `class` must be the label of the largest of the
            export's own `probabilities`, so that ties may be broken either way.

    """
    if given.keys() != expected.keys():
        raise DifferentError(f"outputs are {sorted(given)}, in training {sorted(expected)}")
    if given.keys() == RANKED_LIST_OUTPUTS:
        return _compare_lists(given, expected, tolerance)
    if labels is not None and "class" in expected:
        own = labels[given["probabilities"].argmax(-1)]
        expected = expected | {"class": own}
    found = [
        _compare_output(name, given[name], expected[name], tolerance) for name in sorted(expected)
    ]
    return max(found, key=lambda one: one.used_share)


def _compare_output(
    name: str, given: np.ndarray, expected: np.ndarray, tolerance: float
) -> Difference:
    if expected.dtype.kind == "f":
        return compare_numbers(name, given, expected, tolerance)
    _require_shape(name, given, expected)
    if len(wrong := np.argwhere(given != expected)):
        place = tuple(wrong[0])
        raise DifferentError(
            f"{name} {list(map(int, place))} is {_text(given[place])}, in training "
            f"{_text(expected[place])}"
        )
    return Difference(0.0, tolerance)


def compare_numbers(
    name: str, given: np.ndarray, expected: np.ndarray, tolerance: float
) -> Difference:
    """Compare numbers, each with its own tolerance. Raises DifferentError."""
    _require_shape(name, given, expected)
    size = np.abs(expected, dtype="float64")
    finite = np.isfinite(expected)
    typical_size = (
        np.quantile(size[finite], TYPICAL_QUANTILE, method="lower") if finite.any() else 1.0
    )
    allowed = tolerance * np.maximum(np.where(finite, size, 0.0), max(1.0, float(typical_size)))
    with np.errstate(invalid="ignore"):
        # Minus infinity, the padding of a list, equals itself.
        difference = np.where(given == expected, 0.0, np.abs(given.astype("float64") - expected))
    if len(wrong := np.argwhere(~(difference <= allowed))):  # NaN always fails
        place = tuple(
            wrong[np.nan_to_num(difference / allowed, nan=np.inf)[tuple(wrong.T)].argmax()]
        )
        raise DifferentError(
            f"{name} {list(map(int, place))} is {given[place]}, in training {expected[place]}, "
            f"which differ by more than {allowed[place]:.2g}"
        )
    if not difference.size:
        return Difference(0.0, tolerance)
    worst = np.unravel_index((difference / allowed).argmax(), difference.shape)
    return Difference(float(difference[worst]), float(allowed[worst]))


def _compare_lists(given: Outputs, expected: Outputs, tolerance: float) -> Difference:
    """Compare lists: each item must have the score of its place in training.

    So items of equal score may change places.
    """
    _require_shape("items", given["items"], given["scores"])
    length = given["scores"].shape[-1]
    wanted = expected["scores"][:, :length]
    known = [
        dict(zip(items, scores, strict=True))
        for items, scores in zip(expected["items"].tolist(), expected["scores"], strict=True)
    ]
    listed = given["items"].tolist()
    if twice := [row for row, items in enumerate(listed) if _has_repeats(items)]:
        raise DifferentError(f"items [{twice[0]}] name one item twice")
    own = [
        [scores.get(item, np.nan) for item in items]
        for scores, items in zip(known, listed, strict=True)
    ]
    named = np.array(own, "float32").reshape(wanted.shape)
    found = [
        compare_numbers("scores", given["scores"], wanted, tolerance),
        compare_numbers("score in training of items", named, wanted, tolerance),
    ]
    return max(found, key=lambda one: one.used_share)


def _has_repeats(items: list[bytes]) -> bool:
    named = [item for item in items if item]
    return len(set(named)) < len(named)


def _require_shape(name: str, given: np.ndarray, expected: np.ndarray) -> None:
    if given.shape != expected.shape:
        raise DifferentError(f"{name} has the shape {given.shape}, in training {expected.shape}")


def _text(value: Any) -> str:
    return repr(value.decode("utf-8", "replace")[:50]) if isinstance(value, bytes) else str(value)
