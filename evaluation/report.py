"""Evaluate a run on its test examples: metrics, intervals, baselines, figures."""

import time
from collections.abc import Iterator
from typing import Any

from apps.metrics import metric
from evaluation import coverage, drift, leaks, seed_findings, test_set_ledger
from evaluation.decision_scores import judge_run
from evaluation.discrimination import discrimination
from evaluation.fairness import fairness, groups
from evaluation.findings import findings
from evaluation.label_noise import label_noise
from evaluation.modalities import modality_of
from evaluation.modalities.baselines import NOISE_FLOOR
from evaluation.paired_comparison import Comparisons, compare
from evaluation.remarks import Seconds, remarks, time_remarks
from evaluation.slices import slices
from evaluation.tasks import task_of
from evaluation.verdict import judge
from pipelines import fingerprints
from training.manifest import RunError
from training.run import SCORES, Run, write_json

# The predictions of each baseline, and its seconds.
Baselines = tuple[dict[str, Any], dict[str, float]]


def score(run: Run, predictions: Any = None, baselines: Baselines | None = None) -> dict[str, Any]:
    """Evaluate a run on its test examples, write scores.json and return its content.

    `test` holds the metrics, `intervals` their 95 % intervals, `units` their units if they are
    known, `baselines` the same metrics of simple models, `remarks` a sentence about each better
    baseline, or about one that is as good in much less time. `training_seconds` are those of the
    model, `baseline_seconds` those of training and prediction of each baseline. `tables` names
    further tables of the task, such as `per_class`. `test_set` holds the number of other runs
    that were evaluated on these test examples. `blend` holds the weight and the validation loss
    of each part of a model that is a blend. `weight` is the column of example weights in all
    these scores, or "". `comparisons` holds the gain over each baseline in each metric, with its
    95 % interval and p-value; `verdict` says whether the model is better than the best baseline,
    and `findings` what else a user should know. `calibration` is about predicted probabilities,
    and `discrimination` about how well they rank examples. `drift` compares the test examples
    with the training examples, and `label_noise` counts test labels that the model contradicts.

    `predictions` and `baselines` may be given, if they are known already.
    """
    predictions = task_of(run).predict_test_set(run) if predictions is None else predictions
    drift.write_reference(run, predictions)
    return _write(run, _scores(run, predictions, baselines), _count_other_runs(run))


def score_replay(run: Run) -> dict[str, Any]:
    """Evaluate a run that repeats another one; the ledger of the test set does not count it."""
    return _write(run, _scores(run, task_of(run).predict_test_set(run)), None)


def evaluate(run: Run, sensitive: str = "") -> dict[str, Any]:
    """Evaluate a run as `score` does, draw figures, and write the report for people.

    `pictures` holds the file names of the figures. `sensitive` names columns of groups of people,
    separated by commas, which are compared in `fairness`.
    """
    from evaluation import figures
    from evaluation.run_report import files

    people = groups.read(run, sensitive)
    predictions = task_of(run).predict_test_set(run)
    # Before writing scores.json, since a damaged history raises an error.
    drawn = figures.draw(run, predictions)
    scores = _scores(run, predictions) | {"figures": drawn.names}
    scores["fairness"] = fairness.of_run(run, predictions, people)
    scores = _write(run, scores, _count_other_runs(run))
    drift.write_reference(run, predictions)
    files.write(run, scores, drawn.names)
    return scores | {"pictures": drawn.names, "picture_notes": drawn.notes}


def baselines_of(run: Run) -> Baselines:
    """Train the baselines of a run, and predict its test examples with each."""
    return _timed(modality_of(run).baselines(run.splits))


def _scores(run: Run, predictions: Any, known: Baselines | None = None) -> dict[str, Any]:
    start = time.perf_counter()
    task = task_of(run)
    baselines, baseline_seconds = known or baselines_of(run)
    seconds = Seconds(run.manifest["seconds"]["train"], baseline_seconds)
    tables = task.tables(predictions, run.splits)
    test, resamples = task.metrics(predictions), task.bootstrap(predictions)
    comparisons = compare(task, predictions, baselines, resamples)
    baseline_scores = {name: task.metrics(baseline) for name, baseline in baselines.items()}
    target = run.manifest["fields"].get("target", "")
    return {
        "test": test,
        "intervals": task.intervals(predictions, resamples),
        "units": {name: unit for name in test if (unit := metric(name).unit_for(target))},
        "baselines": baseline_scores,
        "comparisons": comparisons,
        "blend": run.manifest.get("blend", {}),
        "weight": run.manifest["fields"].get("weight", ""),
        "training_seconds": seconds.training,
        "baseline_seconds": seconds.baselines,
        "remarks": [
            *remarks(run.app, test, baseline_scores, comparisons),
            *time_remarks(run.app, test, baseline_scores, comparisons, seconds),
        ],
        "calibration": _calibration(run, predictions),
        "coverage": _coverage(run, predictions),
        "drift": drift.of_run(run),
        "leaks": leaks.of_splits(run.splits),
        "label_noise": _label_noise(run, predictions),
        "validation": _validation(run),
        "discrimination": discrimination(task, predictions, baselines, run.splits),
        "slices": slices.of_run(run, predictions),
        "decision": judge_run(run, predictions),
        "examples": len(predictions.target),
        **tables,
        "tables": list(tables),
        "seconds": round(time.perf_counter() - start, 3),
    }


def _calibration(run: Run, predictions: Any) -> dict[str, Any]:
    """Return the calibration of probabilities, and that before the temperature was applied."""
    task, temperature = task_of(run), run.manifest.get("temperature")
    found = task.calibration(predictions)
    if not found or temperature is None:
        return found
    before = task.calibration(task.uncalibrated(predictions, temperature))
    return found | {
        "temperature": temperature,
        "before": {name: before[name] for name in ("brier", "ece")},
    }


def _label_noise(run: Run, predictions: Any) -> dict[str, Any]:
    if run.task != "classification":
        return {}
    return label_noise(predictions.probabilities, predictions.target)


def _validation(run: Run) -> dict[str, Any] | None:
    """Return the metrics of held-out validation examples; None for a task or a run without."""
    try:
        predictions = task_of(run).predict_held_out(run)
    except RunError:  # of an older version
        return None
    if predictions is None:
        return None
    metrics = task_of(run).metrics(predictions)
    return {"metrics": metrics, "examples": len(predictions.target)}


def _coverage(run: Run, predictions: Any) -> dict[str, Any] | None:
    """Return how often intervals or sets contain the truth; None if the run has none."""
    if run.coverage is None:
        return None
    found = task_of(run).covered(predictions, run.coverage)
    return found and coverage.coverage(run.coverage.level, *found)


def _timed(pairs: Iterator[tuple[str, Any]]) -> Baselines:
    """Return the predictions of each baseline, and the seconds that it took."""
    predictions, seconds, start = {}, {}, time.perf_counter()
    for name, predicted in pairs:
        end = time.perf_counter()
        predictions[name] = predicted
        if name != NOISE_FLOOR:  # no model
            seconds[name] = round(end - start, 3)
        start = end
    return predictions, seconds


def _count_other_runs(run: Run) -> int | None:
    return test_set_ledger.record(fingerprints.digest_examples(run.splits.test), run)


def _write(run: Run, scores: dict[str, Any], other_runs: int | None) -> dict[str, Any]:
    """Add the use of the test set and the verdict, write scores.json and return its content."""
    name = next(iter(scores["test"]))
    scores |= {"test_set": None, "note": ""}
    if other_runs is not None:
        bias = test_set_ledger.selection_bias(other_runs, scores["intervals"][name])
        note = test_set_ledger.sentence(bias, metric(name))
        scores |= {"test_set": bias.to_json(), "note": note}
    scores |= _verdict(run, scores)
    scores = seed_findings.with_group(run, scores)
    write_json(run.path / SCORES, scores)
    return scores


def _verdict(run: Run, scores: dict[str, Any]) -> dict[str, Any]:
    """Return the verdict, the findings and the comparisons as scores.json holds them."""
    comparisons: Comparisons = scores["comparisons"]
    verdict = judge(scores["test"], scores["baselines"], comparisons, scores["examples"])
    found = findings(scores, verdict, run.app)
    return {
        "verdict": verdict.to_json(),
        "findings": [one.to_json() for one in found],
        "comparisons": {
            title: {name: one.to_json() for name, one in row.items()}
            for title, row in comparisons.items()
        },
    }
