"""Full-batch solvers, alone and in regression."""

import itertools

import keras
import numpy as np
import pytest
from scipy import optimize
from sklearn.linear_model import LogisticRegression

import apps
import optimizers
from apps import Mnist, Regression
from apps.full_batch import FullBatchObjective
from apps.regression.losses import SquaredError
from apps.regression.matrices import RowMatrices
from apps.regression.shrinkage import LINEAR
from apps.ridge import ridge
from optimizers import LBFGS, LevenbergMarquardt, Newton
from optimizers.solver import SolverError
from training.train import train

RANDOM = np.random.default_rng(0)


def rosenbrock(w):
    """Return the residuals of Rosenbrock's function and their Jacobian."""
    return np.array([1 - w[0], 10 * (w[1] - w[0] ** 2)]), np.array([[-1, 0], [-20 * w[0], 10]])


def gradient(w):
    r, jacobian = rosenbrock(w)
    return r @ r / 2, jacobian.T @ r


def hessian(w):
    r, jacobian = rosenbrock(w)
    return *gradient(w), jacobian.T @ jacobian - 20 * r[1] * np.diag([1, 0])


def gauss_newton(w):
    _, jacobian = rosenbrock(w)
    return *gradient(w), jacobian.T @ jacobian


SOLVERS = [(LBFGS, gradient), (Newton, hessian), (LevenbergMarquardt, gauss_newton)]
solvers = pytest.mark.parametrize(("solver", "function"), SOLVERS, ids=lambda one: one.__name__)


@solvers
def test_minimizes_rosenbrocks_function(solver, function):
    steps = list(solver().minimize(function, [-1.2, 1.0]))
    np.testing.assert_allclose(steps[-1].weights, 1, atol=1e-8)
    assert len(steps) < 60
    values = [one.value for one in steps]
    assert all(after <= before for before, after in itertools.pairwise(values))


@solvers
def test_a_start_at_the_minimum_takes_no_step(solver, function):
    assert list(solver().minimize(function, [1.0, 1.0])) == []


@solvers
def test_a_function_that_is_not_finite_is_refused(solver, function):  # noqa: ARG001
    result = (np.nan, np.ones(2), np.eye(2))[: 2 if solver is LBFGS else 3]
    with pytest.raises(SolverError, match="not finite at the starting point"):
        next(solver().minimize(lambda _: result, [0.0, 0.0]))


@solvers
def test_steps_stay_where_the_function_is_finite(solver, function):
    """Steps to infinite values are avoided."""

    def with_wall(w):
        result = function(w)
        return result if w[0] < 0.5 else (np.inf, *result[1:])

    for step in solver().minimize(with_wall, [-1.2, 1.0]):
        assert np.isfinite(step.value)
        assert step.weights[0] < 0.5


@solvers
@pytest.mark.parametrize("tolerance", [-1.0, np.nan])
def test_a_wrong_tolerance_is_refused(solver, function, tolerance):  # noqa: ARG001
    with pytest.raises(ValueError, match=r"Received tolerance=.*; expected a finite number"):
        solver(tolerance=tolerance)


@pytest.mark.parametrize("memory", [0, 2.5])
def test_a_wrong_memory_is_refused(memory):
    with pytest.raises(ValueError, match=f"Received memory={memory}; expected a whole number"):
        LBFGS(memory=memory)


def test_a_quadratic_function_takes_few_steps():
    curvatures = np.array([1.0, 2.0, 3.0])

    def bowl(w):
        return (curvatures * w**2).sum() / 2, curvatures * w

    steps = list(LBFGS().minimize(bowl, [1, 1, 1]))
    np.testing.assert_allclose(steps[-1].weights, 0, atol=1e-8)
    assert len(steps) <= 12
    curved = Newton().minimize(lambda w: (*bowl(w), np.diag(curvatures)), [1, 1, 1])
    assert len(list(curved)) <= 2


@solvers
def test_minima_are_those_of_scipy(solver, function):
    """Ours end where those of SciPy do, after at most twice the calls."""
    count = itertools.count()
    evaluations = 0

    def counted(w):
        nonlocal evaluations
        evaluations = next(count) + 1
        return function(w)

    last = list(solver().minimize(counted, [-1.2, 1.0]))[-1]
    start = np.array([-1.2, 1.0])
    if solver is LevenbergMarquardt:
        residuals = optimize.least_squares(
            lambda w: rosenbrock(w)[0], start, lambda w: rosenbrock(w)[1], method="lm"
        )
        weights, theirs = residuals.x, residuals.nfev
    else:
        method = "L-BFGS-B" if solver is LBFGS else "trust-exact"
        curvature = None if solver is LBFGS else lambda w: hessian(w)[2]
        result = optimize.minimize(
            gradient, start, jac=True, hess=curvature, method=method, options={"gtol": 1e-9}
        )
        weights, theirs = result.x, result.nfev
    np.testing.assert_allclose(last.weights, weights, atol=1e-5)
    assert evaluations <= 2 * theirs + 5


def rows(path, target):
    """Write a CSV file of 200 rows of four numbers and a target; return its address."""
    table = RANDOM.normal(size=(200, 4))
    lines = [",".join(map(repr, [*map(float, row), target(row)])) for row in table]
    path.write_text("\n".join(["a,b,c,d,target", *lines]) + "\n")
    return f"csv:{path}"


def weights_of(run):
    model = run.model
    layers = [layer for layer in model._flatten_layers() if layer.name == LINEAR]
    return layers[0].get_weights()


@pytest.mark.parametrize("optimizer", ["lbfgs", "newton", "levenberg_marquardt"])
def test_linear_regression_reaches_the_closed_form(optimizer, tmp_path):
    data = rows(tmp_path / "a.csv", lambda row: float(row @ [1, 2, -1, 0.5] + RANDOM.normal()))
    app = Regression(data=data, model="linear", optimizer=optimizer)
    run = train(app, run_dir=tmp_path / "run", precision="float32", verbose=0)
    splits = app.load_splits()
    features = np.concatenate(
        [x for x, _ in RowMatrices(app.make_preprocessing(splits), splits.train).blocks()]
    )
    target = splits.train.targets.astype("float64")
    kernel, bias = ridge([(features, (target - target.mean()) / target.std(), None)], 0.0)
    result = weights_of(run)
    np.testing.assert_allclose(result[0], kernel, atol=1e-6)
    np.testing.assert_allclose(result[1], bias, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["lbfgs", "newton"])
def test_logistic_regression_equals_that_of_scikit_learn(optimizer, tmp_path):
    data = rows(tmp_path / "a.csv", lambda row: "yn"[int(row[0] - row[1] + RANDOM.normal() > 0)])
    app = Regression(data=data, model="linear", optimizer=optimizer, l2=0.01)
    run = train(app, run_dir=tmp_path / "run", precision="float32", verbose=0)
    splits = app.load_splits()
    features = np.concatenate(
        [x for x, _ in RowMatrices(app.make_preprocessing(splits), splits.train).blocks()]
    )
    # Our model has two columns of logits, each with the penalty l2 |w|^2. Theirs has one column,
    # the difference of both.
    count = len(features)
    expected = LogisticRegression(C=1 / (0.01 * count), tol=1e-12, solver="newton-cholesky")
    expected.fit(features, splits.train.targets)
    kernel, _ = weights_of(run)
    np.testing.assert_allclose(kernel[:, 1] - kernel[:, 0], expected.coef_[0], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["lbfgs", "newton", "levenberg_marquardt"])
def test_equal_columns_have_a_solution(optimizer, tmp_path):
    """The matrices are singular: a weight can be divided between the columns in any way."""
    lines = [f"{a!r},{a!r},{a + 0.1 * b!r}" for a, b in RANDOM.normal(size=(60, 2)).tolist()]
    (tmp_path / "a.csv").write_text("\n".join(["a,b,target", *lines]) + "\n")
    app = Regression(data=f"csv:{tmp_path / 'a.csv'}", model="linear", optimizer=optimizer)
    run = train(app, run_dir=tmp_path / "run", precision="float32", verbose=0)
    kernel, _ = weights_of(run)
    assert 0.9 < kernel.sum() < 1.1


def test_a_start_at_the_minimum_counts_as_one_epoch():
    inputs = keras.Input((2,), name="x")
    outputs = keras.layers.Reshape((1, 1))(
        keras.layers.Dense(1, kernel_initializer="zeros")(inputs)
    )
    model = keras.Model({"x": inputs}, outputs)
    objective = FullBatchObjective(
        model, {"x": np.ones((4, 2))}, np.zeros(4), SquaredError(0.0, 1.0)
    )
    assert list(objective.iterate(LBFGS(), 10)) == [{"loss": 0.0, "slope": 0.0}]


@pytest.mark.slow
def test_a_small_network_is_fitted(tmp_path):
    data = rows(tmp_path / "a.csv", lambda row: float(np.sin(2 * row[0])))
    for optimizer in ("lbfgs", "levenberg_marquardt"):
        app = Regression(data=data, model="mlp", width=8, optimizer=optimizer, epochs=15)
        run = train(app, run_dir=tmp_path / optimizer, precision="float32", verbose=0)
        losses = [line.split(",") for line in (run.path / "history.csv").read_text().splitlines()]
        place = losses[0].index("loss")
        assert float(losses[-1][place]) < 0.1, optimizer


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"optimizer": "lbfgs"}, "expected --model linear or mlp with it"),
        ({"optimizer": "newton", "model": "mlp"}, "expected --model linear with it"),
        ({"optimizer": "lbfgs", "model": "linear", "l1": 0.1}, "expected no --l1 with it"),
        ({"optimizer": "levenberg_marquardt", "model": "mlp", "l2": 0.1}, "no --l2"),
        ({"optimizer": "lbfgs", "model": "linear", "solver": "batch"}, "--solver auto"),
    ],
)
def test_unsupported_settings_of_a_solver_are_refused_before_training(fields, expected, tmp_path):
    with pytest.raises(apps.FieldError, match=expected):
        train(Regression(**fields), run_dir=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("optimizer", ["lbfgs", "newton", "levenberg_marquardt"])
def test_no_other_solver_is_recorded_as_chosen(optimizer):
    """With --solver as a flag beside --optimizer the run would be refused."""
    app = Regression(model="linear", optimizer=optimizer)
    assert app.automatic_values(app.load_splits(), 16, 100) == {}


def test_a_model_with_too_many_weights_for_a_matrix_is_refused(tmp_path):
    app = Regression(model="mlp", optimizer="levenberg_marquardt")
    with pytest.raises(apps.FieldError, match="of 10,465 weights; expected at most 3,000"):
        train(app, run_dir=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


def test_apps_that_train_on_batches_refuse_solvers(tmp_path):
    with pytest.raises(optimizers.FullBatchError, match="needs all examples at once"):
        train(Mnist(optimizer="lbfgs"), run_dir=tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()
