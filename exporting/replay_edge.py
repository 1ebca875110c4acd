"""Run a LiteRT or ONNX model with its JSON sidecar, in a process without TensorFlow.

    python replay_edge.py RUNTIME MODEL SAMPLES.npz OUTPUTS.npz [time]

RUNTIME is `litert` or `onnx`; the script imports only this runtime and NumPy. MODEL.json, beside
the model, describes how to convert raw input to the input of the model. This script is the
reference implementation of that; copy it to run the model elsewhere.

SAMPLES holds the inputs of each signature under `SIGNATURE/input/NAME`. The script writes every
output to OUTPUTS under `SIGNATURE/NAME`, texts as bytes. It prints one JSON object; with `time` it
holds `milliseconds`, the median time for one example.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Tensors = dict[str, np.ndarray]
BATCH_SIZE, NUM_TIMED_RUNS = 256, 101


def litert(path: str) -> Callable[[Tensors], Tensors]:
    """Load a model with the runtime of LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_path=path).get_signature_runner("serving_default")
    return lambda tensors: model(**tensors)


def onnx(path: str) -> Callable[[Tensors], Tensors]:
    """Load a model with the runtime of ONNX."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda tensors: dict(zip(names, session.run(None, tensors), strict=True))


def encode(spec: dict, raw: Tensors) -> Tensors:
    """Convert raw input to tensors: texts become their `codes`, or strings without codes."""
    tensors = {}
    for entry in spec["inputs"]:
        column = raw[entry["name"]]
        if "codes" in entry:
            codes = {
                text.encode("utf-8", "surrogateescape"): n for text, n in entry["codes"].items()
            }
            numbers = [codes.get(bytes(text), entry["unknown"]) for text in column.tolist()]
            column = np.array(numbers)
        elif entry["dtype"] == "string":
            tensors[entry["name"]] = np.array(as_texts(column), dtype=object)
            continue
        elif "characters" in entry:
            points = [code_points(text, entry["characters"]) for text in as_texts(column)]
            column = np.array(points)
        elif "items" in entry:
            column = np.array([flags(text, entry) for text in as_texts(column)])
        if "offset" in entry:
            column = column.astype("float64") - entry["offset"]
        tensors[entry["name"]] = column.astype(entry["dtype"])
    return tensors


def as_texts(column: np.ndarray) -> list[str]:
    """Decode bytes."""
    return [bytes(text).decode("utf-8", "replace") for text in column.tolist()]


def code_points(text: str, length: int) -> list[int]:
    """Return the code points of a text in lower case between blanks, then zeros."""
    text = re.sub("[\x00-\x20\ufffd]+", " ", text.lower()).strip(" ")
    points = [ord(character) for character in f" {text} " if text][:length]
    return points + [0] * (length - len(points))


def flags(text: str, entry: dict) -> list[int]:
    """Return 1 for each of the items that is in a list, else 0; then the number of items."""
    if entry["bracketed"]:
        text = re.sub(r"^\s*\[|\]\s*$", "", text)
    parts = [part.strip(" \t\n\f\r\"'") for part in text.split(entry["separator"])]
    return [*(int(item in parts) for item in entry["items"]), sum(part != "" for part in parts)]


def predict(model: Callable[[Tensors], Tensors], spec: dict, raw: Tensors) -> Tensors:
    """Run the model on raw input in batches; a `class` is one of the labels of MODEL.json."""
    tensors = encode(spec, raw)
    length = len(next(iter(tensors.values())))
    parts = [
        model({name: tensor[start : start + BATCH_SIZE] for name, tensor in tensors.items()})
        for start in range(0, length, BATCH_SIZE)
    ]
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for entry in spec["outputs"]:
        if "offset" in entry:
            name = entry["name"]
            outputs[name] = outputs[name].astype("float64") + entry["offset"]
    if spec["labels"] and "class" not in outputs:
        labels = np.array([*spec["labels"], "unsure"])
        outputs["class"] = labels[answers(spec, outputs["probabilities"])]
    outputs |= decisions(spec["coverage"], outputs)
    return {name: to_bytes(array) for name, array in outputs.items()}


def answers(spec: dict, probabilities: np.ndarray) -> np.ndarray:
    """Return the number of the class of each row; that of "unsure" is the number of labels."""
    decision, labels = spec["decision"] or {}, spec["labels"]
    chosen = probabilities.argmax(-1)
    if decision.get("threshold") is not None:
        positive = labels.index(decision["positive"])
        reaches = probabilities[:, positive] >= np.float32(decision["threshold"])
        chosen = np.where(reaches, positive, 1 - positive)
    elif decision.get("costs") is not None:
        chosen = (probabilities.astype("float64") @ np.array(decision["costs"])).argmin(-1)
    if decision.get("abstain") is None:
        return chosen
    sure = probabilities.max(-1) >= np.float32(decision["abstain"])
    return np.where(sure, chosen, len(labels))


def decisions(coverage: dict | None, outputs: Tensors) -> Tensors:
    """Return the interval of each number, or the set of classes, if the model has them."""
    if coverage is None:
        return {}
    if "threshold" in coverage:
        probabilities = outputs["probabilities"]
        # A class is in the set if those before it have at most the threshold together.
        order = np.argsort(-probabilities, axis=1, kind="stable")
        ordered = np.take_along_axis(probabilities, order, 1)
        members = np.cumsum(ordered, 1) - ordered <= coverage["threshold"]
        classes = np.empty_like(members)
        np.put_along_axis(classes, order, members, 1)
        return {"classes": classes}
    value = outputs["value"] if "value" in outputs else outputs["rating"]
    guide = outputs.get("rating_std", value)
    half = coverage["quantile"] * np.interp(guide, coverage["at"], coverage["spreads"])
    return {"interval": np.stack([value - half, value + half], -1)}


def to_bytes(array: np.ndarray) -> np.ndarray:
    """Convert texts to bytes; leave numbers as they are."""
    if array.dtype.kind not in "OU":
        return array
    texts = [str(text).encode("utf-8", "surrogateescape") for text in array.ravel()]
    return np.array(texts, "S").reshape(array.shape)


def recommend(
    model: Callable[[Tensors], Tensors], spec: dict, user: np.ndarray, k: int, *, exclude_seen: bool
) -> Tensors:
    """Return items and scores [n, k], the best first, as the signature `recommend` does."""
    lists = spec["recommend"]
    candidates = np.array([item.encode("utf-8", "surrogateescape") for item in lists["candidates"]])
    items, scores = [], []
    for user_id in user.tolist():
        pairs = {"user": np.array([user_id] * len(candidates)), "item": candidates}
        score = predict(model, spec, pairs)["score"].copy()
        if exclude_seen:
            seen = lists["met"].get(user_id.decode("utf-8", "surrogateescape"), [])
            score[seen] = -np.inf
        # Ties keep the order of the candidates.
        order = np.argsort(-score, kind="stable")[:k]
        is_item = np.isfinite(score[order])
        items.append(np.where(is_item, candidates[order], b""))
        scores.append(np.where(is_item, score[order], 0))
    return {"items": np.array(items), "scores": np.array(scores)}


def replay(model: Callable[[Tensors], Tensors], spec: dict, samples: Tensors) -> Tensors:
    """Return the outputs for the inputs of each signature."""
    outputs: Tensors = {}
    for name in sorted({key.split("/")[0] for key in samples}):
        raw = _under(samples, f"{name}/input/")
        if name == "recommend":
            named = recommend(
                model, spec, raw["user"], int(raw["k"]), exclude_seen=bool(raw["exclude_seen"])
            )
        else:
            named = predict(model, spec, raw)
        outputs |= {f"{name}/{key}": value for key, value in named.items()}
    return outputs


def _under(samples: Tensors, prefix: str) -> Tensors:
    return {
        key.removeprefix(prefix): value for key, value in samples.items() if key.startswith(prefix)
    }


def median_milliseconds(model: Callable[[Tensors], Tensors], spec: dict, raw: Tensors) -> float:
    """Return the median time of the model for one example."""
    example = {name: tensor[:1] for name, tensor in encode(spec, raw).items()}
    seconds = []
    for _ in range(NUM_TIMED_RUNS):
        start = time.perf_counter()
        model(example)
        seconds.append(time.perf_counter() - start)
    return 1e3 * float(np.median(seconds))


def main(runtime: str, path: str, samples_path: str, outputs_path: str, timed: str = "") -> None:
    """Write the outputs for the samples; with `timed` print the time for one example."""
    spec = json.loads(Path(f"{path}.json").read_text("utf-8"))
    model = {"litert": litert, "onnx": onnx}[runtime](path)
    samples = dict(np.load(samples_path, allow_pickle=False))
    np.savez(outputs_path, **replay(model, spec, samples))  # type: ignore[arg-type]
    raw = _under(samples, "serving_default/input/")
    print(json.dumps({"milliseconds": median_milliseconds(model, spec, raw)} if timed else {}))


if __name__ == "__main__":
    main(*sys.argv[1:])
