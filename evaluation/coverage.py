"""How often intervals and sets contain the truth in the test set."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from evaluation.finding import Finding
from evaluation.intervals import wilson

NUM_PARTS = 5  # of the test examples, by the sizes of their intervals or sets
TOLERANCE = 0.02  # of the share that intervals and sets shall cover


def coverage(level: float, covers: np.ndarray, sizes: np.ndarray) -> dict[str, Any]:
    """Return the empirical coverage of intervals or sets, as scores.json holds it.

    Args:
        level: the share that shall be covered.
        covers: whether each contains the truth, bool [n].
        sizes: the width of each interval, or the number of classes in each set, [n].

    """
    edges = np.unique(np.quantile(sizes, np.linspace(0, 1, NUM_PARTS + 1)[1:-1]))
    part = np.searchsorted(edges, sizes)
    return {
        "level": level,
        **_share(covers),
        "mean_size": float(sizes.mean()),
        "parts": [
            {"sizes": [float(sizes[part == k].min()), float(sizes[part == k].max())]}
            | _share(covers[part == k])
            for k in np.unique(part)
        ],
    }


def _share(covers: np.ndarray) -> dict[str, Any]:
    share = float(covers.mean())
    return {"covered": share, "interval": [*wilson(share, len(covers))], "examples": len(covers)}


def coverage_findings(found: dict[str, Any] | None) -> Iterator[Finding]:
    """Find intervals or sets that contain the truth less often than they shall."""
    if not found or found["interval"][1] >= found["level"] - TOLERANCE:
        return
    low, high = found["interval"]
    yield Finding(
        "undercovered",
        f"Only {found['covered']:.1%} of the intervals or sets contain the truth (95 % interval "
        f"{low:.1%} to {high:.1%}), {found['level']:.0%} shall. The test examples are unlike the "
        "validation examples: look at the data with check-data, and take a higher --coverage.",
    )
