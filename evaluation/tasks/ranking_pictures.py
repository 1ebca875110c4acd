"""Pictures of ratings and of lists of recommended items."""

from typing import Any

import numpy as np

MOST_BOXES = 10


def ratings(given: np.ndarray, target: np.ndarray) -> Any:
    """Given ratings by the true ones."""
    from evaluation.style import FIRST, INK, pyplot

    figure, axis = pyplot.subplots(figsize=(5.5, 4), layout="constrained")
    values, groups = np.unique(target, return_inverse=True)
    if len(values) > MOST_BOXES:
        inner = np.quantile(target, np.linspace(0, 1, MOST_BOXES + 1)[1:-1])
        groups = np.searchsorted(np.unique(inner), target)
        values = np.bincount(groups, target) / np.maximum(np.bincount(groups), 1)
    centres, boxed = zip(
        *[(v, given[groups == k]) for k, v in enumerate(values) if k in groups], strict=True
    )
    width = 0.6 * float(min(np.diff(centres))) if len(centres) > 1 else 0.6
    boxes = axis.boxplot(
        boxed, positions=centres, widths=width, showfliers=False, whis=(5, 95),
        patch_artist=True, manage_ticks=False, medianprops={"color": "white"},
    )  # fmt: skip
    for box in boxes["boxes"]:
        box.set(facecolor=FIRST, edgecolor=FIRST)
    axis.plot(centres, centres, color=INK, linewidth=0.8)
    title = f"{len(target):,} test pairs; boxes: middle half, whiskers: 90 %"
    axis.set(xlabel="true rating", ylabel="given rating", title=title)
    return figure


def popularity(counts: np.ndarray, places: np.ndarray, coverage: float) -> Any:
    """Both curves end at 1; the farther apart, the more the lists favour what is popular.

    Args:
        counts: the number of training pairs of each item.
        places: of the recommended items among them, [users, k]; -1 where a list ends before.
        coverage: the share of the items that is recommended to somebody.

    """
    from evaluation.style import FAINT, FIRST, INK, pyplot

    k = places.shape[1]
    order = np.argsort(-counts, kind="stable")
    shown = np.bincount(places[places >= 0], minlength=len(order))[order]
    met = counts[order]
    share = np.arange(1, len(order) + 1) / len(order)
    figure, axis = pyplot.subplots(figsize=(5.5, 4), layout="constrained")
    axis.plot(
        share, np.cumsum(shown) / max(1, shown.sum()), color=FIRST, label=f"recommended (first {k})"
    )
    axis.plot(share, np.cumsum(met) / met.sum(), color=INK, label="met in training")
    axis.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, label="all alike")
    axis.set(
        xlabel="share of the catalogue, the most popular first",
        ylabel="share of the lists, or of the pairs",
        title=f"coverage@{k} {coverage:.1%} of {len(order):,} items",
    )
    axis.legend(frameon=False)
    return figure
