"""Intervals cover the truth near the ends of a metric's range, too, and hold the estimate."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

import apps
from apps.metrics import METRICS, metric
from evaluation import intervals
from evaluation.tasks import classification, ranking, regression
from evaluation.tasks.ranking import Lists
from training.callbacks import KeepBest

SHARED = Path(__file__).resolve().parents[2] / "shared"
COUNTS, SHARES = (20, 50, 300), (0.5, 0.9, 0.98)


def coverage(truth, found):
    return np.mean([low <= truth <= high for low, high in found])


def of_classes(right, classes_=2):
    """Predictions over balanced classes of which these are right."""
    target = np.arange(len(right)) % classes_
    predicted = np.where(right, target, (target + 1) % classes_)
    return classification.Predictions(np.eye(classes_)[predicted] * 0.8 + 0.2 / classes_, target)


def of_lists(hits, relevant):
    """Predictions with lists alone, from numbers of hits and of relevant items of each user."""
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
    """Exactly, from the binomial distribution: 0.9216 at 50 and 0.98, elsewhere 0.93 and more."""
    hits = np.arange(count + 1)
    chances = stats.binom.pmf(hits, count, share)
    inside = [
        low <= share <= high for low, high in (intervals.wilson(k / count, count) for k in hits)
    ]
    assert chances @ inside >= 0.92


@pytest.mark.parametrize(("hits", "count"), [(20, 20), (0, 20), (49, 50), (1, 1), (150, 300)])
def test_the_interval_of_a_share_is_that_of_scipy(hits, count):
    theirs = stats.binomtest(hits, count).proportion_ci(method="wilson")
    assert intervals.wilson(hits / count, count) == pytest.approx((theirs.low, theirs.high))


def simulated(*cases):
    """The last of these in every run of the tests, the others in a thorough one."""
    return [*(pytest.param(*one, marks=pytest.mark.thorough) for one in cases[:-1]), cases[-1]]


@pytest.mark.parametrize(
    ("count", "share"), simulated(*[(n, share) for n in (300, 50, 20) for share in SHARES])
)
def test_accuracy_and_macro_f1_cover_the_truth(count, share, monkeypatch):
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 100)
    random = np.random.default_rng(0)
    found = [classification.intervals(of_classes(random.random(count) < share)) for _ in range(200)]
    # Of two balanced classes with as many mistakes each, macro F1 is the accuracy.
    for name in ("accuracy", "macro_f1"):
        assert coverage(share, [one[name] for one in found]) >= 0.90, name


@pytest.mark.parametrize(
    ("relevant", "count", "share"),
    simulated(*[(k, n, share) for k in (1, 3) for n in (50, 20) for share in SHARES]),
)
def test_recall_covers_the_truth(count, share, relevant, monkeypatch):
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 100)
    random = np.random.default_rng(0)
    found = [
        ranking.intervals(of_lists(random.binomial(relevant, share, count), relevant))
        for _ in range(100)
    ]
    assert coverage(share, [one["recall_at_10"] for one in found]) >= 0.86


@pytest.mark.parametrize("count", [50, 300])
def test_errors_of_numbers_cover_the_truth(count, monkeypatch):
    monkeypatch.setattr(intervals, "NUM_RESAMPLES", 200)
    random = np.random.default_rng(0)
    found = []
    for _ in range(100):
        residuals = random.normal(size=count)
        target = random.normal(0, 3, count)
        found.append(regression.intervals(regression.Predictions(target + residuals, target)))
    truth = {"rmse": 1.0, "mae": np.sqrt(2 / np.pi), "r2": 1 - 1 / 9}
    for name, value in truth.items():
        assert coverage(value, [one[name] for one in found]) >= 0.88, name


@pytest.mark.parametrize("seed", range(3))
def test_bca_is_that_of_scipy(seed):
    values = np.random.default_rng(seed).lognormal(size=40)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=500, method="BCa", rng=seed)
    left_out = (values.sum() - values) / 39
    ours = intervals.bca(values.mean(), theirs.bootstrap_distribution, left_out, metric("loss"))
    assert ours == pytest.approx(tuple(theirs.confidence_interval), rel=1e-9)


def test_all_right_is_not_certain():
    for count, least in ((20, 0.8389), (50, 0.9287), (300, 0.9874)):
        found = classification.intervals(of_classes(np.ones(count, bool)))
        for name in ("accuracy", "macro_f1"):
            assert found[name] == pytest.approx((least, 1.0), abs=1e-4)
        assert ranking.intervals(of_lists([1] * count, 1))["recall_at_10"][0] < 0.99


@pytest.mark.parametrize("count", [1, 2, 20, 300])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_every_interval_holds_its_estimate_inside_the_range(count, share):
    random = np.random.default_rng(count)
    right = random.random(count) < share
    target = random.normal(1e6, 10, count)
    cases = {
        classification: [of_classes(right), of_classes(right, classes_=5)],
        regression: [regression.Predictions(np.where(right, target, target + 1), target)],
        ranking: [of_lists(right * relevant, relevant) for relevant in (1, 3)],
    }
    for judge, answers in cases.items():
        for one in answers:
            points = judge.metrics(one)
            for name, (low, high) in judge.intervals(one).items():
                assert metric(name).low <= low <= points[name] <= high <= metric(name).high, name


def test_users_that_are_all_alike_are_not_certain():
    found = ranking.intervals(of_lists([1] * 20, 2))["recall_at_10"]
    assert found == pytest.approx(intervals.wilson(0.5, 20))


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


def test_the_monitor_of_every_app_is_in_the_table():
    for app in apps.ALL:
        assert metric(app.monitor) in METRICS.values()
        assert [metric(name).name for name in app.metrics] == list(app.metrics)


def test_the_table_and_not_the_spelling_says_which_direction_is_better(monkeypatch):
    lossless = METRICS["accuracy"]._replace(name="lossless_share")
    monkeypatch.setitem(METRICS, lossless.name, lossless)
    weights = SimpleNamespace(get_weights=list)
    best = KeepBest(weights, None, "val_lossless_share")
    for epoch, score in enumerate((0.5, 0.9, 0.7)):
        best.on_epoch_end(epoch, {"val_lossless_share": score})
    assert (best.epoch, best.score) == (2, 0.9)


def test_a_metric_that_is_not_in_the_table_is_refused():
    with pytest.raises(ValueError, match=r"val_auc.*METRICS"):
        metric("val_auc")
