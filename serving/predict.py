"""Answers to new questions, from a run on the disk."""

from pathlib import Path
from typing import Any

import numpy as np

from pipelines.images import FitImage
from serving import images
from training.run import Run

NUM_GUESSES = 3


def predict(run: Run, inputs: list[Path]) -> list[dict[str, Any]]:
    """For each input file: the class, its probability, and the next two guesses.

    Raises UnreadableError where a file is no image; nothing is predicted then.
    """
    raw = images.read(inputs, FitImage(**run.passport["reading"]))
    probabilities = np.asarray(run.model(raw, training=False))
    labels = run.passport["labels"]
    return [
        {"input": str(path), **_guesses(row, labels)}
        for path, row in zip(inputs, probabilities, strict=True)
    ]


def _guesses(probabilities: np.ndarray, labels: list[str]) -> dict[str, Any]:
    first, *others = [
        {"class": labels[k], "probability": float(probabilities[k])}
        for k in np.argsort(-probabilities, kind="stable")[:NUM_GUESSES]
    ]
    return {**first, "next": others}


def examples(run: Run, count: int = 3) -> list[Path]:
    """Files to ask the run about, made of test examples, in its folder examples/."""
    folder = run.path / "examples"
    folder.mkdir(exist_ok=True)
    some = run.splits.test.numpy(slice(0, count))
    return images.write(folder, some, run.passport["labels"])
