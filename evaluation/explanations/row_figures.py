"""Figures that explain a model of rows."""

from typing import Any

import numpy as np

from evaluation.explanations.partial import Interaction, PartialDependence, shown_output
from evaluation.explanations.permutation import Importance
from evaluation.explanations.surrogate import MAX_DEPTH, Split, Surrogate, conditions
from evaluation.modalities.rows import draw_importance
from evaluation.rounding import number
from inference.explanations.row_model import RowModel

MAX_DRAWN_OUTPUTS = 6  # classes with a line each
MAX_CATEGORY_WIDTH = 18  # in figures, as fonts.width counts
MAX_TITLE_WIDTH, MAX_VALUE_WIDTH = 18, 14  # in a condition of the tree


def importance(model: RowModel, found: Importance) -> Any:
    """Draw the permutation importance of columns."""
    return draw_importance(model.run, [model.titles[name] for name in found.names], found)


def curves(model: RowModel, found: list[PartialDependence]) -> Any:
    """Draw the partial dependence on columns; of one output also the curve of each row."""
    from evaluation.fonts import fonts
    from evaluation.style import pyplot

    shown = dict([*shown_output(model).items()][:MAX_DRAWN_OUTPUTS])
    figure, axes = pyplot.subplots(
        -(-len(found) // 2), 2, figsize=(9, 3.1 * -(-len(found) // 2) + 0.4),
        layout="constrained", squeeze=False, sharey=True,
    )  # fmt: skip
    for axis in axes.flat[len(found) :]:
        axis.axis("off")
    for axis, one in zip(axes.flat, found, strict=False):
        _draw_curves(axis, model, one, shown)
    labels = model.run.manifest["labels"]
    name = fonts().short(next(iter(shown)))
    what = name if not labels else f"probability of {name}" if len(shown) == 1 else "probability"
    for axis in axes[:, 0]:
        axis.set_ylabel(what, parse_math=False)
    if len(shown) > 1:
        axes.flat[0].legend(frameon=False, fontsize=7)
    faint = "; faint: single test rows" if len(shown) == 1 else ""
    figure.suptitle(f"partial dependence: mean over test rows with the same value{faint}")
    return figure


def _draw_curves(axis: Any, model: RowModel, one: PartialDependence, shown: dict[str, int]) -> None:
    from evaluation.fonts import fonts
    from evaluation.style import FAINT, FIRST, few_ticks

    is_text = model.places[one.name].matrix == "texts"
    x = np.arange(len(one.values)) if is_text else one.values.astype("float64")
    if len(shown) == 1:
        (place,) = shown.values()
        axis.plot(x, one.curves[:, :, place].T, color=FAINT, linewidth=0.5, alpha=0.5)
        axis.plot(x, one.means[:, place], color=FIRST, linewidth=2, marker="o" if is_text else "")
    else:
        for name, place in shown.items():
            label = fonts().short(name, MAX_CATEGORY_WIDTH)
            axis.plot(x, one.means[:, place], label=label, marker="." if is_text else "")
    axis.set_xlabel(fonts().short(model.titles[one.name]), parse_math=False)
    if not is_text:
        few_ticks(axis.xaxis, axis.yaxis)
        if model.reading.forms[one.name].kind != "number":
            ticks = np.linspace(x[0], x[-1], 3)
            axis.set_xticks(ticks, [str(model.cell(one.name, tick)) for tick in ticks])
        return
    few_ticks(axis.yaxis)
    names = [str(model.cell(one.name, value) or "missing") for value in one.values.tolist()]
    short = [fonts().short(name, MAX_CATEGORY_WIDTH) for name in names]
    crowded = len(short) > 3
    axis.set_xticks(
        x, short, parse_math=False, rotation=30 if crowded else 0,
        ha="right" if crowded else "center", fontsize=8,
    )  # fmt: skip


def interactions(model: RowModel, pairs: list[Interaction]) -> Any:
    """Draw the strength and the H-statistic of pairs of columns."""
    from evaluation.fonts import fonts
    from evaluation.style import FIRST, few_ticks, pyplot

    shown = pairs[::-1]
    names = [" x ".join(fonts().short(model.titles[k], 24) for k in one.names) for one in shown]
    figure, axes = pyplot.subplots(
        1, 2, figsize=(8, 0.28 * len(shown) + 1.2), layout="constrained", sharey=True
    )
    what = "log-odds" if model.run.manifest["labels"] else next(iter(shown_output(model)))
    columns = (
        (axes[0], [one.strength for one in shown], f"strength ({fonts().short(what)})"),
        (axes[1], [one.h for one in shown], "H: its share of the joint effect"),
    )
    for axis, values, title in columns:
        axis.barh(range(len(shown)), values, color=FIRST)
        axis.set_xlabel(title, parse_math=False)
        axis.set_xlim(left=0)
        few_ticks(axis.xaxis)
    axes[0].set_yticks(range(len(shown)), names, parse_math=False)
    figure.suptitle("interactions: what two columns do together beyond the sum of both")
    return figure


def tree(model: RowModel, found: Surrogate) -> Any:
    """Draw the surrogate tree, the left branch above the right one."""
    from evaluation.style import pyplot

    leaves = _count_leaves(found.root)
    figure, axis = pyplot.subplots(figsize=(10, 0.62 * leaves + 1), layout="constrained")
    axis.axis("off")
    axis.set(xlim=(0, MAX_DEPTH + 1), ylim=(leaves - 0.4, -0.8))
    _draw_node(axis, model, found.root, 0, 0)
    agreement = "" if found.agreement is None else f", same class for {found.agreement:.1%}"
    axis.set_title(
        f"surrogate tree: explains {found.r2:.1%} of the variance of the model's outputs on "
        f"{found.num_rows:,} test rows{agreement}",
        fontsize=9,
    )
    return figure


def _count_leaves(split: Split) -> int:
    return sum(map(_count_leaves, split.children)) or 1


def _draw_node(axis: Any, model: RowModel, split: Split, depth: int, first: int) -> float:
    """Draw a node and all below it; return its position across."""
    from evaluation.fonts import fonts
    from evaluation.style import FAINT, FIRST

    if not split.children:
        axis.text(
            depth, first, fonts().drawable(_leaf_text(model, split)), fontsize=8, va="center",
            color=FIRST, parse_math=False,
        )  # fmt: skip
        return float(first)
    places, start = [], first
    for child in split.children:
        places.append(_draw_node(axis, model, child, depth + 1, start))
        start += _count_leaves(child)
    middle = sum(places) / len(places)
    for place, (title, relation, value) in zip(places, conditions(model, split), strict=True):
        text = f"{fonts().short(title, MAX_TITLE_WIDTH)} {relation} "
        axis.plot([depth, depth + 0.12, depth + 0.95], [middle, place, place], color=FAINT, lw=1)
        axis.text(
            depth + 0.15, place - 0.07, text + fonts().short(value, MAX_VALUE_WIDTH),
            fontsize=7.5, va="bottom", parse_math=False,
        )  # fmt: skip
    return middle


def _leaf_text(model: RowModel, split: Split) -> str:
    from evaluation.fonts import fonts

    labels = model.run.manifest["labels"]
    if not labels:
        return f"{number(split.outputs[0])} ({split.share:.0%} of rows)"
    best = int(split.outputs.argmax())
    label = fonts().short(labels[best], MAX_CATEGORY_WIDTH)
    return f"{label} {split.outputs[best]:.0%} ({split.share:.0%} of rows)"
