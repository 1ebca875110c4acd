"""A run becomes scores, with what they have to be compared to."""

import json
import time
from typing import Any

from apps.metrics import metric
from evaluation import kinds, test_set_ledger
from evaluation.remarks import remarks
from pipelines import fingerprints
from training.run import SCORES, Run, RunError, write_json


def score(run: Run) -> dict[str, Any]:
    """Judge a run on its test examples, write scores.json and return its content.

    `test` holds the metrics, `intervals` their 95 % intervals, `units` what is known
    of their units, `baselines` the same metrics of simpler answers, `remarks` in words
    those that are better; tables that the kind of answer adds, such as `per_class`,
    are named in `tables`; `test_set` tells how many other runs these test examples
    judged, which this one joins.
    """
    return _kept(run, _scored(run, answer(run)), _other_runs(run))


def score_again(run: Run) -> dict[str, Any]:
    """As `score`, of a run that repeats another: it does not wear the test set out."""
    return _kept(run, _scored(run, answer(run)), None)


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
            f"run. Judge it: athanor {run.manifest['app']} evaluate {run.path}"
        ) from error
    return scores


def evaluate(run: Run) -> dict[str, Any]:
    """`score`, and pictures in the run directory under `pictures`, with notes about them."""
    from evaluation import pictures

    answers = answer(run)
    drawn = pictures.draw(run, answers)  # first: a damaged history is found before anything stays
    return _kept(run, _scored(run, answers), _other_runs(run)) | {
        "pictures": drawn.names,
        "picture_notes": drawn.notes,
    }


def answer(run: Run) -> Any:
    """The run's answers to its test examples, as its kind of answer is judged."""
    return kinds.judge(run.task).answers_of(run)


def _scored(run: Run, answers: Any) -> dict[str, Any]:
    start = time.perf_counter()
    judge = kinds.judge(run.task)
    baselines = kinds.asked(run.modality).baselines(run.splits)
    tables = judge.details(answers, run.splits)
    test, drawn = judge.metrics(answers), judge.resampled(answers)
    target = run.manifest["fields"].get("target", "")
    return {
        "test": test,
        "intervals": judge.intervals(answers, drawn),
        "units": {name: unit for name in test if (unit := metric(name).unit_for(target))},
        "baselines": {name: judge.metrics(given) for name, given in baselines.items()},
        "remarks": remarks(run.app, judge, answers, baselines, drawn),
        "examples": len(answers.target),
        **tables,
        "tables": list(tables),
        "seconds": round(time.perf_counter() - start, 3),
    }


def _other_runs(run: Run) -> int | None:
    return test_set_ledger.judged(fingerprints.digest_examples(run.splits.test), run)


def _kept(run: Run, scores: dict[str, Any], other_runs: int | None) -> dict[str, Any]:
    """Write scores.json, with what the ledger knows of the test set."""
    name = next(iter(scores["test"]))
    told = (
        None if other_runs is None else test_set_ledger.wear(other_runs, scores["intervals"][name])
    )
    scores |= {
        "test_set": told and told._asdict(),
        "note": test_set_ledger.sentence(told, metric(name)) if told else "",
    }
    write_json(run.path / SCORES, scores)
    return scores
