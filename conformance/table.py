"""Every check of an optimizer, and what came of it."""

import traceback
from collections.abc import Callable, Iterator
from typing import NamedTuple

from conformance import checks, fits
from conformance.checks import Skipped
from conformance.subject import Subject, subject

CHECKS: tuple[Callable[[Subject], None], ...] = (
    checks.equals_its_twin,
    checks.minimises,
    checks.keeps_its_arguments,
    checks.takes_a_schedule,
    checks.refuses_wrong_rates,
    checks.keeps_bfloat16,
    fits.scales_float16,
    fits.compiles,
    fits.traces_once,
    checks.averages_weights,
    checks.clips,
    checks.excludes_from_decay,
    checks.accumulates,
    fits.takes_sparse_gradients,
    fits.continues_from_a_file,
    fits.leaves_frozen_variables,
    fits.keeps_what_it_says,
    checks.skips_missing_gradients,
    checks.refuses_unknown_variables,
    fits.equals_on_two_replicas,
)


class BrokenError(Exception):
    """An optimizer that breaks promises."""

    exit_status = 1


class Outcome(NamedTuple):
    """What came of a check: `kept`, `broken` or `skipped`, and why."""

    check: str
    promise: str
    result: str
    reason: str


def run(address: str) -> Iterator[Outcome]:
    """The outcome of each check of the optimizer at an address, one after another.

    Raises SubjectError where there is no optimizer.
    """
    found = subject(address)
    for check in CHECKS:
        yield Outcome(*_about(check), *_outcome(check, found))


def _about(check: Callable[[Subject], None]) -> tuple[str, str]:
    return check.__name__.replace("_", " "), (check.__doc__ or "").splitlines()[0]


def _outcome(check: Callable[[Subject], None], found: Subject) -> tuple[str, str]:
    try:
        fits.quiet(check, found)
    except Skipped as reason:
        return "skipped", str(reason)
    except AssertionError as reason:
        return "broken", str(reason)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        lines = str(error).strip().splitlines() or [""]
        return "broken", f"{type(error).__name__} in {frame.name}: {lines[0][:200]}"
    return "kept", ""
