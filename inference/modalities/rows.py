"""Questions that are rows: signatures over named columns, CSV files from the user."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from apps.app import ModalityName
from inference import saved_graph
from inference.inputs import places_in, table, tell
from inference.named_outputs import named, parts, rows
from inference.portable import CodeTable, Portable, behind, in_float32
from pipelines.examples import Batch
from pipelines.files import atomic_write
from pipelines.rows.column_kinds import unreadable_cell_notes
from pipelines.rows.column_names import with_names
from pipelines.rows.packing import MATRICES, Kinds, of_kind, packed, unpacked
from pipelines.rows.reading import Reading, read_features
from pipelines.tables.cell_formats import CellFormat, format_number
from pipelines.tables.table import Table
from training.run import Run

NAME: ModalityName = "row"
BLOCK = 1000
DAYS = "days since 1970"  # the unit of times
NUM_VALUES = 50  # categories of a column that people choose from


def signatures(run: Run) -> dict[str, Any]:
    """A concrete function over columns by name: float64 numbers (NaN: missing) or texts."""
    from pipelines.rows.preprocessing import stack_columns

    answer, kinds = named(run), kinds_of(run)
    specs = {
        name: tf.TensorSpec([None], "string" if kind == "category" else "float64", name)
        for name, kind in kinds.items()
    }

    @tf.function(autograph=False)
    def columns(**columns: Any) -> dict[str, Any]:
        return answer(stack_columns(columns, kinds))

    return {"serving_default": columns.get_concrete_function(**specs)}


def sample_inputs(raw: dict[str, np.ndarray], run: Run) -> dict[str, np.ndarray]:
    """The same raw columns as input of the signature, by `SIGNATURE/input/NAME`."""
    return {
        f"serving_default/input/{name}": column.astype("S") if column.dtype == object else column
        for name, column in unpacked(raw, kinds_of(run)).items()
    }


def predict_functions(run: Run) -> dict[str, Any]:
    """The function by which `predict` asks, over matrices: many inputs take long to trace."""
    answer, kinds = named(run), kinds_of(run)
    specs = [
        tf.TensorSpec([None, len(of_kind(kinds, "number"))], "float64", MATRICES["number"]),
        tf.TensorSpec([None, len(of_kind(kinds, "category"))], "string", MATRICES["category"]),
    ]

    @tf.function(input_signature=specs, autograph=False)
    def matrices(numbers: Any, texts: Any) -> dict[str, Any]:
        return answer({"numbers": numbers, "texts": texts})

    return {"matrices": matrices}


def vocabularies(run: Run) -> dict[str, Any]:
    """What `predict` has to know of the model: the categories of each column."""
    return {
        "categories": {name: list(some) for name, some in prepare_of(run.model).categories.items()}
    }


def portable(run: Run) -> Portable:
    """Columns by name: categories as their places in a table, numbers less their offsets."""
    from pipelines.rows.preprocessing import stack_columns

    given, kinds = in_float32(run.model), kinds_of(run)
    offsets = prepare_of(given).offsets()
    model, target = _shifted(given)
    prepare = prepare_of(model)
    rest = behind(model, prepare)

    def columns(**columns: Any) -> dict[str, Any]:
        return parts(run.task, rest(prepare(stack_columns(columns, kinds, "int32"))))

    specs = (
        tf.TensorSpec([None], "int32" if kind == "category" else "float32", name)
        for name, kind in kinds.items()
    )
    tables = {name: CodeTable(tuple(known), 0, -1) for name, known in prepare.categories.items()}
    return Portable(columns, tuple(specs), tables, offsets=offsets | {"value": target})


def _shifted(model: Any) -> tuple[Any, float]:
    """The model for numbers less their offsets, and what to add to its answer.

    Small runtimes compute in float32 alone.
    """
    import keras

    from apps.regression.layers import Destandardize
    from pipelines.rows.preprocessing import PrepareColumns, offset

    found = [0.0]

    def clone(layer: Any) -> Any:
        if isinstance(layer, PrepareColumns):
            return layer.shifted()
        config = layer.get_config()
        if isinstance(layer, Destandardize):
            found.append(offset(layer.mean, layer.scale))
            config |= {"mean": layer.mean - found[-1], "dtype": "float32"}
        return type(layer).from_config(config)

    twin = keras.models.clone_model(model, clone_function=clone)
    twin.set_weights(model.get_weights())
    return twin, found[-1]


def synthetic_features(run: Run) -> dict[str, np.ndarray]:
    """Three rows that nobody measured: all values typical, all low, and all high."""
    columns = (
        np.array([one["typical"].encode()] * 3, object)
        if one["kind"] == "category"
        else np.array([one[part] for part in ("typical", "low", "high")])
        for one in model_info(run)["columns"]
    )
    return packed(columns, kinds_of(run), 3)


def model_info(run: Run, *, with_examples: bool = False) -> dict[str, Any]:  # noqa: ARG001
    """What each column holds: what is typical of it, and between which values it is asked about.

    Typical is the training examples' median, or their most frequent category; low and high
    are two percentiles of them, see `usual_range`; `title` is the name in the user's table.
    """
    from pipelines.rows.preprocessing import usual_range

    prepare, reading = prepare_of(run.model), reading_of(run)
    titles = {name: title for title, name in reading.names.items()}
    return {
        "columns": [
            {"name": name, "title": titles.get(name, name)}
            | (
                _category(prepare.categories[name])
                if name in prepare.categories
                else _number(
                    prepare.numbers[name][0],
                    prepare.ends.get(name) or usual_range(column),
                    column[np.isfinite(column)],
                )
            )
            | ({"unit": DAYS} if reading.forms[name].kind == "time" else {})
            for name, column in unpacked(run.samples.raw, kinds_of(run)).items()
        ]
    }


def _category(known: list[str]) -> dict[str, Any]:
    typical = known[0] if known else ""
    return {"kind": "category", "typical": typical, "values": known[:NUM_VALUES]}


def _number(median: float, ends: list[float], some: np.ndarray) -> dict[str, Any]:
    low, high = ends
    digits = 3 - int(np.floor(np.log10(high - low or 1.0)))  # of a thousandth of the way
    if all(value == round(value) for value in (median, *some.tolist())):
        digits = min(digits, 0)
    low, high = _up(low, digits), -_up(-high, digits)
    if not median.is_integer():
        median = float(f"{median:.15g}")  # between 0.025 and 0.026 no 0.025500000000000002
    return {"kind": "number", "typical": median, "low": min(low, median), "high": max(high, median)}


def _up(value: float, digits: int) -> float:
    near = round(value, digits)
    return round(near + 10.0**-digits, digits) if near < value else near


def prepare_of(model: Any) -> Any:
    """The layer of a model that reads the columns."""
    from pipelines.rows.preprocessing import PrepareColumns

    return next(layer for layer in model.layers if isinstance(layer, PrepareColumns))


def predict(run: Run, inputs: list[str]) -> list[dict[str, Any]]:
    """The answer to each row of each CSV file; its `input` is the file and the row's line."""
    answers = []
    for name in inputs:
        asked = table(name)
        raw, places = read(asked, run), places_in(name, asked)
        for start in range(0, len(places), BLOCK):
            some = slice(start, start + BLOCK)
            block = {key: column[some] for key, column in raw.items()}
            for place, row in zip(places[some], rows(run, "matrices", block), strict=True):
                answers.append({"input": place, **row})
    return answers


def read(asked: Table, run: Run) -> dict[str, np.ndarray]:
    """The matrices that the model asks for, of a table that may have other columns.

    Cells that it cannot read are told of. Raises DataError where a column is missing.
    """
    reading = reading_of(run)
    matrices = read_features(asked, reading)
    known = {
        name: {category.encode() for category in some}
        for name, some in saved_graph.vocabularies(run)["categories"].items()
    }
    columns = unpacked(matrices, reading.kinds)
    for note in unreadable_cell_notes(
        with_names(asked, reading.names), columns, reading.forms, known
    ):
        tell(note)
    return matrices


def reading_of(run: Run) -> Reading:
    """How the run reads cells."""
    told = run.manifest.get("reading")
    if told is None:  # of a run from before it was kept
        return Reading({name: CellFormat(kind) for name, kind in kinds_of(run).items()}, {})
    return Reading(
        {name: CellFormat(**form) for name, form in told["forms"].items()}, told["names"]
    )


def kinds_of(run: Run) -> Kinds:
    """What the model takes for each column, by its name."""
    return run.manifest["data"]["spec"]["columns"]


def write_examples(folder: Path, some: Batch, run: Run) -> list[str]:
    """One CSV file of the examples, without the target; returns its path."""
    path, columns = folder / "rows.csv", unpacked(some.features, kinds_of(run))
    forms = reading_of(run).forms
    cells = [[_cell(cell, forms[name]) for cell in column] for name, column in columns.items()]
    lines = zip(*cells, strict=True)
    with atomic_write(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([list(columns), *lines])
    return [str(path)]


def _cell(value: Any, form: CellFormat) -> str:
    return (
        value.decode("utf-8", "replace") if isinstance(value, bytes) else format_number(value, form)
    )
