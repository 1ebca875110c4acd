"""Training that is no gradient descent, seen by callbacks as epochs."""

import collections
import itertools
from collections.abc import Iterator
from typing import Any

from apps.fit_data import FitData


def solve(
    model: Any,
    fit_data: FitData,
    sweeps: Iterator[dict[str, float]],
    *,
    epochs: int,
    callbacks: list[Any],
    verbose: int = 0,
) -> int:
    """Let a solver change the weights of a compiled model, an epoch at a time.

    Gives the number of epochs done.

    Args:
        model: as compiled for training; validation scores are its own.
        feeds: of the run; only the validation batches are read here.
        sweeps: every step leaves better weights in the model and gives scores
            on the training examples, such as {"loss": 0.5}, always the same
            names. It may end before `epochs`.
        epochs: at most so many steps.
        callbacks: as for keras.Model.fit.
        verbose: 0 silent, else a line an epoch.

    """
    import keras

    watchers = keras.callbacks.CallbackList(
        callbacks, model=model, epochs=epochs, steps=1, replays=True
    )
    model.stop_training = False
    watchers.on_train_begin()
    logs: dict[str, float] = {}
    begin = fit_data.position.initial_epoch(range(epochs))
    if begin < epochs:
        # A solver's state is what its sweeps made: it goes on by making them again.
        collections.deque(itertools.islice(sweeps, begin), maxlen=0)
    done = begin
    for epoch in range(begin, epochs):
        watchers.on_epoch_begin(epoch)
        scores = next(sweeps, None)
        if scores is None:
            break
        valid = model.evaluate(fit_data.valid, verbose=0, return_dict=True)
        logs = {**scores, **{f"val_{name}": value for name, value in valid.items()}}
        if verbose:
            told = " - ".join(f"{name}: {value:.4f}" for name, value in logs.items())
            print(f"Epoch {epoch + 1}/{epochs}: {told}", flush=True)
        watchers.on_epoch_end(epoch, logs)
        done = epoch + 1
        if model.stop_training:
            break
    watchers.on_train_end(logs)
    return done
