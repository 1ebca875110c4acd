"""The networks over words: convolutional or recurrent."""

import typing
from typing import Any

import keras
import numpy as np

from apps.text import layers
from pipelines.texts.words import are_short

if typing.TYPE_CHECKING:
    from apps.text.app import Text
    from pipelines.splits import Splits

WINDOW_WIDTHS = (2, 3, 4)  # words


def network_logits(app: "Text", words: Any, vocabulary: Any, splits: "Splits") -> Any:
    """Return logits [batch, classes] of word numbers [batch, any].

    Args:
        app: whose fields define the network.
        words: a Keras tensor.
        vocabulary: words, and the vectors with which they start or None.
        splits: training texts and classes.

    """
    is_wide = app.model != "rnn" and are_short(splits.train)
    width = app.width * (2 if is_wide else 1)
    corrupted = layers.WordDropout(app.word_dropout)(words)
    vectors = _embedding(width, vocabulary)(corrupted)
    vectors = keras.layers.SpatialDropout1D(app.dropout / 2)(vectors)
    if app.model == "rnn":
        states = layers.BidirectionalReader(app.cell, width)(vectors, words)
        both = keras.layers.Concatenate()([states, vectors])
        pooled = layers.MaskedMeanMaxPooling()(both, words)
    else:
        pooled = layers.WindowPooling(width, WINDOW_WIDTHS)(vectors, words)
    pooled = keras.layers.Dropout(app.dropout)(pooled)
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
