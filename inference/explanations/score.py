"""The score that an explanation is about: a predicted number, or the log-odds of a class."""

from typing import Any, NamedTuple

import numpy as np

from training.run import Run

MIN_PROBABILITY = 1e-12


class Score(NamedTuple):
    """One number of a model's output, on a scale on which effects add up.

    Attributes:
        title: what it is, in words.
        label: the class; None for a number.
        number: the index of the class.
        exclusive: whether the probabilities of all classes add up to 1.

    """

    title: str
    label: str | None = None
    number: int = 0
    exclusive: bool = True

    def of(self, outputs: Any) -> np.ndarray:
        """Return the score of each of the model's outputs [n, ...], float64 [n]."""
        import tensorflow as tf

        return self.in_graph(tf.constant(outputs)).numpy()

    def in_graph(self, outputs: Any) -> Any:
        """Return the score of each output as a tensor, float64 [n]."""
        import tensorflow as tf

        outputs = tf.cast(outputs, "float64")
        if self.label is None:
            return outputs if len(outputs.shape) == 1 else outputs[:, 0]
        chosen = outputs[:, self.number]
        # The sum of the others has more digits than 1 minus a probability near 1.
        others = tf.reduce_sum(outputs, 1) - chosen if self.exclusive else 1 - chosen
        if self.exclusive and outputs.shape[1] == 2:
            others = outputs[:, 1 - self.number]
        return tf.math.log(tf.maximum(chosen, MIN_PROBABILITY)) - tf.math.log(
            tf.maximum(others, MIN_PROBABILITY)
        )


def class_score(run: Run, number: int) -> Score:
    """Return the log-odds of a class of a run."""
    label = run.manifest["labels"][number]
    exclusive = run.task != "multilabel"
    return Score(f"log-odds of {label}", label, number, exclusive)


def score_of(run: Run, output: np.ndarray) -> Score:
    """Return the score by which one output is explained: that of its most probable class.

    Of several chosen classes it is the most probable one; a number is its own score.
    """
    if not run.manifest["labels"]:
        target = run.manifest["fields"].get("target") or "the value"
        return Score(target)
    return class_score(run, int(np.argmax(output)))


def model_scores(run: Run) -> list[Score]:
    """Return the scores that explain a model: its number, each class, or one of two classes."""
    labels = run.manifest["labels"]
    if not labels:
        return [score_of(run, np.zeros(1))]
    first = 1 if len(labels) == 2 and run.task != "multilabel" else 0
    return [class_score(run, number) for number in range(first, len(labels))]
