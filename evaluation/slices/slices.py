"""Find the slices of a run's test examples on which the model is worse than on the rest."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from apps.metrics import metric
from evaluation.finding import Finding
from evaluation.intervals import LEVEL
from evaluation.modalities import modality_of
from evaluation.rounding import decimals, p_value, rounded, with_interval
from evaluation.slices import search
from evaluation.slices.search import Found, Slice
from evaluation.slices.units import UnitScores
from evaluation.tasks import task_of
from training.run import Run

MAX_CELLS = 50_000_000  # of the test examples whose columns are cut; more examples are sampled
MIN_SAMPLE = 50_000  # test examples
# A finding needs this ratio of the error to that of the rest: of a million examples, differences
# are significant that matter to nobody.
MIN_ERROR_RATIO = 1.25
MAX_NAMED = 3  # slices in a finding
EXPECTED_FALSE = 1 - LEVEL


def of_run(run: Run, predictions: Any) -> dict[str, Any]:
    """Return `slices` of scores.json: the metric, what was looked at, and the slices."""
    units = task_of(run).unit_scores(predictions)
    rows = _sample(run, len(units.numerators))
    cuts = [cut.select(rows) for cut in task_of(run).class_cuts(predictions, run.splits.labels)]
    cuts += modality_of(run).cuts(run, predictions, rows)
    return to_json(search.find(cuts, units.select(rows)), units, len(rows))


def _sample(run: Run, count: int) -> np.ndarray:
    """Return the positions of all units, or of a random sample if they have many columns."""
    most = max(MIN_SAMPLE, MAX_CELLS // max(1, len(run.splits.test.columns)))
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def to_json(found: Found, units: UnitScores, num_examples: int) -> dict[str, Any]:
    """Return the result of a search as scores.json holds it."""
    return {
        "metric": units.metric,
        "examples": num_examples,
        "sampled": num_examples < len(units.numerators),
        "tested": found.num_tested,
        "min_examples": found.min_examples,
        "worst": found.worst,
        "worse": found.num_worse,
        "slices": [one.to_json() for one in found.slices],
    }


def findings(found: Mapping[str, Any]) -> Iterator[Finding]:
    """Find slices on which the model is significantly, and much, worse than on the rest.

    Slices of the true answer are no finding: even the best possible model recognises rare classes
    less often.
    """
    rows = [Slice.from_json(one) for one in found.get("slices", [])]
    bad = [one for one in rows if is_bad(one, found["metric"])]
    named = [*_distinct(bad)][:MAX_NAMED]
    if named:
        yield Finding("bad_slice", _text(named, len(bad), found))


def is_bad(one: Slice, name: str) -> bool:
    """Whether a slice is worth a finding."""
    if not one.is_worse or one.of_answer or one.rest is None:
        return False
    definition = metric(name)
    best = definition.high if definition.higher_is_better else 0.0
    return abs(best - one.score) >= MIN_ERROR_RATIO * abs(best - one.rest)


def _distinct(slices: list[Slice]) -> Iterator[Slice]:
    """Yield the slices that have no condition in common with an earlier one."""
    seen: set[str] = set()
    for one in slices:
        if seen.isdisjoint(one.conditions):
            yield one
        seen |= {*one.conditions}


def _text(named: list[Slice], number: int, found: Mapping[str, Any]) -> str:
    name, (first, *others) = found["metric"], named
    parts = [f"The model is worse where {first.name}: {name} {_scores(first)}"]
    if others:
        also = "; ".join(f"{one.name} ({_scores(one)})" for one in others)
        parts.append(f" Also worse: {also}.")
    more = number - len(named)
    if more:
        parts.append(f" The report lists {more:,} more.")
    return (
        f"{''.join(parts[:1])}, corrected for {found['tested']:,} slices that were looked at."
        f"{''.join(parts[1:])} Do not rely on the mean score there: add training examples of this "
        "kind, check their labels, or leave such cases to people."
    )


def _scores(one: Slice) -> str:
    elsewhere = "" if one.rest is None else rounded(one.rest, decimals(*one.interval))
    return (
        f"{with_interval(one.score, one.interval)} in {one.examples:,} test examples, {elsewhere} "
        f"in the rest, {p_value(one.p_corrected)}"
    )
