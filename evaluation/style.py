"""Colours, fonts and axes of all figures."""

from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot, ticker

from evaluation.fonts import fonts

__all__ = ["FAINT", "FIRST", "GREY", "INK", "SECOND", "STYLE", "caption", "few_ticks", "pyplot"]

INK, GREY, FAINT, FIRST, SECOND = "#222222", "#777777", "#bbbbbb", "#2a6f97", "#d1495b"
MAX_TICKS = 5
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "font.family": fonts().names,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "figure.dpi": 120,
}


def caption(figure: Any, text: str) -> None:
    """Write a caption in small print below a figure."""
    figure.text(
        0, -0.08 / figure.get_figheight(), fonts().drawable(text),
        fontsize=7, color=GREY, va="top", parse_math=False,
    )  # fmt: skip


def few_ticks(*axes: Any) -> None:
    """Reduce the ticks of axes, and write thousands as k and millions as M, so that they fit."""
    for axis in axes:
        axis.set_major_locator(ticker.MaxNLocator(MAX_TICKS))
        axis.set_major_formatter(ticker.FuncFormatter(_tick_label))


def _tick_label(value: float, _: Any = None) -> str:
    if abs(value) >= 1e6:
        return f"{value / 1e6:.10g}M"
    return f"{value / 1e3:.10g}k" if abs(value) >= 1e4 else f"{value:.10g}"
