"""Findings about fairness, and the numbers that a gate can name."""

from collections.abc import Iterator, Mapping
from typing import Any

from evaluation.finding import Finding
from evaluation.rounding import number, p_value

# Audits such as those of AI Fairness 360 call differences of rates up to 0.1 fair; of errors, the
# same share of the standard deviation of the target.
MAX_FAIR_GAP = 0.1
TITLES = {
    "selection_rate": "the share predicted {positive}",
    "tpr": "the share of true {positive} that is found (true positive rate)",
    "fpr": "the share of the others that is predicted {positive} (false positive rate)",
    "rmse": "the RMSE",
    "mean_error": "the mean error",
    "accuracy": "the accuracy",
}
RECALL = "recall of "


def findings(fairness: Mapping[str, Any]) -> Iterator[Finding]:
    """Find columns between whose groups a rate differs significantly, and by more than 0.1."""
    for column in fairness.get("columns", []):
        widest: dict[str, dict[str, Any]] = {}
        for pair in column["pairs"]:  # the widest first
            if pair["difference"] > MAX_FAIR_GAP * fairness.get("deviation", 1.0):
                widest.setdefault(pair["name"], pair)
        if widest:
            yield Finding("unfair", _text(fairness, column, [*widest.values()]))


def _text(
    fairness: Mapping[str, Any], column: Mapping[str, Any], pairs: list[dict[str, Any]]
) -> str:
    parts = "; ".join(_difference(fairness, pair) for pair in pairs[:3])
    more = f"; and {len(pairs) - 3} more" if pairs[3:] else ""
    evened = any(one["column"] == column["column"] for one in fairness["thresholds"])
    option = (
        " The report shows thresholds by group that even the rates, and what they cost."
        if evened
        else ""
    )
    return (
        f"The model treats groups by {column['column']} differently: {parts}{more}. Find out why "
        "before people are judged by it: differences of the groups in the data, too few examples "
        f"of a group, or labels that are unfair themselves.{option}"
    )


def _difference(fairness: Mapping[str, Any], pair: Mapping[str, Any]) -> str:
    title = TITLES.get(pair["name"], f"the {pair['name']}")
    title = title.format(positive=repr(fairness.get("positive", "")))
    high, low = pair["values"]
    return (
        f"{title} is {number(high)} for {pair['high']} and {number(low)} for {pair['low']} "
        f"({p_value(pair['p_corrected'])})"
    )


def gate_values(fairness: Mapping[str, Any]) -> dict[str, float]:
    """Return the worst gap and ratio of all columns, as `fairness.tpr_gap`, and of each column."""
    values: dict[str, float] = {}
    for column in fairness.get("columns", []):
        for gap in column["gaps"]:
            name = "recall" if gap["name"].startswith(RECALL) else gap["name"]
            for start in ("fairness", f"fairness.{column['column']}"):
                key = f"{start}.{name}_gap"
                values[key] = max(values.get(key, 0.0), gap["gap"])
                if "ratio" in gap:
                    key = f"{start}.{name}_ratio"
                    values[key] = min(values.get(key, 1.0), gap["ratio"])
    return values
