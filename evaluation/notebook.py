"""Runs, scores and tables that show themselves in a notebook."""

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from evaluation import console_tables, scores_file, seed_tables
from training.run import SCORES
from training.run import Run as PlainRun

MAX_SHOWN_ROWS = 60
CELL_STYLE = "text-align: left"


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
        table = console_tables.plain_table(self._columns(), self._cells(), self.title)
        return "\n".join([table, *self._notes()])

    def _repr_html_(self) -> str:
        return _html_table(self._columns(), self._cells(), self.title, self._notes())

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self for name in row))

    def _cells(self) -> list[list[str]]:
        names = self._columns()
        return [[_cell(row.get(name)) for name in names] for row in self[:MAX_SHOWN_ROWS]]

    def _notes(self) -> list[str]:
        more = [f"{len(self) - MAX_SHOWN_ROWS:,} more rows"] if len(self) > MAX_SHOWN_ROWS else []
        return [*more, *self.notes]


class Scores(dict[str, Any]):
    """The content of scores.json, shown as a table, with the run's figures in a notebook.

    `test` holds the metrics, `intervals` their 95 % intervals, `baselines` the same metrics of
    simple models. `pictures` names the files of the figures in the run directory.
    """

    def __init__(self, scores: dict[str, Any], directory: Path) -> None:
        super().__init__(scores)
        self.directory = directory

    def __repr__(self) -> str:
        table = console_tables.plain_table(*console_tables.score_table(self))
        return "\n".join([table, *console_tables.score_notes(self)])

    def _repr_html_(self) -> str:
        columns, rows, title = console_tables.score_table(self)
        table = _html_table(columns, rows, title, console_tables.score_notes(self))
        return table + "".join(map(_image, sorted(self.directory.glob("*.png"))))


class Report(dict[str, Any]):
    """The files of a report, its verdict and its findings."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(content)

    def __repr__(self) -> str:
        files = [f"{name}: {value}" for name, value in self.items() if isinstance(value, str)]
        return "\n".join([self["verdict"]["text"], *files])


class Seeds(dict[str, Any]):
    """The content of seeds.json: the runs of several seeds, shown as tables."""

    def __init__(self, summary: dict[str, Any]) -> None:
        super().__init__(summary)

    def __repr__(self) -> str:
        tables = (console_tables.plain_table(*table) for table in self._tables())
        return "\n".join([*tables, *self._notes()])

    def _repr_html_(self) -> str:
        first, second = (_html_table(*table, []) for table in self._tables())
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self._notes())
        return first + second + notes

    def _tables(self) -> tuple[seed_tables.Table, seed_tables.Table]:
        return seed_tables.runs_table(self), seed_tables.variance_table(self)

    def _notes(self) -> list[str]:
        return [self["verdict"]["text"], *(one["text"] for one in self["findings"])]


class Run(PlainRun):
    """A trained run: `path` is its directory, `app` its app, `model` its Keras model.

    It shows itself as a table of its scores; in a notebook also with the figures that `evaluate`
    drew. `Run.load("runs/mnist/latest")` loads a run from its directory.
    """

    @classmethod
    def of(cls, run: PlainRun) -> "Run":
        """Return the same run, with the data and the model that it holds in memory."""
        if isinstance(run, cls):
            return run
        copy = cls(run.path, run.data_dir)
        copy.remember(**{k: v for k, v in vars(run).items() if k not in ("path", "data_dir")})
        return copy

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
        table = scores._repr_html_() if scores else "<p>not evaluated yet</p>"
        return f"<p>{html.escape(self._head())}</p>{table}"

    def _head(self) -> str:
        return f"{self.manifest['app']} run {self.path}; data {self.app.data}"


def _cell(value: Any) -> str:
    return "" if value is None else console_tables.cell(value)


def _html_table(
    columns: Sequence[str], cells: Sequence[Sequence[str]], title: str, notes: Sequence[str]
) -> str:
    """Return a table in HTML."""
    caption = f"<caption>{html.escape(title)}</caption>" if title else ""
    head = "".join(f'<th style="{CELL_STYLE}">{html.escape(name)}</th>' for name in columns)
    rows = (
        "<tr>"
        + "".join(f'<td style="{CELL_STYLE}">{html.escape(one)}</td>' for one in line)
        + "</tr>"
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
