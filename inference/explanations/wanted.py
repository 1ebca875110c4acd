"""The answer that a counterfactual shall have: another class, or numbers on one side of a bound."""

import operator
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from apps.fields import FieldError
from inference.explanations.score import class_score
from inference.tasks import task_named
from training.run import Run

BOUND = re.compile(r"\s*(>=|<=)\s*(\S+)\s*")
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {">=": operator.ge, "<=": operator.le}


class Wanted(NamedTuple):
    """A wanted answer.

    Attributes:
        text: what is wanted, for people.
        turns: from outputs [n, ...] whether each is the wanted answer, bool [n].
        closeness: from outputs how close each comes, [n]; larger is closer.

    """

    text: str
    turns: Callable[[np.ndarray], np.ndarray]
    closeness: Callable[[np.ndarray], np.ndarray]


def wanted_of(run: Run, wanted: str, output: np.ndarray) -> Wanted | str:
    """Return the wanted answer for an input of this output, or why there is none.

    By default it is any other class. Raises FieldError for an unknown class or a bound that
    cannot be read.
    """
    labels = run.manifest["labels"]
    return _class(run, wanted, labels, output) if labels else _number(run, wanted, output)


def check(run: Run, wanted: str) -> None:
    """Raise FieldError for a wanted answer that the run cannot give."""
    if wanted:
        wanted_of(run, wanted, np.zeros(max(1, len(run.manifest["labels"])), "float32"))


def _class(run: Run, wanted: str, labels: list[str], output: np.ndarray) -> Wanted | str:
    if wanted and wanted not in labels:
        raise FieldError(
            f"Received --wanted {wanted!r}; expected a class of the run: "
            f"{', '.join(labels[:20])}{', ...' if len(labels) > 20 else ''}."
        )
    decide = task_named(run.task).decisions_in_graph(run)

    def classes(outputs: np.ndarray) -> np.ndarray:
        return np.asarray(decide(outputs)["class"]).astype(object)

    own = classes(output[np.newaxis])[0]
    if wanted and own == wanted.encode():
        return f"the answer is {wanted} already."
    if wanted:
        score = class_score(run, labels.index(wanted))
        return Wanted(
            f"the class {wanted}", lambda outputs: classes(outputs) == wanted.encode(), score.of
        )
    score = class_score(run, [label.encode() for label in labels].index(own))
    return Wanted(
        "another class",
        lambda outputs: classes(outputs) != own,
        lambda outputs: -score.of(outputs),
    )


def _number(run: Run, wanted: str, output: np.ndarray) -> Wanted | str:  # noqa: ARG001
    if not wanted:
        return "a number turns when it passes a bound: name one, such as --wanted '>=100'."
    match = BOUND.fullmatch(wanted)
    try:
        bound = float(match[2]) if match else np.nan
    except ValueError:
        bound = np.nan
    if match is None or not np.isfinite(bound):
        raise FieldError(
            f"Received --wanted {wanted!r} for predicted numbers; expected a bound such as "
            "'>=100' or '<=2.5'."
        )
    compare, sign = COMPARISONS[match[1]], 1.0 if match[1] == ">=" else -1.0
    if compare(float(np.ravel(output)[0]), bound):
        return f"the answer is {match[1]}{bound:g} already."
    return Wanted(
        f"{match[1]}{bound:g}",
        lambda outputs: compare(outputs.reshape(len(outputs), -1)[:, 0], bound),
        lambda outputs: sign * outputs.reshape(len(outputs), -1)[:, 0],
    )
