"""Judging answers that are numbers."""

from typing import Any, NamedTuple

import numpy as np

from evaluation.asking import ask
from pipelines.splits import Splits
from training.run import Run

RESAMPLES = 1000


class Answers(NamedTuple):
    """Numbers [n] that a model gave, and the true ones [n], in the target's unit."""

    given: np.ndarray
    target: np.ndarray

    @property
    def residuals(self) -> np.ndarray:
        """Given less true, in float64."""
        return self.given.astype("float64") - self.target


def answers_of(run: Run) -> Answers:
    """The run's answers to its test examples."""
    return Answers(ask(run.model, run.splits.test), run.splits.test.targets)


def given(splits: Splits, outputs: dict[str, np.ndarray]) -> Answers:
    """What somebody else answered to the test examples, by the names of an export."""
    return Answers(outputs["value"], splits.test.targets)


def metrics(answers: Answers) -> dict[str, float]:
    """Root mean squared error and mean absolute error (the target's unit), and R2.

    R2 is the share of the test targets' variance that the answers explain: 1 is
    perfect, 0 as good as the targets' own mean.
    """
    return _metrics(answers.residuals, answers.target.astype("float64"))


def _metrics(residuals: np.ndarray, target: np.ndarray) -> dict[str, float]:
    squared = float(np.square(residuals).sum())
    variation = float(np.square(target - target.mean()).sum())
    return {
        "rmse": float(np.sqrt(squared / len(target))),
        "mae": float(np.abs(residuals).mean()),
        "r2": 1 - squared / variation if variation else float(squared == 0),
    }


def intervals(answers: Answers, seed: int = 0) -> dict[str, tuple[float, float]]:
    """95 % percentile bootstrap intervals of the metrics (Efron 1979), 1000 resamples."""
    random = np.random.default_rng(seed)
    residuals, target = answers.residuals, answers.target.astype("float64")
    found = []
    for _ in range(RESAMPLES):
        rows = random.integers(0, len(target), len(target), dtype=np.int32)
        found.append(_metrics(residuals[rows], target[rows]))
    return {
        name: tuple(np.percentile([row[name] for row in found], [2.5, 97.5]).tolist())
        for name in found[0]
    }


def details(answers: Answers, splits: Splits) -> dict[str, list[dict[str, Any]]]:  # noqa: ARG001
    """No tables: three numbers say it."""
    return {}


def figures(answers: Answers, splits: Splits) -> dict[str, Any]:  # noqa: ARG001
    """Predicted against true, and what is left."""
    return {"predicted.png": _predicted(answers), "residuals.png": _residuals(answers)}


def _predicted(answers: Answers) -> Any:
    from evaluation.style import FIRST, INK, pyplot

    figure, axis = pyplot.subplots(figsize=(5, 5), layout="constrained")
    axis.scatter(answers.target, answers.given, s=6, color=FIRST, alpha=_alpha(answers), lw=0)
    ends = [answers.target.min(), answers.target.max()]
    axis.plot(ends, ends, color=INK, linewidth=0.8)
    axis.set(xlabel="true", ylabel="predicted", title=f"{len(answers.target):,} test examples")
    return figure


def _residuals(answers: Answers) -> Any:
    from evaluation.style import FIRST, INK, pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.scatter(answers.given, answers.residuals, s=6, color=FIRST, alpha=_alpha(answers), lw=0)
    left.axhline(0, color=INK, linewidth=0.8)
    left.set(xlabel="predicted", ylabel="predicted less true")
    # The farthest hundredth would squeeze the rest into one bar.
    middle = np.percentile(answers.residuals, [0.5, 99.5])
    bins = int(np.clip(np.sqrt(len(answers.residuals)), 10, 60))
    right.hist(answers.residuals, bins=bins, range=tuple(middle), color=FIRST)
    right.axvline(0, color=INK, linewidth=0.8)
    right.set(xlabel="predicted less true, the middle 99 %", ylabel="test examples")
    return figure


def _alpha(answers: Answers) -> float:
    """Fainter points where there are many."""
    return float(np.clip(400 / len(answers.target), 0.1, 0.8))
