"""Rows: a signature over named columns; CSV files from the command line."""

import csv
import functools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from apps.app import ModalityName
from inference import saved_graph
from inference.inputs import Note, read_table, row_names
from inference.named_outputs import name_outputs, named_function, predict_rows
from inference.portable import CHARACTERS, ITEMS, CodeTable, Portable, as_float32, tail_model
from inference.values import Predictions, as_paths, is_table, predict_table
from pipelines.examples import Batch
from pipelines.files import atomic_write
from pipelines.rows.column_kinds import unreadable_cell_notes
from pipelines.rows.column_names import rename_columns
from pipelines.rows.packing import (
    DTYPES,
    MATRICES,
    Kind,
    Kinds,
    of_matrix,
    pack_columns,
    unpack_columns,
)
from pipelines.rows.reading import Reading, read_features
from pipelines.tables.cell_formats import CellFormat, format_number
from pipelines.tables.table import Table
from training.run import Run

NAME: ModalityName = "row"
ROWS_PER_BATCH = 1000
MAX_LISTED_VALUES = 50  # categories of a column in about.json


def signatures(run: Run) -> dict[str, Any]:
    """Return one function over columns by name: float64 numbers (NaN: missing) or texts."""
    from pipelines.rows.preprocessing import column_specs, stack_columns

    predict_batch, kinds = named_function(run), kinds_of(run)

    @tf.function(autograph=False)
    def columns(**columns: Any) -> dict[str, Any]:
        return predict_batch(stack_columns(columns, kinds))

    return {"serving_default": columns.get_concrete_function(**column_specs(kinds))}


def sample_inputs(raw: dict[str, np.ndarray], run: Run) -> dict[str, np.ndarray]:
    """Return raw columns as inputs of the signature."""
    return {
        f"serving_default/input/{name}": column.astype("S") if column.dtype == object else column
        for name, column in unpack_columns(raw, kinds_of(run)).items()
    }


def predict_functions(run: Run) -> dict[str, Any]:
    """Return the function for `predict`, of matrices: many columns would take long to trace."""
    predict_batch, kinds = named_function(run), kinds_of(run)
    specs = [
        tf.TensorSpec([None, len(of_matrix(kinds, matrix))], dtype, matrix)
        for matrix, dtype in DTYPES.items()
    ]

    @tf.function(input_signature=specs, autograph=False)
    def matrices(numbers: Any, texts: Any) -> dict[str, Any]:
        return predict_batch({"numbers": numbers, "texts": texts})

    return {"matrices": matrices}


def vocabularies(run: Run) -> dict[str, Any]:
    """Return the categories of each column."""
    return {
        "categories": {
            name: list(known) for name, known in prepare_of(run.model).known_texts.items()
        }
    }


def portable(run: Run) -> Portable:
    """Return a model of columns by name: categories as codes, numbers minus their offsets."""
    from pipelines.rows.preprocessing import stack_columns

    float32_model, kinds = as_float32(run.model), kinds_of(run)
    offsets = prepare_of(float32_model).offsets()
    model, target = _shifted(float32_model)
    prepare = prepare_of(model)
    tail = tail_model(model, prepare)

    def columns(**columns: Any) -> dict[str, Any]:
        return name_outputs(run.task, tail(prepare(stack_columns(columns, kinds, "int32"))))

    details = {one.column: one.sidecar for one in prepare.encoders if one.sidecar}
    widths = {one.column: [one.sidecar_width] for one in prepare.encoders if one.sidecar}
    specs = (
        tf.TensorSpec(
            [None, *widths.get(name, [])], "int32" if MATRICES[kind] == "texts" else "float32", name
        )
        for name, kind in kinds.items()
    )
    tables = {
        name: CodeTable(tuple(known), 0, -1)
        for name, known in prepare.known_texts.items()
        if name not in details
    }
    outside = [CHARACTERS] * any("characters" in detail for detail in details.values())
    outside += [ITEMS] * any("items" in detail for detail in details.values())
    return Portable(
        columns,
        tuple(specs),
        tables,
        details,
        offsets=offsets | {"value": target},
        outside=tuple(outside),
    )


def _shifted(model: Any) -> tuple[Any, float]:
    """Return the model for numbers minus their offsets, and the offset of its output.

    LiteRT and ONNX compute in float32 alone, so the offsets are subtracted outside in float64.
    """
    import keras

    from apps.regression.layers import Destandardize
    from pipelines.rows.preprocessing import PrepareColumns, offset

    offsets = [0.0]

    def clone(layer: Any) -> Any:
        if isinstance(layer, PrepareColumns):
            return layer.shifted()
        config = layer.get_config()
        if isinstance(layer, Destandardize):
            offsets.append(offset(layer.mean, layer.scale))
            config |= {"mean": layer.mean - offsets[-1], "dtype": "float32"}
        return type(layer).from_config(config)

    shifted = keras.models.clone_model(model, clone_function=clone)
    shifted.set_weights(model.get_weights())
    return shifted, offsets[-1]


def synthetic_features(run: Run) -> dict[str, np.ndarray]:
    """Return three rows from the schema: with typical, low and high values."""
    columns = (
        np.array([column["typical"].encode()] * 3, object)
        if column["kind"] != "number"
        else np.array([column[part] for part in ("typical", "low", "high")])
        for column in model_info(run)["columns"]
    )
    return pack_columns(columns, kinds_of(run), 3)


def model_info(run: Run, *, with_examples: bool = False) -> dict[str, Any]:  # noqa: ARG001
    """Describe each column: its kind, a typical value, and a range or categories.

    The typical value is the median of the training examples, or their most frequent category;
    low and high are percentiles, see `usual_range`; `title` is the name in the user's table.
    """
    from pipelines.rows.column_statistics import usual_range

    prepare, reading = prepare_of(run.model), reading_of(run)
    titles = {name: title for title, name in reading.names.items()}
    return {
        "columns": [
            {"name": name, "title": titles.get(name, name)}
            | (
                _texts(reading.kinds[name], prepare.known_texts[name])
                if name in prepare.categories
                else _number(
                    prepare.numbers[name][0],
                    prepare.ends.get(name) or usual_range(column),
                    column[np.isfinite(column)],
                )
            )
            | _format(reading.forms[name])
            for name, column in unpack_columns(run.samples.raw, kinds_of(run)).items()
        ]
    }


def _format(form: CellFormat) -> dict[str, Any]:
    """Return the unit of a column, and how its cells are read if that is not as they are."""
    unit = {"unit": form.measure} if form.measure and not form.is_text else {}
    if form.kind in ("category", "text", "list"):
        return unit
    return unit | {"format": form.entries}


def _texts(kind: Kind, known: list[str]) -> dict[str, Any]:
    typical = known[0] if known else ""
    return {"kind": kind, "typical": typical, "values": known[:MAX_LISTED_VALUES]}


def _number(median: float, ends: list[float], samples: np.ndarray) -> dict[str, Any]:
    low, high = ends
    digits = 3 - int(np.floor(np.log10(high - low or 1.0)))  # decimals of a thousandth of the range
    if all(value == round(value) for value in (median, *samples.tolist())):
        digits = min(digits, 0)
    low, high = _up(low, digits), -_up(-high, digits)
    if not median.is_integer():
        median = float(f"{median:.15g}")  # 0.0255 in place of 0.025500000000000002
    return {"kind": "number", "typical": median, "low": min(low, median), "high": max(high, median)}


def _up(value: float, digits: int) -> float:
    rounded = round(value, digits)
    return round(rounded + 10.0**-digits, digits) if rounded < value else rounded


def prepare_of(model: Any) -> Any:
    """Return the model's preprocessing layer."""
    from pipelines.rows.preprocessing import PrepareColumns

    return next(layer for layer in model.layers if isinstance(layer, PrepareColumns))


def predict(run: Run, inputs: list[str], note: Note) -> list[dict[str, Any]]:
    """Predict each row of each CSV file; its `input` is the file and the line."""
    predictions = []
    for name in inputs:
        table = read_table(name, note)
        raw, names = read(table, run, note), row_names(name, table)
        for start in range(0, len(names), ROWS_PER_BATCH):
            rows = slice(start, start + ROWS_PER_BATCH)
            block = {key: column[rows] for key, column in raw.items()}
            for row_name, row in zip(
                names[rows], predict_rows(run, "matrices", block), strict=True
            ):
                predictions.append({"input": row_name, **row})
    return predictions


def read(table: Table, run: Run, note: Note) -> dict[str, np.ndarray]:
    """Convert a table to the model's matrices; other columns are ignored.

    Notes cells that cannot be read. Raises DataError if a column is missing.
    """
    reading = reading_of(run)
    matrices = read_features(table, reading)
    known = {
        name: {category.encode() for category in texts}
        for name, texts in saved_graph.vocabularies(run)["categories"].items()
    }
    columns = unpack_columns(matrices, reading.kinds)
    for line in unreadable_cell_notes(
        rename_columns(table, reading.names), columns, reading.forms, known
    ):
        note(line)
    return matrices


def reading_of(run: Run) -> Reading:
    """Return the run's decoder of cells."""
    stored = run.manifest.get("reading")
    if stored is None:  # a run of an older version
        return Reading({name: CellFormat(kind) for name, kind in kinds_of(run).items()}, {})
    return Reading(
        {name: CellFormat(**form) for name, form in stored["forms"].items()}, stored["names"]
    )


def kinds_of(run: Run) -> Kinds:
    """Return the kind of each column, by its name."""
    return run.manifest["data"]["spec"]["columns"]


def predict_values(run: Run, values: Any, note: Note) -> Predictions:
    """Predict the rows of a table of Python, or of CSV files."""
    if not is_table(values):
        return predict(run, as_paths(values, "a data frame, a list of dicts, or CSV files"), note)
    return predict_table(values, functools.partial(predict, run), note)


def write_examples(folder: Path, batch: Batch, run: Run) -> list[str]:
    """Write the examples without targets to a CSV file; returns its path."""
    path, columns = folder / "rows.csv", unpack_columns(batch.features, kinds_of(run))
    forms = reading_of(run).forms
    cells = [[_cell(cell, forms[name]) for cell in column] for name, column in columns.items()]
    lines = zip(*cells, strict=True)
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([list(columns), *lines])
    return [str(path)]


def _cell(value: Any, form: CellFormat) -> str:
    return (
        value.decode("utf-8", "replace") if isinstance(value, bytes) else format_number(value, form)
    )
