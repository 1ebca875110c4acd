"""Columns that predict the target almost perfectly by themselves: often known only after it."""

from collections.abc import Iterator
from typing import Any

from data_checks.target_leakage import leaking_columns
from evaluation.finding import Finding
from pipelines.splits import Splits

MAX_EXAMPLES = 4000  # training examples; more would cost seconds in wide tables
MAX_NAMED = 3


def of_splits(splits: Splits) -> list[dict[str, Any]]:
    """Return the columns of a table that predict the target of other rows almost perfectly.

    `score` is the share of the majority class's errors that the column corrects, or R2.
    """
    if splits.train.kinds is None:  # no table
        return []
    train = splits.train.sample(MAX_EXAMPLES)
    columns = {name: column[train.rows] for name, column in train.columns.items()}
    found = leaking_columns(columns, train.targets, bool(splits.labels))
    return [one._asdict() for one in found]


def leak_findings(found: list[dict[str, Any]] | None) -> Iterator[Finding]:
    """Find columns that predict the target too well."""
    if not found:
        return
    named = ", ".join(f"{one['column']!r} ({one['score']:.1%})" for one in found[:MAX_NAMED])
    more = f" and {len(found) - MAX_NAMED:,} more" if found[MAX_NAMED:] else ""
    noun, verb = ("Column", "corrects") if len(found) == 1 else ("Columns", "correct")
    each = "" if len(found) == 1 else ", each alone,"
    yield Finding(
        "target_leakage",
        f"{noun} {named}{more}{each} nearly {verb} every error of a constant guess (share in "
        "brackets). Is that value known before the target is? If not, the scores are worth "
        "nothing: train again without it (--drop).",
    )
