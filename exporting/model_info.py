"""Describe an export in about.json, for servers and the web page."""

import base64
from typing import Any

import numpy as np
import tensorflow as tf

from evaluation import scores_file
from exporting.warmup_records import inputs_of
from inference.modalities import modality_of
from inference.servable import DEFAULT
from training.run import SCORES, Run

NUM_EXAMPLES = 3
ENCODED = "encoded"
DECISION_FIELDS = ("thresholds",)  # of run.json, by which an export chooses classes


def describe(
    run: Run, signatures: dict[str, Any], published: dict[str, Any], *, with_examples: bool = False
) -> dict[str, Any]:
    """Return the content of about.json.

    It has the `signatures`, the entries of the modality such as `columns`, and the first score of
    an evaluated run. `examples` are rows in TensorFlow Serving's JSON for `example_signature`.

    Args:
        run: to describe.
        signatures: concrete functions by name.
        published: inputs by `SIGNATURE/input/NAME`, which every client of the server can read.
        with_examples: whether these inputs, and the published user ids, come from the data.

    """
    manifest = run.manifest
    info = modality_of(run).model_info(run, with_examples=with_examples)
    typical = {column["name"]: column["typical"] for column in info.get("columns", ())}
    signature = ENCODED if ENCODED in signatures else DEFAULT
    inputs = inputs_of(published, signature, NUM_EXAMPLES)
    return {
        "app": manifest["app"],
        "question": manifest["question"],
        "answer": manifest["answer"],
        "labels": list(manifest["labels"]),
        **{name: manifest[name] for name in DECISION_FIELDS if name in manifest},
        "coverage": run.coverage and run.coverage.level,
        "decision": _decision(run),
        "target": _target(run),
        "signatures": describe_signatures(signatures),
        **info,
        "examples": instances(inputs, typical)[:NUM_EXAMPLES],
        "example_signature": signature,
        "examples_from": "data" if with_examples else "schema",
        "score": _score(run),
        "remarks": _remarks(run),
    }


def _decision(run: Run) -> dict[str, Any] | None:
    """Return the rule by which classes are chosen, and its text; None for the most probable one."""
    if run.decision is None:
        return None
    names = ("positive", "threshold", "costs", "abstain")
    return {name: getattr(run.decision, name) for name in names} | {"text": run.decision.text}


def _target(run: Run) -> dict[str, str] | None:
    name = run.manifest["fields"].get("target")
    if run.task != "regression" or not name:
        return None
    # A table of numbers does not name their unit.
    return {"name": name, "unit": ""}


def describe_signatures(signatures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the inputs and outputs of concrete functions, by name."""
    return {name: _signature(function) for name, function in signatures.items()}


def _signature(function: Any) -> dict[str, Any]:
    # Some functions take inputs by position, but a server uses names only.
    specs = tf.nest.flatten(function.structured_input_signature)
    return {
        "inputs": _tensors({spec.name: spec for spec in specs}),
        "outputs": _tensors(function.structured_outputs),
    }


def _tensors(specs: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {
            "dtype": spec.dtype.name,
            "shape": None if spec.shape.rank is None else spec.shape.as_list(),
        }
        for name, spec in sorted(specs.items())
    }


def instances(
    inputs: dict[str, np.ndarray], typical: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Convert inputs to rows of TensorFlow Serving's JSON.

    JSON has no missing numbers. Complete rows come first; in the others the typical value of the
    column replaces a missing number.
    """
    rows = list(zip(*inputs.values(), strict=True))
    rows.sort(key=lambda row: any(_is_missing(cell) for cell in row))
    return [
        {
            name: (typical or {}).get(name, 0.0) if _is_missing(cell) else _cell(name, cell)
            for name, cell in zip(inputs, row, strict=True)
        }
        for row in rows
    ]


def _is_missing(cell: Any) -> bool:
    return isinstance(cell, np.floating) and bool(np.isnan(cell))


def _cell(name: str, cell: Any) -> Any:
    if isinstance(cell, bytes):
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(cell).decode()}
        return cell.decode("utf-8", "replace")
    return shortest(cell) if isinstance(cell, np.floating) else cell.tolist()


def shortest(number: Any) -> float:
    """Return the shortest decimal number that equals a float32 or float64."""
    return float(str(number))


def _score(run: Run) -> dict[str, Any] | None:
    if not (run.path / SCORES).exists():
        return None
    scores = scores_file.read(run)
    metric, value = next(iter(scores["test"].items()))
    low, high = scores["intervals"][metric]
    return {"metric": metric, "value": value, "low": low, "high": high}


def _remarks(run: Run) -> list[str]:
    """Return the remarks of the evaluation, such as simpler models that are better."""
    return scores_file.read(run).get("remarks", []) if (run.path / SCORES).exists() else []
