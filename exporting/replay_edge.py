"""Ask a LiteRT or ONNX model by what is written beside it, in a process without TensorFlow.

    python replay_edge.py RUNTIME MODEL SAMPLES.npz ANSWERS.npz [time]

RUNTIME is `litert` or `onnx`; besides it NumPy alone is imported. MODEL.json, which stands
beside the model, says how raw input becomes what the model takes: this file is the reference
of how to read it, and whoever asks the model elsewhere may copy it.

SAMPLES holds the inputs of each signature under `SIGNATURE/input/NAME`; ANSWERS gets every
output under `SIGNATURE/NAME`, texts as bytes. Prints one JSON object; with `time` it holds
`milliseconds`, the median time of an answer to one example.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Tensors = dict[str, np.ndarray]
BATCH, ASKED = 256, 101


def litert(path: str) -> Callable[[Tensors], Tensors]:
    """The model as a function, by the runtime of LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    ask = Interpreter(model_path=path).get_signature_runner("serving_default")
    return lambda tensors: ask(**tensors)


def onnx(path: str) -> Callable[[Tensors], Tensors]:
    """The model as a function, by the runtime of ONNX."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda tensors: dict(zip(names, session.run(None, tensors), strict=True))


def coded(told: dict, raw: Tensors) -> Tensors:
    """Raw input as the model takes it: texts by their `codes`, or as texts where it has none."""
    tensors = {}
    for given in told["inputs"]:
        column = raw[given["name"]]
        if "codes" in given:
            codes = {
                text.encode("utf-8", "surrogateescape"): n for text, n in given["codes"].items()
            }
            numbers = [codes.get(bytes(text), given["unknown"]) for text in column.tolist()]
            column = np.array(numbers)
        elif given["dtype"] == "string":
            texts = [bytes(text).decode("utf-8", "replace") for text in column.tolist()]
            tensors[given["name"]] = np.array(texts, dtype=object)
            continue
        if "offset" in given:
            column = column.astype("float64") - given["offset"]
        tensors[given["name"]] = column.astype(given["dtype"])
    return tensors


def answers(ask: Callable[[Tensors], Tensors], told: dict, raw: Tensors) -> Tensors:
    """What the model gives to raw input, in batches; a class is named by the labels beside it."""
    tensors = coded(told, raw)
    length = len(next(iter(tensors.values())))
    parts = [
        ask({name: tensor[start : start + BATCH] for name, tensor in tensors.items()})
        for start in range(0, length, BATCH)
    ]
    given = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for one in told["outputs"]:
        if "offset" in one:
            given[one["name"]] = given[one["name"]].astype("float64") + one["offset"]
    if told["labels"] and "class" not in given:
        labels = np.array(told["labels"])
        given["class"] = labels[given["probabilities"].argmax(-1)]
    return {name: encoded(one) for name, one in given.items()}


def encoded(made: np.ndarray) -> np.ndarray:
    """Texts as bytes; numbers as they are."""
    if made.dtype.kind not in "OU":
        return made
    texts = [str(one).encode("utf-8", "surrogateescape") for one in made.ravel()]
    return np.array(texts, "S").reshape(made.shape)


def recommend(
    ask: Callable[[Tensors], Tensors], told: dict, user: np.ndarray, k: int, *, exclude_seen: bool
) -> Tensors:
    """Items and scores [n, k], the best first, as the SavedModel's signature `recommend`."""
    lists = told["recommend"]
    candidates = np.array([item.encode("utf-8", "surrogateescape") for item in lists["candidates"]])
    items, scores = [], []
    for one in user.tolist():
        pairs = {"user": np.array([one] * len(candidates)), "item": candidates}
        score = answers(ask, told, pairs)["score"].copy()
        if exclude_seen:
            met = lists["met"].get(one.decode("utf-8", "surrogateescape"), [])
            score[met] = -np.inf
        # Of equals the first comes first.
        order = np.argsort(-score, kind="stable")[:k]
        left = np.isfinite(score[order])
        items.append(np.where(left, candidates[order], b""))
        scores.append(np.where(left, score[order], 0))
    return {"items": np.array(items), "scores": np.array(scores)}


def replayed(ask: Callable[[Tensors], Tensors], told: dict, samples: Tensors) -> Tensors:
    """The answers to the inputs of each signature."""
    found: Tensors = {}
    for name in sorted({key.split("/")[0] for key in samples}):
        raw = _under(samples, f"{name}/input/")
        if name == "recommend":
            given = recommend(
                ask, told, raw["user"], int(raw["k"]), exclude_seen=bool(raw["exclude_seen"])
            )
        else:
            given = answers(ask, told, raw)
        found |= {f"{name}/{key}": value for key, value in given.items()}
    return found


def _under(samples: Tensors, prefix: str) -> Tensors:
    return {
        key.removeprefix(prefix): value for key, value in samples.items() if key.startswith(prefix)
    }


def median_milliseconds(ask: Callable[[Tensors], Tensors], told: dict, raw: Tensors) -> float:
    """Of an answer to one example, the time that the model takes."""
    one = {name: tensor[:1] for name, tensor in coded(told, raw).items()}
    seconds = []
    for _ in range(ASKED):
        start = time.perf_counter()
        ask(one)
        seconds.append(time.perf_counter() - start)
    return 1e3 * float(np.median(seconds))


def main(runtime: str, model: str, samples_path: str, answers_path: str, timed: str = "") -> None:
    """Write the answers; print the time of one where that is asked for."""
    told = json.loads(Path(f"{model}.json").read_text("utf-8"))
    ask = {"litert": litert, "onnx": onnx}[runtime](model)
    samples = dict(np.load(samples_path, allow_pickle=False))
    np.savez(answers_path, **replayed(ask, told, samples))  # type: ignore[arg-type]
    raw = _under(samples, "serving_default/input/")
    print(json.dumps({"milliseconds": median_milliseconds(ask, told, raw)} if timed else {}))


if __name__ == "__main__":
    main(*sys.argv[1:])
