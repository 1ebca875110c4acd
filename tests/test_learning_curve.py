"""What twice the training examples would bring: a law, its interval, and the command."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from test_run_report import Outline

import athanor
from apps import Mnist
from apps.metrics import metric
from evaluation import learning_curve, report
from evaluation.learning_curve_text import FIGURE, FILE, sentence
from evaluation.learning_law import LearningLaw, Point
from pipelines.examples import Examples
from pipelines.splits import Splits
from training.run import Run

SIZES = (125, 250, 500, 1000)
ACCURACY = metric("accuracy")


def points_of(exponent, floor, noise, random, fits=2, error=0.2):
    """Accuracies that follow a law, with noise."""
    return [
        Point(size, k, 1 - error * relative * np.exp(noise * random.normal()))
        for size in SIZES
        for k in range(fits)
        for relative in [floor + (1 - floor) * (size / 1000) ** -exponent]
    ]


@pytest.mark.parametrize(
    ("exponent", "floor", "noise"),
    [(0.5, 0.0, 0.01), (0.5, 0.5, 0.03), (1.0, 0.8, 0.03), (0.3, 0.0, 0.1)],
)
def test_the_interval_covers_the_gain_of_a_known_law(exponent, floor, noise):
    random, gain = np.random.default_rng(0), 0.2 * (1 - floor) * (1 - 2**-exponent)
    found = [
        LearningLaw(points_of(exponent, floor, noise, random), ACCURACY, 300, 0.0).forecast(2000)
        for _ in range(60)
    ]
    covered = [one.gain_interval[0] <= gain <= one.gain_interval[1] for one in found]
    assert np.mean(covered) >= 0.88  # 57 of 60 are expected
    assert np.median([one.gain for one in found]) == pytest.approx(gain, rel=0.25)
    assert all(one.gain_interval[0] <= one.gain <= one.gain_interval[1] for one in found)


def test_the_law_of_an_error_falls_and_that_of_a_score_rises():
    rmse = [Point(size, k, 10 + 90 * (size / 1000) ** -1.0) for size in SIZES for k in range(2)]
    law = LearningLaw(rmse, metric("rmse"), 100, 1.0)
    assert law.forecast(2000).score == pytest.approx(55, abs=1)
    assert law.forecast(2000).gain == pytest.approx(45, abs=1)
    assert law.forecast(1000).gain == pytest.approx(0)
    perfect = [Point(size, k, 1.0) for size in SIZES for k in range(2)]
    assert LearningLaw(perfect, ACCURACY, 300, 0.0).forecast(2000).gain < 0.001


def test_the_answer_says_whether_more_examples_are_worth_it():
    random = np.random.default_rng(1)

    def text(exponent, floor, noise):
        law = LearningLaw(points_of(exponent, floor, noise, random, 3), ACCURACY, 300, 0.0)
        now, doubled = law.forecast(1000).to_json(), law.forecast(2000).to_json()
        return sentence({"metric": "accuracy", "unit": "", "now": now, "doubled": doubled})

    assert "Collecting more examples is worth it." in text(0.5, 0.0, 0.01)
    assert "2,000, would improve accuracy by about 5." in text(0.5, 0.0, 0.001)
    assert "hardly help" in text(1.0, 0.99, 0.005)
    assert "remains open" in text(0.3, 0.5, 0.2)


def test_parts_contain_each_other_and_keep_groups_whole():
    examples = Examples.of(np.arange(400), np.zeros(400))
    splits = Splits(examples, examples.select(np.arange(5)), examples.select(np.arange(5)))
    parts = [learning_curve.part_of(splits, share, 3).train.rows for share in (0.125, 0.5)]
    assert [len(rows) for rows in parts] == [50, 200]
    assert {*parts[0]} < {*parts[1]}
    assert learning_curve.part_of(splits, 1.0, 3) is splits
    other = learning_curve.part_of(splits, 0.125, 4).train.rows
    assert {*other} != {*parts[0]}
    grouped = dataclasses.replace(examples, group_hashes=np.arange(400) // 10)
    part = learning_curve.part_of(dataclasses.replace(splits, train=grouped), 0.125, 3).train.rows
    assert np.unique(part // 10, return_counts=True)[1].tolist() == [10] * 5


@pytest.fixture
def evaluated(tiny_run, tmp_path):
    """A copy of the tiny run of Mnist with a report."""
    tiny = tiny_run(Mnist)
    run = Run.load(shutil.copytree(tiny.path, tmp_path / "run"))
    run.remember(splits=tiny.splits, model=tiny.model)
    report.evaluate(run)
    return run


def test_the_command_measures_resumes_and_adds_a_section(evaluated, run_cli, monkeypatch):
    run, trained = evaluated, []

    def score(run, share, seed, name, verbose):
        if len(trained) == 4:
            trained.append("stopped")
            raise KeyboardInterrupt
        trained.append((share, seed))
        if len(trained) == 1:  # the others follow a law
            return usual(run, share, seed, name, verbose)
        return 1 - 0.3 * share**-0.4

    usual = learning_curve._score
    monkeypatch.setattr(learning_curve, "_score", score)
    status, out, err = run_cli("mnist", "learning-curve", run.path)
    assert status == 130, err
    assert out.startswith("7 trainings, about ")
    assert len(json.loads((run.path / FILE).read_text())["scores"]) == 5
    assert "More training examples" not in (run.path / "report.html").read_text()
    status, out, err = run_cli("learning-curve", run.path, "--json")
    assert status == 0, err
    assert len(trained) == 8  # one of them was stopped
    result = json.loads(out)
    stored = json.loads((run.path / FILE).read_text())
    assert {**stored, "run": str(run.path)} == result
    assert len(result["points"]) == 8
    assert result["points"][-2]["score"] == run_score(run)
    assert result["doubled"]["examples"] == 2 * len(run.splits.train)
    assert (run.path / FIGURE).stat().st_size > 5000
    page = (run.path / "report.html").read_text()
    assert "More training examples" in Outline(page).headings
    assert result["text"][:60] in page
    assert athanor.learning_curve(run, verbose=0)["text"] == result["text"]
    assert len(trained) == 8


def run_score(run):
    return json.loads((run.path / "scores.json").read_text())["test"]["accuracy"]


def test_wrong_fits_and_too_few_examples_are_refused(evaluated, run_cli):
    for fits, said in (("1", "Received --fits 1; expected 2 to 50"), ("x", "--fits")):
        status, _, err = run_cli("learning-curve", evaluated.path, "--fits", fits)
        assert status == 2
        assert said in err
    few = evaluated.splits
    evaluated.remember(splits=learning_curve.part_of(few, 100 / len(few.train), 0))
    with pytest.raises(ValueError, match="of 100 training examples; expected at least 200"):
        learning_curve.learning_curve(evaluated)
    assert not (evaluated.path / FILE).exists()
