"""All checks of an optimizer and their results."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from conformance import checks, training_checks
from conformance.checks import Skipped
from conformance.subject import Subject, find_subject

MAX_REASON_CHARACTERS = 200
CHECKS: tuple[Callable[[Subject], None], ...] = (
    checks.equals_its_reference,
    checks.minimizes,
    checks.keeps_its_arguments,
    checks.accepts_a_schedule,
    checks.rejects_invalid_learning_rates,
    checks.keeps_bfloat16,
    training_checks.trains_in_mixed_float16,
    training_checks.compiles,
    training_checks.traces_once,
    checks.applies_ema,
    checks.clips_gradients,
    checks.excludes_from_weight_decay,
    checks.accumulates_gradients,
    training_checks.accepts_sparse_gradients,
    training_checks.resumes_from_a_file,
    training_checks.leaves_frozen_variables_unchanged,
    training_checks.stores_documented_arrays,
    checks.skips_missing_gradients,
    checks.rejects_unknown_variables,
    training_checks.matches_on_two_replicas,
)

# `check-optimizer --json` prints the words of earlier versions.
JSON_RESULTS = {"passed": "kept", "failed": "broken", "skipped": "skipped"}


class FailedChecksError(Exception):
    """Raised for an optimizer that fails checks."""

    exit_status = 1


class Outcome(NamedTuple):
    """Result of a check: `passed`, `failed` or `skipped`, and the reason."""

    check: str
    description: str
    result: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """Return the fields with the names that `check-optimizer --json` prints."""
        return {
            "check": self.check,
            "promise": self.description,
            "result": JSON_RESULTS[self.result],
            "reason": self.reason,
        }


def run(address: str) -> Iterator[Outcome]:
    """Run all checks of the optimizer at an address and yield each outcome.

    Raises SubjectError if the address names no optimizer.
    """
    subject = find_subject(address)
    for check in CHECKS:
        yield Outcome(*_describe(check), *_result(check, subject))


def count_results(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count the outcomes by result."""
    return {name: sum(outcome.result == name for outcome in outcomes) for name in JSON_RESULTS}


def _describe(check: Callable[[Subject], None]) -> tuple[str, str]:
    return check.__name__.replace("_", " "), (check.__doc__ or "").splitlines()[0]


def _result(check: Callable[[Subject], None], subject: Subject) -> tuple[str, str]:
    try:
        training_checks.run_without_warnings(check, subject)
    except Skipped as reason:
        return "skipped", str(reason)
    except AssertionError as reason:
        return "failed", str(reason)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        lines = str(error).strip().splitlines() or [""]
        text = lines[0][:MAX_REASON_CHARACTERS]
        return "failed", f"{type(error).__name__} in {frame.name}: {text}"
    return "passed", ""
