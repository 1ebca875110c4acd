"""Texts: baselines, and pictures of the effect of words."""

from typing import Any

import numpy as np
import tensorflow as tf

from apps.app import ModalityName
from evaluation.modalities.baselines import majority
from evaluation.tasks.classification import Predictions
from pipelines.examples import Examples
from pipelines.splits import Splits
from pipelines.texts.preprocessing import MAX_WORDS, split_words
from training.run import Run

NAME: ModalityName = "text"
TEXTS_PER_BATCH = 2000  # split into words at once
NUM_SHOWN_TEXTS = 6  # in a picture
MAX_SHOWN_PIECES = 100  # words of a text in a picture
MAX_OCCLUSIONS = 400  # predictions for one text; longer texts lose several words at once
LINE_CHARACTERS = 120  # of a picture
LOGISTIC_C = 10.0  # inverse regularization, as in scikit-learn


def baselines(splits: Splits) -> dict[str, Predictions]:
    """Class frequencies, and logistic regression on TF-IDF of words and word pairs."""
    num_classes, target = len(splits.labels), splits.test.targets
    found = {
        "majority": majority(splits.train.targets, num_classes, len(target)),
        "tf-idf_logistic_regression": tf_idf(splits.train, splits.test, num_classes),
    }
    return {name: Predictions(probabilities, target) for name, probabilities in found.items()}


def tf_idf(train: Examples, test: Examples, num_classes: int) -> np.ndarray:
    """Predict probabilities [n, classes] by scikit-learn, from the words that our models read."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(
            lowercase=False, token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True,
            dtype=np.float32,
        ),
        LogisticRegression(C=LOGISTIC_C, solver="liblinear" if num_classes == 2 else "lbfgs"),
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
    """Separate the words of each text by single spaces; a text without words becomes `_`."""
    spaced: list[str] = []
    for start in range(0, len(examples), TEXTS_PER_BATCH):
        words = split_words(
            tf.constant(examples.numpy(slice(start, start + TEXTS_PER_BATCH)).features)
        )
        joined = tf.strings.reduce_join(words[:, :MAX_WORDS], axis=-1, separator=" ")
        spaced += [text.decode() or "_" for text in joined.numpy()]
    return spaced


def figures(run: Run, predictions: Predictions) -> dict[str, Any]:
    """Return the effect of words on the prediction, in the worst mistakes and in right answers."""
    rows = np.arange(len(predictions.target))
    true = predictions.probabilities[rows, predictions.target]
    right = predictions.predicted == predictions.target
    worst = np.flatnonzero(~right)
    worst = worst[np.argsort(true[worst], kind="stable")][:NUM_SHOWN_TEXTS]
    some = np.flatnonzero(right)[:NUM_SHOWN_TEXTS]
    title = f"the {len(worst)} worst of {int((~right).sum())} mistakes in {len(rows)} test texts"
    return {
        "worst.png": _word_effects(run, predictions, worst, title),
        "words.png": _word_effects(
            run, predictions, some, "the first right predictions of the test texts"
        ),
    }


def _word_effects(run: Run, predictions: Predictions, rows: np.ndarray, title: str) -> Any:
    """Draw texts with each word coloured by its effect on the predicted class."""
    from evaluation.fonts import fonts
    from evaluation.style import pyplot

    blocks = [_block(run, predictions, row) for row in rows]
    height = sum(len(lines) + 1.6 for _, lines in blocks) + 3.5
    figure = pyplot.figure(figsize=(0.065 * LINE_CHARACTERS, 0.2 * height))
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, LINE_CHARACTERS), ylim=(height, 0))
    axis.axis("off")
    legend = "blue words raise the probability of the predicted class, red words lower it"
    axis.text(0, 1.5, f"{title}\n{legend}", fontsize=9, parse_math=False)
    place = 3.5
    for heading, lines in blocks:
        axis.text(0, place, fonts().drawable(heading), weight="bold", fontsize=8, parse_math=False)
        for line in lines:
            place += 1
            _write(axis, place, line)
        place += 1.6
    return figure


def _block(
    run: Run, predictions: Predictions, row: int
) -> tuple[str, list[list[tuple[str, float]]]]:
    """Heading and lines of (piece, effect from -1 to 1) of one test text."""
    labels = run.splits.labels
    predicted, true = predictions.predicted[row], predictions.target[row]
    text = run.splits.test.numpy([row]).features[0].decode("utf-8", "replace")
    words, effects = effects_of(run.model, text, predicted)
    scale = max(float(np.abs(effects).max(initial=0.0)), 1e-6)
    heading = (
        f"predicted {labels[predicted]} ({predictions.probabilities[row, predicted]:.0%}), "
        f"is {labels[true]}"
    )
    return heading, _lines(_passage(list(zip(words, effects / scale, strict=True))))


def effects_of(model: Any, text: str, number: int) -> tuple[list[str], np.ndarray]:
    """Split a text into pieces, and estimate how much each raises the log-odds of a class.

    The effect of a piece is the fall of the log-odds when it is removed (occlusion:
    Zeiler and Fergus, ECCV 2014; Li et al., 2016). Pieces are words; characters if
    there are no spaces; sequences of words in a long text.
    """
    words = text.split()
    characters = len(words) < 3 < len(text) and not text.isascii()
    pieces, joint = (list(text.strip()), "") if characters else (words, " ")
    width = -(-len(pieces) // MAX_OCCLUSIONS)
    pieces = [joint.join(pieces[i : i + width]) for i in range(0, len(pieces), max(1, width))]
    without = [joint.join(pieces[:i] + pieces[i + 1 :]) for i in range(len(pieces))]
    texts = np.array([one.encode() for one in [text, *without]], dtype=object)
    outputs = [
        np.asarray(model(tf.constant(texts[i : i + 64]), training=False))[:, number]
        for i in range(0, len(texts), 64)
    ]
    share = np.clip(np.concatenate(outputs).astype("float64"), 1e-9, 1 - 1e-9)
    odds = np.log(share) - np.log1p(-share)
    return pieces, odds[0] - odds[1:]


def _passage(pieces: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Cut a long text to the passage with the largest effects."""
    if len(pieces) <= MAX_SHOWN_PIECES:
        return pieces
    moved = np.cumsum([0.0, *(abs(effect) for _, effect in pieces)])
    start = int(np.argmax(moved[MAX_SHOWN_PIECES:] - moved[:-MAX_SHOWN_PIECES]))
    inside = pieces[start : start + MAX_SHOWN_PIECES]
    before = [("...", 0.0)] if start else []
    return before + inside + ([("...", 0.0)] if start + MAX_SHOWN_PIECES < len(pieces) else [])


def _lines(pieces: list[tuple[str, float]]) -> list[list[tuple[str, float]]]:
    from evaluation.fonts import fonts, width

    lines: list[list[tuple[str, float]]] = [[]]
    for piece, effect in pieces:
        short = _cut(fonts().drawable(piece))
        if sum(width(other) + 1 for other, _ in lines[-1]) + width(short) > LINE_CHARACTERS:
            lines.append([])
        lines[-1].append((short, effect))
    return lines


def _cut(piece: str) -> str:
    """Cut a piece to the beginning that fits into a line, with dots in place of the rest."""
    from evaluation.fonts import width

    whole, room = piece, LINE_CHARACTERS - 1
    while width(piece) > room:
        room = LINE_CHARACTERS - 4
        piece = piece[: max(1, len(piece) * room // width(piece) - 1)]
    return piece if piece == whole else f"{piece}..."


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
