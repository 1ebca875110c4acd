"""Read and validate run.json, so that other modules can rely on its content."""

import dataclasses
import json
from pathlib import Path
from types import EllipsisType
from typing import Any

import apps
from apps.app import TaskName
from apps.fields import with_current_names
from pipelines.rows.packing import DTYPES, MATRICES, of_matrix


class RunError(ValueError):
    """Raised for a run directory that cannot be used."""

    exit_status = 2


NUMBER = (int, float)
FieldTypes = dict[str, Any]  # type or types of each field, by name
FIELDS: FieldTypes = {
    "app": str,
    "question": str,
    "answer": str,
    "fields": dict,
    "data": dict,
    "labels": list,
    "precision": dict,
    "parameters": int,
    "seconds": dict,
    "examples_per_second": NUMBER,
    "strategy": str,
    "replicas": int,
}
NESTED_FIELDS: dict[str, FieldTypes] = {
    "data": {"fingerprint": str, "spec": dict},
    "precision": {"policy": str},
    "seconds": {"train": NUMBER},
}
# Fields of `reading`, which describes the input decoder, by modality.
DECODER_FIELDS: dict[str, FieldTypes] = {
    "image": {"way": str, "shape": list},
    "row": {"forms": dict, "names": dict},
    "text": {"column": str},
    "ids": {"user": str, "item": str, "rating": str, "time": str},
}
# Fields that describe how the cells of a column are read.
COLUMN_FORMAT_FIELDS = {"kind", "decimal", "unit", "order", "plain_unit", "true", "false"}
# Further fields of an image decoder, by its class name.
IMAGE_DECODERS: dict[str, FieldTypes] = {
    "FitImage": {"background": (*NUMBER, type(None)), "extent": NUMBER, "upright": bool},
    "FitPhoto": {"upright": bool},
}
MAX_IMAGE_SIDE = 2**14  # pixels
# Older versions stored these values, and the default batch size, where newer ones store null.
FORMER_DEFAULTS = {"copies": 4, "schedule": "cosine"}
AUTOMATIC_VALUES = {"schedule": "auto"}  # other fields are null
# run.json names the modality "question" and the task "answer", with these values.
ANSWERS: dict[TaskName, str] = {
    "classification": "classes",
    "multilabel": "multilabel",
    "regression": "number",
    "ranking": "ranking",
}
TASKS = {answer: task for task, answer in ANSWERS.items()}
POLICIES = ("float32", "mixed_bfloat16")


def read(path: Path) -> dict[str, Any]:
    """Read run.json. Raises RunError, which names what is wrong."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, getattr(error, "strerror", None) or str(error)) from error
    if not isinstance(content, dict):
        raise _damaged(path, "not a JSON object")
    _require(path, content, FIELDS)
    for name, parts in NESTED_FIELDS.items():
        _require(path, content[name], parts, f"{name}.")
    app = apps.get(content["app"])
    if content["question"] != app.modality:
        raise _damaged(path, f"question {content['question']!r:.50}, which {app.name()} has not")
    for name, value, expected in (
        ("answer", content["answer"], ANSWERS.values()),
        ("precision.policy", content["precision"]["policy"], POLICIES),
    ):
        if value not in expected:
            raise _damaged(path, f"{name} {value!r:.50} is none of {', '.join(expected)}")
    if not all(isinstance(label, str) for label in content["labels"]):
        raise _damaged(path, "labels that are not strings")
    if not isinstance(content["data"].get("directory"), str | None):
        raise _damaged(path, "data.directory is not a path")
    _require_thresholds(path, content)
    _add_orientation(content, app)
    _require_reading(path, content)
    _require_fold(path, content["data"].get("fold"))
    content["fields"] = with_current_names(content["fields"])
    if "chosen" not in content:
        content["fields"] = with_automatic(content["app"], content["fields"])
    return content


def _add_orientation(content: dict[str, Any], app: type[apps.App]) -> None:
    """Add to the run of an older version that it ignored the orientation of photographs."""
    reading = content.get("reading")
    if app.modality != "image" or not isinstance(reading, dict) or "upright" in reading:
        return
    reading["upright"] = False
    if any(field.name == "exif" for field in dataclasses.fields(app)):
        content["fields"]["exif"] = "ignore"


def with_automatic(app: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a run of an older version, with automatic values as null or auto."""
    old = FORMER_DEFAULTS | {"batch_size": apps.get(app).default_batch_size}
    automatic = {name for name, value in fields.items() if old.get(name) == value}
    return fields | {name: AUTOMATIC_VALUES.get(name) for name in automatic}


def _require_thresholds(path: Path, content: dict[str, Any]) -> None:
    if content["answer"] != ANSWERS["multilabel"]:
        return
    _require(path, content, {"thresholds": list})
    thresholds = content["thresholds"]
    are_numbers = all(type(one) in NUMBER and 0 < one < 1 for one in thresholds)
    if not are_numbers or len(thresholds) != len(content["labels"]):
        raise _damaged(path, "thresholds are not one number for each label")


def _require_reading(path: Path, content: dict[str, Any]) -> None:
    if content["question"] == "row":
        _require_columns(path, content["data"]["spec"])
    parts = DECODER_FIELDS.get(content["question"])
    if content["question"] == "row" and content.get("reading") is None:
        return  # a run of an older version has none
    if parts is None:
        return
    _require(path, content, {"reading": dict})
    _require(path, content["reading"], parts, "reading.")
    for name, form in content["reading"].get("forms", {}).items():
        if not isinstance(form, dict) or not {"kind"} <= form.keys() <= COLUMN_FORMAT_FIELDS:
            raise _damaged(path, f"reading.forms[{name!r:.50}] is {str(form)[:50]!r}")
        _require(path, form, dict.fromkeys(form, str), f"reading.forms[{name!r:.50}].")
    if "shape" in parts:
        _require_picture(path, content["reading"], content["data"]["spec"].get("features"))


def _require_columns(path: Path, spec: dict[str, Any]) -> None:
    if "columns" not in spec:
        raise RunError(
            f"Received {path} of an older version with other table preprocessing; expected one of "
            "this version. Train again; exports of that run can still be served."
        )
    kinds = spec["columns"]
    if not isinstance(kinds, dict) or not {*map(str, kinds.values())} <= set(MATRICES):
        raise _damaged(path, "data.spec.columns name no kinds")
    widths = {matrix: [len(of_matrix(kinds, matrix))] for matrix in DTYPES}
    if spec.get("features") != {name: [width, DTYPES[name]] for name, width in widths.items()}:
        raise _damaged(path, "data.spec.columns are not those of the data")


def _require_picture(path: Path, reading: dict[str, Any], features: Any) -> None:
    others = {name: part for name, part in reading.items() if name not in ("way", "shape")}
    parts = IMAGE_DECODERS.get(reading["way"])
    if parts is None or others.keys() != parts.keys():
        raise _damaged(path, f"reading.way {reading['way']!r:.50} is none")
    _require(path, reading, parts, "reading.")
    shape = reading["shape"]
    sides = all(type(side) is int and 0 < side <= MAX_IMAGE_SIDE for side in shape)
    if features != [shape, "uint8"] or len(shape) != 3 or not sides:
        raise _damaged(path, "reading.shape is not that of the data")


def _require_fold(path: Path, fold: Any) -> None:
    if fold is None:
        return
    has_names = isinstance(fold, dict) and fold.keys() == {"number", "of"}
    are_integers = has_names and all(type(value) is int for value in fold.values())
    if not are_integers or not 1 <= fold["number"] <= fold["of"] >= 2:
        raise _damaged(path, "data.fold is none")


def _require(path: Path, content: dict[str, Any], parts: FieldTypes, within: str = "") -> None:
    for name, kind in parts.items():
        value = content.get(name, ...)
        if isinstance(value, EllipsisType):
            raise _damaged(path, f"{within}{name} is missing")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _damaged(path, f"{within}{name} is {str(value)[:50]!r}")


def _damaged(path: Path, reason: str) -> RunError:
    return RunError(
        f"Received {path}, which is damaged ({reason[:200]}); expected JSON as training wrote it. "
        "Restore the file or train again."
    )
