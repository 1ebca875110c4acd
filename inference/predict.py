"""Answers to new questions, from a run on the disk."""

from typing import Any

from inference.modalities import modality_of
from training.run import Run


def predict(run: Run, inputs: list[str]) -> list[dict[str, Any]]:
    """An answer to each input, which stands in it under `input`.

    What an input is depends on the kind of question: an image file, a CSV file
    of rows, a text, an id. A picture that cannot be read has an `error` in place of
    its answer. Raises UnreadableError where no input can be read.
    """
    return modality_of(run).predict(run, inputs)


def examples(run: Run, count: int = 3) -> list[str]:
    """Inputs to ask the run about, made of test examples; files lie in its folder examples/."""
    folder = run.path / "examples"
    folder.mkdir(exist_ok=True)
    some = run.splits.test.numpy(slice(0, count))
    return modality_of(run).write_examples(folder, some, run)
