"""Classify texts: opinions, topics, intents, with two classes to hundreds.

    athanor text train --data tfds:imdb_reviews

A linear support vector machine on n-grams and a convolutional network over words are trained
apart, and their logits added with factors that validation texts estimate. `--model` takes one of
them alone, or a recurrent network.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from apps.app import App, ModalityName, TaskName
from apps.fields import Address, FieldError, Range, bounded
from apps.fit_data import FitData, PreparedExamples
from apps.input_file import InputFile

if TYPE_CHECKING:
    from pipelines.inspection import Inspection
    from pipelines.splits import Splits

MIN_TEXTS_FOR_FULL_BATCH = 10_000  # with fewer training texts a batch has half the size
MAX_STEPS_AT_FULL_PEAK = 1600  # longer runs get a lower peak learning rate
MIN_TEXTS_FOR_FULL_RECURRENT_BATCH = 4000  # with a recurrent network
RECURRENT_RATE_FACTOR = 2.0  # of the peak learning rate of --model rnn
MAX_PREPARED_BYTES = 2**29  # of word numbers that are kept, not made in every epoch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text(App):
    """Classify texts of any length and script, such as reviews, questions or requests.

    The classes are read from the data.
    """

    modality: ClassVar[ModalityName] = "text"
    tasks: ClassVar[tuple[TaskName, ...]] = ("classification", "multilabel")
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    monitor: ClassVar[str] = "val_loss"
    baseline_fields: ClassVar[dict[str, dict[str, str]]] = {
        "nb-svm": {"model": "ngrams"},
        "tf-idf_svm": {"model": "ngrams"},
    }
    default_learning_rate: ClassVar[float] = 0.003
    max_epoch_examples: ClassVar[int | None] = 3 * 2**12
    column_fields: ClassVar[tuple[str, ...]] = ("text", "target", "group", "by_time")
    default_batch_size: ClassVar[int] = 64
    space: ClassVar[dict[str, tuple | Range]] = {
        "learning_rate": Range(0.001, 0.03, log=True),
        "width": (32, 64, 128),
        "dropout": (0.2, 0.4, 0.5),
        "word_dropout": (0.0, 0.1, 0.2),
        "grams": (1, 2, 3),
    }

    data: Address = "embedded"
    """Address of the data: embedded, the path of a table, - for standard input, or tfds:NAME."""
    epochs: int = bounded(10, 1)
    """Maximum number of passes over the training examples; of more than 12,288 each pass takes as
    many, drawn at random."""
    batch_size: int | None = bounded(None, 1)
    """Texts in one step, over all replicas; by default 64, or 32 if there are fewer than 10,000
    training texts (4,000 with --model rnn)."""
    optimizer: str = "adam"
    """An optimizer of Athanor or of keras.optimizers, in lower case."""
    learning_rate: float | None = bounded(None, 1e-12)
    """Peak learning rate; by default 0.003 for adam, otherwise the optimizer's own default; twice
    as high for --model rnn, and lower in runs of over 1,600 steps."""
    patience: int = bounded(3, 0)
    """Epochs without a better validation score before training stops; 0 never stops."""
    text: str = ""
    """Column of texts, or several (title,body) that are one text; by default text or the like."""
    target: str = ""
    """Column of classes; by default label, intent, class or a similar name."""
    multilabel: bool = False
    """Whether each cell of the target lists any number of classes: a|b, a;b, "a, b" or a list of
    JSON or Parquet."""
    group: str = ""
    """Column of groups, such as customers: all texts of one are in one split."""
    by_time: str = ""
    """Column of times: validation and test are the newest texts."""
    balance: bool = False
    """Give all classes the same total weight in training; scores count the texts as they are."""
    model: Literal["auto", "blend", "ngrams", "cnn", "rnn"] = "blend"
    """auto is blend: ngrams and cnn, weighted on validation texts; ngrams: a linear support vector
    machine on n-grams, fitted in seconds; cnn: a convolutional network; rnn: a recurrent one."""
    cell: Literal["lstm", "gru"] = "lstm"
    """Type of the recurrent units of --model rnn."""
    width: int = bounded(64, 1, 2**16)
    """Size of word vectors without --vectors, and number of filters of each width of a window, or
    the size of the recurrent state in each direction; a convolutional network for short texts has
    twice as many."""
    vocabulary: int = bounded(30_000, 1, 2**24)
    """Maximum number of words in the vocabulary; all others count as one unknown word."""
    vectors: str = ""
    """File of word vectors with which a network starts, in the text form of GloVe, .gz or not."""
    length: int = bounded(400, 3, 2**16)
    """Maximum number of words of a text that a network reads: the first third and the last two
    thirds of it."""
    grams: int = bounded(3, 1, 8)
    """Longest n-gram of words in the linear model; it has n-grams of characters too if texts are
    short."""
    dropout: float = bounded(0.5, 0.0, 1.0)
    """Fraction of pooled units dropped at random in training; half as many of word vectors. With
    --model rnn 0.6 times as many, and as many recurrent weights of an LSTM."""
    word_dropout: float = bounded(0.2, 0.0, 1.0)
    """Fraction of words replaced by the unknown word at random in training; in a recurrent network
    half as many words of the vocabulary have no vector in a step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model == "auto":
            object.__setattr__(self, "model", type(self).model)  # the run stores what was chosen
        if self.vectors and not self.has_network:
            raise FieldError(
                f"Received --vectors {self.vectors!r} with --model {self.model}, which has no word "
                "vectors; expected blend, cnn or rnn. Leave one of them out."
            )

    def require_data(self) -> None:
        """Require the file of word vectors too."""
        super().require_data()
        if self.vectors:
            from pipelines.texts.vectors import require_file

            require_file(self.vectors)

    def input_files(self, splits: "Splits") -> dict[str, InputFile]:
        """Return the file of word vectors, if there is one."""
        if not self.vectors:
            return {}
        vocabulary = self.vocabulary_of(splits)
        return {"vectors": InputFile(self.vectors, vocabulary.digest, vocabulary.describe())}

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
        from pipelines.tables.column_store import release_memory
        from pipelines.texts import reading as texts

        split_columns = SplitColumns(self.group, self.by_time)
        tables = sources.tables(
            self.data, embedded.reviews, test=self.test, data_dir=data_dir, inspection=inspection
        )
        columns = texts.Columns(self.text, self.target, self.multilabel)
        loaded = splits.split_source(texts.source(tables, columns, inspection, split_columns))
        release_memory()
        return balance_classes(loaded) if self.balance else loaded

    def make_preprocessing(self, splits: "Splits") -> Any:
        """Return the layer from texts to numbers of words and of n-grams."""
        from pipelines.texts.ngram_features import max_ngrams
        from pipelines.texts.preprocessing import TextVectorizer

        return TextVectorizer.adapted(
            splits.train,
            vocabulary=self.vocabulary_of(splits).words,
            length=self.length,
            kinds=self._kinds(splits) if self.has_ngrams else None,
            max_ngrams=max_ngrams(len(splits.labels)),
        )

    def vocabulary_of(self, splits: "Splits") -> Any:
        """Return the words that a network knows, with their vectors if a file has some."""
        from pipelines.texts.vocabulary import Vocabulary

        max_words = self.vocabulary if self.has_network else 1
        return Vocabulary.of(splits.train, max_words, self.vectors)

    @property
    def has_ngrams(self) -> bool:
        """Whether the model has the linear part."""
        return self.model in ("blend", "ngrams")

    @property
    def has_network(self) -> bool:
        """Whether the model has a network that is trained by epochs."""
        return self.model != "ngrams"

    def prepare_once(self, splits: "Splits", preprocessing: Any) -> PreparedExamples | None:
        """Split texts into words once, if the epochs take as many texts, and if words fit.

        The n-grams have no part in the training of a network, and are left out.
        """
        from pipelines.texts.preprocessing import WORD_BYTES, decode_words

        if not self.has_network:
            return None
        train, valid, lengths = splits.train, splits.valid, self.sequence_lengths(splits)
        takes_all = self.epochs * (self.max_epoch_examples or 0) >= len(train)
        if not takes_all or WORD_BYTES * lengths.sum() > MAX_PREPARED_BYTES:
            return PreparedExamples(preprocessing.without_ngrams, train, valid, lengths)
        train, valid = map(preprocessing.stored_words, (train, valid))
        # Batches by the estimated lengths have 9 to 40 % more padding.
        lengths = train.features.sizes.astype("int64") // WORD_BYTES
        return PreparedExamples(decode_words, train, valid, lengths)

    def make_input_decoder(self, splits: "Splits") -> Any:
        """Return the reader of a file, which knows the column of texts."""
        return splits.reading

    def max_length(self) -> int:
        """Maximum number of words that the recurrent part reads of a text."""
        return self.length

    def sequence_lengths(self, splits: "Splits") -> Any:
        """Return about how many words of each training text the network reads; None without one."""
        import numpy as np

        from pipelines.texts.words import estimate_word_counts

        if not self.has_network:
            return None
        return np.minimum(estimate_word_counts(splits.train), self.length)

    def metric_names(self) -> tuple[str, ...]:
        """Return micro F1 for several classes a text."""
        return ("micro_f1",) if self.multilabel else super().metric_names()

    def make_loss(self, splits: "Splits") -> Any:
        """Cross-entropy of logits, without label smoothing, which would raise rare classes."""
        import keras

        if splits.is_multilabel:
            return keras.losses.BinaryCrossentropy(from_logits=True)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def make_network(self, splits: "Splits") -> Any:
        """Words and n-grams [batch, any] -> logits [batch, classes]."""
        from apps.text.networks import make_network

        return make_network(self, splits, self._kinds(splits))

    def _kinds(self, splits: "Splits") -> Any:
        from pipelines.texts.ngrams import NgramKinds

        return NgramKinds.of(splits.train, self.grams, len(splits.labels))

    def peak_fraction(self, steps: int) -> float:
        """Return the factor of every app, divided by the square root of the steps in long runs.

        On SST-2, whose phrases repeat each text about ten times, the network overfitted within
        an epoch at the full rate, and did not improve on the linear part. The recurrent network,
        which has more dropout, learnt CLINC150 too slowly: 89.9 % after ten epochs, 93.1 % at
        twice the rate.
        """
        own = RECURRENT_RATE_FACTOR if self.model == "rnn" else 1.0
        return (
            own * super().peak_fraction(steps) * min(1.0, (MAX_STEPS_AT_FULL_PEAK / steps) ** 0.5)
        )

    def automatic_batch_size(self, count: int) -> int:
        """Half the default if there are few training texts."""
        is_recurrent = self.model == "rnn"
        full = MIN_TEXTS_FOR_FULL_RECURRENT_BATCH if is_recurrent else MIN_TEXTS_FOR_FULL_BATCH
        return self.default_batch_size // (1 if count >= full else 2)

    def is_fitted_at_once(self, splits: "Splits") -> bool:  # noqa: ARG002
        """Return whether the model is the linear one alone."""
        return not self.has_network

    def seconds_after_epochs(self, building: float) -> float:
        """Return the time to fit the linear part, which takes about as long as its n-grams."""
        return building if self.has_ngrams else 0.0

    def searchable_fields(self, splits: "Splits") -> set[str]:
        """Return the fields of `space` that have an effect on this model."""
        fields = super().searchable_fields(splits)
        fields -= set() if self.has_ngrams else {"grams"}
        return fields if self.has_network else {"grams"}

    def automatic_values(self, splits: "Splits", batch_size: int, steps: int) -> dict[str, Any]:
        """Return no values of steps for the linear model alone, which has none."""
        return super().automatic_values(splits, batch_size, steps) if self.has_network else {}

    def fit(self, model: Any, fit_data: FitData, **options: Any) -> None:
        """Train the network; then fit the linear part, and weigh both."""
        done = fit_data.position.epoch
        if self.has_network:
            super().fit(model, fit_data, **options)
            done = max([done, *(epoch + 1 for epoch in model.history.epoch)])
        if self.has_ngrams:
            from apps.text import blending

            if self.has_network:
                fit_data.restore_best()
            blending.fit(model, fit_data, epoch=done, **options)
