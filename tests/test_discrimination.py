"""AUC, average precision, gain and lift: equal to scikit-learn's, with intervals that cover."""

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import kstest, norm
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from evaluation import threshold_curves, threshold_figures
from evaluation.areas import areas
from evaluation.discrimination import by_influence, discrimination, measure
from evaluation.gate import _areas
from evaluation.run_report.discrimination import section
from evaluation.tasks import classification, regression
from evaluation.tasks.class_scores import ClassScores, positive_class

SIZES = (50, 300, 3000)


def drawn(count, area=0.8, share=0.3, seed=0):
    """Normal scores of two classes, and which examples are positive."""
    random = np.random.default_rng(seed)
    truth = random.random(count) < share
    return random.standard_normal(count) + np.sqrt(2) * ndtri(area) * truth, truth


def true_average_precision(area, share):
    """The average precision of infinitely many such scores."""
    shift, scores = np.sqrt(2) * ndtri(area), np.linspace(-9, 12, 20001)
    positive, negative = share * norm.sf(scores - shift), (1 - share) * norm.sf(scores)
    return np.trapezoid(norm.pdf(scores - shift) * positive / (positive + negative), scores)


def column(scores, truth, weights=None):
    return ClassScores(("yes",), scores[:, None], truth[:, None], weights, "yes")


class FakeSplits:
    def __init__(self, targets, labels):
        self.labels = labels
        self.train = type("Part", (), {"targets": targets})


def softmax_predictions(count=400, classes=4, seed=0):
    random = np.random.default_rng(seed)
    target = random.integers(0, classes, count)
    logits = random.standard_normal((count, classes)) + 1.5 * np.eye(classes)[target]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return classification.Predictions(probabilities, target)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_areas_are_those_of_scikit_learn(ties, weighted):
    scores, truth = drawn(500)
    scores = np.round(scores, 1) if ties else scores
    weights = np.random.default_rng(1).integers(0, 4, 500).astype(float) if weighted else None
    auc, precision = areas(scores, truth, weights)
    assert auc.value == pytest.approx(roc_auc_score(truth, scores, sample_weight=weights))
    expected = average_precision_score(truth, scores, sample_weight=weights)
    assert precision.value == pytest.approx(expected)


def test_means_over_classes_are_those_of_scikit_learn():
    predictions = softmax_predictions()
    splits = FakeSplits(predictions.target, tuple("abcd"))
    found = discrimination(classification, predictions, {}, splits)
    truth = np.eye(4)[predictions.target]
    expected = roc_auc_score(predictions.target, predictions.probabilities, multi_class="ovr")
    assert found["test"]["auc"] == pytest.approx(expected)
    expected = average_precision_score(truth, predictions.probabilities)
    assert found["test"]["average_precision"] == pytest.approx(expected)
    assert [row["class"] for row in found["per_class"]] == list("abcd")
    low, high = found["intervals"]["auc"]
    assert low < found["test"]["auc"] < high
    assert _areas(found)["per_class.auc"] == min(row["auc"] for row in found["per_class"])


def test_the_error_of_an_auc_is_that_of_delong():
    scores, truth = drawn(200, seed=3)
    positive, negative = scores[truth], scores[~truth]
    pairs = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = pairs.mean(1).var(ddof=1) / len(positive) + pairs.mean(0).var(ddof=1) / len(negative)
    auc, _ = areas(scores, truth)
    assert auc.error**2 == pytest.approx(variance)


def test_influences_are_the_change_by_one_more_example():
    scores, truth = drawn(60, seed=5)
    for one, area in enumerate(areas(scores, truth)):
        for k in (0, 7, 31):
            weights = np.ones(60)
            weights[k] += 1e-6
            changed = areas(scores, truth, weights)[one].value - area.value
            assert changed * 60 / 1e-6 == pytest.approx(area.influence[k], abs=1e-3)


def coverage(count, repetitions, area, share):
    wanted = area, true_average_precision(area, share)
    covered = []
    for seed in range(repetitions):
        found = areas(*drawn(count, area, share, seed))
        covered.append(
            [
                one.interval[0] <= true <= one.interval[1]
                for one, true in zip(found, wanted, strict=True)
            ]
        )
    return np.mean(covered, 0)


def test_intervals_cover_the_truth():
    assert np.all(np.abs(coverage(50, 600, 0.8, 0.3) - 0.95) < 0.03)


@pytest.mark.slow
@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("area", [0.6, 0.75, 0.9])
@pytest.mark.parametrize("share", [0.25, 0.5])
def test_intervals_cover_the_truth_within_two_points(count, area, share):
    found = coverage(count, 6000 if count < 1000 else 3000, area, share)
    print(f"n {count} AUC {area} share {share}: coverage {found}")
    assert np.all(np.abs(found - 0.95) <= 0.02 + 0.005)  # the last is simulation error


def test_p_values_are_uniform_without_a_difference():
    p_values = []
    for seed in range(400):
        random = np.random.default_rng(seed)
        truth = random.random(300) < 0.3
        signal = random.standard_normal(300) + truth
        pair = [areas(signal + random.standard_normal(300), truth) for _ in range(2)]
        p_values.append([by_influence(*both).p for both in zip(*pair, strict=True)])
    for one in np.transpose(p_values):
        assert kstest(one, "uniform").pvalue > 0.01


def test_perfect_and_constant_scores_have_intervals():
    truth = np.arange(40) < 12
    auc, precision = areas(truth.astype(float), truth)
    assert (auc.value, precision.value) == (1.0, 1.0)
    assert 0.7 < auc.interval[0] < 0.8
    assert auc.interval[1] == 1.0
    auc, precision = areas(np.zeros(40), truth)
    assert (auc.value, precision.value) == (0.5, 0.3)
    assert areas(np.zeros(40), np.zeros(40, bool)) is None
    single = areas(np.arange(40.0), np.arange(40) == 39)
    assert single[0].interval[1] - single[0].interval[0] > 0.75  # one example proves little


def test_curves_pass_through_those_of_scikit_learn():
    scores, truth = drawn(300)
    false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
    counts = threshold_curves.counts(scores, truth)
    last = np.append(np.diff(false) > 0, True)
    expected = np.interp(threshold_curves.GRID, false[last], true[last])
    np.testing.assert_allclose(threshold_curves.rates(counts), expected)
    precision = threshold_curves.precisions(counts)
    top = truth[np.argsort(-scores)]
    needed = np.flatnonzero(np.cumsum(top) == truth.sum())[0] + 1
    assert precision[-1] == pytest.approx(truth.sum() / needed)  # not of all examples
    gain = threshold_curves.gains(counts)
    assert gain[10] == pytest.approx(top[:30].sum() / truth.sum())


def test_bands_cover_the_truth():
    share, area = 0.25, 0.85
    shift, grid = np.sqrt(2) * ndtri(area), threshold_curves.GRID[5:96]
    thresholds = norm.isf(grid)
    roc, recall = norm.sf(thresholds - shift), norm.isf(grid) + shift
    precision = share * grid / (share * grid + (1 - share) * norm.sf(recall))
    inside = []
    for seed in range(40):
        found = threshold_curves.curves(column(*drawn(300, area, share, seed)))
        for curve, truth in ((found.roc, roc), (found.precision, precision)):
            inside.append(((curve.low[5:96] <= truth) & (truth <= curve.high[5:96])).mean())
    assert 0.92 < np.mean(inside) < 0.99


def test_gain_and_lift_of_a_known_order():
    truth = np.arange(1000) >= 800
    rows = threshold_curves.gain_table(column(np.arange(1000.0), truth))
    tenth = next(row for row in rows if row["selected"] == 0.1)
    assert tenth["found"] == pytest.approx(0.5)
    assert tenth["lift"] == pytest.approx(5)
    assert tenth["precision"] == 1.0
    low, high = tenth["found_interval"]
    assert low < 0.5 < high < 0.57
    assert all(row["lift"] <= 5 + 1e-9 for row in rows)


def test_the_positive_class_is_the_rarer_one_of_training():
    assert positive_class(np.array([0, 0, 1])) == 1
    assert positive_class(np.array([0, 1, 1])) == 0
    assert positive_class(np.array([0, 1])) == 1
    scores, truth = drawn(300)
    probabilities = np.stack([1 / (1 + np.exp(-scores)), 1 / (1 + np.exp(scores))], 1)
    predictions = classification.Predictions(probabilities, np.where(truth, 0, 1))
    splits = FakeSplits(predictions.target, ("bad", "good"))
    baseline = classification.Predictions(np.full((300, 2), 0.5), predictions.target)
    found = discrimination(classification, predictions, {"majority": baseline}, splits)
    assert found["positive"] == "bad"
    assert found["test"]["auc"] == pytest.approx(roc_auc_score(truth, scores))
    assert found["comparisons"]["majority"]["auc"]["interval"][0] > 0
    page = "\n".join(section(found))
    assert "The positive class is bad" in page
    assert "<h3>Gain and lift</h3>" in page
    assert section_is_empty_without_classes()


def section_is_empty_without_classes():
    found = discrimination(regression, None, {}, None)
    return found == {} and not list(section(found)) and not list(section(None))


@pytest.mark.parametrize("classes", [2, 5])
def test_figures_have_curves(classes):
    predictions = softmax_predictions(classes=classes)
    splits = FakeSplits(predictions.target, ("_a", "$b$", "c", "d", "e")[:classes])
    figures = threshold_figures.draw(classification.class_scores(predictions, splits))
    names = {"roc.png", "precision_recall.png"} | ({"gain.png"} if classes == 2 else set())
    assert set(figures) == names
    from evaluation.style import pyplot

    for figure in figures.values():
        (axis,) = figure.axes
        assert len(axis.get_legend().get_texts()) >= 3
        pyplot.close(figure)
    assert threshold_figures.draw(None) == {}


def test_a_class_without_test_examples_is_left_out():
    predictions = softmax_predictions(classes=3)
    kept = predictions.target != 1
    part = classification.Predictions(predictions.probabilities[kept], predictions.target[kept])
    splits = FakeSplits(predictions.target, tuple("abc"))
    found = measure(classification.class_scores(part, splits))
    assert list(found.classes) == [0, 2]


def test_a_million_examples_take_seconds_and_little_memory():
    import time
    import tracemalloc

    scores, truth = drawn(1_000_000)
    tracemalloc.start()
    start = time.perf_counter()
    one = column(scores.astype("float32"), truth)
    measure(one)
    threshold_curves.gain_table(one)
    seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"1,000,000 examples: {seconds:.1f} s, {peak / 2**20:.0f} MiB")
    assert seconds < 20
    assert peak < 400 * 2**20
