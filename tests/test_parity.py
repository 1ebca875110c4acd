"""The parity check compares every output: numbers within a tolerance, all others exactly."""

import numpy as np
import pytest
import tensorflow as tf

from apps import Recommender
from exporting import savedmodel
from exporting.export import ParityError
from exporting.parity import OutputsDifferError, compare, compare_numbers
from inference.modalities import ids

LABELS = np.array([b"no", b"yes"])
CLASSES = {"class": LABELS[[1, 0]], "probabilities": np.float32([[0.2, 0.8], [0.7, 0.3]])}
LISTS = {
    "items": np.array([[b"a", b"b", b"c", b""]]),
    "scores": np.float32([[3.0, 2.0, 2.0, -np.inf]]),
}


def by_label(numbers):
    return {"class": LABELS[numbers["probabilities"].argmax(-1)]}


def list_of(*items, scores):
    return {"items": np.array([items]), "scores": np.float32([scores])}


def test_a_large_output_does_not_raise_the_tolerance_of_others():
    expected = np.float32([1e9, 2.0, 3.0, 1.0, 5.0])
    assert compare_numbers("value", expected * (1 + 5e-6), expected, 1e-5).used_share < 1
    for index in range(1, 5):
        off = expected.copy()
        off[index] += 1.0
        with pytest.raises(OutputsDifferError, match=rf"value \[{index}\] is"):
            compare_numbers("value", off, expected, 1e-5)


def test_outputs_near_zero_have_the_tolerance_of_typical_outputs():
    """Prices of millions, one of them near zero."""
    expected = np.float32([2e6, -3e6, 1e6, -2e6, 4e6, 2.5])
    assert compare_numbers("value", expected + np.float32(1.0), expected, 1e-5).tolerance >= 10
    with pytest.raises(OutputsDifferError):
        compare_numbers("value", expected + np.float32([0, 0, 0, 0, 0, 50.0]), expected, 1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_not_finite_do_not_pass(bad):
    expected = np.float32([1.0, -np.inf])
    assert compare_numbers("value", expected, expected, 1e-5).value == 0
    with pytest.raises(OutputsDifferError):
        compare_numbers("value", np.float32([bad, -np.inf]), expected, 1e-5)
    with pytest.raises(OutputsDifferError):
        compare_numbers("value", np.float32([1.0, 0.0]), expected, 1e-5)


def test_a_class_is_the_label_of_the_largest_probability():
    assert compare(CLASSES, CLASSES, 1e-5, by_label).value == 0
    with pytest.raises(OutputsDifferError, match=r"class \[0\] is 'no', in training 'yes'"):
        compare(CLASSES | {"class": LABELS[[0, 1]]}, CLASSES, 1e-5, by_label)
    # Two classes are equally probable; rounding decides which one is the class.
    even = {"class": LABELS[[0]], "probabilities": np.float32([[0.5, 0.5]])}
    other = {"class": LABELS[[1]], "probabilities": np.float32([[0.4999999, 0.5000001]])}
    assert compare(other, even, 1e-5, by_label).value < 1e-6


@pytest.mark.parametrize(
    "given",
    [
        list_of(b"a", b"b", scores=[3.0, 2.0]),
        list_of(b"a", b"c", b"b", scores=[3.0, 2.0, 2.0]),
        list_of(b"a", b"b", b"c", b"", scores=[3.0, 2.0, 2.0, -np.inf]),
    ],
)
def test_items_with_equal_scores_may_change_places(given):
    assert compare(given, LISTS, 1e-5).value == 0


@pytest.mark.parametrize(
    "given",
    [
        list_of(b"b", b"a", scores=[3.0, 2.0]),
        list_of(b"a", b"x", scores=[3.0, 2.0]),
        list_of(b"a", b"b", b"b", scores=[3.0, 2.0, 2.0]),
        list_of(b"a", b"", scores=[3.0, 2.0]),
        list_of(b"a", b"b", scores=[3.0, 2.1]),
        list_of(b"a", b"b", b"c", b"a", scores=[3.0, 2.0, 2.0, -np.inf]),
    ],
)
def test_other_items_do_not_pass(given):
    with pytest.raises(OutputsDifferError):
        compare(given, LISTS, 1e-5)


def test_every_output_is_compared():
    with pytest.raises(OutputsDifferError, match="outputs are"):
        compare(CLASSES | {"more": LABELS}, CLASSES, 1e-5, by_label)
    with pytest.raises(OutputsDifferError, match="outputs are"):
        compare({"class": CLASSES["class"]}, CLASSES, 1e-5, by_label)
    with pytest.raises(OutputsDifferError, match="image_bytes"):
        compare({"image_bytes": LABELS}, {"image_bytes": LABELS[::-1]}, 1e-5)


@pytest.mark.parametrize("signature", ["recommend", "similar"])
def test_shifted_items_fail_the_parity_check(signature, exported, tmp_path, monkeypatch):
    """The scores are right, but belong to the next items."""
    run, original_signatures = exported(Recommender), ids.signatures

    def shifted_signatures(run):
        signatures = dict(original_signatures(run))
        signature_function = signatures[signature]
        spec = signature_function.input_signature

        @tf.function(input_signature=spec, autograph=False)
        def wrong(*given):
            outputs = signature_function(*given)
            return outputs | {"items": tf.roll(outputs["items"], 1, 0)}

        return signatures | {signature: wrong}

    monkeypatch.setattr(ids, "signatures", shifted_signatures)
    with pytest.raises(ParityError, match=f"in {signature}: "):
        savedmodel.write(run, tmp_path)
