"""The regression app: column types, preprocessing, models, and users' own files."""

import json

import numpy as np
import pytest
import tensorflow as tf

from apps import FieldError, Regression, ridge
from apps.regression import layers as tabular
from apps.regression import losses, shrinkage
from apps.regression.matrices import RowMatrices
from apps.regression.networks import NUM_MEMBERS
from evaluation.modalities import rows as judged
from evaluation.tasks import regression
from inference.predict import predict
from pipelines import embedded
from pipelines.examples import DataError, Examples
from pipelines.rows import reading as rows
from pipelines.rows.packing import pack_columns
from pipelines.rows.preprocessing import PrepareColumns
from pipelines.splits import Splits, split_source
from pipelines.tables import csv_files
from pipelines.tables.cell_formats import CellFormat
from pipelines.tables.table import Table, Tables
from training.train import train

MESSY = """id,Größe (m²),price EUR,city,"said, often",mixed,constant,void,grade
"""


def messy(count=240, seed=0):
    """Text of a CSV file with quoted commas, empty cells, mixed types, a broken line."""
    random = np.random.default_rng(seed)
    lines = [MESSY]
    for number in range(count):
        area = random.uniform(20, 100)
        cells = [
            f"u{number}",
            f"{area:.1f}" if number % 17 else "?",
            f"{3000 * area + random.normal(0, 9000):.0f}" if number % 31 else "",
            ("Köln", '"Paris, Texas"', "Aarhus", "")[number % 4],
            f'"say ""{number % 5}"", ok"',
            str(number % 7) if number % 20 else "abc",
            "x",
            "" if number % 2 else "NA",
            "ABC"[min(2, int(area // 34))],
        ]
        lines.append(",".join(cells) + "\r\n")
    return "".join(lines) + "broken,line\r\n\r\n"


@pytest.fixture
def file(tmp_path):
    """The messy file in Latin-1, which has no square but has a small two."""
    path = tmp_path / "messy.csv"
    path.write_bytes(messy().encode("latin-1"))
    return path


def table(**columns):
    return Table(
        {n: np.array([str(c).encode() for c in col], object) for n, col in columns.items()}
    )


def source(**options):
    """Of a small table with a number, a category and a target."""
    columns = {"x": range(40), "c": "ab" * 20, "y": np.arange(40) * 2.5, **options.pop("more", {})}
    return rows.source(Tables(table(**columns)), target="y", **options)


def test_a_messy_file_is_read_with_notes(file):
    found = rows.source(csv_files.read(str(file)), target="price EUR")
    assert found.train.spec["features"] == {
        "numbers": ((2,), "float64"),
        "texts": ((3,), "string"),
    }
    assert found.train.spec["columns"] == {
        "Groe_m2": "number",
        "city": "category",
        "said_often": "category",
        "mixed": "number",
        "grade": "category",
    }
    told = "\n".join(found.notes)
    for part in (
        "not UTF-8", "1 lines left out", "8 rows without it left out", "Groe_m2: number, 15",
        "city: 3 categories, 60 missing", "12 unreadable such as 'abc'", "id (every text differs)",
        "constant (constant)", "void (only missing cells)",
    ):  # fmt: skip
        assert part in told
    assert len(found.train) == 232


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": "price_EU"}, "Did you mean 'price_EUR'"),
        ({"target": "target"}, "Received no --target, and no column 'target'; expected one of"),
        ({"target": "price EUR", "drop": ["towns"]}, "--drop 'towns'"),
        ({"target": "grade", "task": "binary"}, "with 3 classes; expected two"),
        ({"target": "city", "task": "regression"}, "expected numbers"),
        ({"target": "constant"}, "a single class"),
        ({"target": "id"}, "with 240 classes"),
        ({"target": "void"}, "without a known cell"),
    ],
)
def test_impossible_targets_are_refused(file, options, said):
    with pytest.raises(DataError, match=said):
        rows.source(csv_files.read(str(file)), **options)


def test_targets_become_numbers_or_classes():
    assert source().labels == ()
    assert source().train.target.dtype == np.float64
    twos = rows.source(Tables(table(x=range(40), y=[10, 9] * 20)), target="y")
    assert twos.labels == ("9", "10")
    assert twos.train.target[:2].tolist() == [1, 0]
    assert len(source(task="multiclass", more={"y": [2, 10, 1, 9] * 10}).labels) == 4


@pytest.mark.parametrize(("missing", "said"), [(1, "1 row without it"), (2, "2 rows without it")])
def test_rows_without_a_target_are_counted(missing, said):
    targets = [*[""] * missing, *range(40 - missing)]
    assert f"; {said} left out" in source(more={"y": targets}).notes[0]


def test_class_numbers_of_a_set_keep_their_names():
    columns = {"x": np.arange(20.0), "y": np.array([0, 1, -1, 1] * 5)}
    found = rows.source(Tables(Table(columns, {"y": ("no", "yes")})), target="y")
    assert found.labels == ("no", "yes")
    assert len(found.train) == 15


def test_a_test_table_is_read_as_the_training_table_was():
    other = table(c=["a", "new"], x=["?", "abc"], extra=[1, 2], y=[1, 2])
    found = rows.source(
        Tables(table(x=range(9), c="abcabcabc", y=range(9)), None, other), target="y"
    )
    assert np.isnan(found.test.columns["x"]).all()
    with pytest.raises(DataError, match="with the columns c, without the column x; expected every"):
        rows.read_features(
            table(c="ab"),
            rows.Reading({"x": CellFormat("number"), "c": CellFormat("category")}, {}),
        )


def test_two_rows_are_too_few():
    with pytest.raises(DataError):
        split_source(rows.source(Tables(table(x=[1, 2], y=[3, 4])), target="y"))


def test_preprocessing_is_adapted_to_train_alone():
    column = np.array([1, 3, np.nan, 5], "float32")
    text = np.array([b"a"] * 3 + [b"rare"], object)
    kinds = {"x": "number", "c": "category"}
    train = Examples.of(pack_columns([column, text], kinds, 4), np.zeros(4), kinds=kinds)
    numbers, texts = tf.constant([[np.nan], [1e6]], "float64"), tf.constant([["new"], [""]])
    few = PrepareColumns.adapted(train)({"numbers": numbers, "texts": texts})
    # Mean 3 and deviation sqrt(2), after 3 stands for what is missing.
    np.testing.assert_allclose(few["numbers"][:, 0], [0, (1e6 - 3) / 2**0.5], rtol=1e-6)
    np.testing.assert_array_equal(few["flags"], [[1.0], [0.0]])


def test_tables_of_categories_alone_can_be_trained_on(tmp_path):
    (tmp_path / "t.csv").write_text(
        "c,y\n" + "".join(f"{'abc'[k % 3]},{k % 3}\n" for k in range(300))
    )
    app = Regression(data=f"csv:{tmp_path / 't.csv'}", target="y", epochs=1, width=4)
    splits = app.load_splits()
    for part in (splits.train, splits.valid, splits.test):
        assert set(part.targets.tolist()) == {0, 1, 2}


def test_ridge_equals_scikit_learn():
    from sklearn.linear_model import Ridge

    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 4)), random.normal(size=60)
    theirs = Ridge(0.1 * 60).fit(x, y)
    blocks = [(x[:7], y[:7], None), (x[7:], y[7:], None)]
    for wide in (False, True):
        kernel, bias = ridge.ridge(blocks, 0.1, wide=wide)
        np.testing.assert_allclose(kernel[:, 0], theirs.coef_, atol=1e-6)
        np.testing.assert_allclose(bias, theirs.intercept_, atol=1e-6)


@pytest.mark.parametrize("widths", [(0, 3), (3, 0)], ids=str)
@pytest.mark.parametrize("labels", [(), ("a", "b", "c")], ids=len)
def test_every_model_takes_tables_without_numbers_or_without_flags(widths, labels):
    random = np.random.default_rng(0)
    num_numbers, num_texts = widths
    kinds = {f"n{k}": "number" for k in range(num_numbers)}
    kinds |= {f"t{k}": "category" for k in range(num_texts)}
    texts = random.choice([b"a", b"b"], (90, num_texts)).astype(object)
    features = pack_columns([*random.normal(size=(num_numbers, 90)), *texts.T], kinds, 90)
    target = random.integers(0, 3, 90) if labels else random.normal(size=90)
    examples = Examples.of(features, target, kinds=kinds)
    parts = (examples.select(np.arange(k, 90, 3)) for k in range(3))
    splits = Splits(*parts, labels=labels)
    for model in ("tabm", "mlp", "linear", "svm", "svm_rbf"):
        app = Regression(model=model, width=4)
        given = app.make_network(splits)(app.make_preprocessing(splits)(examples.features))
        assert np.isfinite(given).all()
        assert given.shape[::2] == (90, len(labels) or 1)


@pytest.mark.parametrize(("count", "width"), [(300, 20), (60, 200), (50, 49)])
def test_the_penalty_is_chosen_by_cross_validation(count, width):
    random = np.random.default_rng(0)
    x = random.normal(size=(2 * count, width))
    y = x @ (random.normal(size=width) / width**0.5) + random.normal(size=2 * count)
    blocks = [(x[:count], y[:count], None)]

    def error(l2):
        kernel, bias = ridge.ridge(blocks, l2, wide=width > count)
        return np.square(x[count:] @ kernel[:, 0] + bias - y[count:]).mean()

    best = min(error(float(l2)) for l2 in ridge.PENALTIES)
    assert error(None) < 1.1 * best < 1.1 * error(1e-9)


def test_piecewise_linear_encodings_bend_at_the_edges():
    layer = tabular.PiecewiseLinear([[0.0, 1.0, 3.0], [0.0, 1.0]], 1)
    layer.build((None, 2))
    bend = np.array([[[1.0], [10.0]], [[5.0], [7.0]]], "float32")
    layer.set_weights([bend, np.zeros((2, 1)), np.zeros((2, 1))])
    given = layer(np.array([[2.0, 0.5], [-9.0, 9.0]], "float32"))
    np.testing.assert_allclose(given, [[1 + 5, 2.5], [0, 5]])


def test_each_member_is_a_dense_layer_of_inputs_times_its_signs():
    layer = tabular.BatchEnsembleDense(3, 2)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    given = layer(x).numpy()
    adapter, kernel, bias = (weight.numpy() for weight in layer.weights)
    assert set(np.unique(adapter)) == {-1, 1}
    for member in range(3):
        expected = (x * adapter[:, member]) @ kernel + bias
        np.testing.assert_allclose(given[:, member], expected, atol=1e-5)


def test_outside_training_members_give_the_mean_of_probabilities():
    x = np.random.default_rng(0).normal(size=(5, 4, 3)).astype("float32")
    said = tf.nn.softmax(tabular.EnsembleMean()(x, training=False)).numpy()
    mean = tf.nn.softmax(x).numpy().mean(1)
    np.testing.assert_allclose(said, np.repeat(mean[:, None], 4, 1), atol=1e-6)
    np.testing.assert_allclose(
        tabular.EnsembleProbabilities()(said * 0 + np.log(said)), mean, atol=1e-6
    )


def test_losses_are_their_formulas():
    squared = losses.SquaredError(10.0, 2.0)
    assert float(squared(np.array([12.0]), np.array([[[1.0], [3.0]]]))) == pytest.approx(2.0)
    insensitive = losses.InsensitiveError(10.0, 2.0)
    assert float(insensitive(np.array([12.0]), np.array([[[1.05], [3.0]]]))) == pytest.approx(0.95)
    scores = np.array([[[0.5, -2.0]]], "float32")
    assert float(losses.Hinge()(np.array([0]), scores)) == pytest.approx(0.5)
    entropy = losses.Crossentropy()(np.array([1]), scores)
    assert float(entropy) == pytest.approx(np.log(1 + np.exp(2.5)), rel=1e-6)


@pytest.mark.parametrize(
    "model", ["svm", *(pytest.param(model, marks=pytest.mark.slow) for model in ("svm_rbf", "mlp"))]
)
def test_every_model_learns(tmp_path, model):
    app = Regression(model=model, epochs=8, width=16)
    run = train(app, run_dir=tmp_path / "run", precision="float32", verbose=0)
    answers = regression.predict_test_set(run)
    assert regression.metrics(answers)["rmse"] < 0.9 * np.std(answers.target)


def test_the_exact_solution_is_the_linear_baseline(tmp_path):
    app = Regression(model="linear")
    run = train(app, run_dir=tmp_path / "run", precision="float32", verbose=0)
    baseline = dict(judged.baselines(run.splits))["linear"]
    np.testing.assert_allclose(
        regression.predict_test_set(run).predicted, baseline.predicted, atol=0.05
    )
    assert run.manifest["epochs"] == 1


def test_a_solver_that_does_not_fit_the_model_is_refused():
    with pytest.raises(FieldError, match="--solver exact"):
        Regression(solver="exact").load_splits()
    for solver, model in (("stochastic", "tabm"), ("batch", "mlp"), ("exact", "tabm")):
        with pytest.raises(FieldError, match=f"--solver {solver} with --model {model}"):
            Regression(solver=solver, model=model, data="csv:/nowhere.csv").load_splits()
    assert Regression(model="linear", solver="batch").effective_batch_size(300) == 300
    assert Regression(model="svm", solver="stochastic").effective_batch_size(300) == 1
    assert Regression().effective_batch_size(64) == 16


def test_training_begins_at_the_linear_model():
    app = Regression()
    splits = app.load_splits()
    train_set = RowMatrices(app.make_preprocessing(splits), splits.train)
    network = app.make_network(splits)
    members = next(layer for layer in network.layers if isinstance(layer, tabular.EnsembleHeads))
    members.set_weights([np.zeros_like(weight) for weight in members.get_weights()])
    given = app.make_output_layer(splits)(network(train_set.arrays()))
    kernel, bias = ridge.ridge(train_set.weighted_blocks(), None)
    expected = np.concatenate([x @ kernel[:, 0] + bias for x, _ in train_set.blocks()])
    np.testing.assert_allclose(given, expected, atol=0.05)


def test_a_batch_of_as_many_examples_as_members_is_predicted_like_any():
    app = Regression(model="tabm")
    splits = app.load_splits()
    network = app.make_network(splits)
    rows = np.arange(NUM_MEMBERS + 1)
    prepared = RowMatrices(app.make_preprocessing(splits), splits.train.select(rows))
    arrays = prepared.arrays()
    more = network(arrays, training=True)
    as_many = network({name: part[:-1] for name, part in arrays.items()}, training=True)
    assert more.shape[1] == NUM_MEMBERS
    # The heads begin at zero, so dropout changes nothing yet.
    np.testing.assert_allclose(as_many, more[:-1], atol=1e-6)


def test_corrections_are_scaled_by_what_validation_supports():
    random = np.random.default_rng(0)
    added, noise = random.normal(size=(2, 10_000))
    assert shrinkage.least_squares_scale(added, added + noise) == pytest.approx(1, abs=0.05)
    assert shrinkage.least_squares_scale(added, noise) == 0
    assert shrinkage.least_squares_scale(added[:9], 0.1 * added[:9] + noise[:9]) == 0
    layer = shrinkage.ShrunkResidual()
    layer.build(None)
    layer.scale.assign(0.5)
    assert float(layer(tf.constant(2.0), training=True)) == 2
    assert float(layer(tf.constant(2.0), training=False)) == 1


@pytest.mark.thorough
def test_the_scale_is_set_while_averaged_weights_are_in_the_model(tmp_path, monkeypatch):
    """Schedule-free training continues from other weights than those it validates."""
    seen, usual = [], shrinkage.ResidualShrinkage.on_test_begin

    def watched(self, logs=None):
        found = self.model.optimizer
        held = [np.array(one) for one in found._trainable_variables]
        averages = [np.array(one) for one in found._averages]
        seen.append(all(map(np.array_equal, held, averages)))
        found.to_train()
        others = [np.array(one) for one in found._trainable_variables]
        assert not all(map(np.array_equal, others, averages)), "both are the same here"
        found.to_eval()
        if not seen[-1]:
            found.to_train()
        usual(self, logs)

    monkeypatch.setattr(shrinkage.ResidualShrinkage, "on_test_begin", watched)
    app = Regression(epochs=2, width=8, optimizer="schedulefree")
    train(app, run_dir=tmp_path / "run", precision="float32", verbose=0)
    assert seen == [True, True]


def test_corrections_of_logits_are_scaled_by_what_validation_supports():
    random = np.random.default_rng(0)
    logits = 2 * random.normal(size=(5000, 3))
    classes = np.argmax(logits + random.gumbel(size=logits.shape), axis=1)
    nothing, noise = np.zeros_like(logits), random.normal(size=logits.shape)
    assert shrinkage.classification_scale(logits[:, None], nothing, classes) == pytest.approx(
        1, abs=0.1
    )
    assert shrinkage.classification_scale(2 * logits[:, None], nothing, classes) == pytest.approx(
        0.5, abs=0.05
    )
    assert shrinkage.classification_scale(noise[:, None], logits, classes) == 0
    assert shrinkage.classification_scale(nothing[:, None], logits, classes) == 1
    few = logits[:9, None] + noise[:9, None]
    assert shrinkage.classification_scale(few, logits[:9], classes[:9]) == 0


@pytest.mark.parametrize("labels", [("a", "b"), ("a", "b", "c"), ("a", "b", "c", "none")], ids=len)
def test_training_of_classes_begins_at_logistic_regression(labels):
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    x, kinds = random.normal(size=(300, 3)), {f"n{k}": "number" for k in range(3)}
    target = np.argmax(x + random.gumbel(size=x.shape), 1) % min(3, len(labels))
    examples = Examples.of(pack_columns(x.T, kinds, 300), target, kinds=kinds)
    splits = Splits(*(examples.select(np.arange(k, 300, 3)) for k in range(3)), labels=labels)
    app = Regression(width=4)
    given = app.make_output_layer(splits)(
        app.make_network(splits)(app.make_preprocessing(splits)(examples.features))
    )
    train = RowMatrices(app.make_preprocessing(splits), splits.train).sparse().toarray()
    theirs = LogisticRegression().fit(train, splits.train.targets).predict_proba(train)
    np.testing.assert_allclose(given[::3, : theirs.shape[1]], theirs, atol=2e-3)


@pytest.mark.slow
def test_own_file_by_command_line(file, tmp_path, run_cli):
    flags = ["--epochs", 2, "--model", "mlp", "--run-dir", tmp_path / "run"]
    words = ["--data", f"csv:{file}", *flags]
    status, out, err = run_cli("regression", "train", *words, "--target", "grade", "--json")
    assert status == 0, err
    assert set(json.loads(out)["baselines"]) == {"majority", "linear", "boosting"}
    asked = tmp_path / "asked.csv"
    asked.write_text("mixed,city,extra,said often,price_EUR,Groe m2\n?,Rome,9,,NaN,\n")
    status, out, _ = run_cli("regression", "predict", tmp_path / "run", asked, "--json")
    (answer,) = json.loads(out)["predictions"]
    assert status == 0
    assert answer["class"] in "ABC"
    asked.write_text("mixed\n1\n")
    status, _, err = run_cli("regression", "predict", tmp_path / "run", asked)
    assert status == 2
    assert err.count("city") == 1
    assert "with the columns mixed, without the columns" in err
    assert len(err.strip().splitlines()) == 1
    assert run_cli("regression", "evaluate", tmp_path / "run")[0] == 0


def test_importance_finds_the_column_that_counts(tmp_path):
    random = np.random.default_rng(0)
    x, noise = random.normal(size=(2, 400))
    path = tmp_path / "x.csv"
    lines = [f"{a},{b},{5 * a}" for a, b in zip(x, noise, strict=True)]
    path.write_text("\n".join(["x,noise,target", *lines]))
    run = train(
        Regression(data=f"csv:{path}", model="linear"),
        run_dir=tmp_path / "run", precision="float32", verbose=0,
    )  # fmt: skip
    found = judged.importance(run)
    assert found.names == ["x", "noise"]
    assert found.rises[0].min() > 3 > 0.1 > np.abs(found.rises[1]).max()
    assert found.intervals[0, 0] > 3 > 0.1 > np.abs(found.intervals[1]).max()


def test_the_export_takes_columns_by_name(exported):
    loaded = tf.saved_model.load(exported(Regression).path / "export" / "1")
    signature = loaded.signatures["serving_default"].structured_input_signature[1]
    assert set(signature) == set(embedded.diabetes().train.columns) - {"target"}


def test_numbers_near_the_largest_are_prepared():
    kinds = {"x": "number"}
    huge = pack_columns([np.array([-1e300, 1e300] * 5)], kinds, 10)
    train = Examples.of(huge, np.zeros(10), kinds=kinds)
    prepared = PrepareColumns.adapted(train)(train.features)["numbers"]
    np.testing.assert_allclose(prepared[:, 0], [-1, 1] * 5, rtol=1e-6)


def test_rows_are_named_by_their_lines(tiny_run, tmp_path):
    run, path = tiny_run(Regression), tmp_path / "new.csv"
    names = [*run.manifest["data"]["spec"]["columns"]]
    row = ",".join("0" for _ in names) + "\n"
    path.write_text(",".join(names) + "\n" + row + "\n" + "broken\n" + row)
    assert [one["input"] for one in predict(run, [str(path)])] == [f"{path}:2", f"{path}:5"]


def test_the_run_of_model_auto_stores_what_was_chosen():
    app = Regression(model="auto")
    assert app == Regression()
    assert app.to_json()["model"] == "blend"
