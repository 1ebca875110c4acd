"""Explain the answer for a text: effects of words, and the nearest training texts."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from apps.app import ModalityName
from inference.explanations import network_features
from inference.explanations.score import class_score
from inference.inputs import Note
from inference.modalities import texts
from inference.named_outputs import name_outputs
from inference.options import ExplainOptions
from inference.tasks import task_named
from inference.values import TABLE_FILE, as_list, is_table, note_of_rows
from pipelines import frames
from training.run import Run

NAME: ModalityName = "text"
MAX_OCCLUSIONS = 400  # predictions for one text; several words of a longer text are removed at once
OCCLUSIONS_PER_BATCH = 64
MAX_EXPLAINED_TEXTS = 100
MAX_EXPLAINED_CLASSES = 3  # of a text that may have several
NO_GRADIENTS = "words have no gradient: the model's inputs are numbers of words; see occlusion."
NO_FEATURES = "the model has no hidden layer whose outputs could be compared."


def explain(
    run: Run,
    inputs: list[str],
    options: ExplainOptions,  # noqa: ARG001
    note: Note,
) -> list[dict[str, Any]]:
    """Explain each text, or each text of a file."""
    column = run.manifest["reading"]["column"]
    return _explain_texts(run, [t for word in inputs for t in texts.read(word, column, note)], note)


def explain_values(
    run: Run, values: Any, options: ExplainOptions, note: Note
) -> list[dict[str, Any]]:
    """Explain a list of texts and Paths of files, or the texts of a table."""
    if is_table(values):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / TABLE_FILE
            numbers = frames.write_table(values, path).tolist()
            return explain(run, [str(path)], options, note_of_rows(note, numbers))
    found: list[str] = []
    column = run.manifest["reading"]["column"]
    for value in as_list(values, "a list of texts, or a data frame"):
        found += texts.read(str(value), column, note) if isinstance(value, Path) else [value]
    return _explain_texts(run, found, note)


def _explain_texts(run: Run, found: list[str], note: Note) -> list[dict[str, Any]]:
    if len(found) > MAX_EXPLAINED_TEXTS:
        note(f"only the first {MAX_EXPLAINED_TEXTS} of {len(found):,} texts are explained")
        found = found[:MAX_EXPLAINED_TEXTS]
    features = network_features.of(run)
    nearest = _nearest(run, found, features)
    return [
        {"input": text, **_explain_text(run, text), **neighbours}
        for text, neighbours in zip(found, nearest, strict=True)
    ]


def _explain_text(run: Run, text: str) -> dict[str, Any]:
    pieces, outputs = occluded_outputs(run.model, text)
    task = task_named(run.task)
    decided = {k: v.numpy() for k, v in task.decisions_in_graph(run)(outputs[:1]).items()}
    (prediction,) = task.rows(run, {**name_outputs(run.task, outputs[:1])} | decided)
    chosen = [int(outputs[0].argmax())]
    if "selected" in decided:
        order = np.argsort(-outputs[0], kind="stable")
        chosen = order[decided["selected"][0][order]].tolist()[:MAX_EXPLAINED_CLASSES] or chosen
    explained = []
    for number in chosen:
        score, effects = class_score(run, number), effects_on(outputs, number)
        words: list[dict[str, Any]] = [
            {"word": piece, "position": position, "occlusion": float(effect)}
            for position, (piece, effect) in enumerate(zip(pieces, effects, strict=True))
        ]
        words.sort(key=lambda one: -abs(one["occlusion"]))
        value = float(score.of(outputs[:1])[0])
        explained.append({"about": score.title, "value": value, "words": words})
    return {
        "prediction": prediction,
        "explained": explained,
        "methods": {
            "occlusion": {"replacements": "each word is left out"},
            "integrated_gradients": {"not_offered": NO_GRADIENTS},
        },
    }


def _nearest(
    run: Run, found: list[str], features: Callable[[Any], np.ndarray] | None
) -> list[dict[str, Any]]:
    """Return the nearest training texts of each text, in the last hidden layer of the network."""
    if features is None:
        return [{"nearest": [], "nearest_note": NO_FEATURES}] * len(found)
    raw = np.array([text.encode("utf-8", "replace") for text in found], dtype=object)
    nearest = network_features.nearest_examples(run, features, features(raw))
    for rows in nearest:
        for one in rows:
            one["text"] = one.pop("features").decode("utf-8", "replace")
    return [{"nearest": rows} for rows in nearest]


def word_effects(model: Any, text: str, number: int) -> tuple[list[str], np.ndarray]:
    """Split a text into pieces, and estimate how much each raises the log-odds of a class.

    The effect of a piece is the fall of the log-odds when it is removed (occlusion: Zeiler and
    Fergus, ECCV 2014; Li et al., 2016).
    """
    pieces, outputs = occluded_outputs(model, text)
    return pieces, effects_on(outputs, number)


def effects_on(outputs: np.ndarray, number: int) -> np.ndarray:
    """Return the effects of pieces on a class, of the outputs of `occluded_outputs`."""
    probabilities = np.clip(outputs[:, number].astype("float64"), 1e-9, 1 - 1e-9)
    log_odds = np.log(probabilities) - np.log1p(-probabilities)
    return log_odds[0] - log_odds[1:]


def occluded_outputs(
    model: Any, text: str, max_pieces: int = MAX_OCCLUSIONS
) -> tuple[list[str], np.ndarray]:
    """Return the pieces of a text, and the outputs for the text and for it without each piece.

    Pieces are words, characters of a text without spaces, or sequences of words of a long text.
    """
    pieces, separator = pieces_of(text, max_pieces)
    without = [separator.join(pieces[:i] + pieces[i + 1 :]) for i in range(len(pieces))]
    occluded = np.array([text.encode("utf-8", "replace") for text in [text, *without]], object)
    batches = np.split(occluded, range(OCCLUSIONS_PER_BATCH, len(occluded), OCCLUSIONS_PER_BATCH))
    outputs = [np.asarray(model(tf.constant(batch), training=False)) for batch in batches]
    return pieces, np.concatenate(outputs)


def pieces_of(text: str, max_pieces: int = MAX_OCCLUSIONS) -> tuple[list[str], str]:
    """Return the pieces of a text, and what stands between them."""
    words = text.split()
    lacks_spaces = len(words) < 3 < len(text) and not text.isascii()
    pieces, separator = (list(text.strip()), "") if lacks_spaces else (words, " ")
    width = -(-len(pieces) // max_pieces)
    joined = [separator.join(pieces[i : i + width]) for i in range(0, len(pieces), max(1, width))]
    return joined, separator
