"""Several seeds: how much of a score is luck, and what the reports say about it."""

import json
import shutil

import numpy as np
import pytest
from test_run_report import Outline

import apps
import athanor
from apps.fields import FieldError
from apps.metrics import metric
from evaluation import seed_findings, seed_tables, seed_variance, seeds
from evaluation.seed_variance import by_seeds_and_resamples, spread_interval
from training.options import TrainOptions
from training.run import Run, RunError
from training.seed_runs import SUMMARY_FILE

ACCURACY = metric("accuracy")
TINY = ("mnist", "train", "--model", "softmax", "--epochs", "1", "--precision", "float32")


def simulated(random, seeds, examples, deviations):
    """Gains of every seed and example: those of examples, of seeds, and of both together."""
    of_examples, of_seeds, of_both = deviations
    return (
        of_examples * random.normal(size=examples)
        + of_seeds * random.normal(size=(seeds, 1))
        + of_both * random.normal(size=(seeds, examples))
    )


def resampled(values, random, count=200):
    """The means of every seed in bootstrap resamples of the examples."""
    drawn = random.multinomial(values.shape[1], np.ones(values.shape[1]) / values.shape[1], count)
    return values @ drawn.T / values.shape[1]


@pytest.mark.parametrize(
    ("deviations", "share"),
    [((1.0, 0.0, 0.5), 0.0), ((0.5, 0.1, 0.5), 0.8), ((0.0, 0.2, 0.0), 1.0)],
    ids=["examples", "both", "seed"],
)
def test_the_share_of_the_seed_in_the_variance_is_that_of_the_simulation(deviations, share):
    random, found = np.random.default_rng(0), []
    for _ in range(100):
        values = simulated(random, 20, 200, deviations)
        found.append(seed_variance.seed_variance(values.mean(1), resampled(values, random), 200))
    assert np.mean([one.share for one in found]) == pytest.approx(share, abs=0.06)
    true = np.hypot(deviations[0], deviations[2]) / 200**0.5
    assert np.mean([one.sampling for one in found]) == pytest.approx(true, rel=0.1)
    inside = [one.share_interval[0] <= one.share <= one.share_interval[1] for one in found]
    assert all(inside)


def test_the_interval_of_the_spread_covers_it():
    random = np.random.default_rng(1)
    spreads = np.std(random.normal(size=(4000, 5)), axis=1, ddof=1)
    low, high = np.array([spread_interval(spread, 5) for spread in spreads]).T
    assert np.mean((low <= 1) & (high >= 1)) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    "deviations", [(0.5, 0.0, 0.5), (0.5, 0.05, 0.3), (0.3, 0.2, 0.1)], ids=str
)
def test_the_gain_over_both_sources_is_covered_and_tested_honestly(deviations):
    """A test of the examples alone finds a difference in up to half of the cases."""
    random, covered, false_findings, alone = np.random.default_rng(2), [], [], []
    for _ in range(600):
        values = simulated(random, 5, 100, deviations)
        drawn = resampled(values, random)
        one = by_seeds_and_resamples(values.mean(1), drawn, 100, ACCURACY)
        covered.append(one.interval[0] <= 0 <= one.interval[1])
        false_findings.append(one.p < 0.05)
        alone.append(abs(values[0].mean()) > 1.98 * drawn[0].std())
    assert 0.93 <= np.mean(covered) <= 0.985
    assert np.mean(false_findings) == pytest.approx(1 - np.mean(covered), abs=1e-9)
    if deviations[1] == 0.2:
        assert np.mean(alone) > 0.5


def test_equal_gains_of_all_seeds_are_no_division_by_zero():
    same = by_seeds_and_resamples(np.full(3, 0.2), np.full((3, 50), 0.2), 40, ACCURACY)
    assert same.interval == pytest.approx((0.2, 0.2))
    assert same.p < 1e-6
    none = by_seeds_and_resamples(np.zeros(3), np.zeros((3, 50)), 40, ACCURACY)
    assert none.p == 1.0
    assert by_seeds_and_resamples(np.ones(3), np.ones((3, 2)), 1, ACCURACY).p == 1.0


def summary_of(values, outcomes=None, group="better"):
    """The parts of seeds.json that findings read."""
    spread = float(np.std(values, ddof=1))
    outcomes = outcomes or ["better"] * len(values)
    return {
        "test": {"accuracy": float(np.mean(values))},
        "variance": {"accuracy": {"spread": spread}},
        "verdict": {"outcome": group},
        "runs": [
            {"seed": k, "run": f"seed-{k}", "test": {"accuracy": value}, "outcome": outcome}
            for k, (value, outcome) in enumerate(zip(values, outcomes, strict=True))
        ],
    }


def kinds(found):
    return [one.kind for one in found]


def test_a_lucky_seed_is_named_and_its_clean_twin_is_not():
    lucky = summary_of([0.90, 0.91, 0.90, 0.89, 0.95])
    found = seed_findings.of_group(lucky)
    assert kinds(found) == ["lucky_seed"]
    assert "Seed 4 is a lucky one: its accuracy is 0.950, that of all seeds 0.910" in found[0].text
    clean = summary_of([0.901, 0.902, 0.900, 0.899, 0.903])  # differences that do not matter
    assert seed_findings.of_group(clean) == []
    assert kinds(seed_findings._of_run("seed-4", lucky)) == ["lucky_seed"]
    assert not kinds(seed_findings._of_run("seed-0", lucky))


def test_a_verdict_that_changes_with_the_seed_is_named():
    outcomes = ["better", "undecided", "better", "undecided", "undecided"]
    summary = summary_of([0.901, 0.902, 0.900, 0.899, 0.903], outcomes, "undecided")
    (found,) = seed_findings.of_group(summary)
    assert found.kind == "lucky_seed"
    assert "undecided for 3, better for 2 of 5 seeds" in found.text
    (own,) = seed_findings._of_run("seed-0", summary)
    assert "over 5 seeds the verdict is undecided" in own.text
    assert not kinds(seed_findings._of_run("seed-1", summary))


def test_seeds_without_effect_are_named():
    found = seed_findings.of_group(summary_of([0.9, 0.9, 0.9]))
    assert kinds(found) == ["seed_without_effect"]


@pytest.fixture(scope="module")
def trained(made_once):
    """The directory of three seeds of the smallest app, killed before the second and resumed."""

    def write(path):
        app, calls = apps.Mnist(model="softmax", epochs=1, seed=4), []
        usual = seeds.train

        def killed(one, options, **others):
            calls.append(one.seed)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return usual(one, options, **others)

        options = TrainOptions(run_dir=path, precision="float32")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(seeds, "train", killed)
            with pytest.raises(KeyboardInterrupt):
                seeds.train_seeds(app, 3, options, verbose=0)
            first = (path / "seed-4" / "run.json").read_bytes()
            summary = seeds.train_seeds(app, 3, options, verbose=0)
        assert calls == [4, 5, 5, 6]
        assert (path / "seed-4" / "run.json").read_bytes() == first
        assert summary == json.loads((path / SUMMARY_FILE).read_text())

    return made_once("three-seeds", write)


def test_an_interrupted_training_of_seeds_resumes(trained):
    summary = json.loads((trained / SUMMARY_FILE).read_text())
    assert summary["seeds"] == [4, 5, 6]
    tests = [json.loads((trained / f"seed-{k}/scores.json").read_text()) for k in (4, 5, 6)]
    for name, mean in summary["test"].items():
        values = [scores["test"][name] for scores in tests]
        assert mean == pytest.approx(np.mean(values))
        assert summary["variance"][name]["spread"] == pytest.approx(np.std(values, ddof=1))
    runs = [Run.load(trained / f"seed-{k}") for k in (4, 5, 6)]
    assert len({run.manifest["data"]["fingerprint"] for run in runs}) == 1
    assert [scores["seeds"]["seed"] for scores in tests] == [4, 5, 6]
    assert all(scores["seeds"]["mean"] == summary["test"]["accuracy"] for scores in tests)
    assert {*summary["comparisons"]} == {"majority", "softmax_regression"}


def test_the_report_of_seeds_is_written_again(trained, run_cli, tmp_path):
    path = shutil.copytree(trained, tmp_path / "seeds")
    (path / "report.html").unlink()
    for command in (("report", path), ("mnist", "report", path)):
        status, out, err = run_cli(*command, "--json")
        assert (status, err.count("report ")) == (0, 1), err
        assert json.loads(out)["verdict"]["outcome"] == "not better"
    text = (path / "report.html").read_text()
    outline = Outline(text)
    assert outline.headings[0] == "Not better than the best baseline"
    assert {"Seeds", "Variance", "Gain over each baseline", "Limits"} <= {*outline.headings}
    assert outline.names.count("img") == 1
    assert str(tmp_path) not in text
    shown = athanor.report(path)
    assert shown["verdict"]["text"] in repr(shown)
    status, _, err = run_cli("text", "report", path)
    assert status == 2
    assert "a run of mnist" in err
    (path / SUMMARY_FILE).write_text("{}")
    status, _, err = run_cli("report", path)
    assert status == 2
    assert "it lacks app" in err


@pytest.mark.thorough
def test_the_report_of_a_run_tells_of_its_other_seeds(trained, tmp_path):
    path = shutil.copytree(trained, tmp_path / "seeds") / "seed-5"
    evaluated = athanor.evaluate(path)
    assert evaluated["seeds"]["runs"] == 3
    text = (path / "report.html").read_text()
    assert "This run has seed 5, one of 3 on the same splits." in text
    assert "Another training: this is one run" not in text
    # The files of a run alone know nothing of the others.
    alone = shutil.copytree(path, tmp_path / "alone")
    assert "seeds" not in athanor.evaluate(alone)


def test_the_tables_show_every_seed_and_the_share(trained):
    summary = json.loads((trained / SUMMARY_FILE).read_text())
    shown = repr(athanor.Seeds(summary))
    for part in ("seed 4", "all seeds", "softmax regression", "share of the seed", "Not better"):
        assert part in shown
    assert athanor.Seeds(summary)._repr_html_().count("<table") == 2
    columns, rows, _ = seed_tables.variance_table(summary)
    assert len(rows) == len(summary["test"])
    assert all(len(row) == len(columns) for row in rows)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--seeds", "2"), "Received --seeds 2; expected 3 to 100"),
        (("--seeds", "-1"), "Received --seeds -1; expected 3 to 100"),
        (("--seeds", "2.5"), "Received --seeds 2.5; expected a whole number"),
        (("--seeds", "5", "--folds", "5"), "Received --folds with --seeds"),
        (("--seeds", "5", "--resume", "run"), "--folds or --seeds; expected it alone"),
    ],
    ids=" ".join,
)
def test_wrong_seeds_are_refused(flags, said, run_cli, elsewhere):
    status, _, err = run_cli(*TINY, *flags)
    assert status == 2
    assert said in err
    assert not (elsewhere / "runs").exists()


def test_several_targets_and_other_files_are_refused(tmp_path, run_cli):
    data = tmp_path / "rows.csv"
    data.write_text("a,b,c\n" + "".join(f"{k},{k % 7},{k % 5}\n" for k in range(100)))
    command = ("regression", "train", "--data", data, "--target", "b,c", "--seeds", "3")
    status, _, err = run_cli(*command)
    assert status == 2
    assert "--seeds 3 with 2 targets; expected one target" in err
    with pytest.raises(RunError, match="not empty"):
        seeds.train_seeds(apps.Mnist(model="softmax"), 3, TrainOptions(run_dir=tmp_path))
    with pytest.raises(FieldError, match="--seeds 1"):
        athanor.train(apps.Mnist(), seeds=1)
