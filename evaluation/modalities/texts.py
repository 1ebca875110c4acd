"""Questions that are texts: what a model has to beat, and which words moved it."""

from typing import Any

import numpy as np
import tensorflow as tf

from evaluation.modalities.baselines import majority
from evaluation.tasks.classification import Answers
from pipelines.examples import Examples
from pipelines.splits import Splits
from pipelines.texts.preprocessing import MAX_WORDS, split_words
from training.run import Run

CHUNK = 2000
SHOWN = 6  # texts in a picture
MOST_PIECES = 100  # words of a text in a picture
LINE = 120  # characters in a line of a picture
STRENGTH = 10.0  # of the baseline: scikit-learn's C


def baselines(splits: Splits) -> dict[str, Answers]:
    """Class frequencies, and logistic regression on TF-IDF of words and word pairs."""
    num_classes, target = len(splits.labels), splits.test.targets
    given = {
        "majority": majority(splits.train.targets, num_classes, len(target)),
        "tf-idf_logistic_regression": tf_idf(splits.train, splits.test, num_classes),
    }
    return {name: Answers(probabilities, target) for name, probabilities in given.items()}


def tf_idf(train: Examples, test: Examples, num_classes: int) -> np.ndarray:
    """Probabilities [n, classes] by scikit-learn from the same words that a model reads."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(
            lowercase=False, token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True,
            dtype=np.float32,
        ),
        LogisticRegression(C=STRENGTH, solver="liblinear" if num_classes == 2 else "lbfgs"),
    )  # fmt: skip
    probabilities = np.zeros((len(test), num_classes))
    known = np.unique(train.targets)
    if len(known) < 2:
        probabilities[:, known] = 1.0
        return probabilities
    model.fit(_spaced(train), train.targets)
    # A class without training examples has no column.
    probabilities[:, known] = model.predict_proba(_spaced(test))
    return probabilities


def _spaced(examples: Examples) -> list[str]:
    """Texts whose words have one space between them; `_` where there are none."""
    spaced: list[str] = []
    for start in range(0, len(examples), CHUNK):
        words = split_words(tf.constant(examples.numpy(slice(start, start + CHUNK)).features))
        joined = tf.strings.reduce_join(words[:, :MAX_WORDS], axis=-1, separator=" ")
        spaced += [text.decode() or "_" for text in joined.numpy()]
    return spaced


def figures(run: Run, answers: Answers) -> dict[str, Any]:
    """Which words moved the answer: in the worst mistakes, and in right answers."""
    rows = np.arange(len(answers.target))
    true = answers.probabilities[rows, answers.target]
    right = answers.predicted == answers.target
    worst = np.flatnonzero(~right)
    worst = worst[np.argsort(true[worst], kind="stable")][:SHOWN]
    some = np.flatnonzero(right)[:SHOWN]
    title = f"the {len(worst)} worst of {int((~right).sum())} mistakes in {len(rows)} test texts"
    return {
        "worst.png": _told(run, answers, worst, title),
        "words.png": _told(run, answers, some, "the first right answers of the test texts"),
    }


def _told(run: Run, answers: Answers, rows: np.ndarray, title: str) -> Any:
    """Each text with its words coloured by what they add to the answer."""
    from evaluation.fonts import fonts
    from evaluation.style import pyplot

    blocks = [_block(run, answers, row) for row in rows]
    height = sum(len(lines) + 1.6 for _, lines in blocks) + 3.5
    figure = pyplot.figure(figsize=(0.065 * LINE, 0.2 * height))
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, LINE), ylim=(height, 0))
    axis.axis("off")
    legend = "blue words speak for the answer given, red ones against it"
    axis.text(0, 1.5, f"{title}\n{legend}", fontsize=9, parse_math=False)
    place = 3.5
    for heading, lines in blocks:
        axis.text(0, place, fonts().drawable(heading), weight="bold", fontsize=8, parse_math=False)
        for line in lines:
            place += 1
            _write(axis, place, line)
        place += 1.6
    return figure


def _block(run: Run, answers: Answers, row: int) -> tuple[str, list[list[tuple[str, float]]]]:
    """Heading and lines of (piece, effect from -1 to 1) of one test text."""
    labels = run.splits.labels
    said, true = answers.predicted[row], answers.target[row]
    text = run.splits.test.numpy([row]).features[0].decode("utf-8", "replace")
    words, effects = effects_of(run.model, text, said)
    scale = max(float(np.abs(effects).max(initial=0.0)), 1e-6)
    heading = f"said {labels[said]} ({answers.probabilities[row, said]:.0%}), is {labels[true]}"
    return heading, _lines(_passage(list(zip(words, effects / scale, strict=True))))


def effects_of(model: Any, text: str, number: int) -> tuple[list[str], np.ndarray]:
    """Pieces of a text, and how much each raised the log-odds of a class.

    A piece's effect is what the log-odds lose when it is taken out (occlusion:
    Zeiler and Fergus, ECCV 2014; Li et al., 2016). Pieces are words, or characters
    where there are no spaces; a long text is taken out by runs of words.
    """
    words = text.split()
    characters = len(words) < 3 < len(text) and not text.isascii()
    pieces, joint = (list(text.strip()), "") if characters else (words, " ")
    width = -(-len(pieces) // 400)
    pieces = [joint.join(pieces[i : i + width]) for i in range(0, len(pieces), max(1, width))]
    without = [joint.join(pieces[:i] + pieces[i + 1 :]) for i in range(len(pieces))]
    asked = np.array([one.encode() for one in [text, *without]], dtype=object)
    given = [
        np.asarray(model(tf.constant(asked[i : i + 64]), training=False))[:, number]
        for i in range(0, len(asked), 64)
    ]
    share = np.clip(np.concatenate(given).astype("float64"), 1e-9, 1 - 1e-9)
    odds = np.log(share) - np.log1p(-share)
    return pieces, odds[0] - odds[1:]


def _passage(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Of a long text the passage in which words moved most."""
    if len(pieces) <= MOST_PIECES:
        return pieces
    moved = np.cumsum([0.0, *(abs(effect) for _, effect in pieces)])
    start = int(np.argmax(moved[MOST_PIECES:] - moved[:-MOST_PIECES]))
    inside = pieces[start : start + MOST_PIECES]
    before = [("...", 0.0)] if start else []
    return before + inside + ([("...", 0.0)] if start + MOST_PIECES < len(pieces) else [])


def _lines(pieces: list[tuple[str, float]]) -> list[list[tuple[str, float]]]:
    from evaluation.fonts import fonts, width

    lines: list[list[tuple[str, float]]] = [[]]
    for piece, effect in pieces:
        short = _cut(fonts().drawable(piece))
        if sum(width(other) + 1 for other, _ in lines[-1]) + width(short) > LINE:
            lines.append([])
        lines[-1].append((short, effect))
    return lines


def _cut(piece: str) -> str:
    """The beginning of a piece that fits into a line."""
    from evaluation.fonts import width

    while width(piece) > LINE - 1:
        piece = piece[: max(1, len(piece) * (LINE - 1) // width(piece) - 1)]
    return piece


def _write(axis: Any, place: float, line: list[tuple[str, float]]) -> None:
    from evaluation.fonts import MONOSPACE, fonts, width
    from evaluation.style import FIRST, SECOND

    column = 0
    family = [MONOSPACE, *fonts().names]
    for piece, effect in line:
        colour = FIRST if effect > 0 else SECOND
        axis.text(
            column, place, piece, fontsize=7.5, family=family, parse_math=False,
            bbox={
                "facecolor": colour, "alpha": 0.75 * min(1.0, abs(effect)), "pad": 0.8, "lw": 0,
            },
        )  # fmt: skip
        column += width(piece) + 1
