"""Print explanations."""

from collections.abc import Iterator
from typing import Any

from evaluation import console_tables
from evaluation.rounding import number, with_interval

MAX_EFFECTS = 10  # columns or words of one input
MAX_NEAREST_COLUMNS = 5  # columns of the nearest training rows, those with most effect
MAX_COLUMNS = 20  # in the table of importance


def print_model(content: dict[str, Any]) -> None:
    """Print the explanation of a model."""
    if importance := content.get("importance"):
        columns = importance["columns"][:MAX_COLUMNS]
        rows = [[one["column"], with_interval(one["rise"], one["interval"])] for one in columns]
        title = (
            f"permutation importance on {importance['rows']:,} test rows: rise of the "
            f"{importance['loss']}, with 95 % intervals"
        )
        console_tables.print_table(["column", "rise"], rows, title)
    for line in content["lines"]:
        print(line)


def print_answers(explained: list[dict[str, Any]]) -> None:
    """Print the explanation of each input."""
    if any("item" in one for one in explained):
        console_tables.print_predictions(explained)
        return
    for one in explained:
        if "error" not in one:
            for line in _heading(one):
                print(line)
            _print_effects(one)
            for line in [*_method(one), *_nearest(one), *_counterfactuals(one)]:
                print(line)


def _heading(one: dict[str, Any]) -> Iterator[str]:
    yield f"{one['input']}: {answer(one['prediction'])}"


def answer(prediction: dict[str, Any]) -> str:
    """Return a prediction in words."""
    if "value" in prediction:
        return number_signed(prediction["value"])
    if "class" in prediction:
        return f"{prediction['class']} {prediction['probability']:.1%}"
    chosen = (f"{row['class']} {row['probability']:.1%}" for row in prediction["classes"])
    return ", ".join(chosen) or "none"


def _print_effects(one: dict[str, Any]) -> None:
    if "columns" in one:
        rows = one["columns"][:MAX_EFFECTS]
        methods = ["occlusion", *(["integrated_gradients"] * ("integrated_gradients" in rows[0]))]
        cells = [
            [row["column"], _cell(row["value"]), *(number_signed(row[name]) for name in methods)]
            for row in rows
        ]
        headings = ["column", "value", *(name.replace("_", " ") for name in methods)]
        more = len(one["columns"]) - len(rows)
        rest = f"; {more} more columns" if more else ""
        console_tables.print_table(headings, cells, f"{_about(one['score'])}{rest}")
    for part in one.get("explained", []):
        rows = part["words"][:MAX_EFFECTS]
        cells = [[row["word"], number_signed(row["occlusion"])] for row in rows]
        console_tables.print_table(["word", "occlusion"], cells, _about(part))
    if "maps" in one:
        print(_about(one["score"]))


def _about(score: dict[str, Any]) -> str:
    return f"effects on {score['about']}, which is {number_signed(score['value'])}"


def number_signed(value: float) -> str:
    """Return a number with its sign, also a negative one, in few digits."""
    return f"-{number(-value)}" if value < 0 else number(value)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "missing" if value in (None, "") else str(value)


def _method(one: dict[str, Any]) -> Iterator[str]:
    method = one.get("methods", {}).get("integrated_gradients", {})
    if reason := method.get("not_offered"):
        yield f"no integrated gradients: {reason}"
    elif "completeness_error" in method:
        yield (
            f"integrated gradients begin at {method['baseline']}, whose score is "
            f"{number_signed(method['score_of_baseline'])}; they add up to within "
            f"{method['completeness_error']:.2%}"
        )


def _nearest(one: dict[str, Any]) -> Iterator[str]:
    shown = [row["column"] for row in one.get("columns", [])[:MAX_NEAREST_COLUMNS]]
    for near in one.get("nearest", []):
        if "columns" in near:
            text = ", ".join(f"{name} {_cell(near['columns'][name])}" for name in shown)
        else:
            text = near.get("text") or near.get("file") or f"training example {near['example']}"
        target = near["target"]
        name = number_signed(target) if isinstance(target, float) else target
        yield f"near in training: {name} (distance {number(near['distance'])}): {text}"
    if reason := one.get("nearest_note"):
        yield f"no nearest training examples: {reason}"


def _counterfactuals(one: dict[str, Any]) -> Iterator[str]:
    for found in one.get("counterfactuals", []):
        changes = " and ".join(
            f"{change['column']} from {_cell(change['from'])} to {_cell(change['to'])}"
            for change in found["changes"]
        )
        yield f"turned by {changes}: {answer(found['prediction'])}"
    if reason := one.get("counterfactual_note"):
        yield f"not turned: {reason}"
