"""`athanor decide`: thresholds by costs, precision and recall; abstaining; stored and used."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from apps import Regression
from apps.fields import FieldError
from evaluation import decision_scores, gate, report, threshold_choice
from evaluation.decide import DecisionError, choose, cost_matrix, decide
from evaluation.intervals import wilson
from evaluation.options import DecideOptions
from inference.named_outputs import named_function
from inference.predict import predict
from training import provenance
from training.decision import UNSURE, Decision, from_json
from training.run import Run
from training.train import train

LABELS = ["no", "yes"]


def two_classes(count, share=0.3, gap=1.5, seed=0):
    """Calibrated probabilities of the positive class, and the truth."""
    random = np.random.default_rng(seed)
    truth = random.random(count) < share
    values = random.standard_normal(count) + gap * truth
    odds = share / (1 - share) * np.exp(gap * values - gap**2 / 2)
    return (odds / (1 + odds)).astype("float32"), truth


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    """A run of two classes; the column says much and not all about them."""
    folder = tmp_path_factory.mktemp("binary")
    random = np.random.default_rng(0)
    truth = random.random(1500) < 0.3
    rows = zip(
        random.standard_normal(1500) + 1.5 * truth, np.where(truth, "yes", "no"), strict=True
    )
    with (folder / "data.csv").open("w") as file:
        csv.writer(file).writerows([("x", "y"), *rows])
    app = Regression(data=str(folder / "data.csv"), target="y", model="linear")
    return train(app, run_dir=folder / "run", verbose=0)


@pytest.fixture
def copy(binary, tmp_path):
    run = Run.load(shutil.copytree(binary.path, tmp_path / "run"))
    run.remember(splits=binary.splits, model=binary.model)
    return run


@pytest.mark.parametrize("costs", [(1, 5), (5, 1), (1, 1)])
def test_costs_of_calibrated_probabilities_give_their_threshold(costs):
    scores, truth = two_classes(3000)
    threshold = threshold_choice.by_costs(scores, truth, None, *costs)
    assert threshold == pytest.approx(costs[0] / sum(costs), abs=1e-6)


def test_costs_of_uncalibrated_probabilities_follow_the_examples():
    scores, truth = two_classes(3000)
    shrunk = scores / 4  # no probability: the best threshold is a quarter of that of the true ones
    threshold = threshold_choice.by_costs(shrunk, truth, None, 1, 1)
    assert 0.08 < threshold < 0.17

    def cost(one):
        return np.mean((shrunk >= one) != truth)

    assert cost(threshold) == min(cost(one) for one in np.linspace(0, 0.25, 500)) or cost(
        threshold
    ) < 0.9 * cost(0.5)


def test_precision_and_recall_are_reached_on_new_examples():
    """Of 200 choices, nine of ten reach on many new examples what is wanted."""
    scores, truth = two_classes(200_000, seed=99)
    reached = []
    for seed in range(200):
        found = threshold_choice.candidates(*two_classes(500, seed=seed + 1000))
        by_precision = scores >= threshold_choice.by_precision(found, 0.7)
        by_recall = scores >= threshold_choice.by_recall(found, 0.8)
        reached.append((truth[by_precision].mean() >= 0.7, by_recall[truth].mean() >= 0.8))
    shares = np.mean(reached, 0)
    print("reached:", shares)
    assert shares[0] > 0.75  # the best of many thresholds looks better than it is
    assert 0.85 < shares[1] < 0.97


def test_the_chosen_threshold_is_the_one_with_the_highest_recall():
    scores, truth = two_classes(500)
    found = threshold_choice.candidates(scores, truth)
    threshold = threshold_choice.by_precision(found, 0.7)
    selected = scores >= np.float32(threshold)
    place = int(np.flatnonzero(found.threshold == threshold)[0])
    assert truth[selected].mean() == pytest.approx(found.precision[place])
    assert selected[truth].mean() == pytest.approx(found.recall[place])
    assert all(found.surely_precise[place + 1 :] < 0.7)


def test_what_no_threshold_reaches_is_refused_with_the_best(binary):
    with pytest.raises(DecisionError, match=r"highest certain precision is 0\.\d+.*Ask for less"):
        choose(binary, DecideOptions(min_precision=0.999))
    with pytest.raises(DecisionError, match="unless every example is selected"):
        choose(binary, DecideOptions(min_recall=0.9999))
    assert "decision" not in json.loads((binary.path / "run.json").read_text())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Received no condition"),
        ({"costs": "fp=0,fn=0"}, "two numbers above 0"),
        ({"costs": "fp=-1,fn=5"}, "two numbers above 0"),
        ({"costs": "fp=1"}, "fp=1,fn=5"),
        ({"costs": "fp=1,fn=x"}, "fp=1,fn=5"),
        ({"costs": "fp=1,fn=2,tp=3"}, "fp=1,fn=5"),
        ({"costs": "nowhere.csv"}, "No such file"),
        ({"min_precision": 1.5}, "between 0 and 1"),
        ({"min_recall": 0.0}, "between 0 and 1"),
        ({"abstain": float("nan")}, "expected a number"),
        ({"min_recall": 0.5, "min_precision": 0.5}, "expected one of them"),
        ({"reset": True, "abstain": 0.8}, "expected it alone"),
        ({"positive": "yess", "min_recall": 0.5}, "Did you mean 'yes'"),
        ({"positive": "yes"}, "without a condition"),
    ],
)
def test_wrong_options_are_refused(options, message, binary):
    before = (binary.path / "run.json").read_bytes()
    with pytest.raises(FieldError, match=message):
        decide(binary, DecideOptions(**options))
    assert (binary.path / "run.json").read_bytes() == before


def test_other_tasks_and_several_classes_are_refused(run, tiny_run):
    from apps import Recommender

    with pytest.raises(FieldError, match="10 classes; expected two"):
        decide(run, DecideOptions(min_recall=0.5))
    with pytest.raises(FieldError, match="predicts no classes"):
        decide(tiny_run(Recommender), DecideOptions(abstain=0.5))


def test_a_decision_is_stored_used_and_removed(copy):
    asked = DecideOptions(costs="fp=1,fn=9", abstain=0.6)
    decided = decide(copy, asked)
    assert (decided.positive, decided.threshold) == ("yes", 0.1)
    assert {"precision", "recall", "cost", "answered"} <= decided.validation.keys()
    provenance.require_signature(copy.path, provenance.RUN_FILES)
    stored = Run.load(copy.path)
    assert stored.decision == decided
    rows = predict(copy, [copy.app.data], lambda _: None)
    names = {row["class"] for row in rows}
    assert names == {"no", "yes", UNSURE}
    probability = {row["class"]: [] for row in rows}
    for row in rows:
        probability[row["class"]].append(row["probability"])
    assert max(probability[UNSURE]) < 0.6
    assert all(row["next"] for row in rows)
    assert decide(copy, DecideOptions(reset=True)) is None
    assert Run.load(copy.path).decision is None
    provenance.require_signature(copy.path, provenance.RUN_FILES)
    assert {row["class"] for row in predict(copy, [copy.app.data], lambda _: None)} == {"no", "yes"}


@pytest.mark.parametrize(
    "decision",
    [
        Decision("no", 0.35),
        Decision("yes", 0.2, abstain=0.7),
        Decision(costs=[[0, 1], [7, 0]]),
        Decision(abstain=0.9),
    ],
)
def test_the_graph_decides_as_numpy_does(decision, copy):
    copy.remember(decision=decision)
    features = copy.splits.test.numpy().features
    outputs = named_function(copy)(features)
    answers = decision.answers(outputs["probabilities"].numpy(), LABELS)
    assert len({*answers}) > 1
    expected = np.array([*LABELS, UNSURE])[answers]
    assert outputs["class"].numpy().astype(str).tolist() == expected.tolist()


def test_an_export_with_a_decision_passes_the_parity_check(copy):
    from exporting.export import export

    decide(copy, DecideOptions(costs="fp=1,fn=4", abstain=0.6))
    version = Path(export(copy)["export"])
    about = json.loads((version / "about.json").read_text())
    assert about["decision"]["threshold"] == 0.2
    assert about["decision"]["text"].startswith("yes from a probability of 0.2 on; unsure below")


def test_the_edge_program_decides_as_the_run_does():
    from exporting import replay_edge

    random = np.random.default_rng(0)
    three, two = (random.dirichlet(np.ones(size), 200).astype("float32") for size in (3, 2))
    costs = random.random((3, 3)).tolist()
    for decision, labels, probabilities in (
        (Decision(costs=costs, abstain=0.5), ["a", "b", "c"], three),
        (Decision("yes", 0.3), LABELS, two),
    ):
        spec = {"decision": decision.to_json(), "labels": labels}
        answers = replay_edge.answers(spec, probabilities)
        assert answers.tolist() == decision.answers(probabilities, labels).tolist()


def test_evaluate_judges_the_decision_on_the_test_set(copy):
    decide(copy, DecideOptions(costs="fp=1,fn=9", abstain=0.7))
    scores = report.evaluate(copy)
    found = scores["decision"]
    own, usual = found["rows"]
    assert own["recall"] > usual["recall"]
    assert own["cost"] < usual["cost"]
    assert found["gain"]["saved"] == pytest.approx(usual["cost"] - own["cost"])
    assert found["abstaining"]["accuracy"] > found["abstaining"]["accuracy_of_all"]
    page = (copy.path / "report.html").read_text()
    assert "<h2>Decision</h2>" in page
    checks = gate.check(copy, "decision.recall>=0.7, decision.cost<=5, decision.answered.low>=0.1")
    assert all(one.passes for one in checks)
    assert not [one for one in scores["findings"] if one["kind"].startswith("decision")]


def test_a_decision_that_does_not_hold_is_a_finding():
    probabilities, truth = two_classes(2000)
    pairs = np.stack([1 - probabilities, probabilities], 1)
    for asked, kind in (
        ({"min_precision": 0.95}, "decision_missed"),
        ({"fp": 9.0, "fn": 1.0}, "decision_costs_more"),
    ):
        decision = Decision("yes", 0.1, asked=asked)
        judged = decision_scores.judge(decision, LABELS, pairs, truth.astype(int))
        (finding,) = decision_scores.decision_findings(judged)
        assert finding.kind == kind
    decision = Decision("yes", 0.1, asked={"fp": 1.0, "fn": 9.0})
    judged = decision_scores.judge(decision, LABELS, pairs, truth.astype(int))
    assert not [*decision_scores.decision_findings(judged)]


def test_intervals_of_costs_cover_the_truth():
    covered = {50: [], 300: [], 3000: []}
    gap, share, threshold = 1.5, 0.3, 1 / 6
    odds = threshold / (1 - threshold) * (1 - share) / share
    cut = (np.log(odds) + gap**2 / 2) / gap
    true = (1 - share) * norm.sf(cut) + 5 * share * norm.cdf(cut - gap)
    decision = Decision("yes", threshold, asked={"fp": 1.0, "fn": 5.0})
    for size, found in covered.items():
        for seed in range(1000 if size < 1000 else 300):
            probabilities, truth = two_classes(size, share, gap, seed)
            pairs = np.stack([1 - probabilities, probabilities], 1)
            row = decision_scores.judge(decision, LABELS, pairs, truth.astype(int))["rows"][0]
            low, high = row["cost_interval"]
            found.append(low <= true <= high)
    shares = {size: np.mean(found) for size, found in covered.items()}
    print(shares)
    assert all(0.925 < one < 0.98 for one in shares.values())


def test_a_matrix_of_costs(run, tmp_path, copied):
    labels = run.manifest["labels"]
    path = tmp_path / "costs.csv"
    order = list(reversed(labels))
    costs = {
        true: [0 if true == one else 3 if one == "7" else 1 for one in order] for true in order
    }
    rows = [["", *order], *([true, *row] for true, row in costs.items())]
    path.write_text("\n".join(",".join(map(str, row)) for row in rows))
    matrix = np.array(cost_matrix(path, labels))
    assert matrix[2, 7] == 3
    assert matrix[7, 2] == 1
    decided = decide(copied, DecideOptions(costs=str(path)))
    probabilities = copied.held_out.predictions
    seven = decided.classes(probabilities, labels) == 7
    assert seven.sum() <= (probabilities.argmax(1) == 7).sum()
    for broken, message in (
        ("", "expected a CSV file"),
        (path.read_text()[::-1].replace("1", "1-", 1)[::-1], "negative"),
        (path.read_text()[::-1].replace("1", "x", 1)[::-1], "could not convert"),
        (path.read_text().replace("\n9,", "\nnine,"), "without '9'"),
        (path.read_text().rsplit(",", 1)[0], "other lengths"),
    ):
        path.write_text(broken)
        with pytest.raises(FieldError, match=message):
            cost_matrix(path, labels)


def test_weights_count_in_precision_and_recall():
    scores, truth = two_classes(300)
    weights = np.random.default_rng(1).integers(1, 4, 300)
    repeated = [np.repeat(one, weights) for one in (scores, truth)]
    weighted = threshold_choice.candidates(scores, truth, weights.astype(float))
    copied = threshold_choice.candidates(*repeated)
    np.testing.assert_allclose(weighted.precision, copied.precision)
    np.testing.assert_allclose(weighted.recall, copied.recall)
    assert np.all(weighted.surely_recalled <= copied.surely_recalled)  # fewer independent examples


def test_one_sided_bounds_are_ends_of_wilsons_interval(monkeypatch):
    monkeypatch.setattr(threshold_choice, "CERTAINTY", 0.975)
    bound = threshold_choice._lower_bound(np.array([0.8, 1.0]), np.array([50.0, 20.0]))
    assert bound == pytest.approx([wilson(0.8, 50)[0], wilson(1.0, 20)[0]])


@pytest.mark.parametrize(
    "content",
    [
        {"threshold": 2.0, "positive": "yes"},
        {"threshold": 0.5, "positive": "maybe"},
        {"threshold": 0.5},
        {"costs": [[1.0]]},
        {"abstain": "often"},
        {"unknown": 1},
        {"asked": 3},
    ],
)
def test_a_damaged_decision_is_refused(content):
    with pytest.raises(ValueError):
        from_json(content, LABELS)


def test_a_run_of_another_user_is_not_signed(copy):
    (copy.path / provenance.SIGNATURE_FILE).write_text("0" * 64 + "\n")
    with pytest.raises(FieldError, match="another user"):
        decide(copy, DecideOptions(abstain=0.8))
    with pytest.raises(provenance.ProvenanceError):
        provenance.require_signature(copy.path, provenance.RUN_FILES)


def test_a_change_that_is_cut_off_leaves_a_valid_signature(copy, monkeypatch):
    from training import directory

    def fail(*_):
        raise OSError("killed")

    monkeypatch.setattr(directory, "write_text", fail)
    with pytest.raises(OSError, match="killed"):
        decide(copy, DecideOptions(abstain=0.8))
    provenance.require_signature(copy.path, provenance.RUN_FILES)
    monkeypatch.undo()
    monkeypatch.setattr(provenance, "sign", fail)
    with pytest.raises(OSError, match="killed"):
        decide(Run.load(copy.path), DecideOptions(abstain=0.8))
    provenance.require_signature(copy.path, provenance.RUN_FILES)
    assert Run.load(copy.path).decision.abstain == 0.8


def test_the_command_prints_the_decision(copy, run_cli):
    status, out, _ = run_cli("regression", "decide", copy.path, "--min-recall", "0.8", "--json")
    assert status == 0
    content = json.loads(out)
    assert content["decision"]["positive"] == "yes"
    assert "recall of at least 0.8" in content["decision"]["text"]
    status, out, _ = run_cli("decide", copy.path, "--reset")
    assert (status, out.splitlines()[0]) == (0, "decision  removed")
    status, _, errors = run_cli("decide", copy.path, "--min-precision", "0.9999")
    assert status == 1
    assert "Ask for less" in errors
