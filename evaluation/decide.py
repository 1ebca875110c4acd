"""Choose how a run answers: by a threshold or by costs, and whether it may be unsure."""

import csv
import difflib
from pathlib import Path
from typing import Any

import numpy as np

from apps.fields import FieldError
from evaluation.options import DecideOptions
from evaluation.threshold_choice import (
    CERTAINTY,
    NotReachedError,
    by_costs,
    by_precision,
    by_recall,
    candidates,
)
from training import directory, provenance
from training.decision import UNSURE, Decision
from training.held_out import HeldOutPredictions
from training.run import Run

MIN_HELD_OUT = 20  # examples


class DecisionError(RuntimeError):
    """Raised if no decision does what is wanted."""

    exit_status = 1


def decide(run: Run, options: DecideOptions) -> Decision | None:
    """Choose a decision on held-out examples, store it in the run, and return it.

    With `reset` the decision is removed, and the result is None. Raises FieldError for options
    that do not fit the run, and DecisionError if no threshold does what is wanted.
    """
    options.check()
    if run.task != "classification":
        raise FieldError(_other_task(run))
    _require_own(run)
    decision = None if options.reset else choose(run, options)
    manifest = {key: value for key, value in run.manifest.items() if key != "decision"}
    if decision is not None:
        manifest["decision"] = decision.to_json()
    directory.rewrite_manifest(run.path, manifest)
    run.remember(manifest=manifest, decision=decision)
    return decision


def _require_own(run: Run) -> None:
    """Raise FieldError for a run of another user, which must not get this user's signature."""
    try:
        provenance.require_signature(run.path, provenance.RUN_FILES)
    except provenance.ProvenanceError as error:
        raise FieldError(
            f"Received {run.path}, a run that was made by another user or changed since; expected "
            "one of yours, because a decision is stored in the run and signed. Train it again."
        ) from error


def choose(run: Run, options: DecideOptions) -> Decision:
    """Choose a decision on the held-out examples of a run."""
    held_out, labels = _held_out(run), list(run.manifest["labels"])
    if options.abstain is not None and UNSURE in labels:
        raise FieldError(
            f"Received --abstain for a run with the class {UNSURE!r}, which is the answer of a "
            "model that abstains; expected classes of other names. Rename the class."
        )
    asked = dict(options.asked())
    decision = Decision(abstain=options.abstain, asked=asked)
    if options.costs and not options.is_pair:
        decision = decision._replace(costs=cost_matrix(Path(options.costs), labels))
    elif asked.keys() - {"abstain"}:
        decision = _with_threshold(decision, held_out, labels, options)
    elif options.positive:
        raise FieldError(
            "Received --positive without a condition for it; expected --costs fp=1,fn=5, "
            "--min-precision or --min-recall too."
        )
    return decision._replace(validation=_on_validation(decision, held_out, labels))


def _held_out(run: Run) -> HeldOutPredictions:
    """Return the held-out predictions with the weights that count in scores."""
    held_out = run.held_out
    if len(held_out.targets) < MIN_HELD_OUT:
        raise FieldError(
            f"Received a run with {len(held_out.targets)} validation examples; expected "
            f"{MIN_HELD_OUT} or more to choose a decision. Train with more data."
        )
    # Weights that balance the classes in training would distort precision and costs.
    return held_out._replace(weights=None) if run.manifest["fields"].get("balance") else held_out


def _with_threshold(
    decision: Decision, held_out: HeldOutPredictions, labels: list[str], options: DecideOptions
) -> Decision:
    positive = _positive(options.positive, held_out, labels)
    scores, truth = held_out.predictions[:, positive], held_out.targets == positive
    if truth.all() or not truth.any():
        raise FieldError(
            f"Received a run whose validation examples are {'all' if truth.all() else 'never'} "
            f"{labels[positive]!r}; expected both classes, to choose a threshold."
        )
    asked = decision.asked
    if "fp" in asked:
        threshold = by_costs(scores, truth, held_out.weights, asked["fp"], asked["fn"])
        return decision._replace(positive=labels[positive], threshold=threshold)
    found = candidates(scores, truth, held_out.weights)
    name, by = (
        ("min_precision", by_precision) if "min_precision" in asked else ("min_recall", by_recall)
    )
    try:
        threshold = by(found, asked[name])
    except NotReachedError as error:
        raise DecisionError(
            f"Received --{name.replace('_', '-')} {asked[name]:g}, which no threshold reaches for "
            f"{labels[positive]!r} with {CERTAINTY:.0%} certainty on {len(truth):,} validation "
            f"examples; {error}. Ask for less, or train with more data."
        ) from error
    return decision._replace(positive=labels[positive], threshold=threshold)


def _positive(name: str, held_out: HeldOutPredictions, labels: list[str]) -> int:
    """Return the number of the positive class, by default the rarer one."""
    if len(labels) != 2:
        raise FieldError(
            f"Received a threshold for a run with {len(labels):,} classes; expected two classes, "
            "or --abstain, or --costs with a CSV file of a cost for each pair of classes."
        )
    if not name:
        counts = np.bincount(held_out.targets, minlength=2)
        return 0 if counts[0] < counts[1] else 1
    if name not in labels:
        nearest = difflib.get_close_matches(name, labels, 1, 0.4)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise FieldError(
            f"Received --positive {name!r}; expected one of {', '.join(map(repr, labels))}.{hint}"
        )
    return labels.index(name)


def cost_matrix(path: Path, labels: list[str]) -> list[list[float]]:
    """Read the cost of each answer for each true class, [true, answer].

    The first line names the answers, after an empty cell; each other line a true class and its
    costs. Raises FieldError.
    """
    expected = (
        "expected a CSV file whose first line names the answers, after an empty cell, and whose "
        "other lines name a true class and the cost of each answer"
    )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first, *lines = [line for line in csv.reader(file) if line]
        rows = {line[0].strip(): [float(cell) for cell in line[1:]] for line in lines}
        answers = [cell.strip() for cell in first[1:]]
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)[:100]
        raise FieldError(f"Received --costs {str(path)!r} ({reason}); {expected}.") from error
    if sorted(answers) != sorted(labels) or sorted(rows) != sorted(labels):
        missing = sorted({*labels} - {*answers} | {*labels} - {*rows})
        reason = f"without {missing[0]!r}" if missing else "with other classes"
        raise FieldError(f"Received --costs {str(path)!r} {reason}; {expected}.")
    if any(len(row) != len(answers) for row in rows.values()):
        raise FieldError(f"Received --costs {str(path)!r} with lines of other lengths; {expected}.")
    places = [answers.index(label) for label in labels]
    costs = [[rows[label][k] for k in places] for label in labels]
    values = np.array(costs)
    if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
        raise FieldError(
            f"Received --costs {str(path)!r} with negative costs, or none above 0; {expected}: "
            "numbers of 0 or more."
        )
    return costs


def _on_validation(
    decision: Decision, held_out: HeldOutPredictions, labels: list[str]
) -> dict[str, float]:
    """Return what the decision does on the held-out examples."""
    from evaluation.decision_scores import judge

    judged = judge(decision, labels, held_out.predictions, held_out.targets, held_out.weights)
    found: dict[str, float] = {"examples": len(held_out.targets)}
    for row in judged["rows"][:1]:
        found |= {name: row[name] for name in ("precision", "recall", "cost") if name in row}
    if abstaining := judged["abstaining"]:
        found |= {name: abstaining[name] for name in ("answered", "accuracy")}
    return found


def _other_task(run: Run) -> str:
    if run.task == "multilabel":
        return (
            f"Received the run {run.path}, in which an example has several classes; each has a "
            "threshold already. Expected a run with one class for each example."
        )
    return (
        f"Received the run {run.path}, which predicts no classes; expected a run that does, such "
        "as one of mnist."
    )


def describe(decision: Decision | None) -> dict[str, Any]:
    """Return a decision as --json prints it."""
    return {"decision": None if decision is None else decision.to_json() | {"text": decision.text}}
