"""The figure of a confusion matrix."""

import math
from typing import Any

import numpy as np

MAX_COUNTED_CLASSES = 30  # with more the confusion matrix shows no counts
MIN_SIDE_INCHES, MAX_SIDE_INCHES = 4.0, 15.0  # of the confusion matrix
MIN_LABEL_POINTS, MAX_LABEL_POINTS = 4.0, 10.0


def draw_confusion(counts: np.ndarray, names: tuple[str, ...], target: str) -> Any:
    """Draw a confusion matrix; `target` names the predicted column."""
    from evaluation.fonts import fonts, width
    from evaluation.style import INK, pyplot

    weighted = counts.dtype.kind == "f"
    labels = [fonts().short(name) for name in names]
    side = min(MAX_SIDE_INCHES, max(MIN_SIDE_INCHES, 0.45 * len(labels) + 1.5))
    figure, axis = pyplot.subplots(figsize=(side, side), layout="constrained")
    totals = counts.sum(1, keepdims=True)
    shares = counts / np.where(totals > 0, totals, 1)
    # The square root makes single mistakes visible next to thousands of right predictions.
    axis.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    row_points = min(MAX_LABEL_POINTS, 60 * (side - 1.5) / len(labels))  # of almost a row's height
    labelled = slice(None, None, math.ceil(MIN_LABEL_POINTS / row_points))
    ticks, tick_labels = range(len(labels))[labelled], labels[labelled]
    rotation = 90 if max(map(width, labels)) > 3 or len(labels) > MAX_COUNTED_CLASSES else 0
    size = max(row_points, MIN_LABEL_POINTS)
    axis.set_xticks(ticks, tick_labels, rotation=rotation, fontsize=size, parse_math=False)
    axis.set_yticks(ticks, tick_labels, fontsize=size, parse_math=False)
    axis.set_xlabel(f"predicted {target}".strip(), parse_math=False)
    axis.set_ylabel(f"true {target}".strip(), parse_math=False)
    axis.set_title(
        f"Confusion matrix (test set{', sums of weights' * weighted}); "
        "shade: square root of the share of the true class",
        fontsize=10,
    )
    axis.spines[:].set_visible(False)
    if len(labels) <= MAX_COUNTED_CLASSES:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                is_dark = shares[row, column] > 0.3
                axis.text(
                    column, row, f"{count:,.3g}" if weighted else f"{count:,}",
                    ha="center", va="center", fontsize=8, color="white" if is_dark else INK,
                )  # fmt: skip
    return figure
