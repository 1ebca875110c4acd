"""Pictures of a run, as PNG files."""

import csv
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from evaluation.classes import Answers, confusion
from pipelines.examples import Examples
from pipelines.files import whole

matplotlib.use("Agg")

from matplotlib import pyplot

INK, FAINT, FIRST, SECOND = "#222222", "#bbbbbb", "#2a6f97", "#d1495b"
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "figure.dpi": 120,
}
NUM_WORST = 25


def draw(
    run: Path, answers: Answers, images: Examples | None, labels: tuple[str, ...]
) -> list[str]:
    """Write all pictures of a run with classes; returns their file names.

    `images` are the test images, uint8 [height, width, channels], where the
    questions are images.
    """
    with matplotlib.rc_context(STYLE):
        figures = {
            "learning_curves.png": _learning_curves(run / "history.csv"),
            "confusion.png": _confusion(confusion(answers), labels),
        }
        if images is not None:
            figures["worst.png"] = _worst(answers, images, labels)
        for name, figure in figures.items():
            with whole(run / name) as beside:
                figure.savefig(beside, format="png", bbox_inches="tight")
            pyplot.close(figure)
    return list(figures)


def _learning_curves(history: Path) -> Any:
    with history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [float(row[name]) for row in rows] for name in rows[0]}
    scores = [name for name in columns if f"val_{name}" in columns]
    figure, axes = pyplot.subplots(
        1, len(scores) + 1, figsize=(4 * len(scores) + 4, 3.2), layout="constrained"
    )
    for axis, name in zip(axes, scores, strict=False):
        axis.plot(columns["epoch"], columns[name], color=FAINT, marker=".", label="train")
        axis.plot(
            columns["epoch"], columns[f"val_{name}"], color=FIRST, marker=".", label="validation"
        )
        axis.set(title=name, xlabel="epoch")
        if name == "loss":
            axis.set_yscale("log")
            plain = matplotlib.ticker.FormatStrFormatter("%.3g")
            axis.yaxis.set(major_formatter=plain, minor_formatter=plain)
        axis.legend(frameon=False)
    axes[-1].plot(columns["epoch"], columns["learning_rate"], color=INK, marker=".")
    axes[-1].set(title="learning rate at the epoch's end", xlabel="epoch")
    for axis in axes:
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def _confusion(counts: np.ndarray, labels: tuple[str, ...]) -> Any:
    side = max(4.0, 0.45 * len(labels) + 1.5)
    figure, axis = pyplot.subplots(figsize=(side, side), layout="constrained")
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    # The root makes single mistakes visible beside thousands of right answers.
    axis.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(labels))
    turned = 90 if max(map(len, labels)) > 3 else 0
    axis.set_xticks(ticks, labels, rotation=turned)
    axis.set_yticks(ticks, labels)
    axis.set(
        xlabel="predicted", ylabel="true", title="test examples; colour: root of the row share"
    )
    axis.spines[:].set_visible(False)
    if len(labels) <= 30:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                light = shares[row, column] > 0.3
                axis.text(
                    column, row, count,
                    ha="center", va="center", fontsize=8, color="white" if light else INK,
                )  # fmt: skip
    return figure


def _worst(answers: Answers, images: Examples, labels: tuple[str, ...]) -> Any:
    rows = np.arange(len(answers.target))
    true = answers.probabilities[rows, answers.target]
    wrong = np.flatnonzero(answers.predicted != answers.target)
    worst = wrong[np.argsort(true[wrong])][:NUM_WORST]
    lines = max(1, -(-len(worst) // 5))
    figure, axes = pyplot.subplots(
        lines, 5, figsize=(8, 1.75 * lines + 0.6), layout="constrained", squeeze=False
    )
    figure.suptitle(
        f"the {len(worst)} worst of {len(wrong)} mistakes in {len(rows)} test examples"
        if len(wrong)
        else f"no mistake in {len(rows)} test examples"
    )
    for axis in axes.flat:
        axis.axis("off")
    for axis, row in zip(axes.flat, worst, strict=False):
        image = images.numpy(row).features
        axis.imshow(
            image.squeeze(), cmap="gray" if image.shape[-1] == 1 else None, vmin=0, vmax=255
        )
        said = answers.predicted[row]
        axis.set_title(
            f"{labels[answers.target[row]]}, said {labels[said]}\n"
            f"{true[row]:.0%} against {answers.probabilities[row, said]:.0%}",
            fontsize=9,
        )
    return figure
