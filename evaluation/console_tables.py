"""Prints results: a table on a terminal, plain lines in a pipe."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from evaluation import rounding

NUMBER = re.compile(r"-?[\d,]*\.?\d+(e[-+]?\d+)?")


def table(columns: list[str], rows: Iterable[Iterable[Any]], title: str = "") -> None:
    """Print rows; columns of numbers are right-aligned."""
    cells = [[text(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        _plain(columns, cells, title)
        return
    from rich import box, console
    from rich.table import Table

    shown = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for k, name in enumerate(columns):
        right = bool(cells) and all(_is_number(row[k]) for row in cells)
        shown.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in cells:
        shown.add_row(*row)
    console.Console().print(shown)


def _plain(columns: list[str], cells: list[list[str]], title: str) -> None:
    lines = [columns, *cells]
    widths = [max(len(line[k]) for line in lines) for k in range(len(columns))]
    if title:
        print(title)
    for line in lines:
        print("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip())


def text(value: Any) -> str:
    """Return a value as the text of a cell."""
    return rounding.number(value) if isinstance(value, float) else str(value)


def _is_number(text: str) -> bool:
    return bool(NUMBER.fullmatch(text))


def scores(scored: dict[str, Any]) -> None:
    """Print the model's metrics with their intervals, and those of the baselines."""
    columns, rows, title = score_table(scored)
    table(columns, rows, title)
    for line in score_notes(scored):
        print(line)


def score_table(scored: dict[str, Any]) -> tuple[list[str], list[list[str]], str]:
    """Column names, rows and title of the table of scores and baselines."""
    intervals = scored["intervals"]
    model = [rounding.with_interval(value, intervals[name]) for name, value in _test(scored)]
    rows = [["this model", *model]]
    for title, row in scored["baselines"].items():
        cells = [
            rounding.rounded(row[name], rounding.decimals(*intervals[name])) if name in row else ""
            for name, _ in _test(scored)
        ]
        rows.append([title.replace("_", " "), *cells])
    return ["", *_headings(scored)], rows, f"{scored['examples']:,} test examples; 95 % intervals"


def score_notes(scored: dict[str, Any]) -> list[str]:
    """Lines below the table of scores."""
    return [line for line in (*scored["remarks"], scored["note"]) if line]


def _test(scored: dict[str, Any]) -> list[tuple[str, float]]:
    return list(scored["test"].items())


def _headings(scored: dict[str, Any]) -> list[str]:
    return [rounding.heading(name, scored["units"]) for name in scored["test"]]


def folds(summary: dict[str, Any]) -> None:
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
    table(["", *_headings(summary)], rows, title)
    if summary["note"]:
        print(summary["note"])


def predictions(rows: list[dict[str, Any]]) -> None:
    """Print a line for each prediction; the next classes share one cell."""
    if rows:
        table(list(rows[0]), [[cell(value) for value in row.values()] for row in rows])


def cell(value: Any) -> str:
    """Return a value as the text of a cell; the next classes are joined."""
    if not isinstance(value, list):
        return text(value)
    return ", ".join(" ".join(text(part) for part in one.values()) for one in value)


def details(scored: dict[str, Any]) -> None:
    """Print the further tables of the task."""
    for name in scored["tables"]:
        if rows := scored[name]:
            table(list(rows[0]), [row.values() for row in rows])


def parity(exported: dict[str, Any]) -> None:
    """Print how far each format of an export is from training, and the cost of quantisation."""
    result = exported["parity"]
    print(
        f"parity  {result['examples']} inputs replayed in a fresh process: largest difference "
        f"{result['max_abs_diff']:.1e}, tolerance {result['tolerance']:.0e}"
    )
    for name, proof in exported["formats"].items():
        print(
            f"{name:8}{Path(proof['path']).name}, {proof['bytes']:,} bytes: largest difference "
            f"{proof['max_abs_diff']:.1e} by its own runtime, tolerance {proof['tolerance']:.0e}"
        )
    if smaller := exported["quantized"]:
        sides = {"litert": smaller["before"], f"litert {smaller['way']}": smaller["after"]}
        metrics = list(smaller["before"]["test"])
        rows = [
            [name, *side["test"].values(), f"{side['bytes']:,}", side["milliseconds"]]
            for name, side in sides.items()
        ]
        table(
            ["", *metrics, "bytes", "ms for one"],
            rows,
            f"test examples, by LiteRT's runtime; {smaller['way']} differs from training by "
            f"{smaller['max_abs_diff']:.1e} at most",
        )
