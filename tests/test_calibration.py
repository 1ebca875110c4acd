"""The calibration error: its interval holds the truth, and 0 where a calibrated model may be."""

import numpy as np
import pytest

from evaluation.tasks.calibration import calibration

GAPS = {
    "overconfident": lambda c: c - 0.1,
    "slightly": lambda c: c - 0.02,
    "here and there": lambda c: c + 0.08 * np.sin(6 * c),
    "calibrated": lambda c: c,
}


def drawn(gap, count, random):
    confidence = 0.01 + 0.98 * random.beta(6, 2, count)
    return confidence, random.random(count) < np.clip(gap(confidence), 0, 1)


def calibrated(confidence, right):
    return calibration(confidence, right, np.square(confidence - right))


def coverage(name, count, draws):
    """Return the shares of intervals that hold the true error and the true Brier score."""
    random, held = np.random.default_rng(1), []
    many, _ = drawn(GAPS[name], 200_000, random)
    true = np.clip(GAPS[name](many), 0, 1)
    error = np.abs(true - many).mean()
    brier = (true * (1 - many) ** 2 + (1 - true) * many**2).mean()
    for _ in range(draws):
        found = calibrated(*drawn(GAPS[name], count, random))
        pairs = ((error, found["ece_interval"]), (brier, found["brier_interval"]))
        held.append([low <= truth <= high for truth, (low, high) in pairs])
    return np.mean(held, 0)


@pytest.mark.slow
@pytest.mark.parametrize("count", [50, 300, 3000])
@pytest.mark.parametrize("name", GAPS)
def test_intervals_hold_the_truth(name, count):
    """The interval of the error is cautious near 0; that of the Brier score is not."""
    of_error, of_brier = coverage(name, count, 200)
    assert of_error >= 0.91
    assert 0.91 <= of_brier <= 0.99


def test_the_interval_of_the_error_of_an_overconfident_model():
    random = np.random.default_rng(0)
    found = calibrated(*drawn(GAPS["overconfident"], 1000, random))
    low, high = found["ece_interval"]
    assert 0.05 < low < 0.1 < high < 0.15
    assert low < found["ece"] < high
    low, high = calibrated(*drawn(GAPS["calibrated"], 1000, random))["ece_interval"]
    assert low == 0 < high < 0.06


def test_one_prediction_has_a_calibration():
    found = calibrated(np.array([0.7]), np.array([True]))
    assert found["ece"] == pytest.approx(0.3)
    assert 0 <= found["ece_interval"][0] <= found["ece_interval"][1] <= 1
