"""Classify texts: opinions, topics, intents, with two classes to hundreds.

    athanor text train --data tfds:imdb_reviews

A bidirectional LSTM adds its logits to those of logistic regression on n-grams. The regression
is solved first, on training texts alone, and the LSTM learns to correct it. `--grams 0` is the
LSTM alone.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from apps.app import App, ModalityName, TaskName
from apps.fields import Address, Range, bounded
from apps.fit_data import FitData

if TYPE_CHECKING:
    from pipelines.inspection import Inspection
    from pipelines.splits import Splits

MAX_NGRAMS, MAX_LINEAR_WEIGHTS = 500_000, 2_000_000  # of the linear part
MIN_TEXTS_FOR_FULL_BATCH = 10_000  # with fewer training texts a batch has half the size
MAX_STEPS_AT_FULL_PEAK = 1600  # longer runs get a lower peak learning rate
NGRAM_LOGITS = "ngram_logits"  # name of the layer of the linear part
SOLVER_BATCH_SIZE = 256  # texts that are preprocessed at once for the linear part


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text(App):
    """Classify texts of any length and script, such as reviews, questions or requests.

    The classes are read from the data.
    """

    modality: ClassVar[ModalityName] = "text"
    tasks: ClassVar[tuple[TaskName, ...]] = ("classification", "multilabel")
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    monitor: ClassVar[str] = "val_loss"
    default_learning_rate: ClassVar[float] = 0.006
    column_fields: ClassVar[tuple[str, ...]] = ("text", "target", "group", "by_time")
    default_batch_size: ClassVar[int] = 64
    space: ClassVar[dict[str, tuple | Range]] = {
        "learning_rate": Range(0.001, 0.03, log=True),
        "width": (32, 64, 128),
        "dropout": (0.1, 0.2, 0.4),
        "word_dropout": (0.0, 0.1, 0.2),
        "grams": (0, 2, 3),
    }

    data: Address = "embedded"
    """Address of the data: embedded, the path of a table, - for standard input, or tfds:NAME."""
    epochs: int = bounded(10, 1)
    """Maximum number of passes over the training examples."""
    batch_size: int | None = bounded(None, 1)
    """Texts in one step, over all replicas; by default 64, or 32 if there are fewer than 10,000
    training texts."""
    optimizer: str = "adam"
    """An optimizer of Athanor or of keras.optimizers, in lower case."""
    learning_rate: float | None = bounded(None, 1e-12)
    """Peak learning rate; by default 0.006 for adam, otherwise the optimizer's own default, and
    lower in runs of over 1,600 steps."""
    patience: int = bounded(3, 0)
    """Epochs without a better validation score before training stops; 0 never stops."""
    text: str = ""
    """Column of texts; by default text, sentence, review or a similar name, or the longest."""
    target: str = ""
    """Column of classes; by default label, intent, class or a similar name."""
    multilabel: bool = False
    """Whether each cell of the target lists any number of classes: a|b, a;b, "a, b" or a list of
    JSON or Parquet. The linear part is left out."""
    group: str = ""
    """Column of groups, such as customers: all texts of one are in one split."""
    by_time: str = ""
    """Column of times: validation and test are the newest texts."""
    balance: bool = False
    """Give all classes the same total weight in training; scores count the texts as they are."""
    cell: Literal["lstm", "gru"] = "lstm"
    """Type of the recurrent units."""
    width: int = bounded(64, 1, 2**16)
    """Size of word vectors, and of the recurrent state in each direction."""
    vocabulary: int = bounded(30_000, 1, 2**24)
    """Maximum number of words in the vocabulary; all others count as one unknown word."""
    length: int = bounded(240, 3, 2**16)
    """Maximum number of words of a text that the recurrent part reads: the first third and the last
    two thirds of it."""
    grams: int = bounded(3, 0, 8)
    """Longest n-gram of words in the linear part, which also has prefixes of words; 0 leaves the
    linear part out."""
    dropout: float = bounded(0.4, 0.0, 1.0)
    """Fraction of pooled units dropped at random in training; half as many of word vectors."""
    word_dropout: float = bounded(0.1, 0.0, 1.0)
    """Fraction of words replaced by the unknown word at random in training."""

    @classmethod
    def tiny(cls) -> "Text":
        """Return a narrow network with bigrams, two epochs of the embedded reviews."""
        return cls(epochs=2, width=8, vocabulary=200, grams=2)

    def load_splits(
        self, data_dir: Path | None = None, inspection: "Inspection | None" = None
    ) -> "Splits":
        """Features UTF-8 bytes of shape (), target int64 class numbers, or 0 and 1 per class."""
        from pipelines import embedded, sources, splits
        from pipelines.class_balance import balance_classes
        from pipelines.split_columns import SplitColumns
        from pipelines.texts import reading as texts

        split_columns = SplitColumns(self.group, self.by_time)
        tables = sources.tables(
            self.data, embedded.reviews, test=self.test, data_dir=data_dir, inspection=inspection
        )
        columns = texts.Columns(self.text, self.target, self.multilabel)
        loaded = splits.split_source(texts.source(tables, columns, inspection, split_columns))
        return balance_classes(loaded) if self.balance else loaded

    def make_preprocessing(self, splits: "Splits") -> Any:
        """Return the layer from texts to numbers of words and of n-grams."""
        from pipelines.texts.preprocessing import TextVectorizer

        return TextVectorizer.adapted(
            splits.train,
            max_words=self.vocabulary,
            length=self.length,
            grams=self._grams(splits),
            max_ngrams=_max_ngrams(splits),
        )

    def make_input_decoder(self, splits: "Splits") -> Any:
        """Return the reader of a file, which knows the column of texts."""
        return splits.reading

    def max_length(self) -> int:
        """Maximum number of words that the recurrent part reads of a text."""
        return self.length

    def sequence_lengths(self, splits: "Splits") -> Any:
        """Return about how many words of each training text the recurrent part reads."""
        import numpy as np

        from pipelines.texts.preprocessing import estimate_word_counts

        return np.minimum(estimate_word_counts(splits.train.numpy().features), self.length)

    def metric_names(self) -> tuple[str, ...]:
        """Return micro F1 for several classes a text."""
        return ("micro_f1",) if self.multilabel else super().metric_names()

    def searchable_fields(self, splits: "Splits") -> set[str]:
        """Leave out the n-grams if there is no linear part."""
        return super().searchable_fields(splits) - ({"grams"} if splits.is_multilabel else set())

    def _grams(self, splits: "Splits") -> int:
        """Words of the longest n-gram; 0 without a linear part."""
        return 0 if splits.is_multilabel else self.grams

    def make_loss(self, splits: "Splits") -> Any:
        """Cross-entropy of logits, without label smoothing, which would raise rare classes."""
        import keras

        if splits.is_multilabel:
            return keras.losses.BinaryCrossentropy(from_logits=True)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def make_network(self, splits: "Splits") -> Any:
        """Words and n-grams [batch, any] -> logits [batch, classes]."""
        import keras

        from apps.text.layers import NgramLogits
        from pipelines.texts.preprocessing import frequent_ngrams

        words = keras.Input((None,), dtype="int32", name="words")
        ngrams = keras.Input((None,), dtype="int32", name="ngrams")
        logits = self._recurrent_logits(words, splits)
        if self._grams(splits):
            limit = _max_ngrams(splits)
            known = frequent_ngrams(splits.train, self.vocabulary, self.grams, limit)
            linear = NgramLogits(len(known), len(splits.labels), name=NGRAM_LOGITS)
            logits = keras.layers.Add(dtype="float32")([logits, linear(ngrams)])
        return keras.Model({"words": words, "ngrams": ngrams}, logits)

    def _recurrent_logits(self, words: Any, splits: "Splits") -> Any:
        import keras

        from apps.text import layers
        from pipelines.texts.preprocessing import frequent_words

        num_words = len(frequent_words(splits.train, self.vocabulary)) + 2
        corrupted = layers.WordDropout(self.word_dropout)(words)
        vectors = keras.layers.Embedding(num_words, self.width)(corrupted)
        vectors = keras.layers.SpatialDropout1D(self.dropout / 2)(vectors)
        states = layers.BidirectionalReader(self.cell, self.width)(vectors, words)
        both = keras.layers.Concatenate()([states, vectors])
        pooled = keras.layers.Dropout(self.dropout)(layers.MaskedMeanMaxPooling()(both, words))
        # Rare classes begin at their own log-odds, not at one half.
        bias = keras.initializers.Constant(_log_odds(splits) if splits.is_multilabel else 0.0)
        output = keras.layers.Dense(len(splits.labels), bias_initializer=bias, dtype="float32")
        return output(pooled)

    def peak_fraction(self, steps: int) -> float:
        """Return the factor of every app, divided by the square root of the steps in long runs.

        On SST-2, whose phrases repeat each text about ten times, the network overfitted within
        an epoch at the full rate, and did not improve on the linear part.
        """
        return super().peak_fraction(steps) * min(1.0, (MAX_STEPS_AT_FULL_PEAK / steps) ** 0.5)

    def automatic_batch_size(self, count: int) -> int:
        """Half the default if there are few training texts."""
        enough = count >= MIN_TEXTS_FOR_FULL_BATCH
        return self.default_batch_size if enough else self.default_batch_size // 2

    def fit(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Solve the linear part on the training texts, then train the recurrent one."""
        if self._grams(fit_data.splits):
            from pipelines.batches import ordered_batches

            train = fit_data.splits.train
            batches = ordered_batches(train, batch_size=SOLVER_BATCH_SIZE, prepare=fit_data.prepare)
            pairs = ((features["ngrams"], target) for features, target in batches)
            model.get_layer(NGRAM_LOGITS).solve(pairs, train.split_hashes() / 2.0**64)
        super().fit(model, fit_data, **options)


def _log_odds(splits: "Splits") -> Any:
    """Return the log-odds of each class among the training texts, float32 [classes]."""
    import numpy as np

    targets = splits.train.targets
    share = (targets.sum(0, dtype="float64") + 0.5) / (len(targets) + 1.0)
    return np.log(share / (1 - share)).astype("float32")


def _max_ngrams(splits: "Splits") -> int:
    """Return the maximum number of n-grams of the linear part: fewer for many classes."""
    columns = 1 if len(splits.labels) == 2 else max(1, len(splits.labels))
    return min(MAX_NGRAMS, MAX_LINEAR_WEIGHTS // columns)
