"""Figures of a search: scores over time, importance of fields, values of all trials."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import optuna

from evaluation.style import FAINT, FIRST, INK, SECOND, STYLE, caption, pyplot
from pipelines.files import atomic_write
from tuning.model_based import DIRECTIONS, to_optuna
from tuning.oracles import JournaledOracle

MIN_TRIALS_FOR_IMPORTANCE = 4  # completed ones
MIN_LOG_SCALE_RATIO = 20  # of the largest to the smallest value, for a logarithmic axis


def draw(oracle: JournaledOracle, directory: Path, objective: str) -> list[str]:
    """Draw the figures of a search, and return their file names.

    importance.png needs MIN_TRIALS_FOR_IMPORTANCE completed trials, whose scores differ.
    """
    with matplotlib.rc_context(STYLE):
        figures = {"scores.png": _scores(oracle, objective)}
        figures["parallel.png"] = _parallel(oracle, objective)
        if len(oracle.finished()) >= MIN_TRIALS_FOR_IMPORTANCE and (shares := importance(oracle)):
            figures["importance.png"] = _importance(shares)
        for name, figure in figures.items():
            caption(
                figure, f"search {directory.name}, {len(oracle.finished())} trials; {objective}"
            )
            with atomic_write(directory / name) as temporary:
                figure.savefig(temporary, format="png", bbox_inches="tight")
            pyplot.close(figure)
    return list(figures)


def importance(oracle: JournaledOracle) -> dict[str, float]:
    """Return the share of each field in the variance of the scores, the largest first.

    References:
        Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter
        Importance", 2014 (fANOVA).

    """
    study = optuna.create_study(direction=DIRECTIONS[oracle.objective.direction])
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    try:
        study.add_trials([to_optuna(oracle, trial) for trial in oracle.finished()])
        return optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (RuntimeError, ValueError):
        return {}  # all scores, or all values, are equal


def _scores(oracle: JournaledOracle, objective: str) -> Any:
    completed = sorted(oracle.finished(), key=lambda trial: oracle.seconds[trial.trial_id][-1])
    minutes = [oracle.seconds[trial.trial_id][-1] / 60 for trial in completed]
    scores = np.array([trial.score for trial in completed])
    better = np.minimum if oracle.objective.direction == "min" else np.maximum
    figure, axes = pyplot.subplots(figsize=(6, 3.2), layout="constrained")
    axes.plot(minutes, scores, "o", color=FAINT, label="a trial")
    if first := oracle.default_trial:
        axes.axhline(first.score, color=SECOND, lw=1, ls="--", label="the flags as given")
    axes.step(minutes, better.accumulate(scores), where="post", color=FIRST, label="best so far")
    axes.set(xlabel="minutes of search", ylabel=objective)
    if _needs_log_scale(scores):
        axes.set_yscale("log")
    axes.legend(frameon=False)
    return figure


def _importance(shares: dict[str, float]) -> Any:
    figure, axes = pyplot.subplots(figsize=(6, 0.4 * len(shares) + 0.8), layout="constrained")
    names = list(shares)[::-1]
    bars = axes.barh(names, [shares[name] for name in names], color=FIRST)
    axes.bar_label(bars, fmt="%.2f", padding=3, color=INK)
    axes.set(xlabel="share of the scores' variance", xlim=(0, 1))
    return figure


def _parallel(oracle: JournaledOracle, objective: str) -> Any:
    """Draw a line for each trial through its values and its score; better trials are darker."""
    completed = oracle.finished()[::-1]
    names = [parameter.name for parameter in oracle.get_space().space]
    values = [trial.hyperparameters.values for trial in completed]
    columns = {name: [row.get(name) for row in values] for name in names}
    columns[objective] = [trial.score for trial in completed]
    figure, axes = pyplot.subplots(figsize=(1.5 * len(columns) + 1, 3.6), layout="constrained")
    heights = np.array(
        [_axis_positions(axes, k, values) for k, values in enumerate(columns.values())]
    )
    colours = pyplot.get_cmap("viridis_r")(np.linspace(0, 1, len(completed)))
    for line, colour in zip(heights.T, colours, strict=True):
        axes.plot(range(len(columns)), line, color=colour, alpha=0.8)
    axes.set_xticks(range(len(columns)), list(columns))
    axes.set(yticks=[], ylim=(-0.08, 1.08))
    axes.spines["left"].set_visible(False)
    for k in range(len(columns)):
        axes.axvline(k, color=FAINT, lw=0.8, zorder=0)
    return figure


def _axis_positions(axes: Any, x: int, values: list[Any]) -> np.ndarray:
    """Return the position of each value on its axis, from 0 to 1; label the ends of the axis."""
    if not all(isinstance(value, int | float) for value in values):
        names = sorted({str(value) for value in values})
        positions = {name: k / max(1, len(names) - 1) for k, name in enumerate(names)}
        for name, position in positions.items():
            _label(axes, x, position, name)
        return np.array([positions[str(value)] for value in values])
    numbers = np.array(values, float)
    low, high = numbers.min(), numbers.max()
    differ = (digits for digits in range(2, 17) if f"{low:.{digits}g}" != f"{high:.{digits}g}")
    digits = next(differ, 2) + 1
    _label(axes, x, 0.0, f"{low:.{digits}g}")
    if high > low:
        _label(axes, x, 1.0, f"{high:.{digits}g}")
    scaled = np.log(numbers) if _needs_log_scale(numbers) else numbers
    extent = np.ptp(scaled)
    return (scaled - scaled.min()) / extent if extent else np.zeros(len(scaled))


def _needs_log_scale(values: np.ndarray) -> bool:
    """Whether positive values span so much that the axis needs to be logarithmic."""
    return bool(values.min() > 0 and values.max() / values.min() > MIN_LOG_SCALE_RATIO)


def _label(axes: Any, x: int, height: float, text: str) -> None:
    box = {"boxstyle": "square,pad=0.1", "color": "white"}  # hides the lines behind it
    axes.annotate(
        text, (x, height), (4, 0), textcoords="offset points", va="center", fontsize=8, bbox=box
    )
