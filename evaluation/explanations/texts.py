"""Explain a model of texts: the words with most effect over the test texts."""

from collections import defaultdict
from typing import Any, NamedTuple

import numpy as np

from apps.app import ModalityName
from evaluation.explanations.explanation import Explanation
from inference.explanations.score import Score, model_scores
from inference.explanations.texts import occluded_outputs
from inference.model_outputs import compiled
from training.run import Run

NAME: ModalityName = "text"
MAX_TEXTS = 300  # test texts
MAX_PREDICTIONS = 12_000  # over all texts
MAX_PIECES = 60  # of one text; of a longer one several words are removed at once
MIN_OCCURRENCES = 3  # of a word in different texts
NUM_WORDS = 15  # of each class and direction
MAX_DRAWN_CLASSES = 6
PUNCTUATION = ".,;:!?\"'()[]{}\u2026\u201c\u201d\u2018\u2019\u00ab\u00bb"


class WordEffect(NamedTuple):
    """The mean effect of a word on a score, over the texts that have it."""

    word: str
    mean: float
    low: float
    high: float
    texts: int


def explain(run: Run) -> Explanation:
    """Leave out the words of test texts in turn, and average the change of each class's score."""
    scores = model_scores(run)
    effects, num_texts = _effects_of_words(run, scores)
    ranked = {score.label or "": _ranked(effects, place) for place, score in enumerate(scores)}
    content = {
        "texts": num_texts,
        "min_occurrences": MIN_OCCURRENCES,
        "words": {
            label: {side: [one._asdict() for one in words] for side, words in sides.items()}
            for label, sides in ranked.items()
        },
    }
    lines = [
        f"words that {side} {label}: " + ", ".join(one.word for one in words[:8])
        for label, sides in [*ranked.items()][:MAX_DRAWN_CLASSES]
        for side, words in sides.items()
        if words
    ]
    figures = {"words.png": _draw(ranked)} if _has_words(ranked) else {}
    if not figures:
        lines.append(f"no word is in at least {MIN_OCCURRENCES} of {num_texts} test texts")
    return Explanation(content, figures, lines)


def _effects_of_words(run: Run, scores: list[Score]) -> tuple[dict[str, list[np.ndarray]], int]:
    """Return the effects [scores] of each word in each text that has it, and the texts."""
    effects: dict[str, list[np.ndarray]] = defaultdict(list)
    compiled_model = compiled(run.model)

    def predict(batch: Any, training: bool) -> Any:  # noqa: ARG001
        return compiled_model(batch)

    predictions = num_texts = 0
    for raw in run.splits.test.sample(MAX_TEXTS).numpy().features:
        text = raw.decode("utf-8", "replace")
        pieces, outputs = occluded_outputs(predict, text, MAX_PIECES)
        values = np.stack([score.of(outputs) for score in scores], 1)
        sums: dict[str, np.ndarray] = {}
        for piece, change in zip(pieces, values[0] - values[1:], strict=True):
            word = piece.strip(PUNCTUATION).casefold()
            if word and " " not in word:
                sums[word] = sums.get(word, 0) + change
        for word, change in sums.items():
            effects[word].append(change)
        num_texts += 1
        predictions += len(outputs)
        if predictions >= MAX_PREDICTIONS:
            break
    return effects, num_texts


def _ranked(effects: dict[str, list[np.ndarray]], place: int) -> dict[str, list[WordEffect]]:
    """Return the words that raise a score, and those that lower it, by the nearer interval end."""
    found = [
        _word_effect(word, np.array([change[place] for change in changes]))
        for word, changes in effects.items()
        if len(changes) >= MIN_OCCURRENCES
    ]
    raising = sorted((one for one in found if one.low > 0), key=lambda one: -one.low)
    lowering = sorted((one for one in found if one.high < 0), key=lambda one: one.high)
    return {"raise": raising[:NUM_WORDS], "lower": lowering[:NUM_WORDS]}


def _word_effect(word: str, changes: np.ndarray) -> WordEffect:
    from scipy.stats import t

    count = len(changes)
    width = t.ppf(0.975, count - 1) * changes.std(ddof=1) / np.sqrt(count)
    mean = float(changes.mean())
    return WordEffect(word, mean, mean - float(width), mean + float(width), count)


def _draw(ranked: dict[str, dict[str, list[WordEffect]]]) -> Any:
    """Draw the words of each class with their intervals."""
    from evaluation.fonts import fonts
    from evaluation.style import FIRST, INK, SECOND, few_ticks, pyplot

    shown = [
        (label, side, words)
        for label, sides in [*ranked.items()][:MAX_DRAWN_CLASSES]
        for side, words in sides.items()
        if words and (side == "raise" or len(ranked) == 1)
    ]
    columns = min(3, len(shown))
    num_lines = -(-len(shown) // columns)
    height = 0.24 * max(len(words) for _, _, words in shown) + 1
    figure, axes = pyplot.subplots(
        num_lines, columns, figsize=(3.6 * columns, height * num_lines + 0.4),
        layout="constrained", squeeze=False,
    )  # fmt: skip
    for axis in axes.flat[len(shown) :]:
        axis.axis("off")
    for axis, (label, side, words) in zip(axes.flat, shown, strict=False):
        means = [one.mean for one in words]
        axis.barh(range(len(words)), means, color=FIRST if side == "raise" else SECOND)
        for position, one in enumerate(words):
            axis.plot([one.low, one.high], [position] * 2, color=INK, linewidth=1)
        names = [fonts().short(one.word, 20) for one in words]
        axis.set_yticks(range(len(words)), names, parse_math=False, fontsize=8)
        axis.invert_yaxis()
        few_ticks(axis.xaxis)
        verb = "raise" if side == "raise" else "lower"
        axis.set_title(f"words that {verb} {fonts().short(label, 20)}", fontsize=9)
        axis.set_xlabel("mean change of the log-odds")
    figure.suptitle("words left out of test texts, one at a time", fontsize=10)
    return figure


def _has_words(ranked: dict[str, dict[str, list[WordEffect]]]) -> bool:
    """Whether any class has a word with an effect."""
    return any(words for sides in ranked.values() for words in sides.values())


def answer_figures(run: Run, explained: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG001
    """Draw nothing: numbers and words suffice."""
    return {}
