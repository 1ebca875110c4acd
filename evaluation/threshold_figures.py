"""Draw ROC and precision-recall curves, and cumulative gain."""

from typing import Any

import numpy as np

from evaluation.areas import Area
from evaluation.discrimination import AUC, AVERAGE_PRECISION, MEASURES, Ranking, measure, prevalence
from evaluation.rounding import with_interval
from evaluation.tasks.class_scores import ClassScores
from evaluation.threshold_curves import GRID, Curve, counts, curves, precisions, rates

MAX_CURVES = 40  # of single classes
NUM_NAMED = 3  # classes with the lowest areas
MAX_POSITIVE_WIDTH = 16  # of the positive class, which shares a line with other words
WORST_COLOURS = ("#d1495b", "#c77f1a", "#6d597a")
SIDES = (4.6, 4.4)  # inches


def draw(scores: ClassScores | None) -> dict[str, Any]:
    """Draw the curves of the positive class, or of all classes, by file name; {} without any."""
    found = measure(scores)
    if scores is None or found is None:
        return {}
    if not scores.positive:
        return _of_classes(scores, found)
    roc, precision, gain = curves(scores)
    chance = prevalence(scores)
    return {
        "roc.png": _with_title(_draw(roc, "roc"), scores, found, AUC),
        "precision_recall.png": _with_title(
            _draw(precision, "precision_recall", chance), scores, found, AVERAGE_PRECISION
        ),
        "gain.png": _draw_gain(gain, scores),
    }


def _axes(kind: str, chance: float = 0.0) -> tuple[Any, Any]:
    """Return a figure whose axes show the curve of chance."""
    from evaluation.style import INK, pyplot

    figure, axis = pyplot.subplots(figsize=SIDES, layout="constrained")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    if kind == "roc":
        axis.set(xlabel="false positive rate", ylabel="true positive rate (recall)")
    else:
        axis.set(xlabel="recall (true positive rate)", ylabel="precision")
    heights = [0, 1] if kind == "roc" else [chance, chance]
    axis.plot([0, 1], heights, color=INK, linewidth=0.8, label="chance")
    return figure, axis


def _draw(curve: Curve, kind: str, chance: float = 0.0) -> Any:
    from evaluation.style import FIRST

    figure, axis = _axes(kind, chance)
    _draw_band(axis, curve, FIRST, "this model")
    axis.legend(frameon=False, loc="lower right" if kind == "roc" else "lower left")
    return figure


def _draw_band(axis: Any, curve: Curve, colour: str, name: str) -> None:
    # The band of a recall of 0 is about no example.
    axis.fill_between(
        GRID[1:], curve.low[1:], curve.high[1:], color=colour, alpha=0.2, linewidth=0,
        label="95 % band of each point",
    )  # fmt: skip
    axis.plot(GRID, curve.value, color=colour, linewidth=1.4, label=name)


def _with_title(figure: Any, scores: ClassScores, found: Ranking, name: str) -> Any:
    """Write the area and the positive class above the only axes of a figure."""
    from evaluation.fonts import fonts

    area = found.overall[name]
    title = {AUC: "AUC", AVERAGE_PRECISION: "Average precision"}[name]
    about = "mean over the classes"
    if scores.positive:
        about = f"positive: {fonts().short(scores.positive, MAX_POSITIVE_WIDTH)}"
    text = f"{title} {with_interval(area.value, area.interval)}; {about}"
    figure.axes[0].set_title(text, fontsize=10, parse_math=False)
    return figure


def _draw_gain(gain: Curve, scores: ClassScores) -> Any:
    """Draw the gain of selecting by the model, at random, and by a perfect model."""
    from evaluation.fonts import fonts
    from evaluation.style import FIRST, GREY, INK, pyplot

    figure, axis = pyplot.subplots(figsize=SIDES, layout="constrained")
    axis.plot([0, 1], [0, 1], color=INK, linewidth=0.8, label="at random")
    best = [0, prevalence(scores), 1]
    axis.plot(best, [0, 1, 1], color=GREY, linewidth=0.8, linestyle="--", label="best possible")
    _draw_band(axis, gain, FIRST, "by this model")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axis.set(xlabel="share of examples selected, highest probability first")
    axis.set_ylabel(f"share of {fonts().short(scores.positive)} found", parse_math=False)
    axis.set_title("Cumulative gain", fontsize=10)
    axis.legend(frameon=False, loc="lower right")
    return figure


def _of_classes(scores: ClassScores, found: Ranking) -> dict[str, Any]:
    """Draw the curves of single classes, their mean, and the names of those with the least area."""
    drawn: dict[str, list[np.ndarray]] = {AUC: [], AVERAGE_PRECISION: []}
    for k in found.classes:
        counted = counts(scores.scores[:, k], scores.truth[:, k], scores.weights)
        drawn[AUC].append(rates(counted))
        drawn[AVERAGE_PRECISION].append(precisions(counted))
    figures = {}
    for name, kind in zip(MEASURES, ("roc", "precision_recall"), strict=True):
        figure, axis = _axes(kind, prevalence(scores))
        areas = {scores.labels[k]: row[name] for k, row in found.classes.items()}
        _draw_lines(axis, areas, np.array(drawn[name]))
        place = "lower right" if kind == "roc" else "lower left"
        for text in axis.legend(frameon=False, fontsize=8, loc=place).get_texts():
            text.set_parse_math(False)
        figures[f"{kind}.png"] = _with_title(figure, scores, found, name)
    return figures


def _draw_lines(axis: Any, areas: dict[str, Area], lines: np.ndarray) -> None:
    """Draw the curve of each class, [classes, GRID], and name those with the least area."""
    from evaluation.fonts import fonts
    from evaluation.style import FAINT, FIRST

    labels, values = list(areas), [area.value for area in areas.values()]
    order = np.argsort(values, kind="stable")
    for k in order[NUM_NAMED:MAX_CURVES]:
        axis.plot(GRID, lines[k], color=FAINT, linewidth=0.6)
    for k, colour in zip(order[:NUM_NAMED], WORST_COLOURS, strict=False):
        label = f"{values[k]:.3f} {fonts().short(labels[k])}"
        axis.plot(GRID, lines[k], color=colour, linewidth=1, label=label)
    axis.plot(GRID, lines.mean(0), color=FIRST, linewidth=1.6, label="mean over the classes")
