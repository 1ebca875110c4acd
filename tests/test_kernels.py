"""Kernel ridge regression in the blend for rows."""

import csv
from pathlib import Path

import keras
import numpy as np
import pytest

from apps import Regression
from apps.regression import blending, kernel_layer, kernels, networks
from apps.regression.kernel_layer import KernelMachine, fit_kernel, refit_kernel
from apps.regression.kernels import KernelData, choose_options, fit_kernel_ridge, kernel
from apps.regression.matrices import RowMatrices
from apps.regression.mixing import others_of, out_of_fold
from evaluation.report import score
from training.train import train

BENT_TABLE_ROWS = 400


def random_data(rows: int, seed: int = 0) -> KernelData:
    """Return two numbers, three flags and a bent target."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 2))
    flags = 1.5 * np.eye(3)[rng.integers(3, size=rows)]
    target = np.abs(numbers[:, :1]) + flags[:, :1] + 0.1 * rng.normal(size=(rows, 1))
    return KernelData(numbers, flags, target - target.mean(), np.ones(rows))


def bent_table(path: Path, *, classes: bool = False) -> str:
    """Write a table whose target bends along both numbers; return its address."""
    rng = np.random.default_rng(1)
    x, kind = rng.uniform(-2, 2, size=(BENT_TABLE_ROWS, 2)), rng.integers(3, size=BENT_TABLE_ROWS)
    target = np.sin(3 * x[:, 0]) + np.abs(x[:, 1]) + kind + rng.normal(0, 0.05, BENT_TABLE_ROWS)
    columns = ["low" if y < 1.5 else "high" for y in target] if classes else target
    lines = [f"{a},{b},{'abc'[k]},{y}" for (a, b), k, y in zip(x, kind, columns, strict=True)]
    path.write_text("\n".join(["a,b,kind,y", *lines]))
    return f"csv:{path}"


def matrices_of(address: str) -> tuple[RowMatrices, RowMatrices, int]:
    """Return the matrices of training and validation, and the number of classes."""
    app = Regression(data=address, target="y")
    splits = app.load_splits()
    prepare = app.make_preprocessing(splits)
    parts = (RowMatrices(prepare, part) for part in (splits.train, splits.valid))
    return *parts, len(splits.labels)


def test_a_weight_of_two_equals_the_example_twice_and_of_zero_its_absence() -> None:
    data, options = random_data(30), kernels.KernelOptions(2.0, 0.1)
    weights = np.repeat([0.0, 1.0, 2.0], 10)
    repeated = data.select(np.repeat(np.arange(30), weights.astype(int)))
    weighted = data._replace(root_weights=np.sqrt(weights))
    predictions = [
        fit_kernel_ridge(one, options).predict(random_data(20, seed=1))
        for one in (weighted, repeated)
    ]
    np.testing.assert_allclose(*predictions, atol=1e-9)


def test_distances_add_up_the_differences_of_all_features() -> None:
    one, other = random_data(20), random_data(30, seed=1)
    features = [np.hstack([data.numbers, data.flags]) for data in (one, other)]
    expected = np.abs(features[0][:, None] - features[1]).sum(2)
    np.testing.assert_allclose(one.distances(other), expected, atol=1e-12)


def test_the_kernel_of_any_examples_is_positive_definite() -> None:
    data = random_data(150)
    doubled = KernelData(*(np.concatenate([part, part]) for part in data))
    for length in (0.1, 1.0, 10.0):
        values = np.linalg.eigvalsh(kernel(doubled.distances(doubled), length))
        assert values.min() > -1e-9


def test_the_chosen_options_have_the_least_leave_one_out_error() -> None:
    data = random_data(40)
    median = np.median(data.distances(data))

    def error(options: kernels.KernelOptions) -> float:
        left_out = out_of_fold(
            np.arange(40),
            lambda others, row: fit_kernel_ridge(data.select(others), options).predict(
                data.select(row)
            ),
        )
        return float(np.square(left_out - data.targets).mean())

    candidates = [
        kernels.KernelOptions(length * median, noise)
        for length in kernels.LENGTHS
        for noise in kernels.NOISES
    ]
    chosen = choose_options(data, None)
    assert error(chosen) == pytest.approx(min(map(error, candidates)))


@pytest.mark.parametrize("classes", [False, True])
def test_features_that_say_nothing_predict_the_mean(*, classes: bool) -> None:
    rng = np.random.default_rng(0)
    targets, shares = rng.normal(size=(100, 1)), None
    if classes:
        number = rng.integers(2, size=100)
        shares = np.bincount(number) / 100
        targets = np.eye(2)[number] - shares
    data = KernelData(rng.normal(size=(100, 5)), np.zeros((100, 0)), targets, np.ones(100))
    options = choose_options(data, shares)
    predicted = fit_kernel_ridge(data, options).predict(data)
    np.testing.assert_allclose(predicted, np.tile(options.bias, (100, 1)))


@pytest.mark.parametrize("classes", [False, True])
def test_the_layer_predicts_as_the_fit(tmp_path: Path, *, classes: bool) -> None:
    train, valid, num_classes = matrices_of(bent_table(tmp_path / "rows.csv", classes=classes))
    layer = fit_kernel(train, valid, num_classes)
    assert layer is not None
    data = kernel_layer._data_of(layer, train, train, num_classes)
    options = kernel_layer._options(layer, train, num_classes)
    expected = fit_kernel_ridge(data, options).predict(data)
    np.testing.assert_allclose(layer(train.arrays()), expected, atol=2e-3)
    held_out = np.asarray(layer(valid.arrays()))
    if classes:
        assert (held_out.argmax(1) == valid.examples.targets).mean() > 0.85
    else:
        known = train.examples.targets
        error = held_out[:, 0] * known.std() + known.mean() - valid.examples.targets
        assert error.std() < 0.4 * known.std()


def test_a_second_fit_learns_the_validation_examples(tmp_path: Path) -> None:
    train, valid, _ = matrices_of(bent_table(tmp_path / "rows.csv"))
    layer = fit_kernel(train, valid, 0)
    assert layer is not None
    assert not np.asarray(layer.coefficients)[len(train) :].any()
    known = train.examples.targets
    target = (valid.examples.targets - known.mean()) / known.std()
    before = np.square(np.asarray(layer(valid.arrays()))[:, 0] - target).mean()
    refit_kernel(layer, train, valid, 0)
    after = np.square(np.asarray(layer(valid.arrays()))[:, 0] - target).mean()
    assert after < 0.3 * before


def test_a_saved_layer_predicts_the_same(tmp_path: Path) -> None:
    train, valid, _ = matrices_of(bent_table(tmp_path / "rows.csv"))
    layer, inputs = fit_kernel(train, valid, 0), train.inputs()
    assert layer is not None
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(valid.arrays()), model(valid.arrays()))


def test_a_large_table_has_no_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, valid, _ = matrices_of(bent_table(tmp_path / "rows.csv"))
    monkeypatch.setattr(kernel_layer, "MAX_EXAMPLES", len(train))
    assert fit_kernel(train, valid, 0) is None


def test_others_of_rows_are_all_the_rest() -> None:
    np.testing.assert_array_equal(others_of(np.array([1, 3]), 5), [0, 2, 4])


def test_predictions_out_of_fold_come_from_the_other_rows() -> None:
    fold = np.array([0, 1, 0, 2, 1])
    target = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    sums = out_of_fold(fold, lambda others, rows: np.full((len(rows), 1), target[others].sum()))
    np.testing.assert_array_equal(sums[:, 0], [26, 13, 26, 23, 13])


def test_a_small_table_is_weighed_out_of_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blending, "EPOCHS_TO_COMPARE", 1)
    app = Regression(data=bent_table(tmp_path / "rows.csv"), target="y", epochs=2, width=8)
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    # Networks far behind the trees are trained all the same, then one epoch weighs the parts.
    assert run.manifest["epochs"] == 3
    blend = run.manifest["blend"]
    assert [*blend] == ["networks", "linear", "boosted trees", "kernels"]
    assert blend["kernels"]["weight"] > 0.3
    assert sum(part["weight"] for part in blend.values()) == pytest.approx(1)
    assert KernelMachine.of(run.model) is None  # it is inside the network
    scores = score(run)
    best_baseline = min(scores["baselines"][name]["rmse"] for name in ("boosting", "linear"))
    assert scores["test"]["rmse"] < 0.9 * best_baseline


@pytest.mark.thorough
def test_a_small_table_keeps_the_blend_whatever_validation_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blending, "cautious_scale", lambda losses, most: 0.0)  # noqa: ARG005
    monkeypatch.setattr(
        blending,
        "best_weights",
        lambda predictions, loss: np.array([1.0, 0, 0]),  # noqa: ARG005
    )
    app = Regression(data=bent_table(tmp_path / "rows.csv"), target="y", epochs=8)
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    with (tmp_path / "run" / "history.csv").open() as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    assert losses[-1] > min(losses)
    assert run.manifest["blend"]["linear"]["weight"] == 1


@pytest.mark.thorough
def test_a_table_of_more_columns_than_examples_has_no_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "MAX_MEMBER_INPUTS", 50)
    x = np.random.default_rng(0).normal(size=(60, 80)).round(3)
    table = np.column_stack([x, 3 * x[:, 0]])
    names = ",".join([*(f"x{k}" for k in range(80)), "y"])
    np.savetxt(tmp_path / "wide.csv", table, delimiter=",", header=names, comments="", fmt="%.3f")
    app = Regression(data=f"csv:{tmp_path / 'wide.csv'}", target="y")
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    assert [*run.manifest["blend"]] == ["linear", "boosted trees", "kernels"]
    assert len((tmp_path / "run" / "history.csv").read_text().splitlines()) == 2  # one epoch
    assert score(run)["test"]["rmse"] < 3 * x[:, 0].std()


def test_rounding_of_numbers_is_not_magnified() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=(150, 2))
    # Pairs that differ in the last digits only, and whose targets differ.
    numbers = np.concatenate([base, base + 1e-6])
    target = np.concatenate([base[:, :1], base[:, :1] + rng.normal(size=(150, 1))])
    data = KernelData(numbers, np.zeros((300, 0)), target, np.ones(300))
    fit = fit_kernel_ridge(data, kernels.KernelOptions(1.0, kernels.NOISES[0]))
    rounded = data._replace(numbers=numbers + rng.choice([-1e-7, 1e-7], numbers.shape))
    np.testing.assert_allclose(fit.predict(rounded), fit.predict(data), atol=6e-3)


def test_edges_of_ranks_are_apart() -> None:
    assert kernel_layer._apart([0.0, 1e-6, 0.5, 0.5005, 1.0]) == [0.0, 0.5, 1.0]
    assert kernel_layer._apart([0.0, 1e-6]) == [0.0, 1.0]
