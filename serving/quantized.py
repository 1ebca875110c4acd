"""A smaller file for LiteRT beside the usual one, and what it costs: never chosen by itself."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evaluation import kinds as judges
from pipelines.examples import Examples
from serving import edge, gate, kinds, litert, replay_edge
from serving.portable import Portable
from training.run import Run, write_json

SHOWN = 200  # training examples by which whole numbers are scaled


def write(run: Run, directory: Path, way: litert.Quantization) -> dict[str, Any]:
    """Write model.WAY.tflite beside model.tflite, and compare both on the test examples.

    Both are asked in fresh processes with LiteRT's runtime alone. Gives for each its
    `test` metrics, `bytes`, and `milliseconds` for an answer to one example; of the
    smaller one `max_abs_diff` from the answers of training, which no gate holds: that
    it differs is what was asked for. Raises RefusedError and ParityError.
    """
    portable = kinds.question(run.passport["question"]).portable(run)
    usual = directory / edge.FILES["litert"]
    smaller = directory / f"model.{way}.tflite"
    smaller.write_bytes(
        litert.converted(portable, way, lambda: _representative(portable, run.splits.train))
    )
    told = json.loads(usual.with_name(f"{usual.name}.json").read_text())
    told |= {"model": smaller.name, "quantized": way}
    write_json(smaller.with_name(f"{smaller.name}.json"), told)
    command = [replay_edge.__file__, "litert", str(smaller)]
    differences = gate.replayed(smaller.name, command, edge.samples_of(run))
    if None in differences.values():
        raise gate.ParityError(
            f"Received {smaller.name} with answers that are no numbers; expected some. It was "
            "not published; take another --quantize, or leave it away."
        )
    return {
        "way": way,
        "max_abs_diff": max(differences.values()),
        "before": _measured(run, usual),
        "after": _measured(run, smaller),
    }


def _representative(portable: Portable, train: Examples) -> Iterator[dict[str, Any]]:
    some = np.random.default_rng(0).permutation(len(train))[:SHOWN]
    features = train.numpy(np.sort(some)).features
    told = {"inputs": [{"name": spec.name, "dtype": spec.dtype.name} for spec in portable.inputs]}
    for given in told["inputs"]:
        if table := portable.tables.get(given["name"]):
            given |= {"codes": table.codes, "unknown": table.unknown}
    tensors = replay_edge.coded(told, _columns(features))
    for place in range(len(some)):
        yield {name: tensor[place : place + 1] for name, tensor in tensors.items()}


def _columns(features: Any) -> dict[str, np.ndarray]:
    return features if isinstance(features, dict) else {"pixels": features}


def _measured(run: Run, model: Path) -> dict[str, Any]:
    raw = _columns(run.splits.test.numpy().features)
    arrays = {
        f"serving_default/input/{name}": column.astype("S") if column.dtype == object else column
        for name, column in raw.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.npz"
        command = [replay_edge.__file__, "litert", str(model)]
        told = gate.replayed(model.name, command, arrays, [str(answers)])
        outputs = dict(np.load(answers, allow_pickle=False))
    judge = judges.judge(run.passport["answer"])
    return {
        "test": judge.metrics(judge.given(run.splits, outputs)),
        "bytes": model.stat().st_size,
        "milliseconds": round(told["milliseconds"], 4),
    }
