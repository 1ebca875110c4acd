"""Figures of ratings and of lists of recommended items."""

from typing import Any

import numpy as np

MAX_BOXES = 10  # with more distinct ratings, each box covers a tenth of the pairs


def ratings(predicted: np.ndarray, target: np.ndarray) -> Any:
    """Draw box plots of predicted ratings, one for each true rating."""
    from evaluation.style import FIRST, INK, pyplot

    figure, axis = pyplot.subplots(figsize=(5.5, 4), layout="constrained")
    values, groups = np.unique(target, return_inverse=True)
    if len(values) > MAX_BOXES:
        inner = np.quantile(target, np.linspace(0, 1, MAX_BOXES + 1)[1:-1])
        groups = np.searchsorted(np.unique(inner), target)
        values = np.bincount(groups, target) / np.maximum(np.bincount(groups), 1)
    centres, ratings_of_boxes = zip(
        *[(v, predicted[groups == k]) for k, v in enumerate(values) if k in groups], strict=True
    )
    width = 0.6 * float(min(np.diff(centres))) if len(centres) > 1 else 0.6
    boxes = axis.boxplot(
        ratings_of_boxes, positions=centres, widths=width, showfliers=False, whis=(5, 95),
        patch_artist=True, manage_ticks=False, medianprops={"color": "white"},
    )  # fmt: skip
    for box in boxes["boxes"]:
        box.set(facecolor=FIRST, edgecolor=FIRST)
    axis.plot(centres, centres, color=INK, linewidth=0.8)
    title = f"{len(target):,} test pairs; boxes: middle half, whiskers: 90 %"
    axis.set(xlabel="true rating", ylabel="predicted rating", title=title)
    return figure


def popularity(counts: np.ndarray, indices: np.ndarray, coverage: float) -> Any:
    """Draw cumulative shares of recommendations and of training pairs, by popularity of the item.

    The farther apart the two curves are, the more the lists prefer popular items.

    Args:
        counts: number of training pairs of each item.
        indices: of the recommended items, [users, k]; -1 after the end of a shorter list.
        coverage: share of the items that are in at least one list.

    """
    from evaluation.style import FAINT, FIRST, INK, pyplot

    k = indices.shape[1]
    order = np.argsort(-counts, kind="stable")
    recommended = np.bincount(indices[indices >= 0], minlength=len(order))[order]
    trained = counts[order]
    share = np.arange(1, len(order) + 1) / len(order)
    figure, axis = pyplot.subplots(figsize=(5.5, 4), layout="constrained")
    axis.plot(
        share,
        np.cumsum(recommended) / max(1, recommended.sum()),
        color=FIRST,
        label=f"recommended (first {k})",
    )
    axis.plot(share, np.cumsum(trained) / trained.sum(), color=INK, label="seen in training")
    axis.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, label="uniform")
    axis.set(
        xlabel="share of the catalogue, most popular items first",
        ylabel="share of the lists, or of the pairs",
        title=f"coverage@{k} {coverage:.1%} of {len(order):,} items",
    )
    axis.legend(frameon=False)
    return figure
