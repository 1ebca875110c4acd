"""A run becomes scores, with what they have to be compared to."""

import time
from typing import Any

import numpy as np

from evaluation import classes
from pipelines.feed import feed
from training.run import Run, write_json

BATCH = 1000


def score(run: Run) -> dict[str, Any]:
    """Judge a run on its test examples, write scores.json and return its content.

    `test` holds the metrics, `intervals` their 95 % bootstrap intervals,
    `baselines` the same metrics of trivial answers, `per_class` precision and
    recall.
    """
    return _scored(run, answer(run))


def evaluate(run: Run) -> dict[str, Any]:
    """`score`, and pictures in the run directory under `pictures`."""
    from evaluation import pictures

    answers = answer(run)
    scores = _scored(run, answers)
    shown = run.splits.test if run.app.question == "image" else None
    return scores | {"pictures": pictures.draw(run.path, answers, shown, run.splits.labels)}


def answer(run: Run) -> classes.Answers:
    """The run's answers to its test examples."""
    import tensorflow as tf

    model = run.model
    ask = tf.function(
        lambda raw: model(raw, training=False), reduce_retracing=True, autograph=False
    )
    batches = feed(run.splits.test, batch_size=BATCH)
    given = np.concatenate([ask(features) for features, _ in batches])
    return classes.Answers(given, run.splits.test.targets)


def _scored(run: Run, answers: classes.Answers) -> dict[str, Any]:
    start = time.perf_counter()
    scores = {
        "test": classes.metrics(answers),
        "intervals": classes.intervals(answers),
        "baselines": classes.baselines(run.splits),
        "examples": len(answers.target),
        "per_class": classes.per_class(answers, run.splits.labels),
        "seconds": round(time.perf_counter() - start, 3),
    }
    write_json(run.path / "scores.json", scores)
    return scores
