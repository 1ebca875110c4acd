"""What happens at the end of every epoch besides Keras's own callbacks."""

import csv
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from apps.metrics import metric
from pipelines.examples import Batch
from pipelines.files import whole

BLOWN_UP = 100.0  # times the first loss


class StopTrainingError(Exception):
    """Raised at the end of an epoch by a callback that has seen enough; the run is kept."""


class History(keras.callbacks.Callback):
    """Write history.csv anew after every epoch: number, seconds, learning rate, scores.

    Without a path the rows are only kept.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self.path = path
        self.rows: list[dict[str, float]] = []
        self.start = 0.0

    def elapsed(self) -> float:
        """Seconds of the epoch in progress."""
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
        """Write the rows, if there are some."""
        if self.path is None or not self.rows:
            return
        with whole(self.path) as beside, beside.open("w", newline="") as file:
            table = csv.DictWriter(file, list(self.rows[0]))
            table.writeheader()
            table.writerows(self.rows)


class KeepBest(keras.callbacks.Callback):
    """Save the model whenever the monitored score is the best so far.

    The saved model is another one than the trained: it shares its weights and
    adds what lies before and behind it. A trained model may have `is_worth_keeping`,
    asked about an epoch whose score is the best.

    Args:
        saved: the model to save.
        path: where, as one .keras file; None only keeps the weights.
        monitor: a name in the epoch's logs whose metric says which direction is better.

    """

    def __init__(self, saved: keras.Model, path: Path | None, monitor: str) -> None:
        super().__init__()
        self.saved, self.path, self.monitor = saved, path, monitor
        self.sign = metric(monitor).sign
        self.epoch, self.score = 0, -np.inf
        self.weights: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save if this epoch is the best."""
        score = self.sign * (logs or {})[self.monitor]
        worth = getattr(self.model, "is_worth_keeping", None)
        if score <= self.score or (worth is not None and not worth()):
            return
        self.epoch, self.score = epoch + 1, score
        self.weights = self.saved.get_weights()
        self._save()

    def _save(self) -> None:
        if self.path is not None:
            with whole(self.path) as beside:
                self.saved.save(beside)

    def write(self) -> None:
        """Save the best epoch's model, if there is one; the weights stay as they are."""
        if not self.epoch:
            if self.path is not None:  # whatever lies there, no epoch of this training made it
                self.path.unlink(missing_ok=True)
            return
        current = self.saved.get_weights()
        self.restore()
        self._save()
        self.saved.set_weights(current)

    def restore(self) -> None:
        """Go back to the best weights."""
        self.saved.set_weights(self.weights)


class ShowPredictions(keras.callbacks.Callback):
    """Show a few validation images to TensorBoard with what the model says of them.

    Args:
        answering: the model from raw images to probabilities.
        batch: the images, uint8 [n, height, width, channels], and their classes [n].
        labels: names of the classes.
        directory: where TensorBoard looks.

    """

    def __init__(
        self, answering: keras.Model, batch: Batch, labels: tuple[str, ...], directory: Path
    ) -> None:
        super().__init__()
        self.answering, self.batch, self.labels = answering, batch, labels
        self.writer = tf.summary.create_file_writer(str(directory))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Write the images and a table of answers."""
        probabilities = self.answering(self.batch.features, training=False).numpy()
        rows = ["| | true | predicted | probability |", "|---|---|---|---|"]
        for number, (true, row) in enumerate(zip(self.batch.target, probabilities, strict=True)):
            said = row.argmax()
            mark = "" if said == true else " **wrong**"
            rows.append(
                f"| {number} | {self.labels[true]} | {self.labels[said]}{mark} | {row[said]:.3f} |"
            )
        with self.writer.as_default(step=epoch + 1):
            tf.summary.image("sample", self.batch.features, max_outputs=len(rows))
            tf.summary.text("sample", "\n".join(rows))
        self.writer.flush()


class StopWhenDiverged(keras.callbacks.Callback):
    """Refuse to go on when scores are not finite, or the loss is far above where it began.

    Attributes:
        first: the mean loss of the first call; 0 before it.

    """

    def __init__(self) -> None:
        super().__init__()
        self.first = 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Raise FloatingPointError where the loss has blown up."""
        loss = float((logs or {}).get("loss", 0.0))
        self.first = self.first or loss
        # Where a target is scaled, 1 is the loss of who knows nothing.
        if loss > BLOWN_UP * max(1.0, self.first):
            raise FloatingPointError(f"a loss of {loss:.3g}, which began at {self.first:.3g},")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Raise FloatingPointError with the names of scores that are not finite."""
        bad = [name for name, value in (logs or {}).items() if not np.isfinite(value)]
        if bad:
            raise FloatingPointError(f"{', '.join(bad)} after epoch {epoch + 1}")
