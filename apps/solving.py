"""Fit a model by a solver in place of gradient descent, with epochs for the callbacks."""

import collections
import itertools
from collections.abc import Iterator
from typing import Any

from apps.fit_data import FitData
from apps.metrics import VALIDATION


def solve(
    model: Any,
    fit_data: FitData,
    iterations: Iterator[dict[str, float]],
    *,
    epochs: range,
    callbacks: list[Any],
    verbose: int = 0,
    checkpoints: bool = True,
    keep: bool = False,
) -> int:
    """Let a solver change the weights of a compiled model, an epoch at a time.

    Returns the number of the last epoch, counted from 1, or the first of `epochs`.

    Args:
        model: compiled, with the metrics of validation.
        fit_data: the data of the run; only validation batches and position are read here.
        iterations: each step leaves better weights in the model and gives scores on the
            training examples, such as {"loss": 0.5}, always of the same names. It may end
            before `epochs`. Scores of validation, if it gives some, are not computed again.
        epochs: at most these, an iteration each.
        callbacks: as in keras.Model.fit.
        verbose: 0 is silent, otherwise a line per epoch.
        checkpoints: whether an interrupted run may continue after one of these epochs.
        keep: whether these epochs are better than earlier ones, whatever validation says.

    """
    import keras

    flags = {"steps": 1, "replays": True, "checkpoints": checkpoints, "keep": keep}
    callback_list = keras.callbacks.CallbackList(
        callbacks, model=model, epochs=epochs.stop, **flags
    )
    model.stop_training = False
    callback_list.on_train_begin()
    logs: dict[str, float] = {}
    initial_epoch = fit_data.position.initial_epoch(epochs)
    if initial_epoch < epochs.stop:
        # A solver's state is the result of its iterations: an interrupted run repeats them.
        collections.deque(itertools.islice(iterations, initial_epoch - epochs.start), maxlen=0)
    done = initial_epoch
    for epoch in range(initial_epoch, epochs.stop):
        callback_list.on_epoch_begin(epoch)
        scores = next(iterations, None)
        if scores is None:
            break
        logs = dict(scores)
        if not any(name.startswith(VALIDATION) for name in scores):
            valid = model.evaluate(fit_data.valid, verbose=0, return_dict=True)
            logs |= {f"{VALIDATION}{name}": value for name, value in valid.items()}
        if verbose:
            line = " - ".join(f"{name}: {value:.4f}" for name, value in logs.items())
            print(f"Epoch {epoch + 1}/{epochs.stop}: {line}", flush=True)
        callback_list.on_epoch_end(epoch, logs)
        done = epoch + 1
        if model.stop_training:
            break
    callback_list.on_train_end(logs)
    return done
