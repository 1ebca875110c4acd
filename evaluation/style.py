"""How pictures look."""

from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot

__all__ = ["FAINT", "FIRST", "INK", "SECOND", "STYLE", "pyplot"]

INK, FAINT, FIRST, SECOND = "#222222", "#bbbbbb", "#2a6f97", "#d1495b"
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "figure.dpi": 120,
}
