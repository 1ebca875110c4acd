"""Intervals contain the estimate, and cover the truth also near the ends of a metric's range."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse, stats

import apps
from apps.metrics import METRICS, metric
from evaluation import intervals
from evaluation.tasks import classification, ranking, regression
from evaluation.tasks.list_metrics import Lists
from training.callbacks import KeepBest

SHARED = Path(__file__).resolve().parents[2] / "shared"
COUNTS, SHARES = (20, 50, 300), (0.5, 0.9, 0.98)


def coverage(truth, bounds):
    return np.mean([low <= truth <= high for low, high in bounds])


def class_predictions(right, classes_=2):
    """Make predictions of balanced classes; `right` tells which of them are right."""
    target = np.arange(len(right)) % classes_
    predicted = np.where(right, target, (target + 1) % classes_)
    return classification.Predictions(np.eye(classes_)[predicted] * 0.8 + 0.2 / classes_, target)


def list_predictions(hits, relevant):
    """Make predictions with lists only, from each user's number of hits and of relevant items."""
    count = len(hits)
    places = np.tile(np.arange(10), (count, 1))
    lists = Lists(
        user_positions=np.arange(count),
        hits=np.arange(10) < np.asarray(hits)[:, None],
        num_relevant=np.full(count, relevant),
        indices=places,
        popularity=np.ones(10),
        mean_popularity=1.0,
    )
    return ranking.Predictions(None, np.zeros(count), np.arange(count), lists)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("count", COUNTS)
def test_the_interval_of_a_share_covers_it(count, share):
    """The exact coverage is 0.9216 for 50 examples and a share of 0.98, elsewhere at least 0.93."""
    hits = np.arange(count + 1)
    chances = stats.binom.pmf(hits, count, share)
    inside = [
        low <= share <= high for low, high in (intervals.wilson(k / count, count) for k in hits)
    ]
    assert chances @ inside >= 0.92


@pytest.mark.parametrize(("hits", "count"), [(20, 20), (0, 20), (49, 50), (1, 1), (150, 300)])
def test_the_interval_of_a_share_equals_that_of_scipy(hits, count):
    expected = stats.binomtest(hits, count).proportion_ci(method="wilson")
    assert intervals.wilson(hits / count, count) == pytest.approx((expected.low, expected.high))


def simulated(*cases):
    """Return parameters of a test; only the last one runs outside of `make thorough`."""
    return [*(pytest.param(*one, marks=pytest.mark.thorough) for one in cases[:-1]), cases[-1]]


@pytest.mark.parametrize(
    ("count", "share"), simulated(*[(n, share) for n in (300, 50, 20) for share in SHARES])
)
def test_accuracy_and_macro_f1_cover_the_truth(count, share, monkeypatch):
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 100)
    random = np.random.default_rng(0)
    bounds = [
        classification.intervals(class_predictions(random.random(count) < share))
        for _ in range(200)
    ]
    # For two balanced classes with equal numbers of mistakes, macro F1 equals the accuracy.
    for name in ("accuracy", "macro_f1"):
        assert coverage(share, [one[name] for one in bounds]) >= 0.90, name


@pytest.mark.parametrize(
    ("relevant", "count", "share"),
    simulated(*[(k, n, share) for k in (1, 3) for n in (50, 20) for share in SHARES]),
)
def test_recall_covers_the_truth(count, share, relevant, monkeypatch):
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 100)
    random = np.random.default_rng(0)
    bounds = [
        ranking.intervals(list_predictions(random.binomial(relevant, share, count), relevant))
        for _ in range(100)
    ]
    assert coverage(share, [one["recall_at_10"] for one in bounds]) >= 0.86


@pytest.mark.parametrize("count", [50, 300])
def test_errors_of_numbers_cover_the_truth(count, monkeypatch):
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 200)
    random = np.random.default_rng(0)
    bounds = []
    for _ in range(100):
        residuals = random.normal(size=count)
        target = random.normal(0, 3, count)
        bounds.append(regression.intervals(regression.Predictions(target + residuals, target)))
    truth = {"rmse": 1.0, "mae": np.sqrt(2 / np.pi), "r2": 1 - 1 / 9}
    for name, value in truth.items():
        assert coverage(value, [one[name] for one in bounds]) >= 0.88, name


@pytest.mark.parametrize("seed", range(3))
def test_bca_equals_that_of_scipy(seed):
    values = np.random.default_rng(seed).lognormal(size=40)
    expected = stats.bootstrap((values,), np.mean, n_resamples=500, method="BCa", rng=seed)
    left_out = (values.sum() - values) / 39
    ours = intervals.bca(values.mean(), expected.bootstrap_distribution, left_out, metric("loss"))
    assert ours == pytest.approx(tuple(expected.confidence_interval), rel=1e-9)


def test_perfect_predictions_have_an_interval():
    for count, least in ((20, 0.8389), (50, 0.9287), (300, 0.9874)):
        bounds = classification.intervals(class_predictions(np.ones(count, bool)))
        for name in ("accuracy", "macro_f1"):
            assert bounds[name] == pytest.approx((least, 1.0), abs=1e-4)
        assert ranking.intervals(list_predictions([1] * count, 1))["recall_at_10"][0] < 0.99


@pytest.mark.parametrize("count", [1, 2, 20, 300])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_every_interval_contains_its_estimate_and_stays_in_range(count, share):
    random = np.random.default_rng(count)
    right = random.random(count) < share
    target = random.normal(1e6, 10, count)
    cases = {
        classification: [class_predictions(right), class_predictions(right, classes_=5)],
        regression: [regression.Predictions(np.where(right, target, target + 1), target)],
        ranking: [list_predictions(right * relevant, relevant) for relevant in (1, 3)],
    }
    for task, predictions_of_task in cases.items():
        for predictions in predictions_of_task:
            values = task.metrics(predictions)
            for name, (low, high) in task.intervals(predictions).items():
                assert metric(name).low <= low <= values[name] <= high <= metric(name).high, name


def test_equal_scores_of_all_users_have_an_interval():
    bounds = ranking.intervals(list_predictions([1] * 20, 2))["recall_at_10"]
    assert bounds == pytest.approx(intervals.wilson(0.5, 20))


def test_shares_of_a_recommender_stay_inside_their_range(run_cli, elsewhere):
    data = SHARED / "cases" / "intervals-above-one" / "plain.csv"
    if not data.exists():
        pytest.skip("needs ../shared/cases")
    words = ["recommender", "train", "--data", f"csv:{data}", "--epochs", "1"]
    status, _, error = run_cli(*words, "--run-dir", elsewhere / "run")
    assert status == 0, error
    scored = json.loads((elsewhere / "run" / "scores.json").read_text())
    assert scored["test"]["coverage"] == 1
    for name, (low, high) in scored["intervals"].items():
        assert metric(name).low <= low <= scored["test"][name] <= high <= metric(name).high, name


def test_the_monitor_of_every_app_is_a_known_metric():
    for app in apps.ALL:
        assert metric(app.monitor) in METRICS.values()
        assert [metric(name).name for name in app.metrics] == list(app.metrics)


def test_the_direction_of_a_metric_comes_from_the_table_of_metrics(monkeypatch):
    lossless = METRICS["accuracy"]._replace(name="lossless_share")
    monkeypatch.setitem(METRICS, lossless.name, lossless)
    weights = SimpleNamespace(get_weights=list)
    best = KeepBest(weights, None, "val_lossless_share")
    for epoch, score in enumerate((0.5, 0.9, 0.7)):
        best.on_epoch_end(epoch, {"val_lossless_share": score})
    assert (best.epoch, best.score) == (2, 0.9)


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match=r"val_auc.*METRICS"):
        metric("val_auc")


def test_many_units_are_resampled_in_groups_with_the_same_variance(monkeypatch):
    random = np.random.default_rng(5)
    skewed = random.exponential(size=(6000, 2)) ** 2
    skewed[:, 1] += skewed[:, 0]  # a second model on the same units
    one_by_one = intervals.bootstrap_sums(skewed)
    monkeypatch.setattr(intervals, "MAX_UNITS", 1000)
    grouped = intervals.bootstrap_sums(skewed)
    assert intervals.group_sums(skewed).shape == (1000, 2)
    assert intervals.group_sums(skewed).sum(0) == pytest.approx(skewed.sum(0))
    assert grouped.std(0) == pytest.approx(one_by_one.std(0), rel=0.1)
    # Both models have the same groups, so that their difference varies as little as before.
    differences = [np.diff(sums)[:, 0] for sums in (grouped, one_by_one)]
    assert differences[0].std() == pytest.approx(differences[1].std(), rel=0.1)
    assert grouped.mean(0) == pytest.approx(skewed.sum(0), rel=0.01)
    sparse_sums = intervals.bootstrap_sums(sparse.csr_array(skewed))
    assert sparse_sums == pytest.approx(grouped)


def test_a_large_test_set_has_nearly_the_intervals_of_all_its_examples(monkeypatch):
    random = np.random.default_rng(6)
    target = random.integers(0, 3, 30_000)
    logits = random.normal(size=(30_000, 3)) + np.eye(3)[target]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    made = classification.Predictions(probabilities, target, balance=True)
    grouped = classification.intervals(made)
    monkeypatch.setattr(intervals, "MAX_UNITS", 30_000)
    for name, (low, high) in classification.intervals(made).items():
        assert grouped[name] == pytest.approx((low, high), abs=0.15 * (high - low))
