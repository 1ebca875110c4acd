"""Figures of a run, as PNG files."""

from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib

from apps.metrics import VALIDATION
from evaluation import history, threshold_figures
from evaluation.fonts import fonts
from evaluation.modalities import modality_of
from evaluation.run_report import public
from evaluation.style import FAINT, FIRST, GREY, INK, SECOND, STYLE, caption, few_ticks, pyplot
from evaluation.tasks import task_of
from pipelines.files import atomic_write
from training.run import Run

MIN_LOG_SCALE_RATIO = 20.0  # of the largest to the smallest score, for a logarithmic axis
MAX_TARGET_WIDTH = 22  # of the target's name, which shares a line with other words


class DrawnFigures(NamedTuple):
    """The names of the figure files, and notes for the user."""

    names: list[str]
    notes: list[str]


def draw(run: Run, predictions: Any) -> DrawnFigures:
    """Draw the learning curves and the figures of the task and the modality of a run."""

    def figures() -> dict[str, Any]:
        columns = history.read(run.path / "history.csv")
        return {
            "learning_curves.png": _learning_curves(columns, run.manifest),
            **task_of(run).figures(predictions, run.splits, _target(run)),
            **threshold_figures.draw(task_of(run).class_scores(predictions, run.splits)),
            **modality_of(run).figures(run, predictions),
        }

    return write(run, figures)


def write(run: Run, make_figures: Callable[[], dict[str, Any]]) -> DrawnFigures:
    """Draw figures in the style of all figures, and write them into the run directory.

    Each has a caption with the name of the run.
    """
    fonts().missing.clear()
    with matplotlib.rc_context(STYLE):
        figures = make_figures()
        for name, figure in figures.items():
            caption(figure, _caption(run))
            with atomic_write(run.path / name) as temporary:
                figure.savefig(temporary, format="png", bbox_inches="tight")
            pyplot.close(figure)
    return DrawnFigures(list(figures), [note for note in [fonts().note()] if note])


def _target(run: Run) -> str:
    """Return the name of the predicted column; empty if it has none."""
    return fonts().short(run.manifest["fields"].get("target") or "", MAX_TARGET_WIDTH)


def _caption(run: Run) -> str:
    """Return the caption of a figure; a target, fold or seed has the name of its directory too."""
    name, inner = run.path.name, run.path.name.startswith(("target-", "fold-", "seed-"))
    name = f"{run.path.parent.name}/{name}" if inner else name
    data = public.address(run.manifest["fields"]["data"])
    return f"{run.manifest['app']} run {name}; data {data}"


def _learning_curves(columns: dict[str, list[float]], manifest: dict[str, Any]) -> Any:
    scores = [name for name in columns if f"{VALIDATION}{name}" in columns]
    num_axes = len(scores) + _has_learning_rate(manifest)
    figure, axes = pyplot.subplots(
        1, num_axes, figsize=(4 * num_axes, 3.2), layout="constrained", squeeze=False
    )
    axes = axes[0]
    for axis, name in zip(axes, scores, strict=False):
        train, valid = columns[name], columns[f"{VALIDATION}{name}"]
        axis.plot(columns["epoch"], train, color=FAINT, marker=".", label="train")
        axis.plot(columns["epoch"], valid, color=FIRST, marker=".", label="validation")
        axis.set(title=name, xlabel="epoch")
        lowest, highest = min([*train, *valid]), max([*train, *valid])
        if lowest > 0 and highest > MIN_LOG_SCALE_RATIO * lowest:
            axis.set_yscale("log")
        else:
            few_ticks(axis.yaxis)
    if _has_learning_rate(manifest):
        axes[-1].plot(columns["epoch"], columns["learning_rate"], color=INK, marker=".")
        axes[-1].set(title="learning rate at the epoch's end", xlabel="epoch")
    for axis in axes:
        _mark_epochs(axis, columns, manifest)
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True, min_n_ticks=1))
        axis.legend(frameon=False)
    return figure


def _has_learning_rate(manifest: dict[str, Any]) -> bool:
    """Return whether the run has a learning rate; models that are solved or grown have none."""
    if "chosen" not in manifest:  # of an older version
        return True
    values = manifest["fields"] | manifest["chosen"]
    return values.get("learning_rate") is not None


def _mark_epochs(axis: Any, columns: dict[str, list[float]], manifest: dict[str, Any]) -> None:
    """Mark the best epoch, whose model is saved, and the beginning of the second stage."""
    best = manifest["best_epoch"]
    axis.axvline(best, color=SECOND, linewidth=0.8, linestyle=":", label=f"best: epoch {best}")
    for first_epoch in manifest.get("stages", ()):
        if first_epoch <= columns["epoch"][-1]:
            axis.axvline(first_epoch - 0.5, color=GREY, linewidth=0.8, label="second stage")
