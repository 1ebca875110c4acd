"""Fit a linear model on n-grams beside a network, and weigh both by validation examples."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy import sparse

from apps.calibration import best_factors, cross_entropies
from apps.fit_data import FitData, HeldOut, TrainingPosition
from apps.metrics import VALIDATION
from apps.solving import solve
from apps.text import ngram_weights
from apps.text.ngram_weights import LinearModel
from pipelines.batches import ordered_batches
from pipelines.examples import Examples
from pipelines.texts.ngram_features import max_ngrams
from pipelines.texts.ngrams import (
    MAX_VALIDATION_OCCURRENCES,
    frequent_ngrams,
    ngrams_of,
    sample_by_ngrams,
)

NGRAMS, BLEND = "ngram_logits", "blend"  # names of layers
BATCH_SIZE = 256
MAX_VALIDATION_EXAMPLES = 50_000  # that weigh the parts
FIRST_PENALTY = 1.0  # the value of C of data that take long
SMALLER_PENALTIES, LARGER_PENALTY = (0.3, 0.1), 3.0  # tried in turn; the larger if 0.3 is worse
MAX_PRODUCTS = 50_000_000  # of n-grams in texts and classes, so that several C are tried
NUM_SAMPLED_EXAMPLES = 1000  # training examples whose scores the history shows


def fit(model: Any, fit_data: FitData, *, epoch: int, **options: Any) -> None:
    """Fit the linear part and weigh the parts, in one more epoch; the network is trained already.

    No checkpoint is written after it, so that training can continue with more epochs.

    Args:
        model: compiled network with layers `NGRAMS` and `BLEND`.
        fit_data: of the run.
        epoch: epochs done.
        options: as in keras.Model.fit.

    """
    solve(
        model,
        fit_data._replace(position=TrainingPosition(epoch=epoch)),
        _weigh(model, fit_data),
        epochs=range(epoch, epoch + 1),
        checkpoints=False,
        **options,
    )


def _weigh(model: Any, fit_data: FitData) -> Iterator[dict[str, float]]:
    """Fit the linear part to training texts, weigh by validation texts, and fit it to both.

    Yields the scores on some training texts, and on validation before the last fit.
    """
    blend, splits = model.get_layer(BLEND), fit_data.splits
    refit = _fit_ngrams(model, fit_data)
    inputs = blend.input if isinstance(blend.input, list) else [blend.input]
    parts = keras.Model(model.input, keras.ops.stack(inputs, 1))
    valid = splits.valid.sample(MAX_VALIDATION_EXAMPLES)
    logits = _outputs(parts, fit_data, valid)
    factors, loss = _factors_and_loss(logits, valid)
    places = range(len(inputs))
    alone, losses = zip(*(_factors_and_loss(logits[:, [k]], valid) for k in places), strict=True)
    # Of two parts, the other one is all the rest.
    gains = [1 - loss / rest for rest in reversed(losses)]
    blend.assign(factors, np.concatenate(alone), losses, gains)
    sample = splits.train.sample(NUM_SAMPLED_EXAMPLES)
    scores = _scores(_outputs(model, fit_data, sample), sample)
    blended = _outputs(model, fit_data, valid)
    validation_scores = _scores(blended, valid)
    fit_data.keep_held_out(HeldOut(valid, blended))
    refit()
    yield scores | {f"{VALIDATION}{name}": value for name, value in validation_scores.items()}


def _fit_ngrams(model: Any, fit_data: FitData) -> Callable[[], None]:
    """Fit the linear part to training texts, with the penalty that is best on validation texts.

    Returns the function that fits it again, to both, with the n-grams of training.
    """
    layer, splits = model.get_layer(NGRAMS), fit_data.splits
    kinds, sizes, num_classes = fit_data.prepare.kinds, layer.num_ngrams, layer.num_classes
    corpus = frequent_ngrams(splits.train, kinds, max_ngrams(num_classes))
    valid_texts = sample_by_ngrams(splits.valid, kinds, MAX_VALIDATION_OCCURRENCES)
    valid = ngrams_of(valid_texts, kinds, corpus.known)
    texts, both = corpus.texts, (corpus.texts, valid_texts)

    def loss_and_model(c: float) -> tuple[float, LinearModel]:
        weights = texts.relative_weights
        fitted = ngram_weights.fit(corpus.present, texts.targets, num_classes, sizes, weights, c)
        scores = fitted.scores(valid, sizes)
        logits = np.concatenate([-scores, scores], 1) if layer.one_column else scores
        return _factors_and_loss(logits[:, np.newaxis], valid_texts)[1], fitted

    is_cheap = corpus.present.nnz * layer.table.shape[1] <= MAX_PRODUCTS
    found = {FIRST_PENALTY: loss_and_model(FIRST_PENALTY)}
    if is_cheap:
        found |= _other_penalties(found[FIRST_PENALTY][0], loss_and_model)
    best = min(found, key=lambda c: found[c][0])
    layer.assign(found[best][1])

    def refit() -> None:
        present = sparse.vstack([corpus.present, valid], format="csr")
        targets = np.concatenate([part.targets for part in both])
        weights = None
        if valid_texts.weights is not None:
            weights = np.concatenate([part.weights for part in both])
            weights /= weights.mean()
        layer.assign(ngram_weights.fit(present, targets, num_classes, sizes, weights, best))

    return refit


def _other_penalties(
    first_loss: float, fit: Callable[[float], tuple[float, LinearModel]]
) -> dict[float, tuple[float, LinearModel]]:
    """Fit with two more values of C; the loss is taken to have one minimum."""
    small, smaller = SMALLER_PENALTIES
    found = {small: fit(small)}
    third = smaller if found[small][0] < first_loss else LARGER_PENALTY
    return found | {third: fit(third)}


def _factors_and_loss(logits: np.ndarray, examples: Examples) -> tuple[np.ndarray, float]:
    """Return the best factors of parts, and the loss of their sum."""
    factors = best_factors(logits, examples.targets, examples.relative_weights)
    return factors, _scores(np.einsum("npc,p->nc", logits, factors), examples)["loss"]


def _scores(logits: np.ndarray, examples: Examples) -> dict[str, float]:
    """Return the metric of training, and the loss, of logits [texts, classes]."""
    targets, weights = examples.targets, examples.weights
    if several := targets.ndim > 1:
        right = np.sum((logits > 0) * targets)
        metric = {"micro_f1": float(2 * right / max(1, np.sum(logits > 0) + targets.sum()))}
    else:
        right = logits.argmax(1) == targets
        metric = {"accuracy": float(np.average(right, weights=weights))}
        targets = np.eye(logits.shape[1])[targets]
    losses, _ = cross_entropies(logits, targets, several=several)
    return metric | {"loss": float(np.average(losses, weights=weights))}


def _outputs(model: Any, fit_data: FitData, examples: Examples) -> np.ndarray:
    """Return the outputs of a model for raw texts, float64."""

    def predict(texts: Any) -> Any:
        return model(fit_data.prepare(texts), training=False)

    if len(examples) > BATCH_SIZE:  # tracing takes as long as some batches
        signature = [tf.TensorSpec([None], tf.string)]
        predict = tf.function(predict, input_signature=signature, autograph=False)
    batches = ordered_batches(examples, batch_size=BATCH_SIZE)
    return np.concatenate([predict(texts).numpy() for texts, _ in batches]).astype("float64")
