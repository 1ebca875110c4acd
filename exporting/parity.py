"""How far answers are from those of training: each number by itself, names and lists exactly."""

from typing import Any, NamedTuple

import numpy as np

from inference.artifacts import RANKED_LIST_OUTPUTS

Outputs = dict[str, np.ndarray]
# Rounding in an answer near 0 has the size of usual answers: this share of them is smaller.
USUAL = 0.25


class DifferentError(ValueError):
    """Answers that are not those of training, and where they first differ."""


class Difference(NamedTuple):
    """Of all numbers of a signature the one that uses most of its tolerance.

    Attributes:
        value: the absolute difference.
        tolerance: that this number has.

    """

    value: float
    tolerance: float

    @property
    def share(self) -> float:
        """Of the tolerance that is used."""
        return self.value / self.tolerance


def compare(
    given: Outputs, expected: Outputs, tolerance: float, labels: np.ndarray | None = None
) -> Difference:
    """Compare every output of a signature. Raises DifferentError.

    Args:
        given: the outputs of an export, by name; texts as bytes.
        expected: those of training. Of lists, every candidate in order, the export's k or more.
        tolerance: of a number, as a share of it, or of 1 where it is smaller.
        labels: the classes of training, as bytes: an answer's `class` is the label of the
            largest of its own `probabilities`, which may be another one where two are as good.

    """
    if given.keys() != expected.keys():
        raise DifferentError(f"outputs are {sorted(given)}, in training {sorted(expected)}")
    if given.keys() == RANKED_LIST_OUTPUTS:
        return _lists(given, expected, tolerance)
    if labels is not None and "class" in expected:
        own = labels[given["probabilities"].argmax(-1)]
        expected = expected | {"class": own}
    found = [_one(name, given[name], expected[name], tolerance) for name in sorted(expected)]
    return max(found, key=lambda one: one.share)


def _one(name: str, given: np.ndarray, expected: np.ndarray, tolerance: float) -> Difference:
    if expected.dtype.kind == "f":
        return numbers(name, given, expected, tolerance)
    _require_shape(name, given, expected)
    if len(wrong := np.argwhere(given != expected)):
        place = tuple(wrong[0])
        raise DifferentError(
            f"{name} {list(map(int, place))} is {_text(given[place])}, in training "
            f"{_text(expected[place])}"
        )
    return Difference(0.0, tolerance)


def numbers(name: str, given: np.ndarray, expected: np.ndarray, tolerance: float) -> Difference:
    """Compare numbers, each with its own tolerance. Raises DifferentError."""
    _require_shape(name, given, expected)
    size = np.abs(expected, dtype="float64")
    finite = np.isfinite(expected)
    usual = np.quantile(size[finite], USUAL, method="lower") if finite.any() else 1.0
    allowed = tolerance * np.maximum(np.where(finite, size, 0.0), max(1.0, float(usual)))
    with np.errstate(invalid="ignore"):
        # Where both are minus infinity, a list has ended, they agree.
        far = np.where(given == expected, 0.0, np.abs(given.astype("float64") - expected))
    if len(wrong := np.argwhere(~(far <= allowed))):  # NaN is no number that may pass
        place = tuple(wrong[np.nan_to_num(far / allowed, nan=np.inf)[tuple(wrong.T)].argmax()])
        raise DifferentError(
            f"{name} {list(map(int, place))} is {given[place]}, in training {expected[place]}, "
            f"which differ by more than {allowed[place]:.2g}"
        )
    if not far.size:
        return Difference(0.0, tolerance)
    worst = np.unravel_index((far / allowed).argmax(), far.shape)
    return Difference(float(far[worst]), float(allowed[worst]))


def _lists(given: Outputs, expected: Outputs, tolerance: float) -> Difference:
    """Compare lists: the item at a place has the score that training gives at that place.

    So items that are equally good may change places.
    """
    _require_shape("items", given["items"], given["scores"])
    length = given["scores"].shape[-1]
    wanted = expected["scores"][:, :length]
    known = [
        dict(zip(items, scores, strict=True))
        for items, scores in zip(expected["items"].tolist(), expected["scores"], strict=True)
    ]
    listed = given["items"].tolist()
    if twice := [row for row, items in enumerate(listed) if _repeats(items)]:
        raise DifferentError(f"items [{twice[0]}] name one item twice")
    own = [
        [scores.get(item, np.nan) for item in items]
        for scores, items in zip(known, listed, strict=True)
    ]
    named = np.array(own, "float32").reshape(wanted.shape)
    found = [
        numbers("scores", given["scores"], wanted, tolerance),
        numbers("score in training of items", named, wanted, tolerance),
    ]
    return max(found, key=lambda one: one.share)


def _repeats(items: list[bytes]) -> bool:
    named = [item for item in items if item]
    return len(set(named)) < len(named)


def _require_shape(name: str, given: np.ndarray, expected: np.ndarray) -> None:
    if given.shape != expected.shape:
        raise DifferentError(f"{name} has the shape {given.shape}, in training {expected.shape}")


def _text(value: Any) -> str:
    return repr(value.decode("utf-8", "replace")[:50]) if isinstance(value, bytes) else str(value)
