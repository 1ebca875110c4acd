"""Slices: cuts of the test examples, and the search for those on which a model is worse."""

import json

import numpy as np
import pytest

import apps
from evaluation import gate
from evaluation.modalities import modality_of
from evaluation.run_report import slices as section
from evaluation.slices import cuts, scoring, search, slices
from evaluation.slices.search import Slice
from evaluation.slices.units import UnitScores
from evaluation.tasks import task_of
from training.run import SCORES, Run

NUM_EXAMPLES, NUM_DRAWS = 2000, 200
BAD = "kind = bad"


def table(random, count=NUM_EXAMPLES):
    """Cuts by two numbers and three categories, one of which holds a tenth of the examples."""
    found = [
        cuts.by_number("age", random.normal(40, 12, count)),
        cuts.by_number("income", random.lognormal(10, 1, count)),
    ]
    for name, size in (("job", 8), ("city", 5)):
        shares = random.dirichlet(np.full(size, 5.0))
        codes = random.choice(size, count, p=shares)
        found.append(cuts.by_category(name, [f"{name} {k}" for k in range(size)], codes))
    bad = random.random(count) < 0.1
    return [*found, cuts.by_category("kind", ["good", "bad"], bad.astype(int))], bad


def right(random, factor):
    return UnitScores.of_mean("accuracy", random.random(len(factor)) >= 0.15 * factor)


def weighted(random, factor):
    values = random.random(len(factor)) >= 0.15 * factor
    return UnitScores.of_mean("accuracy", values, random.gamma(4, size=len(factor)))


def squares(random, factor):
    errors = random.normal(size=len(factor)) * factor
    return UnitScores.of_mean("rmse", np.square(errors), is_root=True)


def squares_of_users(random, factor):
    users = random.integers(0, 100, len(factor))
    errors = random.normal(size=len(factor)) * factor * (random.gamma(4, size=100) / 4)[users]
    return UnitScores.of_mean("rmse", np.square(errors), is_root=True, clusters=users)


def found(make, factor, seed):
    random = np.random.default_rng(seed)
    made, bad = table(random)
    return search.find(made, make(random, np.where(bad, factor, 1.0)))


def findings(result, units="accuracy"):
    content = slices.to_json(result, UnitScores.of_mean(units, np.ones(1)), 1)
    return list(slices.findings(content))


def check_rates(make, least):
    name = make(np.random.default_rng(0), np.ones(3)).metric
    false = [findings(found(make, 1.0, seed), name) for seed in range(NUM_DRAWS)]
    assert sum(map(bool, false)) <= 0.05 * NUM_DRAWS
    true = [findings(found(make, 2.0, seed), name) for seed in range(NUM_DRAWS)]
    named = [bool(one) and BAD in one[0].text for one in true]
    assert sum(named) > least * NUM_DRAWS


def test_a_planted_slice_is_named_and_nothing_is_said_without_one():
    check_rates(right, 0.9)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("make", "least"), [(squares, 0.95), (weighted, 0.8), (squares_of_users, 0.9)]
)
def test_the_same_of_other_scores(make, least):
    check_rates(make, least)


def test_the_finding_says_how_much_worse_how_sure_and_what_to_do():
    (finding,) = findings(found(right, 2.0, 1))
    assert finding.kind == "bad_slice"
    assert f"worse where {BAD}: accuracy 0.7" in finding.text
    assert "in the rest, p < 0.001" in finding.text
    assert "corrected for 2" in finding.text
    assert "add training examples" in finding.text


def test_a_pair_of_conditions_is_found():
    random = np.random.default_rng(3)
    first, second = (random.integers(0, 3, 4000) for _ in range(2))
    made = [
        cuts.by_category("a", ["x", "y", "z"], first),
        cuts.by_category("b", ["u", "v", "w"], second),
        cuts.by_number("c", random.normal(size=4000)),
    ]
    bad = (first == 1) & (second == 2)
    units = UnitScores.of_mean("accuracy", random.random(4000) > np.where(bad, 0.5, 0.1))
    best = search.find(made, units).slices[0]
    assert {*best.conditions} == {"a = y", "b = w"}
    assert best.examples == bad.sum()
    assert best.score == pytest.approx(units.numerators[bad].mean())
    assert best.rest == pytest.approx(units.numerators[~bad].mean())


def test_significant_but_small_differences_are_no_finding():
    one = Slice(("a = x",), 10**6, 0.90, (0.899, 0.901), 0.91, 1e-9, 1e-8)
    assert not slices.is_bad(one, "accuracy")
    assert slices.is_bad(one._replace(score=0.85), "accuracy")
    assert not slices.is_bad(one._replace(score=0.85, of_answer=True), "accuracy")
    assert not slices.is_bad(one._replace(score=0.85, p_corrected=0.06), "accuracy")
    error = one._replace(score=1.2, rest=1.0)
    assert not slices.is_bad(error, "rmse")
    assert slices.is_bad(error._replace(score=1.3), "rmse")


def test_p_values_of_shares_are_those_of_fishers_exact_test():
    from scipy.stats import fisher_exact

    random = np.random.default_rng(0)
    values, inside = random.random(200) > 0.2, random.random(200) < 0.3
    population = scoring.Population.of(UnitScores.of_mean("accuracy", values))
    parts = population.parts(np.where(inside, 0, -1), 1)
    counts = [[np.sum(~values & side), np.sum(values & side)] for side in (inside, ~inside)]
    expected = fisher_exact(counts, alternative="greater").pvalue
    assert scoring.p_values(population, parts)[0] == pytest.approx(expected)


def test_p_values_of_errors_are_those_of_permutations():
    random = np.random.default_rng(1)
    errors = random.normal(size=300) ** 2
    inside = np.arange(300) < 40
    errors[inside] *= 1.3
    population = scoring.Population.of(UnitScores.of_mean("rmse", errors, is_root=True))
    p = scoring.p_values(population, population.parts(np.where(inside, 0, -1), 1))[0]
    sums = np.array([random.permutation(errors)[:40].sum() for _ in range(20_000)])
    assert p == pytest.approx((sums >= errors[:40].sum()).mean(), abs=0.01)


@pytest.mark.parametrize("count", [50, 300, 3000])
def test_intervals_cover(count):
    random = np.random.default_rng(count)
    covered = {"accuracy": 0, "rmse": 0}
    for _ in range(1000):
        values = {"accuracy": random.random(count) < 0.8, "rmse": random.normal(size=count) ** 2}
        for name, column in values.items():
            units = UnitScores.of_mean(name, column, is_root=name == "rmse")
            population = scoring.Population.of(units)
            parts = population.parts(np.zeros(count, int), 1)
            ratio, variance = float(parts.ratios[0]), float(parts.variances()[0])
            low, high = scoring.interval(population, count, ratio, variance)
            covered[name] += low <= {"accuracy": 0.8, "rmse": 1.0}[name] <= high
    assert all(930 <= number <= 970 for number in covered.values()), covered


def test_the_correction_is_that_of_benjamini_and_hochberg():
    from scipy.stats import false_discovery_control

    p = np.random.default_rng(0).random(50) ** 3
    (found,) = search.corrected([(p, 50, 1.0)])
    np.testing.assert_allclose(found, false_discovery_control(p))
    # Hypotheses that were not looked at count with a p-value of 1.
    (more,) = search.corrected([(p, 80, 1.0)])
    np.testing.assert_allclose(more, false_discovery_control([*p, *np.ones(30)])[:50])


# ---------------------------------------------------------------- cuts


def test_numbers_are_cut_at_the_bounds_that_their_names_say():
    values = np.random.default_rng(0).normal(40, 12, 1000)
    values[:100] = np.nan
    cut = cuts.by_number("age", values)
    assert cut.labels[-1] == "age is missing"
    for number, label in enumerate(cut.labels[:-1]):
        part = values[cut.codes == number]
        edges = [float(word) for word in label.split() if word.replace(".", "").isdigit()]
        assert len(part) == pytest.approx(180, abs=30)
        assert (part > edges[0]).all() if ">" in label or label[0].isdigit() else True
        assert (part <= edges[-1]).all() if "≤" in label else True


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.0] * 950 + [*range(1, 51)], ("x ≤ 0", "x > 0")),
        ([*range(50)] + [100.0] * 950, ("x ≤ 49", "x > 49")),
        ([1.0, 2.0] * 500, ("x = 1", "x = 2")),
        ([1_000_000.5 + k / 1000 for k in range(1000)], None),
        ([np.nan] * 10, ("x is missing",)),
        ([], ()),
    ],
)
def test_odd_numbers_have_parts_too(values, labels):
    cut = cuts.by_number("x", np.array(values, "float64"))
    assert labels is None or cut.labels == labels
    assert len({*cut.labels}) == len(cut.labels)
    assert {*cut.codes.tolist()} <= {*range(len(cut.labels))}


def test_the_most_frequent_categories_are_parts():
    codes = np.concatenate([np.repeat(np.arange(5), 100), np.arange(1000)])
    cut = cuts.by_category("c", ["", *map(str, range(1, 1000))], codes)
    assert len(cut.labels) == cuts.MAX_CATEGORIES
    assert {"c is missing", "c = 1", "c = 4"} <= {*cut.labels}
    assert (cut.codes[codes > 900] == -1).all()


def test_times_are_cut_by_range_year_month_weekday_and_hours():
    stamps = np.array(["2023-12-31T23:00", "2024-01-01T08:00", "2024-02-29T12:00"] * 50, "M8[m]")
    days = stamps.astype("int64") / 1440
    found = {label for cut in cuts.by_time("when", days) for label in cut.labels}
    assert {"year of when = 2023", "month of when = February"} <= found
    made = [*cuts.by_time("when", days)]
    weekdays = next(cut for cut in made if "weekday" in cut.labels[0])
    assert [weekdays.labels[k].split()[-1] for k in weekdays.codes[:3]] == [
        "Sunday",
        "Monday",
        "Thursday",
    ]
    hours = next(cut for cut in made if cut.labels[0].startswith("hours"))
    assert [hours.labels[k] for k in hours.codes[:3]] == [
        "hours of when = 18 to 23 h",
        "hours of when = 6 to 11 h",
        "hours of when = 12 to 17 h",
    ]
    unknown = [*cuts.by_time("when", np.full(5, np.nan))]
    assert unknown[0].labels == ("when is missing",)


def test_scripts():
    from evaluation.modalities.text_cuts import script

    texts = {
        "hello": "Latin",
        "你好 世界": "Han",
        "привет": "Cyrillic",
        "42 !": "other",
        "": "other",
    }
    assert {text: script(text) for text in texts} == texts


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.name())
def test_every_app_has_slices_that_partition_its_test_units(app, tiny_run):
    run = tiny_run(app)
    predictions = task_of(run).predict_test_set(run)
    units = task_of(run).unit_scores(predictions)
    rows = np.arange(len(units.numerators))
    made = modality_of(run).cuts(run, predictions, rows)
    assert made
    for cut in made:
        assert cut.codes.shape == rows.shape
        assert -1 <= cut.codes.min() <= cut.codes.max() < len(cut.labels)
    some = modality_of(run).cuts(run, predictions, rows[::2])
    assert all(len(cut.codes) == len(rows[::2]) for cut in some)
    scored = scoring.Population.of(units)
    value = scoring.score(units, scored.ratio)
    assert value == pytest.approx(task_of(run).metrics(predictions)[units.metric])
    content = slices.of_run(run, predictions)
    assert content["slices"]
    assert not content["sampled"]
    assert all(one["examples"] >= search.MIN_EXAMPLES for one in content["slices"])
    assert json.loads(json.dumps(content)) == content


def test_many_columns_are_sampled(tiny_run, monkeypatch):
    run = tiny_run(apps.Regression)
    monkeypatch.setattr(slices, "MAX_CELLS", 10)
    monkeypatch.setattr(slices, "MIN_SAMPLE", 60)
    content = slices.of_run(run, task_of(run).predict_test_set(run))
    assert (content["examples"], content["sampled"]) == (60, True)
    assert "a sample of 60" in "".join(section.section(content))


# ---------------------------------------------------------------- report and gate


def test_the_gate_knows_the_worst_slice(run, tmp_path):
    import shutil

    path = shutil.copytree(run.path, tmp_path / "scored")
    scored = {"test": {"accuracy": 0.9}, "intervals": {"accuracy": [0.8, 1.0]}, "examples": 9}
    scored["slices"] = {"metric": "accuracy", "worst": 0.7, "slices": []}
    (path / SCORES).write_text(json.dumps(scored))
    loaded = Run.load(path)
    (failed,) = gate.check(loaded, "worst_slice.accuracy>=0.8")
    assert (failed.value, failed.passes) == (0.7, False)
    assert gate.check(loaded, "worst_slice.accuracy>=0.7")[0].passes
    with pytest.raises(ValueError, match=r"Did you mean 'worst_slice\.accuracy'"):
        gate.check(loaded, "worst_slice.recall>=0.7")


def test_the_section_shows_the_worst_and_folds_the_rest():
    content = slices.to_json(found(right, 2.0, 1), UnitScores.of_mean("accuracy", np.ones(1)), 1)
    text = "".join(section.section(content))
    assert text.index(BAD) < text.index("<details>")
    assert text.count("<details") == text.count("</details") == 1
    assert f"{len(content['slices']) - section.MIN_SHOWN} more slices" in text
    assert not [*section.section(content | {"slices": []})]
    assert not [*section.section(None)]


def test_names_are_escaped():
    content = slices.to_json(found(right, 2.0, 1), UnitScores.of_mean("accuracy", np.ones(1)), 1)
    content["slices"][0]["conditions"] = ["<script> = 1"]
    assert "<script>" not in "".join(section.section(content))
