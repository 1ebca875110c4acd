"""Runs, scores and tables that show themselves in a notebook."""

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from evaluation import console_tables, scores_file
from training.run import SCORES
from training.run import Run as PlainRun

MAX_ROWS = 60  # of a table that is shown; the list holds all
STYLE = "text-align: left"


class Table(list[dict[str, Any]]):
    """A list of dicts that shows itself as a table.

    Attributes:
        title: above the table.
        notes: lines below it.

    """

    def __init__(
        self, rows: Iterable[dict[str, Any]] = (), *, title: str = "", notes: Sequence[str] = ()
    ) -> None:
        super().__init__(rows)
        self.title, self.notes = title, list(notes)

    def __repr__(self) -> str:
        return plain(self._columns(), self._cells(), self.title, self._notes())

    def _repr_html_(self) -> str:
        return markup(self._columns(), self._cells(), self.title, self._notes())

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self for name in row))

    def _cells(self) -> list[list[str]]:
        names = self._columns()
        return [[_cell(row.get(name)) for name in names] for row in self[:MAX_ROWS]]

    def _notes(self) -> list[str]:
        more = [f"{len(self) - MAX_ROWS:,} more rows"] if len(self) > MAX_ROWS else []
        return [*more, *self.notes]


class Scores(dict[str, Any]):
    """The content of scores.json, shown as a table, with the run's pictures in a notebook.

    `test` holds the metrics, `intervals` their 95 % intervals, `baselines` the same metrics of
    simple models. `pictures` names the picture files in the run directory.
    """

    def __init__(self, scores: dict[str, Any], directory: Path) -> None:
        super().__init__(scores)
        self.directory = directory

    def __repr__(self) -> str:
        columns, rows, title = console_tables.score_table(self)
        return plain(columns, rows, title, console_tables.score_notes(self))

    def _repr_html_(self) -> str:
        columns, rows, title = console_tables.score_table(self)
        shown = markup(columns, rows, title, console_tables.score_notes(self))
        return shown + "".join(map(_image, sorted(self.directory.glob("*.png"))))


class Run(PlainRun):
    """A trained run: `path` is its directory, `app` its app, `model` its Keras model.

    It shows itself as a table of its scores; in a notebook also with the pictures that `evaluate`
    drew. `Run.load("runs/mnist/latest")` loads a run from its directory.
    """

    @classmethod
    def of(cls, run: PlainRun) -> "Run":
        """Return the same run; what is in memory stays there."""
        if isinstance(run, cls):
            return run
        shown = cls(run.path, run.data_dir)
        shown.remember(**{k: v for k, v in vars(run).items() if k not in ("path", "data_dir")})
        return shown

    @property
    def scores(self) -> Scores | None:
        """The scores on the test examples; None before the first evaluation."""
        if not (self.path / SCORES).exists():
            return None
        return Scores(scores_file.read(self), self.path)

    def __repr__(self) -> str:
        return f"{self._head()}\n{self.scores or 'not evaluated yet'}"

    def _repr_html_(self) -> str:
        scores = self.scores
        shown = scores._repr_html_() if scores else "<p>not evaluated yet</p>"
        return f"<p>{html.escape(self._head())}</p>{shown}"

    def _head(self) -> str:
        return f"{self.manifest['app']} run {self.path}; data {self.app.data}"


def _cell(value: Any) -> str:
    return "" if value is None else console_tables.cell(value)


def plain(
    columns: Sequence[str], cells: Sequence[Sequence[str]], title: str, notes: Sequence[str]
) -> str:
    """Return a table in lines of text."""
    lines = [columns, *cells]
    widths = [max(len(line[k]) for line in lines) for k in range(len(columns))]
    rows = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
    return "\n".join([*([title] if title else []), *rows, *notes])


def markup(
    columns: Sequence[str], cells: Sequence[Sequence[str]], title: str, notes: Sequence[str]
) -> str:
    """Return a table in HTML."""
    caption = f"<caption>{html.escape(title)}</caption>" if title else ""
    head = "".join(f'<th style="{STYLE}">{html.escape(name)}</th>' for name in columns)
    rows = (
        "<tr>" + "".join(f'<td style="{STYLE}">{html.escape(one)}</td>' for one in line) + "</tr>"
        for line in cells
    )
    below = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return (
        f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"{below}"
    )


def _image(path: Path) -> str:
    content = base64.b64encode(path.read_bytes()).decode()
    name = html.escape(path.stem.replace("_", " "))
    return f'<img alt="{name}" src="data:image/png;base64,{content}">'
