"""Say in words whether the model is better than the best baseline, and how sure that is."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from scipy.special import ndtri

from apps.metrics import metric
from evaluation.decisive import decisive_metrics, worthwhile_gain
from evaluation.intervals import Z
from evaluation.outcomes import TITLES, Outcome
from evaluation.paired_comparison import Comparison, Comparisons
from evaluation.rounding import decimals, p_value, rounded

POWER = 0.8  # of a test with the advised number of examples
MIN_GROWTH = 1.2  # of the test set
MIN_MORE = 10  # test examples
MAX_GROWTH = 1000.0  # a larger one is not named
LEAST_FAVOURABLE_FIRST: tuple[Outcome, ...] = ("not better", "undecided", "better")

Scores = Mapping[str, float]


class Part(NamedTuple):
    """The comparison with the best baseline of one metric.

    Attributes:
        outcome: of this comparison.
        metric: the most important one that the baseline has.
        baseline: the best one in this metric.
        comparison: with it.
        scores: of the model and of the baseline.
        growth: factor by which the test set has to grow for a decision; None if it is decided, or
            if the factor is above MAX_GROWTH.

    """

    outcome: Outcome
    metric: str
    baseline: str
    comparison: Comparison
    scores: tuple[float, float]
    growth: float | None

    @property
    def text(self) -> str:
        """The scores and the gain, as a sentence without the outcome."""
        gain = gain_text(self.comparison, *self.scores, self.baseline)
        return f"{self.metric} {gain}."


class Verdict(NamedTuple):
    """Whether the model is better than the best baseline.

    Attributes:
        outcome: that of the first part.
        text: the verdict as sentences.
        parts: one for each kind of baselines, such as those of ratings and those of lists; the
            least favourable first.
        more_examples: test examples that would decide an undecided comparison, roughly.

    """

    outcome: Outcome
    text: str
    parts: list[Part]
    more_examples: int | None

    def to_json(self) -> dict[str, Any]:
        """Return the value in scores.json, without the findings."""
        parts = [
            {
                "outcome": one.outcome,
                "metric": one.metric,
                "baseline": one.baseline,
                "text": one.text,
            }
            for one in self.parts
        ]
        return {
            "outcome": self.outcome,
            "text": self.text,
            "parts": parts,
            "more_examples": self.more_examples,
        }


def judge(
    own: Scores, baselines: Mapping[str, Scores], comparisons: Comparisons, num_examples: int
) -> Verdict:
    """Judge a model by its comparisons with the baselines.

    The best baseline is that with the best score in the most important metric. The model is
    better if the corrected p-value is below 0.05 and the interval of the gain lies above 0. It is
    not better if that holds in the other direction, or if even the upper end of the interval is no
    worthwhile gain: MIN_WORTHWHILE_SHARE of the distance from a perfect score. Otherwise the test
    examples are too few to decide.
    """
    parts = [_part(own, baselines, comparisons, name) for name in _deciding(own, comparisons)]
    if not parts:
        return Verdict("undecided", "Undecided: there is no baseline to compare with.", [], None)
    parts.sort(key=lambda part: LEAST_FAVOURABLE_FIRST.index(part.outcome))
    outcome = parts[0].outcome
    sentences = [f"{TITLES[one.outcome]}: {one.text}" for one in parts]
    growth = max((one.growth or 0.0 for one in parts if one.outcome == "undecided"), default=0.0)
    more = max(MIN_MORE, _two_digits((growth - 1) * num_examples)) if growth else None
    if outcome == "undecided":
        sentences.append(_needed(more))
    return Verdict(outcome, " ".join(sentences), parts, more)


def gain_text(one: Comparison, own: float, other: float, title: str) -> str:
    """Return both scores and the gain with its interval, rounded alike."""
    low, high = one.interval
    num_decimals = decimals(low, high)
    texts = [rounded(value, num_decimals) for value in (own, other, one.gain, low, high)]
    return (
        f"{texts[0]} against {texts[1]} of {title.replace('_', ' ')}, a gain of {texts[2]} "
        f"(95 % interval {texts[3]} to {texts[4]}; {p_value(one.p_holm)})"
    )


def _deciding(own: Scores, comparisons: Comparisons) -> list[str]:
    """Return the most important metric of each kind of baselines."""
    order, found = decisive_metrics(own), []
    for compared in comparisons.values():
        first = next((name for name in order if name in compared), None)
        if first is not None and first not in found:
            found.append(first)
    return sorted(found, key=order.index)


def _part(
    own: Scores, baselines: Mapping[str, Scores], comparisons: Comparisons, name: str
) -> Part:
    sign = metric(name).sign
    others = {title: baselines[title][name] for title, row in comparisons.items() if name in row}
    best = max(others, key=lambda title: sign * others[title])
    one, margin = comparisons[best][name], worthwhile_gain(name, others[best])
    outcome: Outcome = "undecided"
    if one.is_better:
        outcome = "better"
    elif one.is_worse or min(one.interval[1], _possible_gain(name, others[best])) <= margin:
        outcome = "not better"
    growth = _growth(one, margin) if outcome == "undecided" else None
    return Part(outcome, name, best, one, (own[name], others[best]), growth)


def _possible_gain(name: str, score: float) -> float:
    """Return the distance of a score from a perfect one."""
    definition = metric(name)
    return abs((definition.high if definition.higher_is_better else definition.low) - score)


def _growth(one: Comparison, margin: float) -> float | None:
    """Return the factor of the test set's size with which the gain would be significant.

    The gain is the measured one, or the smallest worthwhile one if that is larger.
    """
    error = (one.interval[1] - one.interval[0]) / (2 * Z)
    effect = max(abs(one.gain), margin)
    if not effect or not error:
        return None
    growth = max(MIN_GROWTH, ((Z + float(ndtri(POWER))) * error / effect) ** 2)
    return growth if growth <= MAX_GROWTH else None


def _needed(more: int | None) -> str:
    if more is None:
        return "Far more test examples are needed to decide it."
    return f"Roughly {more:,} more test examples would decide it."


def _two_digits(count: float) -> int:
    """Round up to two digits."""
    unit = 10 ** max(0, math.floor(math.log10(max(count, 1.0))) - 1)
    return int(math.ceil(count / unit) * unit)
