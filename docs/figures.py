"""Draw the figures of optimizers.md: paths.png and curves.png.

    python docs/figures.py

Takes some minutes.
"""

import csv
import tempfile
from pathlib import Path
from typing import Any

from training import startup

startup.start_tensorflow()

import keras  # noqa: E402
import matplotlib as mpl  # noqa: E402
import numpy as np  # noqa: E402
from keras import ops  # noqa: E402

import optimizers  # noqa: E402
from apps import App, Mnist, Regression  # noqa: E402
from optimizers import LBFGS, LevenbergMarquardt  # noqa: E402
from training.train import train  # noqa: E402

mpl.use("agg")
from matplotlib import pyplot as plt  # noqa: E402

HERE = Path(__file__).resolve().parent
START = np.array([-1.2, 1.0])
STEPS = 200
LEARNING_RATES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)
PATH_OPTIMIZERS = ("sgd", "nesterov", "rmsprop", "adam", "adan", "soap")
CURVE_OPTIMIZERS = ("adamw", "nesterov", "adan", "prodigy", "schedule_free", "soap")


def residuals(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residuals of Rosenbrock's function at `w`, and their Jacobian."""
    x, y = w
    return np.array([1 - x, 10 * (y - x * x)]), np.array([[-1.0, 0.0], [-20 * x, 10.0]])


def value_and_gradient(w: np.ndarray) -> tuple[float, np.ndarray]:
    """Half the sum of squared residuals at `w`, and its gradient."""
    r, jacobian = residuals(w)
    return float(r @ r / 2), jacobian.T @ r


def path_of(name: str, rate: float) -> np.ndarray:
    """Run an optimizer; return the point after each step, [steps + 1, 2]."""
    variable = keras.Variable(START[None], dtype="float32")
    optimizer, points = optimizers.get(name, rate), [START]
    for _ in range(STEPS):
        _, gradient = value_and_gradient(points[-1])
        optimizer.apply([ops.convert_to_tensor(gradient[None], "float32")], [variable])
        points.append(ops.convert_to_numpy(variable)[0].astype("float64"))
        if not np.abs(points[-1]).max() < 10:
            break
    return np.array(points)


def paths() -> dict[str, np.ndarray]:
    """Return the path of each optimizer at its best learning rate, and of the solvers."""
    by_name = {}
    for name in PATH_OPTIMIZERS:
        by_rate = {rate: path_of(name, rate) for rate in LEARNING_RATES}
        best = min(by_rate, key=lambda rate: _final_value(by_rate[rate]))
        by_name[f"{name}, {best:g}"] = by_rate[best]
    steps = LBFGS().minimize(value_and_gradient, START)
    by_name["L-BFGS"] = np.array([START, *(step.weights for step in steps)])
    steps = LevenbergMarquardt().minimize(
        lambda w: (*value_and_gradient(w), residuals(w)[1].T @ residuals(w)[1]), START
    )
    by_name["Levenberg-Marquardt"] = np.array([START, *(step.weights for step in steps)])
    return by_name


def _final_value(points: np.ndarray) -> float:
    value, _ = value_and_gradient(points[-1])
    return value if np.isfinite(value) else np.inf


def draw_paths(points_by_name: dict[str, np.ndarray]) -> None:
    """Draw each path on contours of the function."""
    x, y = np.meshgrid(np.linspace(-1.6, 1.6, 200), np.linspace(-0.6, 1.7, 200))
    contours = np.log10((1 - x) ** 2 / 2 + 50 * (y - x * x) ** 2 + 1e-3)
    figure, axes = plt.subplots(2, 4, figsize=(13, 6), sharex=True, sharey=True)
    for axis, (name, points) in zip(axes.flat, points_by_name.items(), strict=True):
        axis.contourf(x, y, contours, levels=14, cmap="Greys", alpha=0.7)
        axis.plot(*points.T, color="#b03a2e", marker=".", markersize=4, linewidth=1)
        axis.plot(1, 1, marker="*", color="#1f618d", markersize=12)
        axis.set(xlim=(-1.6, 1.6), ylim=(-0.6, 1.7))
        left = f"{_final_value(points):.1g} left after {len(points) - 1} steps"
        axis.set_title(f"{name}\n{left}", fontsize=10)
    _save(figure, "paths.png")


def losses(app: Any) -> list[float]:
    """Train an app; return its training loss by epoch."""
    with tempfile.TemporaryDirectory() as place:
        run = train(app, run_dir=Path(place) / "run", precision="float32", verbose=0)
        rows = list(csv.DictReader((run.path / "history.csv").open()))
    return [float(row["loss"]) for row in rows]


def draw_curves() -> None:
    """Draw training losses of six optimizers on two apps."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.2))
    fields: dict[str, Any] = {"schedule": "constant", "patience": 0}
    kinds: tuple[type[App], ...] = (Regression, Mnist)
    for axis, kind in zip(axes, kinds, strict=True):
        for name in CURVE_OPTIMIZERS:
            by_epoch = losses(kind(optimizer=name, **fields))
            axis.plot(range(1, len(by_epoch) + 1), by_epoch, label=name)
        axis.set(
            xlabel="epoch", ylabel="training loss", yscale="log", title=f"athanor {kind.name()}"
        )
        axis.legend(frameon=False)
    _save(figure, "curves.png")


def _save(figure: Any, name: str) -> None:
    figure.tight_layout()
    figure.savefig(HERE / name, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    draw_paths(paths())
    draw_curves()
