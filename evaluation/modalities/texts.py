"""Texts: baselines, and figures of the effect of words."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from apps.app import ModalityName
from evaluation.modalities import multilabel_texts, text_baselines, text_cuts
from inference.explanations.texts import word_effects
from pipelines.splits import Splits
from training.run import Run

cuts = text_cuts.cuts
NAME: ModalityName = "text"
NUM_SHOWN_TEXTS = 6  # in a figure
MAX_SHOWN_PIECES = 100  # words of a text in a figure
MAX_LINE_WIDTH = 120  # characters of a line in a figure


def baselines(splits: Splits) -> Iterator[tuple[str, Any]]:
    """Predict by class frequencies, and by linear support vector machines."""
    if splits.is_multilabel:
        return multilabel_texts.baselines(splits)
    return text_baselines.baselines(splits)


def figures(run: Run, predictions: Any) -> dict[str, Any]:
    """Draw the effects of words in the worst mistakes and in some right predictions."""
    mistakes = predictions.mistakes()
    worst, first_right = mistakes[:NUM_SHOWN_TEXTS], predictions.right_rows()[:NUM_SHOWN_TEXTS]
    count = len(predictions.target)
    title = f"the {len(worst)} worst of {len(mistakes)} mistakes in {count} test texts"
    return {
        "worst.png": _draw_word_effects(run, predictions, worst, title),
        "words.png": _draw_word_effects(
            run, predictions, first_right, "the first right predictions of the test texts"
        ),
    }


def _draw_word_effects(run: Run, predictions: Any, rows: np.ndarray, title: str) -> Any:
    """Draw texts with each word coloured by its effect on the predicted class."""
    from evaluation.fonts import fonts
    from evaluation.style import pyplot

    blocks = [_describe_text(run, predictions, row) for row in rows]
    height = sum(len(lines) + 1.6 for _, lines in blocks) + 3.5
    figure = pyplot.figure(figsize=(0.065 * MAX_LINE_WIDTH, 0.2 * height))
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, MAX_LINE_WIDTH), ylim=(height, 0))
    axis.axis("off")
    explained = predictions.explained
    legend = f"blue words raise the probability of {explained}, red words lower it"
    axis.text(0, 1.5, f"{title}\n{legend}", fontsize=9, parse_math=False)
    position = 3.5
    for heading, lines in blocks:
        axis.text(
            0, position, fonts().drawable(heading), weight="bold", fontsize=8, parse_math=False
        )
        for line in lines:
            position += 1
            _draw_line(axis, position, line)
        position += 1.6
    return figure


def _describe_text(
    run: Run, predictions: Any, row: int
) -> tuple[str, list[list[tuple[str, float]]]]:
    """Return the heading and the lines of (piece, effect from -1 to 1) of one test text."""
    heading = predictions.describe(row, run.splits.labels)
    text = run.splits.test.numpy([row]).features[0].decode("utf-8", "replace")
    words, effects = word_effects(run.model, text, predictions.explained_class(row))
    scale = max(float(np.abs(effects).max(initial=0.0)), 1e-6)
    return heading, _break_into_lines(
        _cut_to_passage(list(zip(words, effects / scale, strict=True)))
    )


def _cut_to_passage(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Cut a long text to the passage with the largest effects."""
    if len(pieces) <= MAX_SHOWN_PIECES:
        return pieces
    sums = np.cumsum([0.0, *(abs(effect) for _, effect in pieces)])
    start = int(np.argmax(sums[MAX_SHOWN_PIECES:] - sums[:-MAX_SHOWN_PIECES]))
    inside = pieces[start : start + MAX_SHOWN_PIECES]
    before = [("...", 0.0)] if start else []
    return before + inside + ([("...", 0.0)] if start + MAX_SHOWN_PIECES < len(pieces) else [])


def _break_into_lines(pieces: list[tuple[str, float]]) -> list[list[tuple[str, float]]]:
    from evaluation.fonts import fonts, width

    lines: list[list[tuple[str, float]]] = [[]]
    for piece, effect in pieces:
        short = _shorten(fonts().drawable(piece))
        if sum(width(other) + 1 for other, _ in lines[-1]) + width(short) > MAX_LINE_WIDTH:
            lines.append([])
        lines[-1].append((short, effect))
    return lines


def _shorten(piece: str) -> str:
    """Cut a piece to the beginning that fits into a line, with dots in place of the rest."""
    from evaluation.fonts import width

    start, max_width = piece, MAX_LINE_WIDTH - 1
    while width(start) > max_width:
        max_width = MAX_LINE_WIDTH - 4
        start = start[: max(1, len(start) * max_width // width(start) - 1)]
    return start if start == piece else f"{start}..."


def _draw_line(axis: Any, position: float, line: list[tuple[str, float]]) -> None:
    from evaluation.fonts import MONOSPACE_FONT, fonts, width
    from evaluation.style import FIRST, SECOND

    column = 0
    family = [MONOSPACE_FONT, *fonts().names]
    for piece, effect in line:
        colour = FIRST if effect > 0 else SECOND
        axis.text(
            column, position, piece, fontsize=7.5, family=family, parse_math=False,
            bbox={
                "facecolor": colour, "alpha": 0.75 * min(1.0, abs(effect)), "pad": 0.8, "lw": 0,
            },
        )  # fmt: skip
        column += width(piece) + 1
