"""The section of the report about groups of people: rates or errors, gaps, thresholds."""

import html
from collections.abc import Iterator, Mapping
from typing import Any

from evaluation.rounding import number, with_interval
from evaluation.run_report.tables import table

TITLES = {
    "selection_rate": "predicted {positive}",
    "tpr": "true positive rate",
    "fpr": "false positive rate",
    "precision": "precision",
    "accuracy": "accuracy",
    "positive_rate": "is {positive}",
    "mean_probability": "mean probability",
    "equalized_odds": "equalised odds",
    "calibration": "calibration",
    "rmse": "RMSE",
    "mean_error": "mean error",
}
ABOUT = {
    "two classes": (
        "The positive class is {positive}. Selection rate: share predicted {positive}. True "
        "positive rate: share of the true {positive} that is predicted so. False positive rate: "
        "share of the others that is predicted {positive}. Equalised odds: the larger gap of these "
        "two rates. Calibration: mean probability less the share that is {positive}."
    ),
    "classes": "Accuracy, and the recall of each class: the share of it that is predicted so.",
    "numbers": "The mean error is that of predicted minus true: above 0, predictions are too high.",
}


def section(found: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield the section; nothing without sensitive columns."""
    if not found:
        return
    about = ABOUT[found["kind"]].format(positive=found.get("positive", ""))
    yield "<h2>Groups of people</h2>"
    yield (
        f'<p class="faint">{html.escape(about)} 95 % intervals. Groups with fewer than '
        f"{found['min_examples']} examples are shown, and not judged.</p>"
    )
    for column in found["columns"]:
        yield f"<h3>By {html.escape(column['column'])}</h3>"
        if column["note"]:
            yield f'<p class="faint">{html.escape(column["note"])}</p>'
        yield from _groups(found, column)
        yield from _gaps(found, column)
    if found["thresholds"]:
        yield from _thresholds(found)


def _title(found: Mapping[str, Any], name: str) -> str:
    return TITLES.get(name, name).format(positive=found.get("positive", ""))


def _groups(found: Mapping[str, Any], column: Mapping[str, Any]) -> Iterator[str]:
    names = [name for name in column["groups"][0] if name not in ("group", "examples", "judged")]
    rows = [
        [
            row["group"],
            f"{row['examples']:,}" + (" (too few)" if not row["judged"] else ""),
            *(_cell(row[name]) for name in names),
        ]
        for row in column["groups"]
    ]
    yield from table(["group", "examples", *(_title(found, name) for name in names)], rows)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, dict) and value["value"] is None):
        return "-"
    if isinstance(value, dict):
        return with_interval(value["value"], value["interval"])
    return number(value)


def _gaps(found: Mapping[str, Any], column: Mapping[str, Any]) -> Iterator[str]:
    if not column["gaps"]:
        yield "<p>Fewer than two groups have enough examples: no gap is measured.</p>"
        return
    rows = [
        [
            _title(found, gap["name"]),
            with_interval(gap["gap"], gap["interval"]),
            with_interval(gap["ratio"], gap["ratio_interval"]) if "ratio" in gap else "",
            gap["high"],
            gap["low"],
        ]
        for gap in column["gaps"]
    ]
    yield from table(["", "largest gap", "ratio", "highest", "lowest"], rows)


def _thresholds(found: Mapping[str, Any]) -> Iterator[str]:
    yield "<h3>Thresholds by group: an option</h3>"
    yield (
        "<p>The model decides all groups alike. These thresholds on the probability of "
        f"{html.escape(found['positive'])}, chosen on validation examples, would even a rate. They "
        "are not applied. Whoever uses them treats people by their group, which may be forbidden."
        "</p>"
    )
    yield from table(
        ["by", "evens", "gap before", "gap after", "accuracy before", "after", "gain"],
        [[*_threshold_row(found, one)] for one in found["thresholds"]],
    )
    if any(not _narrows(one["gap"]) for one in found["thresholds"]):
        yield (
            "<p>Where the gap is not smaller after, the validation examples of a group are too few "
            "for its threshold.</p>"
        )
    for one in found["thresholds"]:
        title = f"By {one['column']}: even {_title(found, one['evens'])}"
        yield f"<details><summary>{html.escape(title)}</summary>"
        rows = [
            [
                row["group"],
                "unchanged" if row["threshold"] is None else number(row["threshold"]),
                _cell(row["before"]),
                _cell(row["after"]),
            ]
            for row in one["groups"]
        ]
        yield from table(["group", "threshold", "before", "after"], rows)
        yield "</details>"


def _narrows(gap: Mapping[str, float | None]) -> bool:
    before, after = gap["before"], gap["after"]
    return before is None or after is None or after < before


def _threshold_row(found: Mapping[str, Any], one: Mapping[str, Any]) -> Iterator[str]:
    gap, accuracy = one["gap"], one["accuracy"]
    yield one["column"]
    yield _title(found, one["evens"])
    for value in (*gap.values(), accuracy["before"], accuracy["after"]):
        yield "-" if value is None else number(value)
    gain, interval = accuracy["gain"], accuracy["interval"]
    yield number(gain) if interval is None else with_interval(gain, interval)
