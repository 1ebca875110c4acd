"""Fairness between groups of people: rates, gaps, thresholds, and how the groups are read.

The oracle is fairlearn 0.15.0. Numbers that it gave are in tests that always run.
"""

import csv
import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from apps import Mnist, Regression
from apps.fields import FieldError
from evaluation import gate, report
from evaluation.fairness import errors, fairness, gaps, groups, rates, thresholds
from evaluation.fairness import findings as found_unfair
from evaluation.fairness.groups import Groups
from evaluation.fairness.rates import MIN_EXAMPLES, binary_rates
from evaluation.fairness.thresholds import Outcomes
from evaluation.run_report import fairness as section
from evaluation.run_report import files
from pipelines.examples import AddressError
from training.run import SCORES, Run
from training.train import train

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
COMPAS = SHARED / "compas" / "compas_two_years.csv.gz"
GERMAN = SHARED / "german_credit" / "german_credit.csv"
ADULT = SHARED / "adult_census"


def decisions(count=900, seed=0, num_groups=3):
    """Random decisions about members of groups, with other rates in each group."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, num_groups, count)
    truth = random.random(count) < 0.3 + 0.1 * codes
    probabilities = np.clip(random.normal(0.35 + 0.25 * truth + 0.05 * codes, 0.2), 0, 1)
    members = Groups("group", tuple("abcdefgh"[:num_groups]), codes)
    return Outcomes(probabilities, probabilities >= 0.5, truth, members)


def rates_of(outcomes, weights=None):
    members = outcomes.groups
    found = binary_rates(
        outcomes.selected, outcomes.truth, members.codes, len(members.labels), weights
    )
    return {rate.name: rate for rate in found}


def entry_of(outcomes):
    return fairness._corrected([fairness.of_outcomes(outcomes)])[0]


def gap_of(entry, name):
    return next(gap for gap in entry["gaps"] if gap["name"] == name)


# ---------------------------------------------------------------- rates and gaps


@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
def test_rates_and_gaps_are_those_of_fairlearn(weighted):
    metrics = pytest.importorskip("fairlearn.metrics", reason="needs the extra oracles")
    from sklearn.metrics import accuracy_score, precision_score

    outcomes = decisions()
    weights = np.random.default_rng(1).gamma(2, size=900) if weighted else None
    names = {
        "selection_rate": metrics.selection_rate,
        "tpr": metrics.true_positive_rate,
        "fpr": metrics.false_positive_rate,
        "precision": precision_score,
        "accuracy": accuracy_score,
    }
    options = {"sensitive_features": outcomes.groups.codes}
    if weighted:
        options["sample_params"] = {name: {"sample_weight": weights} for name in names}
    truth, selected = outcomes.truth.astype(int), outcomes.selected.astype(int)
    frame = metrics.MetricFrame(metrics=names, y_true=truth, y_pred=selected, **options)
    found = rates_of(outcomes, weights)
    for name in names:
        np.testing.assert_allclose(found[name].values, frame.by_group[name].to_numpy(float))
        gap = gaps.gap_of(found[name])
        assert gap.gap == pytest.approx(frame.difference()[name])
        assert gap.ratio == pytest.approx(frame.ratio()[name])
    common = {"sensitive_features": outcomes.groups.codes, "sample_weight": weights}
    parity = metrics.demographic_parity_difference(truth, selected, **common)
    assert gaps.gap_of(found["selection_rate"]).gap == pytest.approx(parity)
    odds = gaps.equalized_odds(found["tpr"], found["fpr"])
    assert odds.gap == pytest.approx(metrics.equalized_odds_difference(truth, selected, **common))
    assert odds.ratio == pytest.approx(metrics.equalized_odds_ratio(truth, selected, **common))


def test_rates_and_gaps_are_the_stored_ones_of_fairlearn():
    entry = entry_of(decisions())
    stored = STORED
    for name, values in stored["by_group"].items():
        shown = [row[name]["value"] for row in entry["groups"]]
        np.testing.assert_allclose(shown, values, atol=5e-7)
    assert gap_of(entry, "selection_rate")["gap"] == pytest.approx(stored["parity"], abs=5e-7)
    assert gap_of(entry, "equalized_odds")["gap"] == pytest.approx(stored["odds"], abs=5e-7)


STORED = {  # by fairlearn 0.15.0
    "by_group": {
        "selection_rate": [0.351916, 0.465035, 0.623853],
        "tpr": [0.688312, 0.711864, 0.827381],
        "fpr": [0.228571, 0.291667, 0.408805],
        "precision": [0.524752, 0.631579, 0.681373],
    },
    "parity": 0.271937,
    "odds": 0.180234,
}


def test_a_group_has_its_wilson_interval():
    outcomes = decisions()
    rate = rates_of(outcomes)["tpr"]
    row = rate.of_group(0)
    from scipy.stats import binomtest

    expected = binomtest(int(rate.hits[0]), int(rate.totals[0])).proportion_ci(method="wilson")
    assert row["interval"] == pytest.approx([expected.low, expected.high])
    assert row["examples"] == rate.totals[0]


def test_the_interval_of_a_gap_covers_it():
    random, covered = np.random.default_rng(0), 0
    codes = np.repeat([0, 1], 300)
    truth = np.ones(600, bool)
    for _ in range(200):
        selected = random.random(600) < np.where(codes == 0, 0.6, 0.4)
        rate = binary_rates(selected, truth, codes, 2)[0]
        low, high = gaps.gap_of(rate).interval
        covered += low <= 0.2 <= high
    assert covered >= 183


def unfair(entry, **more):
    content = {"columns": [entry], "positive": "yes", "thresholds": [], **more}
    return list(found_unfair.findings(content))


def test_a_planted_gap_is_found_and_nothing_without_one(monkeypatch):
    monkeypatch.setattr(rates, "NUM_DRAWS", 10)  # of intervals, which decide nothing
    random = np.random.default_rng(5)
    named = {0.0: 0, 0.25: 0}
    for difference in named:
        for _ in range(100):
            codes = random.integers(0, 3, 1500)
            truth = random.random(1500) < 0.4
            chance = np.where(truth, 0.75, 0.2) - difference * (codes == 2) * truth
            selected = random.random(1500) < chance
            members = Groups("sex", ("a", "b", "c"), codes)
            outcomes = Outcomes(chance, selected, truth, members)
            found = unfair(entry_of(outcomes))
            named[difference] += bool(found) and "true positive rate" in found[0].text
    assert named[0.0] <= 5
    assert named[0.25] >= 95


def test_the_finding_names_groups_and_rates():
    codes = np.repeat([0, 1], 500)
    selected = np.concatenate([np.arange(500) < 400, np.arange(500) < 200])
    members = Groups("sex", ("Male", "Female"), codes)
    outcomes = Outcomes(selected * 1.0, selected, np.ones(1000, bool), members)
    (finding,) = unfair(entry_of(outcomes))
    assert finding.kind == "unfair"
    assert "by sex" in finding.text
    assert "(true positive rate) is 0.8000 for Male and 0.4000 for Female" in finding.text
    assert "p < 0.001" in finding.text


def test_a_small_gap_is_no_finding_although_it_is_certain():
    codes = np.repeat([0, 1], 50_000)
    selected = np.tile(np.arange(50_000), 2) < np.where(codes == 0, 30_000, 26_000)
    members = Groups("sex", ("a", "b"), codes)
    outcomes = Outcomes(selected * 1.0, selected, np.ones(100_000, bool), members)
    entry = entry_of(outcomes)
    assert entry["pairs"]
    assert not unfair(entry)


def test_a_group_with_few_examples_is_shown_and_not_judged():
    codes = np.repeat([0, 1, 2], [300, 300, MIN_EXAMPLES - 1])
    selected = np.where(codes == 2, True, np.arange(len(codes)) % 2 == 0)
    members = Groups("city", ("a", "b", "c"), codes)
    outcomes = Outcomes(selected * 1.0, selected, np.ones(len(codes), bool), members)
    entry = entry_of(outcomes)
    assert [row["judged"] for row in entry["groups"]] == [True, True, False]
    assert entry["groups"][2]["selection_rate"]["value"] == 1.0
    assert gap_of(entry, "selection_rate")["gap"] == pytest.approx(0.0, abs=0.01)
    assert not unfair(entry)
    text = "".join(section.section(page_content(entry)))
    assert "9 (too few)" in text


def page_content(entry, **more):
    content = {"kind": "two classes", "positive": "yes", "min_examples": MIN_EXAMPLES}
    return content | {"columns": [entry], "thresholds": []} | more


def test_rates_without_examples_are_dashes_and_no_gap():
    codes = np.repeat([0, 1], 50)
    truth = codes == 0  # no positive in the second group
    selected = np.zeros(100, bool)
    outcomes = Outcomes(selected * 0.1, selected, truth, Groups("sex", ("a", "b"), codes))
    entry = entry_of(outcomes)
    assert entry["groups"][1]["tpr"] == {"value": None, "interval": None, "examples": 0}
    assert {gap["name"] for gap in entry["gaps"]} == {
        "selection_rate",
        "accuracy",
        "calibration",
    }
    assert gap_of(entry, "selection_rate")["ratio"] == 1.0
    assert json.loads(json.dumps(entry, allow_nan=False))
    assert "<td>-</td>" in "".join(section.section(page_content(entry)))


def test_names_of_groups_are_escaped():
    outcomes = decisions()
    members = outcomes.groups._replace(labels=("<script>", "b", "c"), column="<b>")
    text = "".join(section.section(page_content(entry_of(outcomes._replace(groups=members)))))
    assert "<script>" not in text
    assert "<b>" not in text


# ---------------------------------------------------------------- thresholds


@pytest.mark.parametrize("aim", thresholds.AIMS)
def test_thresholds_even_the_rate_and_have_a_price(aim):
    valid, test = decisions(6000, 1), decisions(6000, 2)
    found = thresholds.even(valid, test, aim)
    assert found["gap"]["before"] > 0.08
    assert found["gap"]["after"] < 0.06
    values = [row["threshold"] for row in found["groups"]]
    assert values == sorted(values)  # the last group has the highest probabilities
    changed = thresholds.apply(test, dict(enumerate(values)))
    gain = (changed == test.truth).mean() - (test.selected == test.truth).mean()
    assert found["accuracy"]["gain"] == pytest.approx(gain)
    low, high = found["accuracy"]["interval"]
    assert low <= gain <= high


def test_a_group_with_few_validation_examples_keeps_its_decisions():
    valid, test = decisions(600, 1), decisions(600, 2)
    rare = valid.groups._replace(codes=np.where(valid.groups.codes == 2, 1, valid.groups.codes))
    found = thresholds.even(valid._replace(groups=rare), test, "tpr")
    last = found["groups"][2]
    assert last["threshold"] is None
    assert last["before"] == last["after"]
    none = valid._replace(groups=rare._replace(codes=np.zeros(600, int)))
    assert thresholds.even(none, test, "tpr") is None


# ---------------------------------------------------------------- errors of numbers


def test_errors_by_group():
    random = np.random.default_rng(0)
    high, low = random.normal(2, 3, 400), random.normal(0, 1, 400)
    found = [errors.GroupErrors.of(one) for one in (high, low)]
    assert found[0].score("rmse") == pytest.approx(np.sqrt(np.mean(high**2)))
    assert found[0].score("mean_error") == pytest.approx(high.mean())
    from scipy.stats import ttest_ind

    (pair,) = errors.pairs_of(found, "mean_error")
    expected = ttest_ind(high, low, equal_var=False)
    assert pair.p == pytest.approx(expected.pvalue, rel=1e-3)
    assert pair.interval == pytest.approx(tuple(expected.confidence_interval()), rel=1e-3)
    assert errors.pairs_of([found[0], None], "rmse") == []
    one = errors.GroupErrors.of(np.array([1.0]))
    assert one.interval("rmse") == (1.0, 1.0)
    assert not one.is_judged


# ---------------------------------------------------------------- real data


@pytest.fixture
def compas():
    if not COMPAS.exists():
        pytest.skip("needs ../shared/data/compas")
    with gzip.open(COMPAS, "rt") as file:
        return list(csv.DictReader(file))


def test_the_published_false_positive_rates_of_compas(compas):
    """Angwin et al., Machine Bias, 2016: a score of 5 or more is a prediction of recidivism."""
    cells = np.array([row["race"].encode() for row in compas])
    members = groups.of_categories("race", cells)
    score = np.array([int(row["decile_score"]) for row in compas])
    truth = np.array([row["two_year_recid"] == "1" for row in compas])
    entry = entry_of(Outcomes(score / 10, score >= 5, truth, members))
    shown = {row["group"]: row["fpr"]["value"] for row in entry["groups"]}
    assert round(shown["African-American"], 3) == 0.423
    assert round(shown["Caucasian"], 3) == 0.220
    (finding,) = unfair(entry)
    assert "(false positive rate)" in finding.text
    assert "for African-American" in finding.text


@pytest.mark.slow
def test_adult_equals_fairlearn_and_german_credit_is_compared(tmp_path):
    metrics = pytest.importorskip("fairlearn.metrics", reason="needs the extra oracles")
    if not (ADULT / "adult_test.csv.gz").exists():
        pytest.skip("needs ../shared/data/adult_census")
    from evaluation.tasks import task_of

    adult = Regression(
        data=f"csv:{ADULT / 'adult_train.csv.gz'}", test=f"csv:{ADULT / 'adult_test.csv.gz'}",
        target="income", drop="fnlwgt,sex,race", model="linear", epochs=3,
    )  # fmt: skip
    run = train(adult, run_dir=tmp_path / "adult", precision="float32", verbose=0)
    scores = report.evaluate(run, "sex,race")
    predictions = task_of(run).predict_test_set(run)
    with gzip.open(ADULT / "adult_test.csv.gz", "rt") as file:
        people = list(csv.DictReader(file))
    known = (predictions.target, predictions.predicted)
    for column in scores["fairness"]["columns"]:
        members = [row[column["column"]] for row in people]
        parity = metrics.demographic_parity_difference(*known, sensitive_features=members)
        odds = metrics.equalized_odds_difference(*known, sensitive_features=members)
        assert gap_of(column, "selection_rate")["gap"] == pytest.approx(parity, abs=1e-12)
        assert gap_of(column, "equalized_odds")["gap"] == pytest.approx(odds, abs=1e-12)
    german = Regression(data=f"csv:{GERMAN}", target="credit_risk", drop="sex", model="linear")
    run = train(german, run_dir=tmp_path / "german", precision="float32", verbose=0)
    by_sex, by_age = report.evaluate(run, "sex,age")["fairness"]["columns"]
    assert {row["group"] for row in by_sex["groups"]} == {"female", "male"}
    assert len(by_age["groups"]) == 5


# ---------------------------------------------------------------- whole runs


def write_people(path, count=600, seed=0):
    """Write a table in which the model may know of group b what it may not know of group a."""
    random = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["skill", "sex", "age", "ID no", "city", "hired", "pay"])
        for number in range(count):
            sex = "ab"[random.random() < 0.4]
            skill = random.normal()
            noise = random.normal() * (2.5 if sex == "b" else 0.3)
            age = "" if number % 50 == 0 else random.integers(18, 70)
            city = "here"
            hired = "yes" if skill + noise > 0 else "no"
            pay = round(10 * skill + 4 * noise, 2)
            lines.writerow([f"{skill:.4f}", sex, age, f"n{number}", city, hired, pay])
    return path


@pytest.fixture(scope="module")
def people(made_once):
    """A directory with a run about a class and one about a number; do not change it."""

    def write_table(path):
        path.mkdir()
        write_people(path / "people.csv")

    table = made_once("people-table", write_table) / "people.csv"

    def write(path):
        path.mkdir()
        for target, other in (("hired", "pay"), ("pay", "hired")):
            app = Regression(
                data=f"csv:{table}", target=target, drop=f"{other},sex,age,city", model="linear"
            )
            train(app, run_dir=path / target, precision="float32", verbose=0)

    return made_once("people", write)


@pytest.fixture
def copied_run(people, tmp_path):
    return lambda name: Run.load(shutil.copytree(people / name, tmp_path / name))


def test_groups_are_read_from_columns_that_the_model_does_not_get(copied_run):
    run = copied_run("hired")
    assert "sex" not in run.app.load_splits().test.columns
    found = groups.read(run, "sex, age,sex")
    by_sex, by_age = found.test
    assert (by_sex.column, by_sex.labels) == ("sex", ("a", "b"))
    assert by_age.labels[-1] == "missing"
    assert len(by_age.labels) == 6
    with (Path(run.app.data.removeprefix("csv:"))).open() as file:
        skills = {row["skill"]: row for row in csv.DictReader(file)}
    test = run.splits.test
    for skill, code in zip(test.columns["skill"][test.rows], by_sex.codes, strict=True):
        assert by_sex.labels[code] == skills[f"{skill:.4f}"]["sex"]
    assert len(found.valid[0].codes) == len(run.splits.valid)
    assert run.splits.test.origins is None


def test_the_whole_report_of_a_class(copied_run):
    run = copied_run("hired")
    scores = report.evaluate(run, "sex,age")
    by_sex, by_age = scores["fairness"]["columns"]
    assert sum(row["examples"] for row in by_sex["groups"]) == scores["examples"]
    assert {"selection_rate", "tpr", "fpr", "equalized_odds", "calibration"} <= {
        gap["name"] for gap in by_sex["gaps"]
    }
    assert by_age["groups"][-1]["group"] == "missing"
    text = (run.path / files.PAGE).read_text("utf-8")
    assert "<h2>Groups of people</h2>" in text
    assert "<h3>By sex</h3>" in text
    assert "evaluate with --sensitive" not in text
    # The report keeps the groups, and is evaluated again for others.
    assert files.rewrite(run) is not None
    assert files.rewrite(run, "sex,age") is not None
    assert files.rewrite(run, "age") is None
    values = [
        check.value for check in gate.check(run, "fairness.tpr_gap<=1,fairness.sex.fpr_gap<=1")
    ]
    assert values[1] == gap_of(by_sex, "fpr")["gap"]
    assert values[0] == max(gap_of(one, "tpr")["gap"] for one in (by_sex, by_age))
    with pytest.raises(FieldError, match=r"fairness\.tpr_gap"):
        gate.check(run, "fairness.trp_gap<=0.1")


def test_the_whole_report_of_a_number(copied_run):
    run = copied_run("pay")
    scores = report.evaluate(run, "sex")
    (column,) = scores["fairness"]["columns"]
    rows = {row["group"]: row for row in column["groups"]}
    assert rows["b"]["rmse"]["value"] > 2 * rows["a"]["rmse"]["value"]
    (unfair_finding,) = [one for one in scores["findings"] if one["kind"] == "unfair"]
    assert "the RMSE is" in unfair_finding["text"]
    assert "By sex" in (run.path / files.PAGE).read_text("utf-8")
    assert "fairness.rmse_gap" in str(gate._values(json.loads((run.path / SCORES).read_text())))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("sx", r"--sensitive 'sx'; expected one of the columns .* Did you mean 'sex'"),
        ("hired", "--sensitive hired, the target"),
        ("city", r"one group in the test examples \(here\)"),
    ],
)
def test_wrong_columns_are_refused_before_anything_is_written(columns, message, copied_run):
    run = copied_run("hired")
    before = sorted(run.path.iterdir())
    with pytest.raises((FieldError, AddressError), match=message) as caught:
        report.evaluate(run, columns)
    assert caught.value.exit_status == 2
    assert sorted(run.path.iterdir()) == before


def test_a_run_without_a_table_is_refused(tiny_run):
    with pytest.raises(FieldError, match="whose examples are rows of a table"):
        report.evaluate(tiny_run(Mnist), "sex")


def test_a_column_of_many_values_has_a_group_of_all_others(copied_run):
    (found,) = groups.read(copied_run("hired"), "ID no").test
    assert found.labels[-1] == "580 other values"
    assert "has 600 values" in found.note
    assert found.codes.max() == len(found.labels) - 1


def test_the_command_takes_columns(people, tmp_path, run_cli):
    path = shutil.copytree(people / "hired", tmp_path / "run")
    status, _, error = run_cli("evaluate", path, "--sensitive", "sx", "--trust")
    assert status == 2
    assert "sx" in error
