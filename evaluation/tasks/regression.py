"""Judging answers that are numbers."""

from typing import Any, NamedTuple

import numpy as np

from evaluation.intervals import Interval, Resampled, of_sums, resampled_sums
from inference.model_outputs import ask
from pipelines.splits import Splits
from training.run import Run

EQUAL = 1e-12  # of the targets' squares: variation that is rounding


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
    found = _of_sums(_columns(answers).sum(0))
    return {name: float(value) for name, value in found.items()}


def _columns(answers: Answers) -> np.ndarray:
    """What the metrics are functions of the sums of, [examples, 5]."""
    residuals, target = answers.residuals, answers.target.astype("float64")
    # Squares of targets far from 0 would lose what sets them apart.
    target = target - target.mean()
    ones = np.ones(len(target))
    return np.stack([ones, residuals**2, np.abs(residuals), target, target**2], axis=1)


def _of_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    count, squared, absolute, target, target_squared = np.moveaxis(sums, -1, 0)
    variation = target_squared - target**2 / count
    # What is left of equal targets is rounding.
    equal = variation <= EQUAL * target_squared
    explained = 1 - squared / np.where(equal, 1.0, variation)
    return {
        "rmse": np.sqrt(squared / count),
        "mae": absolute / count,
        "r2": np.where(equal, np.where(squared == 0, 1.0, 0.0), explained),
    }


def resampled(answers: Answers, seed: int = 0) -> Resampled:
    """Each metric of every bootstrap resample of the examples."""
    return _of_sums(resampled_sums(_columns(answers), seed))


def intervals(answers: Answers, drawn: Resampled | None = None) -> dict[str, Interval]:
    """95 % BCa bootstrap intervals of the metrics.

    `drawn` is what `resampled` gives; without it the answers are resampled here.
    """
    drawn = resampled(answers) if drawn is None else drawn
    return of_sums(_columns(answers), _of_sums, drawn)


def details(answers: Answers, splits: Splits) -> dict[str, list[dict[str, Any]]]:  # noqa: ARG001
    """No tables: three numbers say it."""
    return {}


def figures(answers: Answers, splits: Splits, target: str = "") -> dict[str, Any]:  # noqa: ARG001
    """Predicted against true, and what is left; `target` names what is predicted."""
    return {
        "predicted.png": _predicted(answers, target),
        "residuals.png": _residuals(answers, target),
    }


def _predicted(answers: Answers, target: str) -> Any:
    from evaluation.style import FIRST, INK, few_ticks, pyplot

    figure, axis = pyplot.subplots(figsize=(5, 5), layout="constrained")
    axis.scatter(answers.target, answers.given, s=6, color=FIRST, alpha=_alpha(answers), lw=0)
    ends = [answers.target.min(), answers.target.max()]
    axis.plot(ends, ends, color=INK, linewidth=0.8)
    few_ticks(axis.xaxis, axis.yaxis)
    axis.set_title(f"{len(answers.target):,} test examples")
    axis.set_xlabel(f"true {target}".strip(), parse_math=False)
    axis.set_ylabel(f"predicted {target}".strip(), parse_math=False)
    return figure


def _residuals(answers: Answers, target: str) -> Any:
    from evaluation.style import FIRST, INK, few_ticks, pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.scatter(answers.given, answers.residuals, s=6, color=FIRST, alpha=_alpha(answers), lw=0)
    left.axhline(0, color=INK, linewidth=0.8)
    left.set_xlabel(f"predicted {target}".strip(), parse_math=False)
    left.set_ylabel(f"predicted less true {target}".strip(), parse_math=False)
    # The farthest hundredth would squeeze the rest into one bar.
    middle = np.percentile(answers.residuals, [0.5, 99.5])
    bins = int(np.clip(np.sqrt(len(answers.residuals)), 10, 60))
    right.hist(answers.residuals, bins=bins, range=tuple(middle), color=FIRST)
    right.axvline(0, color=INK, linewidth=0.8)
    right.set(xlabel="the same, the middle 99 %", ylabel="test examples")
    few_ticks(left.xaxis, left.yaxis, right.xaxis, right.yaxis)
    return figure


def _alpha(answers: Answers) -> float:
    """Fainter points where there are many."""
    return float(np.clip(400 / len(answers.target), 0.1, 0.8))
