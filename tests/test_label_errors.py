"""Label errors by confident learning: cleanlab's answers, planted errors, and clean data."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import apps
from apps.fields import FieldError
from data_checks.examine import examine
from data_checks.label_errors.check import label_errors
from data_checks.label_errors.confident_learning import find_label_errors
from data_checks.options import CheckDataOptions
from data_checks.outputs import entries

CLASSES = ("ant", "bee", "cat")


def held_out(count=600, classes=4, rate=0.1, seed=0):
    """Probabilities of a good model, true labels, and labels of which some are wrong."""
    random = np.random.default_rng(seed)
    true = random.integers(0, classes, count)
    logits = random.normal(size=(count, classes)) + 4 * np.eye(classes)[true]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wrong = random.random(count) < rate
    given = np.where(wrong, (true + random.integers(1, classes, count)) % classes, true)
    return probabilities, true, given


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [2, 4, 20])
def test_issues_are_those_of_cleanlab(seed, classes):
    cleanlab = pytest.importorskip("cleanlab.filter", reason="needs cleanlab (2.9.0)")
    from cleanlab.count import compute_confident_joint

    probabilities, _, given = held_out(800, classes, seed=seed)
    found = find_label_errors(probabilities, given)
    theirs = np.flatnonzero(
        cleanlab.find_label_issues(given, probabilities, filter_by="confident_learning", n_jobs=1)
    )
    assert sorted(found.rows) == theirs.tolist()
    joint = compute_confident_joint(given, probabilities)  # of rounded numbers
    assert abs(found.noise_rate - (1 - joint.trace() / joint.sum())) < classes / 800


def test_issues_of_a_small_set_are_known():
    """By cleanlab 2.9.0, find_label_issues(filter_by="confident_learning")."""
    probabilities, true, given = held_out(60)
    found = find_label_errors(probabilities, given)
    assert sorted(found.rows) == [14, 16, 48, 58]
    assert (found.probable == true[found.rows]).mean() > 0.7


def test_noise_rate_is_estimated_and_its_interval_holds_it():
    hits = 0
    for seed in range(40):
        probabilities, true, given = held_out(1500, rate=0.08, seed=seed)
        found = find_label_errors(probabilities, given)
        assert found.interval[0] <= found.noise_rate <= found.interval[1]
        hits += found.interval[0] <= (true != given).mean() <= found.interval[1]
    assert hits >= 30


def test_class_without_examples_is_no_answer():
    probabilities, _, given = held_out(classes=4)
    given = np.where(given == 3, 0, given)
    assert 3 not in find_label_errors(probabilities, given).probable


def table(path, rate, seed=0, count=400):
    """Write rows of three classes that hardly overlap, and return the lines of wrong labels."""
    random = np.random.default_rng(seed)
    true = random.integers(0, 3, count)
    x = random.normal(size=(count, 3)) + 5 * np.eye(3)[true]
    wrong = random.random(count) < rate
    given = np.where(wrong, (true + random.integers(1, 3, count)) % 3, true)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["x", "y", "z", "kind"])
        rows.writerows(
            [*map(str, row.round(4)), CLASSES[k]] for row, k in zip(x, given, strict=True)
        )
    return {f"{path} line {number + 2}" for number in np.flatnonzero(wrong)}


def checked(app):
    diagnosis = examine(app, None, lambda *_: None, (label_errors,))
    (finding,) = [one for one in diagnosis.findings if one.check == "label errors"]
    return diagnosis, finding


def rows_app(path):
    return apps.get("regression")(data=f"csv:{path}", target="kind")


def test_planted_errors_are_found_and_listed(tmp_path):
    wrong = table(tmp_path / "rows.csv", 0.06)
    diagnosis, finding = checked(rows_app(tmp_path / "rows.csv"))
    listed = {one["where"] for one in finding.details["labels"]}
    names = {where.rpartition("/")[2] for where in wrong}
    listed = {where.rpartition("/")[2] for where in listed}
    assert len(listed & names) >= 0.6 * len(names)
    assert len(listed & names) >= 0.9 * len(listed)
    assert finding.severity == "warning"
    assert finding.details["noise_interval"][0] < len(wrong) / 400
    reasons = [one.reason for one in entries(diagnosis) if one.check == "label errors"]
    assert len(reasons) == finding.count
    assert all("probably" in reason for reason in reasons)
    assert finding.to_json()["labels"][0]["confidence"] >= 0.9


def test_clean_rows_have_none(tmp_path):
    table(tmp_path / "rows.csv", 0)
    _, finding = checked(rows_app(tmp_path / "rows.csv"))
    assert finding.count <= 1
    assert finding.severity == "note"


def test_images_with_wrong_labels_are_found(monkeypatch):
    """The embedded digits: with 5 % of the labels changed, and as they are."""
    from data_checks.dataset import CheckedData
    from data_checks.label_errors import check, out_of_fold
    from pipelines.inspection import Inspection

    monkeypatch.setattr(check, "MAX_EXAMPLES", 900)
    monkeypatch.setattr(out_of_fold, "KERNEL_PENALTIES", (0.1,))  # others take seconds
    app = apps.get("mnist")()
    splits = app.load_splits(None, Inspection(lambda *_: None))
    clean = CheckedData(app, splits, Inspection(lambda *_: None))
    (finding,) = label_errors(clean)
    assert finding.count == 0
    planted = CheckedData(app, splits, Inspection(lambda *_: None))
    random = np.random.default_rng(1)
    wrong = random.random(len(planted)) < 0.05
    planted.__dict__["targets"] = (clean.targets + wrong * random.integers(1, 10, len(wrong))) % 10
    (finding,) = label_errors(planted)
    assert wrong[finding.to_quarantine].mean() > 0.97
    assert finding.count > 0.3 * wrong.sum()
    assert "A random sample of 900 of 1,797 examples was checked" in finding.message
    low, high = finding.details["noise_interval"]
    assert low < wrong.mean() < high


def test_texts_with_wrong_labels_are_found(tmp_path):
    random = np.random.default_rng(0)
    words = {"good": ["fine", "great", "lovely"], "bad": ["poor", "awful", "sad"]}
    path = tmp_path / "texts.csv"
    wrong = random.random(300) < 0.05
    with path.open("w") as file:
        file.write("text,label\n")
        for number in range(300):
            label = ("good", "bad")[number % 2]
            text = " ".join([*random.choice(words[label], 3), f"word{number}"])
            given = {"good": "bad", "bad": "good"}[label] if wrong[number] else label
            file.write(f"{text},{given}\n")
    _, finding = checked(apps.get("text")(data=f"csv:{path}"))
    lines = {int(one["where"].rpartition(" ")[2]) - 2 for one in finding.details["labels"]}
    assert lines <= set(np.flatnonzero(wrong))
    assert len(lines) >= 0.6 * wrong.sum()


def test_numbers_as_target_are_a_note():
    _, finding = checked(apps.get("regression")())
    assert (finding.severity, finding.count) == ("note", 0)
    assert "target is numbers" in finding.message


def test_few_examples_are_a_note(tmp_path):
    table(tmp_path / "rows.csv", 0, count=40)
    _, finding = checked(rows_app(tmp_path / "rows.csv"))
    assert "it needs 50 examples" in finding.message


def test_app_without_classes_is_refused():
    with pytest.raises(FieldError, match="Received --labels for recommender"):
        CheckDataOptions(labels=True).check_for(apps.get("recommender"))


def test_flag_of_the_command(run_cli, tmp_path):
    table(tmp_path / "rows.csv", 0.06)
    arguments = ("regression", "check-data", "--data", tmp_path / "rows.csv", "--target", "kind")
    status, out, _ = run_cli(
        *arguments, "--labels", "--json", "--write-quarantine", tmp_path / "list.csv"
    )
    (finding,) = [one for one in json.loads(out)["findings"] if one["check"] == "label errors"]
    assert status == 0
    assert len(finding["labels"]) == finding["count"] > 5
    assert "Labels that cross-validated models contradict" in Path("data-report.html").read_text()
    assert (tmp_path / "list.csv").read_text().count("label errors") == finding["count"]
    assert "label errors" not in run_cli(*arguments)[1]


def test_evaluation_finds_labels_that_a_sure_model_contradicts():
    from evaluation.label_noise import label_noise, label_noise_findings

    found = dict.fromkeys((0, 0.05), 0)
    for rate in found:
        for seed in range(20):
            probabilities, _, given = held_out(1000, 10, rate, seed)
            (*findings,) = label_noise_findings(label_noise(probabilities, given))
            found[rate] += [one.kind for one in findings] == ["label_errors"]
    assert found[0] == 0
    assert found[0.05] >= 15


def test_weak_and_constant_models_are_no_judges_of_labels():
    from evaluation.label_noise import label_noise, label_noise_findings

    random = np.random.default_rng(0)
    rare = (random.random(1000) < 0.05).astype(int)
    constant = np.tile([0.95, 0.05], (1000, 1))
    guesses = random.dirichlet([0.1] * 5, 1000)
    # A calibrated model of classes that overlap.
    chances = np.clip(random.beta(1, 2, 2000), 0.001, 0.999)
    overlap = (random.random(2000) < chances).astype(int)
    for probabilities, target in (
        (constant, rare),
        (guesses, random.integers(0, 5, 1000)),
        (np.stack([1 - chances, chances], 1), overlap),
        (constant[:3], rare[:3]),
    ):
        assert list(label_noise_findings(label_noise(probabilities, target))) == []
    assert list(label_noise_findings(None)) == []
