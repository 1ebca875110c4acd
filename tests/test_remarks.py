"""Remarks name baselines that are significantly better in any metric, and existing flags."""

import dataclasses
import inspect

import numpy as np
import pytest
import threadpoolctl
from sklearn.ensemble import HistGradientBoostingRegressor
from test_intervals import class_predictions, list_predictions

import apps
from apps import Mnist, Recommender, Regression
from evaluation import modalities, rounding
from evaluation.modalities import rows
from evaluation.modalities.baselines import NOISE_FLOOR
from evaluation.paired_comparison import compare
from evaluation.remarks import Seconds, advice, remarks, time_remarks
from evaluation.tasks import classification, ranking, regression
from evaluation.tasks.regression import Predictions


def number_predictions(error, count=500, seed=0):
    """Make predictions whose errors have this standard deviation; all have the same targets."""
    target = np.random.default_rng(0).normal(180_000, 70_000, count)
    return Predictions(target + np.random.default_rng(seed + 1).normal(0, error, count), target)


def compared(task, predictions, baselines):
    """Return the scores of the model and of the baselines, and their comparisons."""
    scores = {name: task.metrics(baseline) for name, baseline in baselines.items()}
    return task.metrics(predictions), scores, compare(task, predictions, baselines)


def test_poor_rankings_get_a_remark_even_if_ratings_are_good():
    """An earlier version compared ratings only: NDCG 0.04 against 0.26 got no remark."""
    random = np.random.default_rng(0)
    poor, good = (list_predictions(random.binomial(5, share, 300), 5) for share in (0.04, 0.26))
    target = random.normal(size=300)
    predictions = poor._replace(predicted=target + 0.1, target=target)
    baselines = {
        "popularity": good,
        "global_mean": predictions._replace(predicted=target + 1, lists=None),
    }
    (remark,) = remarks(Recommender(), *compared(ranking, predictions, baselines))
    assert remark.startswith("This model loses to popularity: ")
    assert "ndcg_at_10" in remark
    assert "recall_at_10" in remark
    assert "rmse" not in remark


def test_a_difference_within_chance_gets_no_remark():
    predictions, baselines = (
        number_predictions(24_000),
        {"boosting": number_predictions(21_200, seed=5)},
    )
    assert (
        regression.metrics(baselines["boosting"])["rmse"] < regression.metrics(predictions)["rmse"]
    )
    assert remarks(Regression(), *compared(regression, predictions, baselines)) == []


@pytest.mark.parametrize(
    ("error", "seconds", "found"),
    [(23_000, 9.0, True), (23_000, 60.0, False), (27_000, 9.0, False), (18_000, 9.0, False)],
    ids=["as_good_and_fast", "as_good_and_slow", "worse", "better"],
)
def test_a_baseline_that_is_as_good_in_much_less_time_gets_a_remark(error, seconds, found):
    predictions = number_predictions(24_000)
    baselines = {
        "mean": number_predictions(70_000, seed=6),
        "boosting": number_predictions(error, seed=9),
    }
    times = Seconds(100.0, {"mean": 0.1, "boosting": seconds})
    sentences = time_remarks(Regression(), *compared(regression, predictions, baselines), times)
    assert bool(sentences) == found
    for sentence in sentences:
        assert sentence.startswith("This model took 100 s, boosting 9 s, and it is significantly")
        assert "--model boosted" in sentence


def test_a_tiny_difference_gets_no_remark():
    """24,250.09 against 24,246.58, although the difference is significant."""
    predictions = number_predictions(24_250)
    same = predictions._replace(
        predicted=predictions.target + 0.9998 * (predictions.predicted - predictions.target)
    )
    pair = compared(regression, predictions, {"linear": same})
    assert remarks(Regression(model="linear"), *pair) == []


def test_a_difference_beyond_chance_gets_a_remark_with_a_flag():
    predictions, baselines = (
        number_predictions(30_000),
        {"linear": number_predictions(22_000), "boosting": number_predictions(21_000)},
    )
    linear, boosting = remarks(Regression(), *compared(regression, predictions, baselines))
    assert "rmse" in linear
    assert "--model linear" in linear
    assert "mae" in linear
    assert "--model boosted" in boosting
    assert "athanor regression tune" in boosting
    pair = compared(regression, predictions, {"linear": baselines["linear"]})
    (same,) = remarks(Regression(model="linear"), *pair)
    assert "already" in same


def test_advice_names_the_flags_of_the_data_without_their_values():
    """A server publishes remarks: a path of the user's machine must not be among them."""
    app = Regression(data="csv:private/houses.csv", target="price")
    advised = "athanor regression tune, with the same --data and --target."
    assert advice(app, "boosting").endswith(advised)
    assert advice(app, "linear").endswith(advised)
    assert advice(Regression(), "linear").endswith("athanor regression tune.")


def test_paired_examples_find_differences_within_separate_intervals():
    right = np.random.default_rng(0).random(1000) < 0.8
    better = right | (np.arange(1000) % 20 == 0)
    predictions, other = class_predictions(right), class_predictions(better)
    one, two = (classification.intervals(each)["accuracy"] for each in (predictions, other))
    assert one[1] > two[0], "the intervals of the two overlap"
    pair = compared(classification, predictions, {"softmax_regression": other})
    assert "accuracy" in remarks(Mnist(), *pair)[0]


def test_the_noise_floor_is_not_a_baseline():
    pair = compared(regression, number_predictions(9), {NOISE_FLOOR: number_predictions(1)})
    assert pair[2] == {}
    assert remarks(Recommender(), *pair) == []


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.__name__)
def test_every_advised_flag_exists(app):
    for baseline, fields in app.baseline_fields.items():
        assert dataclasses.replace(app(), **fields) != app()
        for name, value in fields.items():
            assert f"--{name} {value}" in advice(app(), baseline)


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.__name__)
def test_every_trainable_baseline_is_advised(app):
    """A new model of an app must appear in the advice."""
    module = next(one for one in modalities.MODALITIES if app.modality == one.NAME)
    source = inspect.getsource(module)
    choices = app.__annotations__.get("model")
    for name in choices.__args__ if choices else ():
        if f'"{name}":' in source:
            assert {"model": name} in app.baseline_fields.values(), name


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (24_912.3, (21_480.0, 28_612.0), "24,900 [21,500, 28,600]"),
        (39.812, (36.1, 43.62), "39.8 [36.1, 43.6]"),
        (0.94444, (0.9236, 0.9598), "0.944 [0.924, 0.960]"),
        (1.0, (0.8389, 1.0), "1.000 [0.839, 1.000]"),
        (1_234_567.0, (1_234_560.0, 1_234_575.0), "1,234,567.0 [1,234,560.0, 1,234,575.0]"),
        (0.00012, (0.00011, 0.00014), "0.000120 [0.000110, 0.000140]"),
        (-0.0001, (-0.4, 0.4), "0.00 [-0.40, 0.40]"),
        (0.5, (0.5, 0.5), "0.5000 [0.5000, 0.5000]"),
        (24_000.0, (24_000.0, 24_000.0), "24,000 [24,000, 24,000]"),
    ],
)
def test_numbers_have_the_digits_of_their_interval(value, interval, text):
    assert rounding.with_interval(value, interval) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(24_246.58, "24,247"), (39.8123, "39.81"), (0.94444, "0.9444"), (1.0, "1.000")],
        *[
            (0.0, "0.000"),
            (1.3e-7, "1.3e-07"),
            (-1234.5, "-1,234"),
            (1e15, "1,000,000,000,000,000"),
        ],
        (float("nan"), "nan"),
    ],
)
def test_numbers_without_an_interval(value, text):
    assert rounding.number(value) == text


def test_a_mean_has_the_digits_of_its_spread():
    assert rounding.with_spread(54.3217, 2.468) == "54.3 ± 2.5"
    assert rounding.with_spread(24_912.3, 1_234.5) == "24,900 ± 1,200"
    assert rounding.with_spread(1.0, 0.0) == "1.000 ± 0.000"


def test_boosting_of_a_small_table_uses_one_thread(monkeypatch):
    """On a busy machine 2,344 rows of 79 columns took two threads 10.1 CPU seconds, and one 0.6."""
    used = []
    original_fit = HistGradientBoostingRegressor.fit

    def fit_and_count(self, *data, **validation):
        pools = threadpoolctl.threadpool_info()
        used.extend(pool["num_threads"] for pool in pools if pool["user_api"] == "openmp")
        return original_fit(self, *data, **validation)

    monkeypatch.setattr(HistGradientBoostingRegressor, "fit", fit_and_count)
    baselines = dict(rows.baselines(Regression().load_splits()))
    assert set(used) == {1}
    assert set(baselines) == {"mean", "linear", "boosting"}
