"""Intervals and sets contain the truth in the wanted share; probabilities are calibrated."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from apps import Mnist, Regression
from apps.calibration import best_temperature, logits_of
from apps.fields import FieldError
from apps.temperature import Temperature
from evaluation.coverage import coverage, coverage_findings
from inference.tasks import classification, regression
from training.coverage import conformal_quantile, fit_intervals, fit_sets, from_json
from training.options import TrainOptions
from training.run import Run, RunError

NUM_DRAWS = 200


def numbers(count, random):
    """Return predictions, and targets whose errors grow with the prediction, not Gaussian."""
    predictions = random.uniform(0, 10, count)
    return predictions, predictions + (0.2 + 0.3 * predictions) * random.standard_t(4, count)


def classes(count, random):
    """Return probabilities of five classes, and classes drawn by them."""
    probabilities = softmax(1.5 * random.normal(size=(count, 5)), 1)
    drawn = (probabilities.cumsum(1) > random.random((count, 1))).argmax(1)
    return probabilities, drawn


def test_intervals_contain_the_truth_in_the_wanted_share_also_where_errors_are_small():
    random, covered = np.random.default_rng(0), []
    for _ in range(NUM_DRAWS):
        values, targets = numbers(1000, random)
        intervals = fit_intervals(values[:600], values[:600], targets[:600], 0.9)
        new, truth = values[600:], targets[600:]
        low, high = intervals.bounds(new, new).T
        inside = (low <= truth) & (truth <= high)
        covered.append([inside.mean(), inside[new < 3].mean(), inside[new > 7].mean()])
    np.testing.assert_allclose(np.mean(covered, 0), 0.9, atol=0.02)


def test_sets_contain_the_truth_in_the_wanted_share_also_by_class():
    random, covered = np.random.default_rng(0), []
    for _ in range(NUM_DRAWS):
        probabilities, targets = classes(700, random)
        sets = fit_sets(probabilities[:300], targets[:300], 0.9)
        inside = sets.members(probabilities[300:])[np.arange(400), targets[300:]]
        covered.append([inside.mean(), *(inside[targets[300:] == k].mean() for k in range(5))])
    np.testing.assert_allclose(np.mean(covered, 0), 0.9, atol=0.02)


def test_sets_of_an_accurate_model_are_larger_where_it_is_unsure():
    probabilities = np.array([[0.99, 0.005, 0.005]] * 98 + [[0.4, 0.35, 0.25]] * 2)
    sets = fit_sets(probabilities, np.zeros(100, int), 0.9)
    assert sets.members(probabilities).sum(1).tolist() == [1] * 98 + [3] * 2


@pytest.mark.parametrize("count", [50, 300, 3000])
def test_few_examples_are_enough(count):
    random, covered = np.random.default_rng(1), []
    for _ in range(NUM_DRAWS):
        values, targets = numbers(count + 200, random)
        intervals = fit_intervals(values[:count], values[:count], targets[:count], 0.9)
        half = intervals.half_widths(values[count:])
        covered.append((np.abs(values[count:] - targets[count:]) <= half).mean())
    assert abs(np.mean(covered) - 0.9) < 0.02


def test_the_interval_of_a_constant_spread_is_that_of_the_definition():
    """Values of MAPIE 1.6.0 (SplitConformalRegressor) and crepes 0.9.1 for the same residuals."""
    errors = np.array([0.3, 1.2, 0.1, 2.5, 0.7, 0.9, 1.6, 0.2, 0.5, 1.1, 0.4])
    assert conformal_quantile(errors, 0.9) == 2.5  # the 11th of 11: ceil(12 * 0.9)
    assert conformal_quantile(errors, 0.5) == 0.7
    assert conformal_quantile(errors[:8], 0.9) is None  # ceil(9 * 0.9) = 9
    intervals = fit_intervals(np.zeros(11), np.zeros(11), errors, 0.5)
    np.testing.assert_allclose(intervals.bounds(np.array([2.0]), np.array([0.0])), [[1.3, 2.7]])


def test_intervals_equal_those_of_crepes_and_mapie():
    crepes, mapie = pytest.importorskip("crepes"), pytest.importorskip("mapie.regression")
    linear = pytest.importorskip("sklearn.linear_model")
    values, targets = numbers(90, np.random.default_rng(2))
    intervals = fit_intervals(values, values, targets, 0.9)
    bounds = intervals.bounds(np.array([3.0]), np.array([3.0]))
    theirs = crepes.ConformalRegressor().fit(targets - values)
    expected = theirs.predict_int(np.array([3.0]), confidence=0.9)
    np.testing.assert_allclose(bounds, expected, rtol=1e-6)

    identity = linear.LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    other = mapie.SplitConformalRegressor(identity, confidence_level=0.9, prefit=True)
    other.conformalize(values[:, None], targets)
    _, expected = other.predict_interval([[3.0]])
    np.testing.assert_allclose(bounds, expected[:, :, 0], rtol=1e-6)


def test_odd_predictions_have_intervals_or_none():
    constant = fit_intervals(np.full(200, 2.0), np.full(200, 2.0), np.full(200, 2.0), 0.9)
    assert np.isfinite(constant.bounds(np.array([2.0]), np.array([2.0]))).all()
    assert fit_intervals(np.zeros(5), np.zeros(5), np.ones(5), 0.9) is None
    assert fit_intervals(np.zeros(0), np.zeros(0), np.ones(0), 0.9) is None
    assert fit_intervals(np.full(20, np.nan), np.zeros(20), np.ones(20), 0.9) is None
    assert fit_sets(np.full((5, 2), 0.5), np.zeros(5, int), 0.9) is None


class Decided:
    """Stands for a run: what makes decisions of numbers."""

    def __init__(self, coverage, labels=()):
        self.coverage, self.decision, self.manifest = coverage, None, {"labels": [*labels]}
        self.samples = type("Samples", (), {"labels": None})


def test_graphs_make_the_same_intervals_and_sets_as_training():
    random = np.random.default_rng(3)
    values, targets = numbers(500, random)
    run = Decided(fit_intervals(values, values, targets, 0.9))
    assert len(run.coverage.at) > 3
    values = np.float32([-50, *values[:50], 50])
    found = regression.decisions_in_graph(run)(tf.constant(values))
    expected = regression.decisions_of_training(run)({"value": values})
    np.testing.assert_allclose(found["interval"], expected["interval"], rtol=1e-5)

    probabilities, drawn = classes(500, random)
    run = Decided(fit_sets(probabilities, drawn, 0.9), "abcde")
    probabilities = np.float32([*probabilities[:60], [0.2] * 5, [0, 0, 1, 0, 0]])
    found = classification.decisions_in_graph(run)(tf.constant(probabilities))
    expected = classification.decisions_of_training(run)({"probabilities": probabilities})
    np.testing.assert_array_equal(found["classes"], expected["classes"])
    assert expected["classes"].any(1).all() and not expected["classes"].all(1).all()


@pytest.mark.parametrize("several", [False, True])
def test_a_temperature_divides_logits(several):
    logits = np.float32(np.random.default_rng(0).normal(size=(20, 4)) * 5)
    activation = tf.sigmoid if several else tf.nn.softmax
    layer = Temperature(several)
    probabilities = activation(logits)
    np.testing.assert_allclose(layer(probabilities), probabilities, atol=1e-6)
    layer.assign(2.0)
    np.testing.assert_allclose(layer(probabilities), activation(logits / 2), atol=1e-5)
    certain = layer(tf.constant([[1.0, 0, 0, 0]]))
    assert np.isfinite(certain).all() and certain[0, 0] > 0.99
    back = logits_of(layer(probabilities).numpy(), several=several)
    assert (back.argmax(1) == logits.argmax(1)).all()


@pytest.mark.parametrize("true", [0.5, 1.0, 2.0])
def test_the_temperature_is_found_from_many_examples_and_hardly_changes_by_few(true):
    random = np.random.default_rng(0)
    probabilities, drawn = classes(3000, random)
    logits = true * np.log(probabilities)
    assert best_temperature(logits, drawn) == pytest.approx(true, rel=0.08)
    assert 0.6 < best_temperature(logits[:8], drawn[:8]) < 1.7
    several = (random.random((3000, 5)) < probabilities).astype("uint8")
    odds = true * logits_of(probabilities, several=True)
    assert best_temperature(odds, several) == pytest.approx(true, rel=0.08)


def test_a_finding_names_intervals_that_contain_the_truth_too_rarely():
    random = np.random.default_rng(0)
    sizes = random.uniform(1, 2, 500)
    short = coverage(0.9, random.random(500) < 0.8, sizes)
    assert [one.kind for one in coverage_findings(short)] == ["undercovered"]
    assert sum(part["examples"] for part in short["parts"]) == 500
    right = coverage(0.9, random.random(500) < 0.9, sizes)
    assert not [*coverage_findings(right)] and not [*coverage_findings(None)]


@pytest.mark.parametrize("level", [0, 1, -0.5, float("nan")])
def test_a_coverage_that_is_no_share_is_refused(level):
    with pytest.raises(FieldError, match="--coverage"):
        TrainOptions(coverage=level)


@pytest.mark.parametrize(
    "content",
    [
        {"level": 0.9},
        {"level": 2, "threshold": 0.5, "examples": 9},
        {"level": 0.9, "quantile": 1.0, "at": [1, 0], "spreads": [1, 1], "examples": 9},
        {"level": 0.9, "quantile": 1.0, "at": [], "spreads": [], "examples": 9},
        {"level": "a", "threshold": 0.5, "examples": 9},
        [1],
    ],
)
def test_a_damaged_coverage_is_named(content, tiny_run):
    with pytest.raises(ValueError, match=r"."):
        from_json(content)
    run = tiny_run(Mnist)
    run = Run(run.path)
    run.remember(manifest=run.manifest | {"coverage": content})
    with pytest.raises(RunError, match="damaged coverage"):
        _ = run.coverage


def test_a_run_keeps_predictions_that_no_validation_example_has_changed(tiny_run):
    run = tiny_run(Regression)
    held_out, valid = run.held_out, run.splits.valid
    refitted = run.model(valid.numpy().features).numpy()
    assert len(held_out.targets) == len(valid)
    errors = [np.abs(one - valid.targets).mean() for one in (held_out.predictions, refitted)]
    assert errors[0] > 1.02 * errors[1]  # trees and kernels have seen them since
