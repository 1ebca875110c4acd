"""The verdict names planted situations, and says nothing of the kind about their clean twins."""

import numpy as np
import pytest
from test_intervals import list_predictions

from apps import Mnist, Recommender, Regression
from evaluation import test_set_ledger
from evaluation.decisive import worthwhile_gain
from evaluation.findings import findings
from evaluation.paired_comparison import compare
from evaluation.remarks import Seconds, remarks, time_remarks
from evaluation.tasks import classification, ranking, regression
from evaluation.tasks.classification import Predictions
from evaluation.verdict import judge

LABELS = ("ant", "bee", "cat", "<b>dog</b>", "elk")


def classifier(recalls, count=1500, seed=0, confidence=None, target=None):
    """Predict five classes; class k is recognised with the probability `recalls[k]`."""
    random = np.random.default_rng(seed)
    target = np.arange(count) % 5 if target is None else target
    right = random.random(count) < np.asarray(recalls)[target]
    predicted = np.where(right, target, (target + random.integers(1, 5, count)) % 5)
    confidence = float(np.mean(recalls)) if confidence is None else confidence
    rest = (1 - confidence) / 4
    return Predictions(np.eye(5)[predicted] * (confidence - rest) + rest, target)


def scored(task, predictions, baselines, app=None, *, other_runs=0, times=None, validation=None):
    """Return the verdict and the findings, as `evaluate` makes them."""
    own, others = task.metrics(predictions), {n: task.metrics(b) for n, b in baselines.items()}
    comparisons = compare(task, predictions, baselines)
    intervals = task.intervals(predictions)
    name = next(iter(own))
    bias = test_set_ledger.selection_bias(other_runs, intervals[name])
    app = app or Mnist()
    times = times or Seconds(5.0, dict.fromkeys(baselines, 1.0))
    scores = {
        "test": own,
        "intervals": intervals,
        "examples": len(predictions.target),
        "test_set": bias.to_json(),
        "note": f"used by {other_runs} other runs.",
        "calibration": task.calibration(predictions),
        "remarks": [
            *remarks(app, own, others, comparisons),
            *time_remarks(app, own, others, comparisons, times),
        ],
    }
    best = own[name] + 0.01 if validation is None else validation
    scores["validation"] = {"metrics": {name: best}, "examples": 300}
    if task is classification:
        scores["per_class"] = classification.per_class(predictions, LABELS)
    verdict = judge(own, others, comparisons, scores["examples"])
    return verdict, findings(scores, verdict, app)


def kinds(found):
    return [one.kind for one in found]


GOOD, BASELINE = classifier([0.85] * 5), classifier([0.7] * 5, seed=1)


def test_a_clean_model_is_better_and_nothing_else_is_said():
    verdict, found = scored(classification, GOOD, {"softmax_regression": BASELINE})
    assert verdict.outcome == "better"
    assert verdict.text.startswith("Better than the best baseline: accuracy 0.8")
    assert "of softmax regression, a gain of 0.1" in verdict.text
    assert found == []
    assert verdict.more_examples is None


def test_a_model_no_better_than_its_baseline():
    same = BASELINE.probabilities.copy()
    same[:3] = same[3:6]
    verdict, found = scored(
        classification, BASELINE._replace(probabilities=same), {"linear": BASELINE}
    )
    assert verdict.outcome == "not better"
    assert verdict.text.startswith("Not better than the best baseline: accuracy 0.69")
    assert kinds(found) == ["no_gain"]


def test_a_model_worse_than_its_baseline_gets_advice():
    verdict, found = scored(classification, BASELINE, {"softmax_regression": GOOD})
    assert verdict.outcome == "not better"
    assert kinds(found) == ["worse_than_baseline"]
    assert "--model softmax" in found[0].text


def test_a_test_set_that_is_too_small():
    small = [classifier([p] * 5, 60, seed) for p, seed in ((0.85, 0), (0.75, 1))]
    verdict, found = scored(classification, small[0], {"linear": small[1]})
    assert verdict.outcome == "undecided"
    assert "more test examples would decide it" in verdict.text
    assert 60 < verdict.more_examples < 3000
    assert kinds(found) == ["small_test_set"]
    assert f"roughly {verdict.more_examples:,} more" in found[0].text


def test_the_advised_number_of_examples_decides():
    """With the advised number, most samples of the same kind are decided."""
    random = np.random.default_rng(5)
    target = random.normal(size=40_000)
    errors = random.normal(size=(2, 40_000)) * [[1.0], [1.15]]
    own, other = (regression.Predictions(target + error, target) for error in errors)
    few, decided = slice(0, 80), []
    first, _ = scored(regression, part(own, few), {"linear": part(other, few)}, Regression())
    assert first.outcome == "undecided"
    count = 80 + first.more_examples
    for start in range(100, 20_000, 2000):
        rows = slice(start, start + count)
        verdict, _ = scored(
            regression, part(own, rows), {"linear": part(other, rows)}, Regression()
        )
        decided.append(verdict.outcome == "better")
    assert np.mean(decided) >= 0.6, (count, decided)


def part(predictions, rows):
    return predictions._replace(
        predicted=predictions.predicted[rows], target=predictions.target[rows]
    )


@pytest.mark.parametrize("recall", [0.0, 0.05])
def test_a_useless_class(recall):
    model = classifier([0.9, 0.9, 0.9, recall, 0.9], confidence=0.73)
    verdict, found = scored(classification, model, {"linear": classifier([0.5] * 5, seed=1)})
    assert verdict.outcome == "better"
    assert kinds(found) == ["useless_class"]
    assert "'<b>dog</b>' (recall 0.0" in found[0].text
    assert "'ant'" not in found[0].text


def test_a_weak_class_is_not_useless():
    model = classifier([0.9, 0.9, 0.9, 0.6, 0.9])
    assert scored(classification, model, {"linear": BASELINE})[1] == []


def test_a_rare_class_is_not_judged():
    target = np.append(np.arange(800) % 4, [4] * 4)
    model = classifier([0.9] * 4 + [0.0], 804, target=target, confidence=0.9)
    other = classifier([0.5] * 5, 804, 1, target=target)
    assert kinds(scored(classification, model, {"linear": other})[1]) == []


def test_a_model_that_names_one_class_only():
    target = np.random.default_rng(0).choice(5, 1000, p=[0.6, 0.1, 0.1, 0.1, 0.1])
    always = Predictions(np.tile([0.6, 0.1, 0.1, 0.1, 0.1], (1000, 1)), target)
    verdict, found = scored(classification, always, {"majority": always})
    assert verdict.outcome == "not better"
    assert kinds(found) == ["majority_class", "no_gain"]
    assert "'ant'" in found[0].text


@pytest.mark.parametrize(
    ("confidence", "found"), [(0.99, ["overconfident"]), (0.65, ["underconfident"]), (0.85, [])]
)
def test_confidence(confidence, found):
    model = classifier([0.85] * 5, confidence=confidence)
    assert kinds(scored(classification, model, {"linear": BASELINE})[1]) == found


@pytest.mark.parametrize(("validation", "expected"), [(0.99, ["validation_gap"]), (0.88, [])])
def test_a_validation_score_far_above_the_test_score(validation, expected):
    _, found = scored(classification, GOOD, {"linear": BASELINE}, validation=validation)
    assert kinds(found) == expected
    for one in found:
        assert "0.99" in one.text


@pytest.mark.parametrize(("other_runs", "expected"), [(60, ["test_set_reused"]), (3, [])])
def test_a_test_set_of_many_runs(other_runs, expected):
    _, found = scored(classification, GOOD, {"linear": BASELINE}, other_runs=other_runs)
    assert kinds(found) == expected
    for one in found:
        assert "this choice alone" not in one.text, "the gain is much larger"
    close = classifier([0.815] * 5, seed=2)
    verdict, found = scored(classification, GOOD, {"linear": close}, other_runs=other_runs)
    assert verdict.outcome == "better"
    assert kinds(found) == expected
    assert all("this choice alone" in one.text for one in found)


def test_a_gain_that_is_certain_and_small():
    random = np.random.default_rng(0)
    target = random.normal(size=2000)
    error = random.normal(size=2000)
    own, other = (regression.Predictions(target + f * error, target) for f in (1.0, 1.01))
    verdict, found = scored(regression, own, {"linear": other}, Regression())
    assert verdict.outcome == "better"
    assert kinds(found) == ["small_gain"]


def test_a_cheaper_baseline_that_is_as_good():
    target = np.random.default_rng(0).normal(size=300)
    own, other = (
        regression.Predictions(target + np.random.default_rng(k).normal(size=300), target)
        for k in (1, 3)
    )
    seconds = Seconds(100.0, {"boosting": 5.0})
    _, found = scored(regression, own, {"boosting": other}, Regression(), times=seconds)
    assert "cheaper_baseline" in kinds(found)
    _, found = scored(regression, own, {"boosting": other}, Regression())
    assert "cheaper_baseline" not in kinds(found)


def test_ratings_and_lists_are_judged_apart():
    """Baselines of ratings have no lists, and baselines of lists no ratings."""
    random = np.random.default_rng(0)
    target = random.normal(size=300)
    lists = [list_predictions(random.binomial(5, share, 300), 5) for share in (0.1, 0.4)]
    own = lists[0]._replace(predicted=target + 0.1 * random.normal(size=300), target=target)
    baselines = {
        "popularity": lists[1],
        "global_mean": own._replace(predicted=np.zeros(300), lists=None),
    }
    verdict, _ = scored(ranking, own, baselines, Recommender())
    assert [(one.metric, one.outcome) for one in verdict.parts] == [
        ("recall_at_10", "not better"),
        ("rmse", "better"),
    ]
    assert verdict.outcome == "not better"
    good = own._replace(lists=lists[1].lists)
    verdict, _ = scored(ranking, good, baselines | {"popularity": lists[0]}, Recommender())
    assert verdict.outcome == "better"


def test_a_perfect_baseline_cannot_be_beaten():
    perfect = classifier([1.0] * 5)
    verdict, _ = scored(classification, perfect, {"linear": perfect})
    assert verdict.outcome == "not better"


def test_without_baselines_there_is_no_verdict():
    verdict, found = scored(classification, GOOD, {})
    assert verdict.outcome == "undecided"
    assert "no baseline" in verdict.text
    assert found == []


@pytest.mark.parametrize(
    ("name", "score", "gain"),
    [
        ("accuracy", 0.9, 0.005),
        ("recall_at_10", 0.1, 0.005),
        ("rmse", 40.0, 2.0),
        ("r2", 0.5, 0.025),
    ],
)
def test_a_worthwhile_gain_is_a_share_of_the_distance_from_the_nearer_end(name, score, gain):
    assert worthwhile_gain(name, score) == pytest.approx(gain)
