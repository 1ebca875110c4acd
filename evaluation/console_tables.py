"""Print results: tables on a terminal, plain lines in a pipe."""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from evaluation import rounding

MAX_METRICS_PER_TABLE = 6  # with an interval each
MAX_GAINS_PER_TABLE = 4  # with an interval and a p-value each
NUMBER = re.compile(r"-?[\d,]*\.?\d+(e[-+]?\d+)?")


def print_table(columns: list[str], rows: Iterable[Iterable[Any]], title: str = "") -> None:
    """Print rows; columns of numbers are right-aligned."""
    cells = [[text(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        print(plain_table(columns, cells, title))
        return
    from rich import box, console
    from rich.table import Table

    rich_table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for k, name in enumerate(columns):
        right = bool(cells) and all(_is_number(row[k]) for row in cells)
        rich_table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in cells:
        rich_table.add_row(*row)
    console.Console().print(rich_table)


def plain_table(columns: Sequence[str], cells: Sequence[Sequence[str]], title: str) -> str:
    """Return a table in lines of text."""
    lines = [columns, *cells]
    widths = [max(len(line[k]) for line in lines) for k in range(len(columns))]
    rows = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join([*([title] if title else []), *rows])


def text(value: Any) -> str:
    """Return a number rounded, and any other value as text."""
    return rounding.number(value) if isinstance(value, float) else str(value)


def _is_number(text: str) -> bool:
    return bool(NUMBER.fullmatch(text))


def print_scores(scored: dict[str, Any]) -> None:
    """Print the model's metrics with their intervals, and those of the baselines."""
    print_columns(*score_table(scored))
    for line in score_notes(scored):
        print(line)


def print_columns(
    columns: list[str], rows: list[list[str]], title: str, most: int = MAX_METRICS_PER_TABLE
) -> None:
    """Print a table of metrics; one with more than `most` columns as several tables."""
    width = _columns_per_table(len(columns) - 1, most)
    for start in range(1, len(columns), width):
        part = slice(start, start + width)
        cells = [[row[0], *row[part]] for row in rows if any(row[part])]
        print_table([columns[0], *columns[part]], cells, title if start == 1 else "")


def _columns_per_table(count: int, most: int) -> int:
    """Return how many metrics stand side by side, so that tables have about the same width."""
    num_tables = -(-count // most)
    return -(-count // max(1, num_tables))


def score_table(scored: dict[str, Any]) -> tuple[list[str], list[list[str]], str]:
    """Return column names, rows and title of the table of scores and baselines."""
    intervals = scored["intervals"]
    model = [rounding.with_interval(value, intervals[name]) for name, value in _test(scored)]
    rows = [["this model", *model, _seconds(scored.get("training_seconds"))]]
    for title, row in scored["baselines"].items():
        cells = [
            rounding.rounded(row[name], rounding.decimals(*intervals[name])) if name in row else ""
            for name, _ in _test(scored)
        ]
        seconds = scored.get("baseline_seconds", {}).get(title)
        rows.append([title.replace("_", " "), *cells, _seconds(seconds)])
    weighted = f", weighted by {weight}" if (weight := scored.get("weight")) else ""
    title = f"{scored['examples']:,} test examples{weighted}; 95 % intervals"
    return ["", *_headings(scored), "seconds"], rows, title


def _seconds(seconds: float | None) -> str:
    """Return a time rounded to a tenth of a second, or to a second from 10; None is unknown."""
    if seconds is None:
        return ""
    return f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"


def score_notes(scored: dict[str, Any]) -> list[str]:
    """Return the lines below the table of scores."""
    line = blend_line(scored.get("blend", {}))
    verdict = scored.get("verdict", {}).get("text", "")
    found = [one["text"] for one in scored.get("findings", [])]
    advice = [*found, *(text for text in scored["remarks"] if text not in found)]
    note = "" if any(scored["note"] in text for text in advice) else scored["note"]
    return [line for line in (line, verdict, *advice, note) if line]


def blend_line(blend: dict[str, Any]) -> str:
    """Return the parts of a blend and their weights; empty without a blend."""
    parts = [
        f"{name} {part['weight']:.0%} (validation loss {part['validation_loss']:.3g}{_gain(part)})"
        for name, part in blend.items()
    ]
    return f"blend of {', '.join(parts)}" if parts else ""


def _gain(part: dict[str, float]) -> str:
    """Tell how much a part of a blend saves, if that is known."""
    return f", saves {part['gain']:.1%} of that of the rest" if "gain" in part else ""


def _test(scored: dict[str, Any]) -> list[tuple[str, float]]:
    return list(scored["test"].items())


def _headings(scored: dict[str, Any]) -> list[str]:
    return [rounding.heading(name, scored["units"]) for name in scored["test"]]


def print_folds(summary: dict[str, Any]) -> None:
    """Print means and standard deviations over folds, and the means of the baselines."""
    spread = summary["spread"]
    means = [rounding.with_spread(mean, spread[name]) for name, mean in _test(summary)]
    rows: list[list[Any]] = [["this app", *means]]
    for title, row in summary["baselines"].items():
        cells = [
            rounding.rounded(row[name], rounding.decimals(-spread[name], spread[name]))
            if name in row
            else ""
            for name in summary["test"]
        ]
        rows.append([title.replace("_", " "), *cells])
    title = f"mean ± standard deviation over {summary['folds']} folds of held-out examples"
    print_table(["", *_headings(summary)], rows, title)
    if summary["note"]:
        print(summary["note"])


def print_predictions(rows: list[dict[str, Any]]) -> None:
    """Print a line for each prediction."""
    if rows:
        print_table(list(rows[0]), [[cell(value) for value in row.values()] for row in rows])


def cell(value: Any) -> str:
    """Return a value as the text of a cell; a list, such as that of the next classes, is joined."""
    if not isinstance(value, list):
        return text(value)
    if not value:
        return "none"
    separator = " to " if isinstance(value[0], float) else ", "  # an interval
    parts = (one.values() if isinstance(one, dict) else [one] for one in value)
    return separator.join(" ".join(map(text, part)) for part in parts)


def comparison_table(scored: dict[str, Any]) -> tuple[list[str], list[list[str]], str]:
    """Return column names, rows and title of the table of gains over the baselines."""
    comparisons = scored.get("comparisons", {})
    names = [name for name in scored["test"] if any(name in row for row in comparisons.values())]
    rows = [
        [title.replace("_", " "), *(_gain_cell(row[name]) if name in row else "" for name in names)]
        for title, row in comparisons.items()
    ]
    headings = [rounding.heading(name, scored["units"]) for name in names]
    title = "gain over each baseline; 95 % intervals; p after Holm's correction"
    return ["", *headings], rows, title


def _gain_cell(one: dict[str, Any]) -> str:
    return (
        f"{rounding.with_interval(one['gain'], one['interval'])} {rounding.p_value(one['p_holm'])}"
    )


def print_comparisons(scored: dict[str, Any]) -> None:
    """Print the gain over each baseline in each metric, and its interval."""
    columns, rows, title = comparison_table(scored)
    if rows:
        print_columns(columns, rows, title, MAX_GAINS_PER_TABLE)


def discrimination_table(found: dict[str, Any]) -> tuple[list[str], list[list[str]], str]:
    """Return column names, rows and title of the table of areas under the curves."""
    names, intervals = list(found["test"]), found["intervals"]
    own = [rounding.with_interval(value, intervals[name]) for name, value in _test(found)]
    rows = [["this model", *own, *("" for _ in names)]]
    for title, scores in found["baselines"].items():
        cells = [
            rounding.rounded(scores[name], rounding.decimals(*intervals[name])) for name in names
        ]
        gains = found["comparisons"][title]
        compared = [_gain_cell(gains[name]) if name in gains else "" for name in names]
        rows.append([title.replace("_", " "), *cells, *compared])
    words = [name.replace("_", " ") for name in names]
    of = f"class {found['positive']!r}" if found["positive"] else "mean over the classes"
    return ["", *words, *(f"gain in {name}" for name in words)], rows, f"{of}; 95 % intervals"


def print_discrimination(scored: dict[str, Any]) -> None:
    """Print the areas under the curves of the model and the baselines, and the gains."""
    if found := scored.get("discrimination"):
        print_columns(*discrimination_table(found), MAX_GAINS_PER_TABLE)


def print_decision(scored: dict[str, Any]) -> None:
    """Print what the decision of the run does on the test examples."""
    from evaluation.run_report import decision

    if found := scored.get("decision"):
        print(f"decision  {found['text']}")
        if found["rows"]:
            print_table(*decision.rows_table(found))
        for line in decision.sentences(found):
            print(line)


def print_task_tables(scored: dict[str, Any]) -> None:
    """Print the areas under the curves, and the further tables of the task, such as of classes."""
    print_discrimination(scored)
    print_decision(scored)
    for name in scored["tables"]:
        if rows := scored[name]:
            print_table(list(rows[0]), [row.values() for row in rows])


def print_gaps(fairness: dict[str, Any]) -> None:
    """Print the largest gap of each rate between groups of people."""
    rows = [
        [
            column["column"],
            gap["name"].replace("_", " "),
            rounding.with_interval(gap["gap"], gap["interval"]),
            gap["high"],
            gap["low"],
        ]
        for column in fairness.get("columns", [])
        for gap in column["gaps"]
    ]
    if rows:
        print_table(["by", "rate", "largest gap", "highest", "lowest"], rows)


def print_parity(exported: dict[str, Any]) -> None:
    """Print how far each format of an export is from training, and the cost of quantisation."""
    result = exported["parity"]
    print(
        f"parity  {result['examples']} inputs replayed in a fresh process: largest difference "
        f"{result['max_abs_diff']:.1e}, tolerance {result['tolerance']:.0e}"
    )
    for name, file in exported["formats"].items():
        print(
            f"{name:8}{Path(file['path']).name}, {file['bytes']:,} bytes: largest difference "
            f"{file['max_abs_diff']:.1e} by its own runtime, tolerance {file['tolerance']:.0e}"
        )
    if quantized := exported["quantized"]:
        before, after, format_name = (quantized[key] for key in ("before", "after", "way"))
        files = {"litert": before, f"litert {format_name}": after}
        rows = [
            [name, *file["test"].values(), f"{file['bytes']:,}", file["milliseconds"]]
            for name, file in files.items()
        ]
        print_table(
            ["", *before["test"], "bytes", "ms for one"],
            rows,
            f"test examples, by LiteRT's runtime; {format_name} differs from training by "
            f"{quantized['max_abs_diff']:.1e} at most",
        )
