"""Explain the answer for a row: effects of columns, nearest training rows, counterfactuals."""

from typing import Any

import numpy as np

from apps.app import ModalityName
from inference.explanations import counterfactual, neighbours, wanted
from inference.explanations.integrated_gradients import Attributions, integrated_gradients
from inference.explanations.occlusion import num_replacements, occlusion
from inference.explanations.row_model import Features, RowModel, row_at
from inference.explanations.score import Score, score_of
from inference.inputs import Note, UnreadableError, read_table, row_names
from inference.modalities import rows
from inference.named_outputs import name_outputs
from inference.options import ExplainOptions, kept_columns
from inference.tasks import task_named
from inference.values import as_paths, is_table, predict_table
from pipelines.examples import Examples
from training.run import Run

NAME: ModalityName = "row"
MAX_EXPLAINED_ROWS = 100
MAX_BASELINE_ROWS = 2000  # training rows whose mean is the baseline of integrated gradients
TREES = "the model contains trees, which have no gradient; see occlusion."
JUMPS = "they do not add up to the change of the score: the model has jumps; see occlusion."


def explain(
    run: Run, inputs: list[str], options: ExplainOptions, note: Note
) -> list[dict[str, Any]]:
    """Explain each row of each file. Raises FieldError for unknown columns or answers."""
    model = RowModel(run)
    keep = kept_columns(options, model.titles)
    wanted.check(run, options.wanted)
    explained: list[dict[str, Any]] = []
    for word in inputs:
        table = read_table(word, note)
        raw, names = rows.read(table, run, note), row_names(word, table)
        room = MAX_EXPLAINED_ROWS - len(explained)
        if len(names) > room:
            note(f"{word}: only the first {room} of {len(names):,} rows are explained")
        for position, name in enumerate(names[:room]):
            row = row_at(raw, position)
            explained.append({"input": name, **_explain_row(model, row, options.wanted, keep)})
    if not explained:
        raise UnreadableError(
            f"Received {inputs[0]!r}, which has no rows; expected at least one row to explain."
        )
    return explained


def explain_values(
    run: Run, values: Any, options: ExplainOptions, note: Note
) -> list[dict[str, Any]]:
    """Explain the rows of a table of Python, or of files."""
    if not is_table(values):
        paths = as_paths(values, "a data frame, a list of dicts, or CSV files")
        return explain(run, paths, options, note)
    return predict_table(values, lambda inputs, note: explain(run, inputs, options, note), note)


def _explain_row(model: RowModel, row: Features, answer: str, keep: list[str]) -> dict[str, Any]:
    train = model.run.splits.train
    output = model.outputs(row)
    score = score_of(model.run, output[0])
    return {
        "prediction": _prediction(model.run, output)[0],
        "score": {"about": score.title, "value": float(score.of(output)[0])},
        **_effects(model, row, score, train),
        "nearest": _nearest(model, row, train),
        **_counterfactuals(model, row, output, answer, keep),
    }


def _prediction(run: Run, output: np.ndarray) -> list[dict[str, Any]]:
    task = task_named(run.task)
    named = {**name_outputs(run.task, output)}
    decided = task.decisions_in_graph(run)(output)
    return task.rows(run, named | {name: part.numpy() for name, part in decided.items()})


def _effects(model: RowModel, row: Features, score: Score, train: Examples) -> dict[str, Any]:
    """Return the effect of each column by occlusion and, where possible, integrated gradients."""
    by_occlusion = occlusion(model, row, score, train)
    found, reason = _gradients(model, row, score, train)
    cells = model.cells(row)
    columns: list[dict[str, Any]] = [
        {"column": title, "value": cells[title], "occlusion": float(effect)}
        for title, effect in zip(model.titles.values(), by_occlusion, strict=True)
    ]
    method: dict[str, Any] = {"not_offered": reason}
    if found is not None:
        for column, effect in zip(columns, _by_column(model, found), strict=True):
            column["integrated_gradients"] = float(effect)
        method = {
            "baseline": "the mean of prepared training rows",
            "score_of_baseline": found.start,
            "completeness_error": found.error,
            "steps": found.steps,
        }
    replaced = min(num_replacements(len(columns)), len(train))
    return {
        "columns": sorted(columns, key=lambda one: -abs(one["occlusion"])),
        "methods": {"occlusion": {"replacements": replaced}, "integrated_gradients": method},
    }


def _gradients(
    model: RowModel, row: Features, score: Score, train: Examples
) -> tuple[Attributions | None, str]:
    """Return integrated gradients over the network's inputs, or why there are none."""
    if model.has_trees:
        return None, TREES
    prepared = {name: part[0] for name, part in model.prepared(row).items()}
    background = model.prepared(train.sample(MAX_BASELINE_ROWS).numpy().features)
    baseline = {name: part.mean(0) for name, part in background.items()}
    found = integrated_gradients(lambda x: score.in_graph(model.tail(x)), prepared, baseline)
    return (found, "") if found.complete else (None, JUMPS)


def _by_column(model: RowModel, found: Attributions) -> np.ndarray:
    """Add up the attributions of all inputs of the network that come from a column."""
    order = {name: index for index, name in enumerate(model.places)}
    origins = [order[name] for name in model.preparation.origins]
    values = np.concatenate([found.values["numbers"], found.values["flags"]])
    return np.bincount(origins, values, len(order))


def _nearest(model: RowModel, row: Features, train: Examples) -> list[dict[str, Any]]:
    """Return the nearest training rows in the space of the network's inputs."""
    found = neighbours.nearest(model.vectors, model.vectors(row), train)
    labels = model.run.manifest["labels"]
    nearest = []
    for position, distance in zip(found.positions[0], found.distances[0], strict=True):
        features, target = found.examples.numpy([position])
        answer = labels[target[0]] if labels else float(target[0])
        nearest.append(
            {"distance": float(distance), "target": answer, "columns": model.cells(features)}
        )
    return nearest


def _counterfactuals(
    model: RowModel, row: Features, output: np.ndarray, answer: str, keep: list[str]
) -> dict[str, Any]:
    """Return the least changes that turn the answer, and a sentence if there are none."""
    goal = wanted.wanted_of(model.run, answer, output[0])
    if isinstance(goal, str):
        return {"counterfactuals": [], "counterfactual_note": goal}
    train = model.run.splits.train
    found = counterfactual.search(model, row, train, goal.turns, goal.closeness, keep)
    columns = dict(zip(model.titles, model.cells(row).values(), strict=True))
    counterfactuals = [
        {
            "changes": [
                {
                    "column": model.titles[change.name],
                    "from": columns[change.name],
                    "to": model.cell(change.name, change.value),
                }
                for change in one.changes
            ],
            "distance": one.distance,
            "prediction": _prediction(model.run, one.output[np.newaxis])[0],
        }
        for one in found
    ]
    failed = f"no change of up to two columns gives {goal.text}."
    return {
        "counterfactuals": counterfactuals,
        "counterfactual_note": "" if counterfactuals else failed,
    }
