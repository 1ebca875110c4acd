"""What a user should know and do before a model is used: a finding for each known situation."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from apps.app import App
from apps.metrics import metric
from evaluation.coverage import coverage_findings
from evaluation.decision_scores import decision_findings
from evaluation.decisive import decisive_metrics, worthwhile_gain
from evaluation.drift import drift_findings
from evaluation.fairness import findings as fairness
from evaluation.finding import Finding
from evaluation.intervals import wilson
from evaluation.label_noise import label_noise_findings
from evaluation.leaks import leak_findings
from evaluation.remarks import LOSES, advice
from evaluation.rounding import amount, rounded
from evaluation.slices import slices
from evaluation.verdict import Part, Verdict

MIN_CLASS_EXAMPLES = 5  # test examples of a class that is judged
MAX_CLASSES_NAMED = 5
USELESS_SHARE = 0.5  # of the mean recall; a useless class stays below it
ONE_CLASS_SHARE = 0.99  # of the predictions that are one class
MIN_CONFIDENCE_GAP = 0.05  # between confidence and right predictions
MIN_OTHER_RUNS = 10  # on the same test set
GAP_ERRORS = 3.0  # standard errors between validation and test


def findings(
    scores: Mapping[str, Any],
    verdict: Verdict,
    app: App,
) -> list[Finding]:
    """Return the findings about a scored run, the most important first.

    Args:
        scores: the content of scores.json.
        verdict: on the same scores.
        app: of the run, for advice on its fields.

    """
    return [
        *leak_findings(scores.get("leaks")),
        *drift_findings(scores.get("drift")),
        *fairness.findings(scores.get("fairness", {})),
        *_of_classes(scores.get("per_class", [])),
        *label_noise_findings(scores.get("label_noise")),
        *_of_validation(scores),
        *_of_baselines(scores["remarks"], verdict, app),
        *slices.findings(scores.get("slices", {})),
        *_of_test_set(scores, verdict),
        *_of_small_gain(verdict),
        *_of_confidence(scores.get("calibration", {})),
        *coverage_findings(scores.get("coverage")),
        *decision_findings(scores.get("decision")),
    ]


def _of_baselines(remarks: list[str], verdict: Verdict, app: App) -> Iterator[Finding]:
    """Repeat the remarks; find a model that is no better than the best baseline."""
    for text in remarks:
        kind = "worse_than_baseline" if text.startswith(LOSES) else "cheaper_baseline"
        yield Finding(kind, text)
    for part in verdict.parts:
        if part.outcome == "not better" and not remarks:
            title = part.baseline.replace("_", " ")
            text = f"The model gains nothing worthwhile over {title}. {advice(app, part.baseline)}"
            yield Finding("no_gain", text)


def _of_classes(rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """Find a model that names one class only, or classes that it hardly ever recognises."""
    known = [row for row in rows if row["examples"]]
    if len(known) < 2:
        return
    always, *others = sorted(known, key=lambda row: -row["recall"])
    share = always["examples"] / sum(row["examples"] for row in known)
    is_only = others[0]["recall"] <= 1 - ONE_CLASS_SHARE and always["precision"] <= share + 0.02
    if always["recall"] >= ONE_CLASS_SHARE and is_only:
        yield Finding(
            "majority_class",
            f"The model predicts {always['class']!r} for nearly every test example. It has learned "
            "no more than the most frequent class: train with --balance where the app has it, "
            "check the target, or train for more epochs.",
        )
        return
    mean = sum(row["recall"] for row in known) / len(known)
    useless = [
        row
        for row in known
        if row["examples"] >= MIN_CLASS_EXAMPLES
        and wilson(row["recall"], row["examples"])[1] < USELESS_SHARE * mean
    ]
    if useless:
        yield Finding("useless_class", _useless(useless, mean))


def _useless(rows: list[dict[str, Any]], mean: float) -> str:
    rows = sorted(rows, key=lambda row: -row["examples"])
    named = ", ".join(
        f"{row['class']!r} (recall {row['recall']:.2f} in {row['examples']:,} examples)"
        for row in rows[:MAX_CLASSES_NAMED]
    )
    more = f" and {len(rows) - MAX_CLASSES_NAMED:,} more" if rows[MAX_CLASSES_NAMED:] else ""
    noun, verb, them = ("class", "is", "it") if len(rows) == 1 else ("classes", "are", "them")
    return (
        f"The {noun} {named}{more} {verb} hardly ever recognised; the mean recall is {mean:.2f}. "
        f"Do not rely on the model for {them}: add training examples, or check the labels."
    )


def _of_validation(scores: Mapping[str, Any]) -> Iterator[Finding]:
    """Find a validation score that is far better than the test score."""
    name, found = decisive_metrics(scores["test"])[0], scores.get("validation")
    if not found or name not in found["metrics"]:
        return
    value, test = found["metrics"][name], scores["test"][name]
    low, high = scores["intervals"][name]
    error = (high - low) / 4 * math.sqrt(1 + scores["examples"] / found["examples"])
    gap = metric(name).sign * (value - test)
    if gap > max(GAP_ERRORS * error, worthwhile_gain(name, test)):
        yield Finding(
            "validation_gap",
            f"The validation {name}, {rounded(value, 3)}, is far better than that of the test "
            f"examples, {rounded(test, 3)}. The test examples may be of another kind or have wrong "
            "labels, validation examples may be in the training data, or the epoch may be a lucky "
            "one. Look at the data with check-data, and train with --folds 5.",
        )


def _of_test_set(scores: Mapping[str, Any], verdict: Verdict) -> Iterator[Finding]:
    """Find a test set that is too small, or that many runs were evaluated on."""
    if verdict.outcome == "undecided" and verdict.parts:
        wanted = f"roughly {verdict.more_examples:,} more" if verdict.more_examples else "more"
        yield Finding(
            "small_test_set",
            f"{scores['examples']:,} test examples are too few to tell the model from the best "
            f"baseline. Add {wanted} test examples, or train with --folds 5, which tests on every "
            "example; until then the simpler model is the safer choice.",
        )
    used = scores.get("test_set") or {}
    if used.get("other_runs", 0) >= MIN_OTHER_RUNS:
        text = scores["note"]
        first = next(iter(scores["test"]))
        if any(_is_within(part, first, used["flatters"]) for part in verdict.parts):
            text += " The gain over the best baseline may come from this choice alone."
        yield Finding("test_set_reused", text)


def _is_within(part: Part, name: str, bias: float) -> bool:
    """Whether the bias of a metric may be as large as the gain in it."""
    return part.metric == name and part.outcome == "better" and part.comparison.interval[0] < bias


def _of_small_gain(verdict: Verdict) -> Iterator[Finding]:
    """Find a gain that is significant, and too small to matter."""
    for part in verdict.parts:
        name, (_, other) = part.metric, part.scores
        margin = worthwhile_gain(name, other)
        if part.outcome == "better" and part.comparison.interval[1] < margin:
            yield Finding(
                "small_gain",
                f"The gain over {part.baseline.replace('_', ' ')} is certain, but small: at most "
                f"{amount(part.comparison.interval[1], metric(name))}. Choose by cost: the simpler "
                "model may do.",
            )


def _of_confidence(found: Mapping[str, Any]) -> Iterator[Finding]:
    """Find probabilities that are too high or too low."""
    if not found or found["ece"] <= found["ece_of_calibrated"]:
        return
    gap = found["confidence"] - found["right"]
    if abs(gap) < MIN_CONFIDENCE_GAP:
        return
    kind, word = ("overconfident", "high") if gap > 0 else ("underconfident", "low")
    yield Finding(
        kind,
        f"Probabilities are too {word}: predictions have a mean confidence of "
        f"{found['confidence']:.2f}, and {found['right']:.2f} are right. Use the predicted "
        "classes, and do not read the probabilities as frequencies.",
    )
