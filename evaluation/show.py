"""Results for people: a table on a terminal, plain lines in a pipe."""

import sys
from collections.abc import Iterable
from typing import Any


def table(columns: list[str], rows: Iterable[Iterable[Any]], title: str = "") -> None:
    """Print rows; numbers stand to the right."""
    cells = [[_text(value) for value in row] for row in rows]
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


def _text(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _is_number(text: str) -> bool:
    return text.replace(".", "").replace("-", "").isdigit()


def scores(scored: dict[str, Any]) -> None:
    """The model's metrics with their intervals, above those of the baselines."""
    names = list(scored["test"])
    model = [
        f"{scored['test'][name]:.4f}  [{low:.4f}, {high:.4f}]"
        for name, (low, high) in scored["intervals"].items()
    ]
    rows = [["this model", *model]]
    rows += [[name.replace("_", " "), *row.values()] for name, row in scored["baselines"].items()]
    title = f"{scored['examples']:,} test examples; 95 % bootstrap intervals"
    table(["", *names], rows, title)


def predictions(answers: list[dict[str, Any]]) -> None:
    """The class of each input, how probable it is, and what else it may be."""
    rows = [
        [
            answer["input"],
            answer["class"],
            answer["probability"],
            ", ".join(f"{guess['class']} {guess['probability']:.4f}" for guess in answer["next"]),
        ]
        for answer in answers
    ]
    table(["input", "class", "probability", "next guesses"], rows)


def per_class(scored: dict[str, Any]) -> None:
    """Precision, recall, F1 and number of examples of each class."""
    rows = scored["per_class"]
    table(list(rows[0]), [row.values() for row in rows])
