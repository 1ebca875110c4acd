"""Search the slices, and the pairs of slices, on which a model is worst."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from evaluation.intervals import LEVEL, Interval
from evaluation.slices import scoring
from evaluation.slices.cuts import Cut
from evaluation.slices.scoring import Parts, Population
from evaluation.slices.units import UnitScores

MIN_EXAMPLES = 30  # of a slice
MIN_SHARE = 0.005  # of the test examples in a slice
MAX_PAIRED_CUTS = 8  # cuts whose pairs are searched
SINGLE_PART = 0.75  # of the error probability; pairs of slices, which are many, have the rest
MAX_STORED = 200  # slices, the least probable first


class Slice(NamedTuple):
    """A part of the test examples, and how good the model is on it.

    Attributes:
        conditions: what its examples have in common: one condition, or two.
        examples: number of test examples.
        score: of these.
        interval: the 95 % interval of the score.
        rest: the score of all other test examples; None if there are none.
        p: probability of a score as bad as this if the slice is as good as the rest.
        p_corrected: the same after the correction for all slices that were looked at.
        of_answer: whether the true answer decides, as for a class.

    """

    conditions: tuple[str, ...]
    examples: int
    score: float
    interval: Interval
    rest: float | None
    p: float
    p_corrected: float
    of_answer: bool = False

    @property
    def name(self) -> str:
        """The conditions in words."""
        return " and ".join(self.conditions)

    @property
    def is_worse(self) -> bool:
        """Whether the slice is significantly worse than the rest."""
        return self.p_corrected < 1 - LEVEL

    def to_json(self) -> dict[str, Any]:
        """Return the value in scores.json."""
        changed = {"conditions": [*self.conditions], "interval": [*self.interval]}
        return self._asdict() | changed

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Slice":
        """Return the slice of a value in scores.json."""
        low, high = content["interval"]
        conditions = tuple(content["conditions"])
        return cls(**content | {"conditions": conditions, "interval": (low, high)})


class Found(NamedTuple):
    """The result of a search.

    Attributes:
        slices: the least probable first, at most MAX_STORED.
        num_tested: number of slices that the correction counts.
        min_examples: in a slice that is judged.
        worst: the worst score of all slices.
        num_worse: number of slices that are significantly worse, with those that are not stored.

    """

    slices: list[Slice]
    num_tested: int
    min_examples: int
    worst: float | None
    num_worse: int


class _Family(NamedTuple):
    """Slices that share a part of the error probability.

    `cuts` and `numbers` name the cut and the part of each; `num_possible` counts the slices that
    a search may look at, since it chooses these by the same test examples.
    """

    cuts: list[Cut]
    numbers: list[np.ndarray]
    parts: list[Parts]
    variances: list[np.ndarray]
    p: np.ndarray
    num_possible: int


def find(cuts: Sequence[Cut], units: UnitScores) -> Found:
    """Score the slices of all cuts, and of the pairs of those with the least p-values.

    The p-values are corrected by the method of Benjamini and Hochberg, so that of the slices that
    are called worse at most 5 % are expected to be as good as the rest; if no slice is worse, one
    is named in at most 5 % of the cases. Single slices have three quarters of the error
    probability, and pairs the rest. For pairs all possible ones count, not only those that were
    looked at. Slices of the true answer are corrected on their own.

    References:
        Benjamini and Hochberg, "Controlling the False Discovery Rate", 1995.
        Genovese, Roeder and Wasserman, "False Discovery Control with p-Value Weighting", 2006.

    """
    population = Population.of(units)
    least = max(MIN_EXAMPLES, int(np.ceil(MIN_SHARE * len(units.numerators))))
    own = [cut for cut in cuts if not cut.of_answer]
    single = _family(population, own, least)
    answer = _family(population, [cut for cut in cuts if cut.of_answer], least)
    pairs = _pairs(population, own, single, least)
    part = SINGLE_PART if len(pairs.p) else 1.0
    p_single, p_pairs = corrected(
        [(single.p, single.num_possible, part), (pairs.p, pairs.num_possible, 1 - SINGLE_PART)]
    )
    (p_answer,) = corrected([(answer.p, answer.num_possible, 1.0)])
    slices = [
        *_slices(population, single, p_single),
        *_slices(population, pairs, p_pairs),
        *_slices(population, answer, p_answer),
    ]
    slices.sort(key=lambda one: (one.p_corrected, one.p, -one.examples))
    sign = scoring.metric(units.metric).sign
    worst = min((one.score for one in slices), key=lambda x: sign * x, default=None)
    tested = single.num_possible + pairs.num_possible + answer.num_possible
    worse = sum(one.is_worse for one in slices)
    return Found(slices[:MAX_STORED], tested, least, worst, worse)


def _family(population: Population, cuts: Sequence[Cut], least: int) -> _Family:
    found, numbers, all_parts, variances, p = [], [], [], [], [np.empty(0)]
    for cut in cuts:
        parts = population.parts(cut.codes, len(cut.labels))
        total = len(population.deviations)
        kept = np.flatnonzero(
            (parts.examples >= least) & (parts.denominators > 0) & (parts.examples < total)
        )
        if not len(kept):
            continue
        if population.units.clusters is None:
            chosen = Parts(*(x[..., kept] for x in parts))
            p.append(scoring.p_values(population, chosen))
            variances.append(chosen.variances())
        else:
            clustered = scoring.of_clusters(population, cut.codes, parts)
            p.append(clustered[0][kept])
            variances.append(clustered[1][kept])
        found.append(cut)
        numbers.append(kept)
        all_parts.append(Parts(*(x[..., kept] for x in parts)))
    joined = np.concatenate(p)
    return _Family(found, numbers, all_parts, variances, joined, len(joined))


def _pairs(population: Population, cuts: Sequence[Cut], single: _Family, least: int) -> _Family:
    """Return the pairs of the cuts with the least p-values; all possible pairs count."""
    starts = np.cumsum([0, *map(len, single.numbers)])
    smallest = [single.p[a:b].min() for a, b in itertools.pairwise(starts)]
    order = np.argsort(smallest, kind="stable")
    chosen = [single.cuts[k] for k in order[:MAX_PAIRED_CUTS]]
    looked_at = [*_different(chosen)]
    family = _family(population, [scoring.combined(*pair) for pair in looked_at], least)
    possible = sum(1 for _ in _different(cuts)) if len(cuts) > MAX_PAIRED_CUTS else len(looked_at)
    growth = max(1.0, possible / max(1, len(looked_at)))
    return family._replace(num_possible=round(len(family.p) * growth))


def _different(cuts: Sequence[Cut]) -> Iterator[tuple[Cut, Cut]]:
    """Yield the pairs of cuts of different properties."""
    return (pair for pair in itertools.combinations(cuts, 2) if pair[0].subject != pair[1].subject)


def corrected(families: Sequence[tuple[np.ndarray, int, float]]) -> list[np.ndarray]:
    """Return the p-values of families after a common Benjamini-Hochberg correction.

    Each family has its p-values, the number of its hypotheses, of which the others have a p-value
    of 1, and its part of the error probability.
    """
    weighted = np.concatenate([p * number / part for p, number, part in families])
    order = np.argsort(weighted, kind="stable")
    ranked = weighted[order] / np.arange(1, len(order) + 1)
    q = np.empty(len(order))
    q[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return np.split(q, np.cumsum([len(p) for p, _, _ in families])[:-1])


def _slices(population: Population, family: _Family, p_corrected: np.ndarray) -> Iterator[Slice]:
    units, start = population.units, 0
    columns = (family.cuts, family.numbers, family.parts, family.variances)
    for cut, numbers, parts, variances in zip(*columns, strict=True):
        outside, ratios = scoring.rest(population, parts), parts.ratios
        for k, number in enumerate(numbers):
            ratio, examples = float(ratios[k]), int(parts.examples[k])
            yield Slice(
                cut.conditions(int(number)),
                examples,
                scoring.score(units, ratio),
                scoring.interval(population, examples, ratio, float(variances[k])),
                None if np.isnan(outside[k]) else scoring.score(units, float(outside[k])),
                float(family.p[start + k]),
                float(p_corrected[start + k]),
                cut.of_answer,
            )
        start += len(numbers)
