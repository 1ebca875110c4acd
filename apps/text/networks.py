"""The networks of the text app: n-grams, words, and the blend of both."""

import typing
from typing import Any

import keras
import numpy as np

from apps.text import layers
from apps.text.blending import BLEND, NGRAMS
from apps.text.ngram_layers import LogitBlend, NgramLogits
from pipelines.texts.ngram_features import max_ngrams
from pipelines.texts.ngrams import NgramKinds, frequent_ngrams
from pipelines.texts.words import are_short

if typing.TYPE_CHECKING:
    from apps.text.app import Text
    from pipelines.splits import Splits

WINDOW_WIDTHS = (2, 3, 4)  # words
# Of all dropout of a recurrent network. With the whole rate it no longer learnt the negations of
# the embedded reviews in ten epochs: validation accuracy 0.78, and 0.94 with this share.
RECURRENT_DROPOUT_SHARE = 0.6


def make_network(app: "Text", splits: "Splits", kinds: NgramKinds) -> Any:
    """Return the model from words and n-grams [batch, any] to logits [batch, classes]."""
    words = keras.Input((None,), dtype="int32", name="words")
    ngrams = keras.Input((None,), dtype="int32", name="ngrams")
    parts = {}
    if app.has_ngrams:
        parts["n-grams"] = _ngram_logits(ngrams, splits, kinds)
    if app.has_network:
        parts["network"] = network_logits(app, words, app.vocabulary_of(splits), splits)
    logits = [*parts.values()]
    if app.has_ngrams:
        logits = [LogitBlend([*parts], name=BLEND)(logits)]
    return keras.Model({"words": words, "ngrams": ngrams}, logits[0])


def _ngram_logits(ngrams: Any, splits: "Splits", kinds: NgramKinds) -> Any:
    classes = len(splits.labels)
    known = frequent_ngrams(splits.train, kinds, max_ngrams(classes)).known
    one_column = classes == 2 and not splits.is_multilabel
    layer = NgramLogits([*map(len, known)], classes, one_column=one_column, name=NGRAMS)
    return layer(ngrams)


def network_logits(app: "Text", words: Any, vocabulary: Any, splits: "Splits") -> Any:
    """Return logits [batch, classes] of word numbers [batch, any].

    The recurrent network has the parts of an AWD-LSTM that raised its scores: weight drop, one
    choice of dropped units for all words of a text, and embedding dropout.

    Args:
        app: whose fields define the network.
        words: a Keras tensor.
        vocabulary: words, and the vectors with which they start or None.
        splits: training texts and classes.

    """
    is_wide = app.model != "rnn" and are_short(splits.train)
    width = app.width * (2 if is_wide else 1)
    dropout = app.dropout * (RECURRENT_DROPOUT_SHARE if app.model == "rnn" else 1.0)
    corrupted = layers.WordDropout(app.word_dropout)(words)
    vectors = _embedding(width, vocabulary)(corrupted)
    if app.model == "rnn":
        rate, num_words = app.word_dropout / 2, len(vocabulary.words) + 2
        vectors = layers.EmbeddingDropout(rate, num_words)(vectors, words)
    vectors = keras.layers.SpatialDropout1D(dropout / 2)(vectors)
    if app.model == "rnn":
        states = layers.BidirectionalReader(app.cell, width, dropout)(vectors, words)
        both = keras.layers.Concatenate()([states, vectors])
        pooled = layers.MaskedMeanMaxPooling()(both, words)
    else:
        pooled = layers.WindowPooling(width, WINDOW_WIDTHS)(vectors, words)
    pooled = keras.layers.Dropout(dropout)(pooled)
    # Rare classes begin at their own log-odds, not at one half.
    bias = keras.initializers.Constant(_log_odds(splits) if splits.is_multilabel else 0.0)
    output = keras.layers.Dense(len(splits.labels), bias_initializer=bias, dtype="float32")
    return output(pooled)


def _embedding(width: int, vocabulary: Any) -> Any:
    """Return the layer of word vectors, with random values or those of a file."""
    num_words, vectors = len(vocabulary.words) + 2, vocabulary.vectors
    if vectors is None:
        return keras.layers.Embedding(num_words, width)
    layer = keras.layers.Embedding(num_words, vectors.shape[1])
    layer.build((None, None))
    layer.embeddings.assign(vectors)
    return layer


def _log_odds(splits: "Splits") -> np.ndarray:
    """Return the log-odds of each class among the training texts, float32 [classes]."""
    targets = splits.train.targets
    share = (targets.sum(0, dtype="float64") + 0.5) / (len(targets) + 1.0)
    return np.log(share / (1 - share)).astype("float32")
