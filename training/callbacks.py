"""Callbacks of every training, in addition to those of Keras."""

import csv
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from apps.metrics import metric
from pipelines.examples import Batch
from pipelines.files import atomic_write

MAX_LOSS_RATIO = 100.0  # of the current loss to the first


class StopTrainingError(Exception):
    """Raised by a callback at the end of an epoch to stop training and keep the run."""


class History(keras.callbacks.Callback):
    """Write history.csv after every epoch: number, seconds, learning rate, scores.

    Without a path it only collects the rows.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict[str, float]] = []
        self.start = 0.0

    def elapsed(self) -> float:
        """Return the seconds of the epoch in progress."""
        return time.perf_counter() - self.start

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Start the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Add a row."""
        seconds = round(self.elapsed(), 3)
        rate = float(self.model.optimizer.learning_rate)
        scores = {name: float(value) for name, value in (logs or {}).items()}
        self.rows.append({"epoch": epoch + 1, "seconds": seconds, **scores, "learning_rate": rate})
        self.write()

    def write(self) -> None:
        """Write the file if there are rows."""
        if self.path is None or not self.rows:
            return
        with atomic_write(self.path) as temporary, temporary.open("w", newline="") as file:
            table = csv.DictWriter(file, list(self.rows[0]))
            table.writeheader()
            table.writerows(self.rows)


class KeepBest(keras.callbacks.Callback):
    """Save the model whenever the monitored score is the best so far.

    The saved model shares its weights with the trained one and adds preprocessing and output
    layer. If the trained model has a method `is_worth_keeping`, it must also return True. A fit
    that knows better than the score has the parameter `keep`: its epochs are the best so far.

    Args:
        saved: Model to save.
        path: Path of the .keras file; None only keeps the weights in memory.
        monitor: Name in the epoch's logs; its metric knows which direction is better.

    """

    def __init__(self, saved: keras.Model, path: Path | None, monitor: str) -> None:
        super().__init__()
        self.saved, self.path, self.monitor = saved, path, monitor
        self.sign = metric(monitor).sign
        self.epoch, self.score = 0, -np.inf
        self.weights: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save the model if this epoch is the best."""
        score = self.sign * (logs or {})[self.monitor]
        worth = getattr(self.model, "is_worth_keeping", None)
        better = score > self.score and (worth is None or worth())
        if not better and not (self.params or {}).get("keep"):
            return
        self.epoch, self.score = epoch + 1, score
        self.weights = self.saved.get_weights()
        self.save()

    def save(self) -> None:
        """Save the model with its current weights."""
        if self.path is not None:
            with atomic_write(self.path) as temporary:
                self.saved.save(temporary)

    def write(self) -> None:
        """Save the model with the best weights; the current weights stay in the model."""
        if not self.epoch:
            if self.path is not None:  # the file is of an earlier training
                self.path.unlink(missing_ok=True)
            return
        current = self.saved.get_weights()
        self.restore()
        self.save()
        self.saved.set_weights(current)

    def restore(self) -> None:
        """Put the best weights into the model."""
        self.saved.set_weights(self.weights)


class ShowPredictions(keras.callbacks.Callback):
    """Write a few validation images and their predictions to TensorBoard.

    Args:
        full_model: Model from raw images to probabilities.
        batch: Images, uint8 [n, height, width, channels], and their classes [n].
        labels: Names of the classes.
        directory: Log directory of TensorBoard.

    """

    def __init__(
        self, full_model: keras.Model, batch: Batch, labels: tuple[str, ...], directory: Path
    ) -> None:
        super().__init__()
        self.full_model, self.batch, self.labels = full_model, batch, labels
        self.writer = tf.summary.create_file_writer(str(directory))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Write the images and a table of predictions."""
        probabilities = self.full_model(self.batch.features, training=False).numpy()
        rows = ["| | true | predicted | probability |", "|---|---|---|---|"]
        for number, (true, row) in enumerate(zip(self.batch.target, probabilities, strict=True)):
            predicted = row.argmax()
            note = "" if predicted == true else " **wrong**"
            rows.append(
                f"| {number} | {self.labels[true]} | {self.labels[predicted]}{note} | "
                f"{row[predicted]:.3f} |"
            )
        with self.writer.as_default(step=epoch + 1):
            tf.summary.image("sample", self.batch.features, max_outputs=len(rows))
            tf.summary.text("sample", "\n".join(rows))
        self.writer.flush()


class StopWhenDiverged(keras.callbacks.Callback):
    """Stop training if a score is not finite or the loss grows far above its first value.

    Attributes:
        first: Mean loss of the first call of the train function; 0 before it.

    """

    def __init__(self) -> None:
        super().__init__()
        self.first = 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Raise FloatingPointError if the loss has exploded."""
        loss = float((logs or {}).get("loss", 0.0))
        self.first = self.first or loss
        # With a scaled target, 1 is the loss of a constant prediction.
        if loss > MAX_LOSS_RATIO * max(1.0, self.first):
            raise FloatingPointError(
                f"a loss of {loss:.3g}, after a first one of {self.first:.3g},"
            )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Raise FloatingPointError with the names of scores that are not finite."""
        not_finite = [name for name, value in (logs or {}).items() if not np.isfinite(value)]
        if not_finite:
            raise FloatingPointError(f"{', '.join(not_finite)} after epoch {epoch + 1}")
