"""Explain a run: its model on test examples, or its answers for inputs."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.explanations import explainer_of as answer_explainer_of
from inference.inputs import Note, print_note
from inference.options import ExplainOptions
from inference.values import is_column
from training.run import Run, write_json

FILE, FOLDER = "explanation.json", "explanation"
DEFAULT_OPTIONS = ExplainOptions()


def explain_model(run: Run) -> dict[str, Any]:
    """Explain the model of a run on its test examples.

    Writes explanation.json and figures into the run directory, and returns the content of the
    file. `lines` says in words what was found, `pictures` names the figures.
    """
    from evaluation import figures
    from evaluation.explanations import explainer_of

    start = time.perf_counter()
    found: list[Any] = []

    def make() -> dict[str, Any]:
        found.append(explainer_of(run).explain(run))
        return _in_folder(run, found[0].figures)

    drawn = figures.write(run, make)
    content = {
        "modality": run.modality,
        "task": run.task,
        "test_examples": len(run.splits.test),
        **found[0].content,
        "lines": [*found[0].lines, *drawn.notes],
        "pictures": drawn.names,
        "seconds": round(time.perf_counter() - start, 3),
    }
    write_json(run.path / FILE, content)
    return content


def explain_inputs(
    run: Run,
    inputs: list[str],
    note: Note = print_note,
    options: ExplainOptions = DEFAULT_OPTIONS,
) -> list[dict[str, Any]]:
    """Explain the answer for each input of the command line, which is one as of `predict`.

    Each result has the `input` and, except for lists of items, its `prediction`; an image that
    cannot be read has an `error` instead. Raises UnreadableError if no input can be read.
    """
    explained = answer_explainer_of(run).explain(run, inputs, options, note)
    _draw(run, explained, note)
    return explained


def explain_values(
    run: Run,
    values: Any,
    note: Note = print_note,
    options: ExplainOptions = DEFAULT_OPTIONS,
) -> list[dict[str, Any]]:
    """Explain the answer for values of Python, see `inference.predict.predict_values`."""
    if isinstance(values, Path):
        return explain_inputs(run, [str(values)], note, options)
    if isinstance(values, str):
        values = [values]
    if isinstance(values, Mapping) and not any(map(is_column, values.values())):
        values = [values]
    return answer_explainer_of(run).explain_values(run, values, options, note)


def _in_folder(run: Run, drawn: dict[str, Any]) -> dict[str, Any]:
    """Return the figures with the names of files in the folder of explanations, which exists."""
    if drawn:
        (run.path / FOLDER).mkdir(exist_ok=True)
    return {f"{FOLDER}/{name}": figure for name, figure in drawn.items()}


def _draw(run: Run, explained: list[dict[str, Any]], note: Note) -> None:
    """Write the figures of the explained inputs, if their modality has any."""
    from evaluation import figures
    from evaluation.explanations import explainer_of

    drawn = figures.write(
        run, lambda: _in_folder(run, explainer_of(run).answer_figures(run, explained))
    )
    for name in drawn.names:
        note(f"figure {run.path / name}")
    for line in drawn.notes:
        note(line)
