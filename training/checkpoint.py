"""Where training stands after every epoch, in one file, and how it goes on from there."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

import optimizers
from apps.app import App, Position
from pipelines.files import whole
from pipelines.splits import Splits
from training.callbacks import History, KeepBest
from training.run import CHECKPOINT, RunError, unfinished

# What callbacks remember from one epoch to the next.
REMEMBERED: dict[type, tuple[str, ...]] = {
    History: ("rows",),
    KeepBest: ("epoch", "score"),
    keras.callbacks.EarlyStopping: ("wait", "best", "best_epoch", "stopped_epoch"),
    optimizers.AveragedWeights: ("_averaged",),
}


class Found(NamedTuple):
    """What a checkpoint holds.

    Attributes:
        position: the epochs that are done.
        known: what the training is known by.
        remembered: attributes of each kind of callback, by its name.
        state: every variable of the model and its optimizer, in their order.
        best: the weights of the best epoch so far.

    """

    position: Position
    known: dict[str, Any]
    remembered: dict[str, dict[str, Any]]
    state: list[np.ndarray]
    best: list[np.ndarray]

    @property
    def seconds(self) -> float:
        """That the epochs took which are done."""
        return sum(row["seconds"] for row in self.remembered["History"]["rows"])


class Checkpoint(keras.callbacks.Callback):
    """Write the checkpoint at the end of every epoch, and restore one at the beginning.

    It stands last among the callbacks: what it keeps is what the others have made
    of the epoch. A fit that only replays its epochs (apps.solving) needs no state.

    Args:
        path: of the run directory; None where another worker writes.
        known: what the training is known by; see `known_by`.
        callbacks: those that stand before it.
        found: what to go on from; None to begin.

    """

    def __init__(
        self,
        path: Path | None,
        known: dict[str, Any],
        callbacks: Sequence[Any],
        found: Found | None,
    ) -> None:
        super().__init__()
        self.path, self.known, self.callbacks, self.found = path, known, callbacks, found
        self.stage = found.position.stage - 1 if found else 0
        self.first: int | None = None
        (self.best,) = (one for one in callbacks if isinstance(one, KeepBest))

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: ARG002
        """Restore, or note that another stage of training begins."""
        self.stage += 1
        self.first = None
        if self.found is None:
            return
        found, self.found = self.found, None
        self.first = found.position.first
        if not self.params.get("replays"):
            if not self.model.optimizer.built:
                self.model.optimizer.build(self.model.trainable_variables)
            for variable, value in zip(_variables(self.model), found.state, strict=True):
                variable.assign(value)
        for callback in self.callbacks:
            for name, value in found.remembered.get(type(callback).__name__, {}).items():
                setattr(callback, name, value)
        self.best.weights = found.best

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """The first epoch of a stage is known when it comes."""
        self.first = epoch if self.first is None else self.first

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: ARG002
        """Write the file, whole."""
        if self.path is None:
            return
        position = Position(self.stage, self.first or 0, epoch + 1, bool(self.model.stop_training))
        remembered = {
            type(callback).__name__: {name: getattr(callback, name) for name in names}
            for callback in self.callbacks
            for kind, names in REMEMBERED.items()
            if isinstance(callback, kind)
        }
        told = {"position": position, "known": self.known, "remembered": remembered}
        replays = self.params.get("replays")
        state = [] if replays else [one.numpy() for one in _variables(self.model)]
        arrays = {f"state/{number}": value for number, value in enumerate(state)}
        arrays |= {f"best/{number}": value for number, value in enumerate(self.best.weights)}
        text = np.array(json.dumps(told, default=float))
        with whole(self.path / CHECKPOINT) as beside, beside.open("wb") as file:
            np.savez(file, told=text, **arrays)


def known_by(app: App, splits: Splits, policy: str) -> dict[str, Any]:
    """What has to be the same where a training goes on: fields, data and number format."""
    return {**app.to_json(), "data fingerprint": splits.fingerprint(), "precision": policy}


def of(known: dict[str, Any], path: Path) -> Found | None:
    """The checkpoint of an unfinished training in a run directory; None where there is none.

    Raises RunError where it cannot be read, or is that of another training.
    """
    if not unfinished(path) or not (path / CHECKPOINT).exists():
        return None
    found = _load(path / CHECKPOINT)
    for name, value in known.items():
        if found.known.get(name) != value:
            raise RunError(
                f"Received {name} {value!r} for the run {path}, which began with "
                f"{found.known.get(name)!r}; expected the same. Choose another --run-dir."
            )
    return found


def _load(path: Path) -> Found:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            told = json.loads(str(file["told"]))
            counts = {
                kind: sum(k.startswith(f"{kind}/") for k in file) for kind in ("state", "best")
            }
            state, best = (
                [file[f"{kind}/{number}"] for number in range(count)]
                for kind, count in counts.items()
            )
        return Found(Position(*told["position"]), told["known"], told["remembered"], state, best)
    except Exception as error:
        # Training wrote it whole: it is another's, or the disk fails.
        raise RunError(
            f"Received {path}, which cannot be read ({error}); expected a checkpoint as training "
            "wrote it. Try again, restore the file, or choose another --run-dir."
        ) from error


def _variables(model: Any) -> list[Any]:
    """Weights, states of random layers, and all that the optimizer keeps, in a fixed order."""
    passing = {id(one) for one in model.metrics_variables}  # of one epoch alone
    kept = [one for one in model.variables if id(one) not in passing]
    return [*kept, *model.optimizer.variables]
