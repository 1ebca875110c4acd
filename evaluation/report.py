"""A run becomes scores, with what they have to be compared to."""

import json
import time
from typing import Any

from apps import metrics
from evaluation import kinds
from training.run import SCORES, Run, RunError, write_json

LEVEL = 1e-4  # of the metric: a smaller difference is none


def score(run: Run) -> dict[str, Any]:
    """Judge a run on its test examples, write scores.json and return its content.

    `test` holds the metrics, `intervals` their 95 % bootstrap intervals,
    `baselines` the same metrics of simpler answers, `remarks` in words those that
    are better; tables that the kind of answer adds, such as `per_class`, are named
    in `tables`.
    """
    return _scored(run, answer(run))


def read(run: Run) -> dict[str, Any]:
    """The content of scores.json. Raises RunError where a run was never judged."""
    path = run.path / SCORES
    try:
        scores = json.loads(path.read_text())
        for name, value in scores["test"].items():
            low, high = scores["intervals"][name]
            if not all(isinstance(one, int | float) for one in (value, low, high)):
                raise ValueError(f"{name} is no number")
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise RunError(
            f"Received the run {run.path}, which has no readable scores.json; expected a judged "
            f"run. Judge it: athanor {run.passport['app']} evaluate {run.path}"
        ) from error
    return scores


def evaluate(run: Run) -> dict[str, Any]:
    """`score`, and pictures in the run directory under `pictures`."""
    from evaluation import pictures

    answers = answer(run)
    drawn = pictures.draw(run, answers)  # first: a damaged history is found before anything stays
    return _scored(run, answers) | {"pictures": drawn}


def answer(run: Run) -> Any:
    """The run's answers to its test examples, as its kind of answer is judged."""
    return kinds.judge(run.passport["answer"]).answers_of(run)


def _scored(run: Run, answers: Any) -> dict[str, Any]:
    start = time.perf_counter()
    judge = kinds.judge(run.passport["answer"])
    baselines = kinds.asked(run.passport["question"]).baselines(run.splits)
    tables = judge.details(answers, run.splits)
    test = judge.metrics(answers)
    beside = {name: judge.metrics(given) for name, given in baselines.items()}
    scores = {
        "test": test,
        "intervals": judge.intervals(answers),
        "baselines": beside,
        "remarks": remarks(test, beside),
        "examples": len(answers.target),
        **tables,
        "tables": list(tables),
        "seconds": round(time.perf_counter() - start, 3),
    }
    write_json(run.path / SCORES, scores)
    return scores


def remarks(test: dict[str, float], baselines: dict[str, dict[str, float]]) -> list[str]:
    """In words, every baseline that is better than the model by the first metric.

    A ten-thousandth is no difference.
    """
    metric, own = next(iter(test.items()))
    sign = metrics.metric(metric).sign
    return [
        f"This model loses to {name.replace('_', ' ')}: {metric} {own:.4f} against "
        f"{row[metric]:.4f}. Rather use that one, or train this one otherwise."
        for name, row in baselines.items()
        if name != kinds.FLOOR and sign * row.get(metric, own) > sign * own + LEVEL * abs(own)
    ]
