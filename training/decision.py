"""How a run's probabilities become an answer, if it is not the most probable class.

`athanor decide` chooses a decision on held-out examples, and stores it in run.json.
"""

import types
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

UNSURE = "unsure"  # the answer for inputs with too low a confidence
NUMBER = (int, float)
WORDS = {
    "fp": "cost of a false positive",
    "fn": "cost of a false negative",
    "min_precision": "precision of at least",
    "min_recall": "recall of at least",
}
NOTHING: Mapping[str, float] = types.MappingProxyType({})


class Decision(NamedTuple):
    """A rule from probabilities to the answer.

    Attributes:
        positive: of two classes the one that is answered from `threshold` on; None without one.
        threshold: lowest probability of the positive class with which it is answered.
        costs: cost of each answer for each true class, [true, answer]; the answer has the lowest
            expected cost. None without such costs.
        abstain: lowest confidence, the largest probability, with which there is an answer.
        asked: what the user asked for, such as {"min_recall": 0.9}.
        validation: what the rule does on the held-out examples.

    """

    positive: str | None = None
    threshold: float | None = None
    costs: list[list[float]] | None = None
    abstain: float | None = None
    asked: Mapping[str, float] = NOTHING
    validation: Mapping[str, float] = NOTHING

    def to_json(self) -> dict[str, Any]:
        """Return the value of `decision` in run.json."""
        return self._asdict() | {"asked": {**self.asked}, "validation": {**self.validation}}

    def classes(self, probabilities: np.ndarray, labels: list[str]) -> np.ndarray:
        """Return the number of the chosen class of each row, whatever its confidence."""
        if self.threshold is not None and self.positive is not None:
            positive = labels.index(self.positive)
            reaches = probabilities[:, positive] >= np.float32(self.threshold)
            return np.where(reaches, positive, 1 - positive)
        if self.costs is not None:
            return (probabilities.astype("float64") @ np.array(self.costs, "float64")).argmin(-1)
        return probabilities.argmax(-1)

    def answered(self, probabilities: np.ndarray) -> np.ndarray:
        """Return whether the confidence of each row suffices for an answer."""
        if self.abstain is None:
            return np.ones(len(probabilities), bool)
        return probabilities.max(-1) >= np.float32(self.abstain)

    def answers(self, probabilities: np.ndarray, labels: list[str]) -> np.ndarray:
        """Return the number of the answer of each row; that of UNSURE is the number of labels."""
        chosen = self.classes(probabilities, labels)
        return np.where(self.answered(probabilities), chosen, len(labels))

    @property
    def text(self) -> str:
        """The rule in words."""
        parts = []
        if self.threshold is not None:
            parts.append(f"{self.positive} from a probability of {self.threshold:g} on")
        elif self.costs is not None:
            parts.append("the class with the lowest expected cost")
        if self.abstain is not None:
            parts.append(f"{UNSURE} below a confidence of {self.abstain:g}")
        asked = ", ".join(
            f"{WORDS.get(name, name)} {value:g}"
            for name, value in self.asked.items()
            if name != "abstain"
        )
        return "; ".join(parts) + (f" ({asked})" if asked else "")


def from_json(content: Mapping[str, Any] | None, labels: list[str]) -> Decision | None:
    """Return the value of `decision` in run.json. Raises ValueError if it is damaged."""
    if content is None:
        return None
    try:
        decision = Decision(**content)
        shares = [one for one in (decision.threshold, decision.abstain) if one is not None]
        is_valid = all(type(one) in NUMBER and 0 <= one <= 1 for one in shares)
        if decision.threshold is not None:
            is_valid &= decision.positive in labels and len(labels) == 2
        if decision.costs is not None:
            costs = np.array(decision.costs, "float64")
            is_valid &= costs.shape == (len(labels),) * 2 and bool(np.isfinite(costs).all())
        is_valid &= isinstance(decision.asked, dict) and isinstance(decision.validation, dict)
    except (TypeError, ValueError) as error:
        raise ValueError(str(error)[:100]) from error
    if not is_valid:
        raise ValueError("its values are none of a decision")
    return decision
