"""Texts in classes: opinions, topics, intents, from two classes to hundreds.

    athanor text train --data tfds:imdb_reviews

An LSTM that reads both ways, and beside it logistic regression on runs of words, solved
beforehand on the training texts alone; their logits are added, and the LSTM learns what
the regression does not know. `--grams 0` is the LSTM alone.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from apps.app import App, ModalityName, TaskName
from apps.fields import Address, Range, bounded
from apps.fit_data import FitData

if TYPE_CHECKING:
    from pipelines.splits import Splits

MOST_RUNS, MOST_WEIGHTS = 500_000, 2_000_000  # of the linear part
FEW = 10_000  # training texts
MANY = 1600  # steps of a run
COUNTED = 256  # texts in a batch while runs are collected


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text(App):
    """Classify texts of any length and script, such as reviews, questions or requests.

    The classes come from the data.
    """

    modality: ClassVar[ModalityName] = "text"
    default_task: ClassVar[TaskName] = "classification"
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    monitor: ClassVar[str] = "val_loss"
    default_learning_rate: ClassVar[float] = 0.006
    column_fields: ClassVar[tuple[str, ...]] = ("text", "target")
    default_batch_size: ClassVar[int] = 64
    space: ClassVar[dict[str, tuple | Range]] = {
        "learning_rate": Range(0.001, 0.03, log=True),
        "width": (32, 64, 128),
        "dropout": (0.1, 0.2, 0.4),
        "word_dropout": (0.0, 0.1, 0.2),
        "grams": (0, 2, 3),
    }

    data: Address = "embedded"
    """Address of the data: embedded, csv:PATH (or the path of the file), or tfds:NAME."""
    epochs: int = bounded(10, 1)
    """Passes over the training examples, at most."""
    batch_size: int | None = bounded(None, 1)
    """Texts in one step, over all replicas; by default 64, or 32 where there are fewer than
    10,000 training texts."""
    optimizer: str = "adam"
    """One of ours or of keras.optimizers, in lower case."""
    learning_rate: float | None = bounded(None, 1e-12)
    """Peak of the learning rate in runs of up to 1,600 steps, in longer ones it is lower; by
    default 0.006 of adam, and another optimizer's own default."""
    patience: int = bounded(3, 0)
    """Epochs without a better validation score before training stops; 0 never stops."""
    text: str = ""
    """Column of the texts; by default text, sentence, review and the like, or the longest."""
    target: str = ""
    """Column of the classes; by default label, intent, class and the like."""
    cell: Literal["lstm", "gru"] = "lstm"
    """Kind of the recurrent units."""
    width: int = bounded(64, 1, 2**16)
    """Size of the word vectors, and of the state in each direction."""
    vocabulary: int = bounded(30_000, 1, 2**24)
    """Most words known by number; others count as one unknown word."""
    length: int = bounded(240, 3, 2**16)
    """Most words that the recurrent part reads: the first third and last two thirds of these."""
    grams: int = bounded(3, 0, 8)
    """Longest run of words that the linear part counts, beside beginnings of words; 0 leaves that
    part out."""
    dropout: float = bounded(0.4, 0.0, 1.0)
    """Share of pooled units silenced at random in training, and half as many of word vectors."""
    word_dropout: float = bounded(0.1, 0.0, 1.0)
    """Share of words made unknown at random in training."""

    @classmethod
    def tiny(cls) -> "Text":
        """A narrow network and short runs on a few epochs of the embedded reviews."""
        return cls(epochs=2, width=8, vocabulary=200, grams=2)

    def load_splits(self, data_dir: Path | None = None) -> "Splits":
        """Features UTF-8 bytes of shape (), target int64 class numbers."""
        from pipelines import embedded, sources, splits
        from pipelines.texts import reading as texts

        tables = sources.tables(
            self.data, embedded=embedded.reviews, test=self.test, data_dir=data_dir
        )
        return splits.split_source(texts.source(tables, texts.Columns(self.text, self.target)))

    def make_preprocessing(self, splits: "Splits") -> Any:
        """Texts to numbers of words and of n-grams."""
        from pipelines.texts.preprocessing import TextVectorizer

        return TextVectorizer.adapted(
            splits.train,
            max_words=self.vocabulary,
            length=self.length,
            grams=self.grams,
            max_ngrams=_most_runs(splits),
        )

    def make_input_decoder(self, splits: "Splits") -> Any:  # noqa: ARG002
        """Which column of a file holds the texts to ask about."""
        from pipelines.texts.reading import Reading

        return Reading(self.text)

    def max_length(self) -> int:
        """Words of a text that the recurrent part reads."""
        return self.length

    def sequence_lengths(self, splits: "Splits") -> Any:
        """Words of each training text that the recurrent part reads, roughly."""
        import numpy as np

        from pipelines.texts.preprocessing import estimate_word_counts

        return np.minimum(estimate_word_counts(splits.train.numpy().features), self.length)

    def make_loss(self, splits: "Splits") -> Any:  # noqa: ARG002
        """Cross-entropy of logits.

        Not smoothed: that pushes rare classes up, against the regression beside.
        """
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def make_network(self, splits: "Splits") -> Any:
        """Words and n-grams [batch, any] -> logits [batch, classes]."""
        import keras

        from apps.text import layers as recurrent
        from pipelines.texts.preprocessing import frequent_ngrams

        words = keras.Input((None,), dtype="int32", name="words")
        ngrams = keras.Input((None,), dtype="int32", name="ngrams")
        logits = self._reader(words, splits)
        if self.grams:
            known = frequent_ngrams(splits.train, self.vocabulary, self.grams, _most_runs(splits))
            evidence = recurrent.Evidence(len(known), len(splits.labels), name="evidence")
            logits = keras.layers.Add(dtype="float32")([logits, evidence(ngrams)])
        return keras.Model({"words": words, "ngrams": ngrams}, logits)

    def _reader(self, words: Any, splits: "Splits") -> Any:
        import keras

        from apps.text import layers as recurrent
        from pipelines.texts.preprocessing import frequent_words

        known = len(frequent_words(splits.train, self.vocabulary)) + 2
        heard = recurrent.WordDropout(self.word_dropout)(words)
        vectors = keras.layers.Embedding(known, self.width)(heard)
        vectors = keras.layers.SpatialDropout1D(self.dropout / 2)(vectors)
        states = recurrent.BothWays(self.cell, self.width)(vectors, words)
        both = keras.layers.Concatenate()([states, vectors])
        pooled = keras.layers.Dropout(self.dropout)(recurrent.PoolWords()(both, words))
        return keras.layers.Dense(len(splits.labels), dtype="float32")(pooled)

    def peak_fraction(self, steps: int) -> float:
        """As of every app, but lower by the square root of what a run is longer than usual.

        On SST-2, whose phrases say everything ten times, the network knew its texts by
        heart within an epoch at the full rate, and added nothing to the linear part.
        """
        return super().peak_fraction(steps) * min(1.0, (MANY / steps) ** 0.5)

    def automatic_batch_size(self, count: int) -> int:
        """Texts in one step: half as many where there are few to learn from."""
        return self.default_batch_size if count >= FEW else self.default_batch_size // 2

    def fit(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Solve the linear part on the training texts, then train the recurrent one."""
        if self.grams:
            from pipelines.batches import ordered_batches

            train = fit_data.splits.train
            batches = ordered_batches(train, batch_size=COUNTED, prepare=fit_data.prepare)
            pairs = ((some["ngrams"], y) for some, y in batches)
            model.get_layer("evidence").solve(pairs, train.split_hashes() / 2.0**64)
        super().fit(model, fit_data, **options)


def _most_runs(splits: "Splits") -> int:
    """Runs of words that the linear part may know."""
    columns = 1 if len(splits.labels) == 2 else max(1, len(splits.labels))
    return min(MOST_RUNS, MOST_WEIGHTS // columns)
