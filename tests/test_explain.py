"""Explanations against known functions, and the verb on the command line and in Python."""

import itertools
import json
import types

import numpy as np
import pytest
import tensorflow as tf

import athanor
from apps import Mnist, Recommender, Regression, Text
from evaluation.explanations import partial, permutation, surrogate
from inference.explanations import counterfactual, neighbours
from inference.explanations.integrated_gradients import integrated_gradients
from inference.explanations.occlusion import occlusion
from inference.explanations.row_model import Place, RowModel, row_at
from inference.explanations.score import Score
from inference.explanations.wanted import wanted_of
from pipelines.examples import Examples
from training.train import train

NUMBER = Score("y")


class Formula:
    """A model of number columns a, b, c by a formula, in the place of RowModel."""

    def __init__(self, function, columns=3):
        self.function = function
        self.places = {"abcdefgh"[k]: Place("numbers", k) for k in range(columns)}
        self.reading = types.SimpleNamespace(kinds=dict.fromkeys(self.places, "number"))
        self.titles = {name: name for name in self.places}
        self.run = types.SimpleNamespace(
            manifest={"labels": [], "fields": {"target": "y"}}, task="regression"
        )

    def outputs(self, features):
        return np.asarray(self.function(*features["numbers"].T))

    def cell(self, name, value):  # noqa: ARG002
        return float(value)


def examples_of(numbers, target=None):
    texts = np.empty((len(numbers), 0), object)
    target = np.zeros(len(numbers)) if target is None else target
    kinds = dict.fromkeys("abcdefgh"[: numbers.shape[1]], "number")
    return Examples.of({"numbers": numbers, "texts": texts}, target, kinds=kinds)


@pytest.fixture
def rows():
    return examples_of(np.random.default_rng(0).normal(size=(200, 3)))


def test_occlusion_of_a_linear_model_is_coefficient_times_distance_from_the_mean(rows):
    model = Formula(lambda a, b, c: 2 * a - 3 * b + 0 * c)
    row = row_at(rows.features, 7)
    effects = occlusion(model, row, NUMBER, rows)
    expected = [2, -3, 0] * (row["numbers"][0] - rows.features["numbers"].mean(0))
    np.testing.assert_allclose(effects, expected, atol=1e-9)


def shapley(function, row, background):
    """Exact Shapley values of one row, by all orders (interventional)."""
    count = len(row)
    values = np.zeros(count)
    orders = [*itertools.permutations(range(count))]
    for order in orders:
        cells = background.copy()
        before = function(*cells.T).mean()
        for k in order:
            cells[:, k] = row[k]
            after = function(*cells.T).mean()
            values[k] += (after - before) / len(orders)
            before = after
    return values


def test_occlusion_of_an_additive_model_is_the_shapley_value(rows):
    def function(a, b, c):
        return np.sin(a) + b**2 - c

    row = row_at(rows.features, 3)
    effects = occlusion(Formula(function), row, NUMBER, rows)
    expected = shapley(function, row["numbers"][0], rows.features["numbers"])
    np.testing.assert_allclose(effects, expected, atol=1e-9)


def test_shap_agrees_with_our_occlusion_of_a_linear_model(rows):
    shap = pytest.importorskip("shap")  # 0.51.0 was compared
    model = Formula(lambda a, b, c: 2 * a - 3 * b + c)
    background = rows.features["numbers"]
    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.PermutationExplainer(lambda x: model.function(*x.T), masker)
    row = row_at(rows.features, 5)
    values = explainer(row["numbers"]).values[0]
    np.testing.assert_allclose(occlusion(model, row, NUMBER, rows), values, atol=1e-6)


def test_integrated_gradients_are_complete_and_exact_for_a_product():
    # Of x1 * x2 from 0, each input gets half of the product.
    found = integrated_gradients(
        lambda x: x[:, 0] * x[:, 1] + 3 * x[:, 2], np.array([2.0, 5.0, 1.0]), np.zeros(3)
    )
    np.testing.assert_allclose(found.values, [5, 5, 3], rtol=1e-4)
    assert found.complete
    assert found.end - found.start == pytest.approx(13)


def test_integrated_gradients_take_more_steps_until_they_add_up_and_admit_jumps():
    steep = integrated_gradients(
        lambda x: tf.sigmoid(400 * (x[:, 0] - 0.5)), np.ones(1), np.zeros(1)
    )
    assert steep.complete
    jump = integrated_gradients(
        lambda x: tf.cast(x[:, 0] > 0.5, "float32"), np.ones(1), np.zeros(1)
    )
    assert not jump.complete
    assert jump.error == pytest.approx(1)


def test_the_h_statistic_is_zero_for_sums_and_large_for_products(rows):
    model = Formula(lambda a, b, c: np.exp(a) + b + a * 0 + b * c)
    found = {one.names: one for one in partial.interactions(model, [*"abc"], rows, [NUMBER])}
    assert found["a", "b"].h < 1e-6
    assert found["a", "c"].h < 1e-6
    assert found["b", "c"].h > 0.4
    nothing = partial.interactions(
        Formula(lambda a, b, c: 0 * (a + b + c)), [*"ab"], rows, [NUMBER]
    )
    assert nothing[0].h == 0


def test_partial_dependence_of_an_additive_model_is_its_term(rows):
    model = Formula(lambda a, b, c: a**2 + b - c)
    found = partial.partial_dependence(model, "a", rows, rows)
    means = found.means[:, 0]
    np.testing.assert_allclose(means - means[0], found.values**2 - found.values[0] ** 2, atol=1e-9)
    assert set(found.values) <= set(rows.features["numbers"][:, 0])


def test_the_surrogate_of_a_step_is_the_step(rows):
    model = Formula(lambda a, b, c: np.where(b > 0.2, 5.0, 1.0) + 0 * a * c)
    found = surrogate.fit(model, [*"abc"], rows, rows)
    assert found.r2 == pytest.approx(1)
    assert found.root.feature.name == "b"
    assert abs(found.root.threshold - 0.2) < 0.1


def test_counterfactuals_change_one_column_by_the_least_quantiles(rows):
    model = Formula(lambda a, b, c: a + 0.1 * b + 0 * c)
    row = {"numbers": np.array([[-1.0, 0.0, 0.0]]), "texts": np.empty((1, 0), object)}
    found = counterfactual.search(model, row, rows, lambda y: y > 0.5, lambda y: y)
    (change,) = found[0].changes
    assert change.name == "a"
    tried = rows.features["numbers"][:, 0]
    assert 0.5 < change.value < 0.7
    assert change.value in tried
    kept = counterfactual.search(model, row, rows, lambda y: y > 0.5, lambda y: y, ["a"])
    assert kept == []


def test_counterfactuals_change_two_columns_where_one_does_not_suffice(rows):
    model = Formula(lambda a, b, c: np.minimum(a, b) + 0 * c)
    row = {"numbers": np.array([[-1.0, -1.0, 0.0]]), "texts": np.empty((1, 0), object)}
    found = counterfactual.search(model, row, rows, lambda y: y > 0.5, lambda y: y)
    # One column alone changes nothing, so that only spread values of both can turn the answer.
    assert {change.name for change in found[0].changes} == {"a", "b"}
    assert found[0].output > 0.5


def test_neighbours_are_those_of_a_full_search(rows):
    inputs = rows.features["numbers"][:2]
    found = neighbours.nearest(lambda features: features["numbers"], inputs, rows)
    distances = np.linalg.norm(inputs[:, None] - rows.features["numbers"], axis=2)
    np.testing.assert_array_equal(found.positions, np.argsort(distances, 1)[:, :3])
    np.testing.assert_allclose(found.distances[:, 0], 0, atol=1e-6)


def rise_of_shuffling(random, count):
    """One permutation importance of a known model, with its interval."""
    x, noise = random.normal(size=(2, count))
    y = x + noise
    predicted = 0.5 * x
    before, repeats = (predicted - y) ** 2, 3
    donors = np.stack([random.permutation(count) for _ in range(repeats)])
    after = (0.5 * x[donors] - y) ** 2
    run = types.SimpleNamespace(task="regression")
    rise, influence = permutation._rise(run, before, after, np.ones(count))
    error = permutation._standard_error(influence, donors)
    return rise.mean(), error


def test_intervals_of_importance_cover_the_true_rise():
    random = np.random.default_rng(1)
    # E (0.5 x' - x - e)^2 = 0.25 + 1 + 1; with the own x it is 0.25 + 1.
    truth = np.sqrt(2.25) - np.sqrt(1.25)
    found = [rise_of_shuffling(random, 300) for _ in range(600)]
    inside = np.mean([abs(rise - truth) < 1.96 * error for rise, error in found])
    assert 0.92 < inside < 0.98


@pytest.fixture(scope="module")
def table_run(tmp_path_factory):
    """A run on a table with a number that counts, a category that counts and noise."""
    folder = tmp_path_factory.mktemp("explained")
    random = np.random.default_rng(0)
    size, noise = random.normal(size=(2, 500)).round(3)
    town = random.choice(["Rome", "Oslo"], 500)
    wet = np.where(size + 2 * (town == "Oslo") + 0.3 * random.normal(size=500) > 1, "yes", "no")
    lines = (",".join(map(str, row)) for row in zip(size, town, noise, wet, strict=True))
    (folder / "t.csv").write_text("\n".join(["Size m2,town,noise,wet", *lines]) + "\n")
    (folder / "new.csv").write_text("Size m2,town,noise\n0.1,Rome,0.5\n1.4,Oslo,\n")
    app = Regression(data=f"csv:{folder / 't.csv'}", target="wet", model="mlp", epochs=4)
    return train(app, run_dir=folder / "run", precision="float32", verbose=0)


def test_explain_rows_on_the_command_line(table_run, run_cli):
    new = table_run.path.parent / "new.csv"
    status, out, err = run_cli("regression", "explain", table_run.path, new, "--json")
    assert status == 0, err
    first, second = json.loads(out)["explanations"]
    assert first["prediction"]["class"] == "no"
    effects = {one["column"]: one for one in first["columns"]}
    assert set(effects) == {"Size m2", "town", "noise"}
    assert min(abs(effects[k]["occlusion"]) for k in ("Size m2", "town")) > abs(
        effects["noise"]["occlusion"]
    )
    method = first["methods"]["integrated_gradients"]
    assert method["completeness_error"] < 0.01
    total = sum(one["integrated_gradients"] for one in first["columns"])
    gap = first["score"]["value"] - method["score_of_baseline"]
    assert total == pytest.approx(gap, rel=0.011)
    assert second["prediction"]["class"] == "yes"
    assert second["columns"][-1]["value"] is None or second["columns"]
    changes = first["counterfactuals"][0]["changes"]
    assert {change["column"] for change in changes} <= {"Size m2", "town"}
    assert first["counterfactuals"][0]["prediction"]["class"] == "yes"
    assert len(first["nearest"]) == 3
    assert first["nearest"][0]["columns"]["town"] == "Rome"


def test_explain_without_inputs_writes_the_explanation(table_run, run_cli):
    status, out, err = run_cli("explain", table_run.path, "--json")
    assert status == 0, err
    content = json.loads(out)
    stored = json.loads((table_run.path / "explanation.json").read_text())
    assert {name: content[name] for name in stored} == stored
    assert content["importance"]["columns"][-1]["column"] == "noise"
    assert (
        content["surrogate"]["agreement"] > content["surrogate"]["agreement_of_most_frequent_class"]
    )
    for name in content["pictures"]:
        assert (table_run.path / name).stat().st_size > 1000
    names = ("importance", "partial_dependence", "interactions", "surrogate")
    assert content["pictures"] == [f"explanation/{name}.png" for name in names]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["new.csv", "--keep", "twn"], "Did you mean 'town'?"),
        (["new.csv", "--wanted", "perhaps"], "expected a class of the run: no, yes"),
        (["--keep", "town"], "--keep without an input"),
        (["missing.csv"], "missing.csv"),
    ],
    ids=str,
)
def test_wrong_words_are_answered(words, expected, table_run, run_cli):
    folder = table_run.path.parent
    words = [folder / word if word.endswith(".csv") else word for word in words]
    status, _, err = run_cli("regression", "explain", table_run.path, *words)
    assert status == 2
    assert expected in err
    assert len(err.strip().splitlines()) == 1


def test_explain_from_python_keeps_columns(table_run):
    (found,) = athanor.explain(
        table_run.path, {"Size m2": -1.0, "town": "Rome", "noise": 0.0}, keep=["town", "Size m2"]
    )
    assert found["input"] == 0
    assert found["counterfactuals"] == []
    assert found["counterfactual_note"] == "no change of up to two columns gives another class."
    (found,) = athanor.explain(table_run, [{"Size m2": 2.0, "town": "Oslo"} | {"noise": 0}])
    assert found["prediction"]["class"] == "yes"


def test_numbers_need_a_bound(tiny_run, run_cli):
    run = tiny_run(Regression)
    row = run.splits.test.numpy([0]).features
    model = RowModel(run)
    table = {name: [value] for name, value in model.cells(row).items()}
    (found,) = athanor.explain(run, table)
    assert "--wanted" in found["counterfactual_note"]
    value = found["prediction"]["value"]
    output = np.array([value])
    assert "already" in wanted_of(run, f">={value - 5}", output)
    goal = wanted_of(run, f" <= {value - 5}", output)
    assert goal.turns(np.array([value, value - 6])).tolist() == [False, True]
    status, _, err = run_cli("explain", run.path, "x.csv", "--wanted", "much")
    assert status == 2
    assert "expected a bound" in err


def test_trees_have_no_gradients(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=300)
    lines = "\n".join(f"{a},{3 * a}" for a in x)
    (tmp_path / "t.csv").write_text(f"x,y\n{lines}\n")
    app = Regression(data=f"csv:{tmp_path / 't.csv'}", target="y", model="boosted")
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    (found,) = athanor.explain(run, [{"x": 1.0}])
    assert "trees" in found["methods"]["integrated_gradients"]["not_offered"]
    assert "integrated_gradients" not in found["columns"][0]
    assert found["columns"][0]["occlusion"] > 2


def test_explain_images(copied, write_image, tmp_path, run_cli):
    path = write_image(tmp_path / "one.png")
    status, out, err = run_cli("mnist", "explain", copied.path, path, tmp_path / "no.png", "--json")
    assert status == 1
    assert "no.png" in err
    first, second = json.loads(out)["explanations"]
    assert "error" in second
    assert np.shape(first["maps"]["occlusion"]) == (8, 8)
    assert len(first["nearest"]) == 3
    total = np.sum(first["maps"]["integrated_gradients"])
    method = first["methods"]["integrated_gradients"]
    gap = first["score"]["value"] - method["score_of_baseline"]
    assert total == pytest.approx(gap, rel=0.012, abs=2e-3)
    assert (copied.path / "explanation" / "explained.png").exists()


def test_explain_texts_and_users(tiny_run):
    run = tiny_run(Text)
    (found,) = athanor.explain(run, ["the food was superb"])
    (explained,) = found["explained"]
    assert {one["word"] for one in explained["words"]} == {"the", "food", "was", "superb"}
    assert found["nearest"][0]["text"]
    run = tiny_run(Recommender)
    user = run.splits.train.numpy([0]).features["user"][0].decode()
    assert athanor.explain(run, [user])[0]["because"] is not None
    with pytest.raises(ValueError, match="expected users"):
        athanor.explain(run, [(user, "item 1")])
    assert "not_offered" in athanor.explain(run)


def test_no_rows_to_explain(table_run, run_cli, tmp_path):
    (tmp_path / "none.csv").write_text("Size m2,town,noise\n")
    status, _, err = run_cli("explain", table_run.path, tmp_path / "none.csv")
    assert status == 2
    assert "rows" in err
    assert Mnist.modality == "image"
    status, _, err = run_cli("mnist", "explain", table_run.path)
    assert status == 2


def test_the_report_shows_the_explanation(table_run):
    athanor.explain(table_run)
    report = athanor.report(table_run)
    page = (table_run.path / "report.html").read_text()
    assert "<h2>Explanation</h2>" in page
    assert "Partial dependence" in page
    assert json.loads((table_run.path / "report.json").read_text())["explanation"]["lines"]
    assert report["verdict"]
