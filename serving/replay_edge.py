"""Ask a LiteRT or ONNX model by what is written beside it, in a process without TensorFlow.

    python replay_edge.py RUNTIME MODEL SAMPLES.npz [ANSWERS.npz]

RUNTIME is `litert` or `onnx`; besides it NumPy alone is imported. MODEL.json, which stands
beside the model, says how raw input becomes what the model takes: this file is the reference
of how to read it, and whoever asks the model elsewhere may copy it.

Prints one JSON object: for every signature, the largest absolute difference from the stored
answers, or null where it is no number (SAMPLES as in replay.py). With ANSWERS it writes there
what the model gives, compares nothing, and prints `milliseconds`, the median time of an
answer to one example.
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
    """What the model gives to raw input, in batches."""
    tensors = coded(told, raw)
    length = len(next(iter(tensors.values())))
    parts = [
        ask({name: tensor[start : start + BATCH] for name, tensor in tensors.items()})
        for start in range(0, length, BATCH)
    ]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    offsets = {one["name"]: one["offset"] for one in told["outputs"] if "offset" in one}
    shifted = {name: whole[name].astype("float64") + offsets[name] for name in offsets}
    return whole | shifted


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
        items.append(np.where(np.isinf(score[order]), b"", candidates[order]))
        scores.append(score[order])
    return {"items": np.array(items), "scores": np.array(scores)}


def compared(ask: Callable[[Tensors], Tensors], told: dict, samples: Tensors) -> dict:
    """The largest difference by signature."""
    found = {}
    for name in sorted({key.split("/")[0] for key in samples} - {"output"}):
        raw = _under(samples, f"{name}/input/")
        if name == "recommend":
            given = recommend(
                ask, told, raw["user"], int(raw["k"]), exclude_seen=bool(raw["exclude_seen"])
            )
        else:
            given = answers(ask, told, raw)
        expected = _under(samples, f"{name}/output/") or _under(samples, "output/")
        worst = max(_difference(given[key], value) for key, value in expected.items())
        # NaN never passes: it differs from everything.
        found[name] = worst if np.isfinite(worst) else None
    return found


def _under(samples: Tensors, prefix: str) -> Tensors:
    return {
        key.removeprefix(prefix): value for key, value in samples.items() if key.startswith(prefix)
    }


def _difference(given: np.ndarray, expected: np.ndarray) -> float:
    if given.shape != expected.shape:
        return np.inf
    # Where both say minus infinity they agree.
    with np.errstate(invalid="ignore"):
        differences = np.where(given == expected, 0.0, np.abs(given - expected))
    return float(np.max(differences))


def median_milliseconds(ask: Callable[[Tensors], Tensors], told: dict, raw: Tensors) -> float:
    """Of an answer to one example, the time that the model takes."""
    one = {name: tensor[:1] for name, tensor in coded(told, raw).items()}
    seconds = []
    for _ in range(ASKED):
        start = time.perf_counter()
        ask(one)
        seconds.append(time.perf_counter() - start)
    return 1e3 * float(np.median(seconds))


def main(runtime: str, model: str, samples_path: str, answers_path: str = "") -> None:
    """Print the differences; or write the answers and print the time of one."""
    told = json.loads(Path(f"{model}.json").read_text("utf-8"))
    ask = {"litert": litert, "onnx": onnx}[runtime](model)
    samples = dict(np.load(samples_path, allow_pickle=False))
    if not answers_path:
        print(json.dumps(compared(ask, told, samples)))
        return
    raw = _under(samples, "serving_default/input/")
    np.savez(answers_path, **answers(ask, told, raw))  # type: ignore[arg-type]
    print(json.dumps({"milliseconds": median_milliseconds(ask, told, raw)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
