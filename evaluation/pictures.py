"""Pictures of a run, as PNG files."""

from pathlib import Path
from typing import Any

import matplotlib

from evaluation import history, kinds
from evaluation.style import FAINT, FIRST, INK, STYLE, pyplot
from pipelines.files import whole
from training.run import Run


def draw(run: Run, answers: Any) -> list[str]:
    """Write all pictures of a run; returns their file names.

    Learning curves, what the kind of answer shows, and what the kind of
    question shows.
    """
    with matplotlib.rc_context(STYLE):
        figures = {
            "learning_curves.png": _learning_curves(run.path / "history.csv"),
            **kinds.judge(run.passport["answer"]).figures(answers, run.splits),
            **kinds.asked(run.passport["question"]).figures(run, answers),
        }
        for name, figure in figures.items():
            with whole(run.path / name) as beside:
                figure.savefig(beside, format="png", bbox_inches="tight")
            pyplot.close(figure)
    return list(figures)


def _learning_curves(path: Path) -> Any:
    columns = history.read(path)
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
