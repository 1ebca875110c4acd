"""The model and its baselines are compared on the same examples, with honest intervals."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest, ttest_rel
from test_intervals import class_predictions, list_predictions

from apps.metrics import metric
from evaluation import intervals
from evaluation.paired_comparison import Comparison, by_resamples, compare, holm, mcnemar
from evaluation.tasks import classification, multilabel, ranking, regression

SIZES = (50, 300, 3000)
ACCURACY = metric("accuracy")


def one_of(p):
    return Comparison(0.1, (0.0, 0.2), p, p, "bootstrap")


def test_mcnemar_equals_the_exact_test_without_half_of_the_observed_count():
    own, other = np.zeros(100), np.zeros(100)
    own[:15], other[10:30] = 1, 1  # 10 against 15 examples that only one of them gets right
    found = mcnemar(own, other, ACCURACY)
    assert found.gain == pytest.approx(-0.05)
    assert found.p == pytest.approx(binomtest(10, 25).pvalue - binom.pmf(10, 25, 0.5))
    assert found.interval[0] < -0.05 < 0 < found.interval[1]
    assert mcnemar(own, own, ACCURACY).p == 1.0


def test_holm_multiplies_by_the_number_of_baselines_that_are_left():
    found = holm({name: {"rmse": one_of(p)} for name, p in (("a", 0.04), ("b", 0.01), ("c", 0.03))})
    assert {name: row["rmse"].p_holm for name, row in found.items()} == pytest.approx(
        {"a": 0.06, "b": 0.03, "c": 0.06}
    )
    alone = holm({"a": {"rmse": one_of(0.04)}, "b": {"mae": one_of(0.01)}})
    assert alone["a"]["rmse"].p_holm == 0.04


def test_every_task_compares_all_metrics_of_quality_that_both_have():
    random = np.random.default_rng(0)
    right = random.random((2, 200)) < 0.8
    classes = [class_predictions(one) for one in right]
    lists = [list_predictions(random.binomial(5, share, 100), 5) for share in (0.2, 0.5)]
    target = random.normal(size=90)
    numbers = [regression.Predictions(target + k, target) for k in (0.1, 0.2)]
    several = [
        multilabel.Predictions.by_thresholds(
            random.random((80, 3)), np.full(3, 0.5, "float32"), random.integers(0, 2, (80, 3))
        )
    ] * 2
    for task, (own, other), expected in (
        (classification, classes, ["accuracy", "loss", "macro_f1"]),
        (ranking, lists, ["recall_at_10", "ndcg_at_10", "recall_at_20", "ndcg_at_20"]),
        (regression, numbers, ["rmse", "mae", "r2"]),
        (multilabel, several, ["micro_f1", "macro_f1", "subset_accuracy", "loss"]),
    ):
        found = compare(task, own, {"other": other, "noise_floor": own})
        assert list(found) == ["other"]
        assert list(found["other"]) == expected
        for name, one in found["other"].items():
            sign = metric(name).sign
            gain = sign * (task.metrics(own)[name] - task.metrics(other)[name])
            assert one.gain == pytest.approx(gain)
            assert one.interval[0] <= one.gain <= one.interval[1]
            assert Comparison.from_json(one.to_json()) == one


def test_accuracies_are_compared_by_mcnemar_unless_the_examples_have_weights():
    own, other = (class_predictions(np.arange(60) % k > 0) for k in (3, 4))
    assert compare(classification, own, {"b": other})["b"]["accuracy"].test == "mcnemar"
    weights = np.arange(60.0) + 1
    pair = [one._replace(weights=weights) for one in (own, other)]
    assert compare(classification, pair[0], {"b": pair[1]})["b"]["accuracy"].test == "bootstrap"


def test_few_examples_prove_nothing():
    """Four users with a constant gain have a standard error of 0."""
    found = by_resamples(0.5, np.full(1000, 0.5), 4, metric("ndcg_at_10"))
    assert found.p == 0.125
    assert not found.is_better
    assert by_resamples(0.5, np.full(1000, 0.5), 1, metric("rmse")).p == 1.0
    assert by_resamples(0.0, np.zeros(1000), 100, metric("rmse")).p == 1.0


def test_a_mean_is_compared_as_by_a_paired_t_test():
    random = np.random.default_rng(3)
    target = random.normal(size=400)
    pair = [regression.Predictions(target + random.normal(0, s, 400), target) for s in (1, 1.1)]
    found = compare(regression, pair[0], {"b": pair[1]})["b"]["mae"]
    expected = ttest_rel(*(np.abs(one.residuals) for one in pair))
    assert found.p == pytest.approx(expected.pvalue, rel=0.25)
    assert found.interval == pytest.approx(
        [-end for end in expected.confidence_interval()[::-1]], rel=0.1
    )


def simulated_numbers(random, count, factor):
    """Two models whose errors are correlated; the RMSE of the second is `factor` times as large."""
    shared, own, other = random.normal(size=(3, count))
    target = np.zeros(count)
    return [
        regression.Predictions(scale * (0.8 * shared + 0.6 * one), target)
        for scale, one in ((1.0, own), (factor, other))
    ]


def simulated_classes(random, count, share):
    """Two classifiers of accuracy 0.8 and `share`, which share most of their mistakes."""
    shared = random.random(count)
    own, other = np.where(random.random((2, count)) < 0.6, shared, random.random((2, count)))
    return [class_predictions(own < 0.8), class_predictions(other < share)]


CASES = {
    "equal_rmse": (regression, simulated_numbers, 1.0, "rmse", 0.0),
    "better_rmse": (regression, simulated_numbers, 1.2, "rmse", 0.2),
    "equal_accuracy": (classification, simulated_classes, 0.8, "accuracy", 0.0),
    "better_accuracy": (classification, simulated_classes, 0.7, "accuracy", 0.1),
    "equal_f1": (classification, simulated_classes, 0.8, "macro_f1", 0.0),
}


def simulate(task, make, parameter, name, repeats, count):
    random = np.random.default_rng(count)
    pairs = (make(random, count, parameter) for _ in range(repeats))
    return [compare(task, own, {"b": other})["b"][name] for own, other in pairs]


@pytest.mark.slow
@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("case", CASES)
def test_intervals_cover_the_truth_and_p_values_are_uniform(case, count, monkeypatch):
    """The coverage is within 2 points of 95 %, and within what 400 repeats can tell."""
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 300)
    *simulated, truth = CASES[case]
    found = simulate(*simulated, 400, count)
    covered = np.mean([one.interval[0] <= truth <= one.interval[1] for one in found])
    assert abs(covered - 0.95) < 0.02 + 2 * np.sqrt(0.95 * 0.05 / len(found)), covered
    if truth == 0:
        p = np.array([one.p for one in found])
        assert np.mean(p < 0.05) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(p))
        # The mid-p of few examples has few values, and of 50 examples a tenth have equal F1.
        for share in (0.1, 0.25, 0.5, 0.75) if found[0].test == "bootstrap" else ():
            assert abs(np.mean(p < share) - share) < 3.5 * np.sqrt(share * (1 - share) / len(p))


def test_equal_models_are_rarely_called_different():
    """A fast part of the simulation above."""
    found = simulate(regression, simulated_numbers, 1.0, "rmse", 60, 50)
    assert sum(one.p < 0.05 for one in found) <= 8
    assert sum(one.interval[0] <= 0 <= one.interval[1] for one in found) >= 52
