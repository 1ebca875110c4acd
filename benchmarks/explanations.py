"""Do explanations say what a model depends on? Deletion, insertion and randomised weights.

    python -m benchmarks.explanations --output build/explanations.json

Deletion takes the parts of an input away, those that raise the score most first, and averages the
score over all steps; insertion puts them into an empty input. A faithful order has a lower mean
than a random one in deletion and a higher one in insertion (Petsiuk, Das and Saenko, RISE, 2018).
A model of random weights has to have other explanations than the trained one: the rank correlation
of their attributions is near 0 (Adebayo et al., Sanity checks for saliency maps, 2018).

A few minutes on two cores; needs ../shared/data/telco_churn.
"""

import argparse
import functools
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import spearmanr, t

from training import startup

ROOT = Path(__file__).resolve().parents[1]
TELCO = ROOT.parent / "shared" / "data" / "telco_churn" / "telco_customer_churn.csv.gz"
NUM_EXAMPLES = 40  # test examples of each run
NUM_RANDOM_ORDERS = 5
NUM_DONORS = 20  # training rows whose cells are those of a deleted column


class Case(NamedTuple):
    """An input in parts: the effect of each, and the score of the input with some of them.

    Attributes:
        effects: of the parts.
        score: from masks [n, parts], true where a part is present, to scores [n].

    """

    effects: np.ndarray
    score: Callable[[np.ndarray], np.ndarray]


def row_cases(run: Any) -> Iterator[Case]:
    """Yield rows: parts are columns, an absent one has the cells of training rows."""
    from inference.explanations.occlusion import occlusion
    from inference.explanations.row_model import RowModel, repeated, replace_cells, row_at
    from inference.explanations.score import score_of

    model, train = RowModel(run), run.splits.train
    donors = train.sample(NUM_DONORS).numpy().features
    rows = run.splits.test.sample(NUM_EXAMPLES).numpy().features
    for position in range(len(rows["numbers"])):
        row = row_at(rows, position)
        about = score_of(run, model.outputs(row)[0])

        def score(masks: np.ndarray, row: Any = row, about: Any = about) -> np.ndarray:
            changed = repeated(row, len(masks) * NUM_DONORS)
            for column, place in enumerate(model.places.values()):
                absent = np.repeat(~masks[:, column], NUM_DONORS)
                cells = np.tile(donors[place.matrix][:, place.column], len(masks))
                replace_cells(changed, place, cells[absent], absent)
            return about.of(model.outputs(changed)).reshape(len(masks), NUM_DONORS).mean(1)

        yield Case(occlusion(model, row, about, train), score)


def text_cases(run: Any) -> Iterator[Case]:
    """Yield texts: parts are words, an absent one is left out."""
    from inference.explanations.score import score_of
    from inference.explanations.texts import effects_on, occluded_outputs
    from inference.model_outputs import compiled

    predict = compiled(run.model)
    for raw in run.splits.test.sample(NUM_EXAMPLES).numpy().features:
        words, outputs = occluded_outputs(run.model, raw.decode())
        about = score_of(run, outputs[0])

        def score(masks: np.ndarray, words: Any = words, about: Any = about) -> np.ndarray:
            texts = [" ".join(np.array(words, object)[mask]).encode() for mask in masks]
            return about.of(np.asarray(predict(np.array(texts, object))))

        yield Case(effects_on(outputs, about.number), score)


def image_cases(run: Any, method: str) -> Iterator[Case]:
    """Yield images: parts are pixels, an absent one has the mean colour of the image."""
    from inference.explanations.images import ImageExplainer
    from inference.explanations.score import score_of

    explainer = ImageExplainer(run)
    for pixels in run.splits.test.sample(NUM_EXAMPLES).numpy().features:
        about = score_of(run, explainer.outputs(pixels[None])[0])
        found = getattr(explainer.maps(pixels, about.number), method)

        def score(masks: np.ndarray, pixels: Any = pixels, about: Any = about) -> np.ndarray:
            mean = pixels.mean((0, 1)).round().astype(pixels.dtype)
            shape = masks.shape[0], *pixels.shape[:2], 1
            return about.of(explainer.outputs(np.where(masks.reshape(shape), pixels, mean)))

        yield Case(found.ravel(), score)


def curves(cases: Iterator[Case], seed: int = 0) -> dict[str, Any]:
    """Return the gains over random orders, in units of the score, with 95 % intervals."""
    random = np.random.default_rng(seed)
    gains: dict[str, list[float]] = {"deletion": [], "insertion": []}
    for case in cases:
        count = len(case.effects)
        if count < 2:
            continue
        ours = np.argsort(-case.effects, kind="stable")
        orders = [ours, *(random.permutation(count) for _ in range(NUM_RANDOM_ORDERS))]
        # By the number of parts that were taken: the rank of each part in its order.
        ranks = np.argsort(np.array(orders), 1)
        taken = ranks[:, None, :] < np.arange(count + 1)[None, :, None]
        for name, masks in (("deletion", ~taken), ("insertion", taken)):
            means = case.score(masks.reshape(-1, count)).reshape(len(orders), -1).mean(1)
            sign = -1 if name == "deletion" else 1
            gains[name].append(float(sign * (means[0] - means[1:].mean())))
    return {name: with_interval(np.array(values)) for name, values in gains.items()}


def with_interval(values: np.ndarray) -> dict[str, Any]:
    """Return the mean of values, its 95 % interval, and their number."""
    width = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    mean = float(values.mean())
    interval = [round(mean - float(width), 4), round(mean + float(width), 4)]
    return {"mean": round(mean, 4), "interval": interval, "examples": len(values)}


def attributions(cases: Iterator[Case]) -> list[np.ndarray]:
    """Return the effects of all cases."""
    return [case.effects for case in cases]


def randomised(run: Any, cases: Callable[[], Iterator[Case]]) -> dict[str, Any]:
    """Return the rank correlation of attributions with those of randomised weights.

    The weights of each variable are permuted, so that they keep their distribution. Scores are
    those of the most probable class of each model; ranks are of signed effects.
    """
    before, random = attributions(cases()), np.random.default_rng(0)
    stored = [variable.numpy() for variable in run.model.trainable_variables]
    for variable, value in zip(run.model.trainable_variables, stored, strict=True):
        variable.assign(random.permutation(value.ravel()).reshape(value.shape))
    after = attributions(cases())
    for variable, value in zip(run.model.trainable_variables, stored, strict=True):
        variable.assign(value)
    pairs = zip(before, after, strict=True)
    found = [spearmanr(one, other).statistic for one, other in pairs if len(one) > 2]
    return with_interval(np.array([one for one in found if np.isfinite(one)]))


def measure(folder: Path) -> dict[str, Any]:
    """Train a run of each kind, and measure its explanations."""
    from apps import Mnist, Regression, Text
    from training.train import train

    def trained(name: str, app: Any) -> Any:
        return train(app, run_dir=folder / name, precision="float32", verbose=0)

    results: dict[str, Any] = {}
    telco: dict[str, Any] = {"data": f"csv:{TELCO}", "target": "Churn", "drop": "customerID"}
    blend = trained("blend", Regression(**telco))
    results["telco, blend, occlusion"] = curves(row_cases(blend))
    network = trained("mlp", Regression(**telco, model="mlp", epochs=6))
    results["telco, mlp, occlusion"] = curves(row_cases(network)) | {
        "randomised": randomised(network, lambda: row_cases(network))
    }
    texts = trained("text", Text(epochs=3))
    results["reviews, blend, occlusion"] = curves(text_cases(texts))
    digits = trained("digits", Mnist(epochs=5))
    for method in ("occlusion", "integrated_gradients"):
        results[f"digits, {method}"] = curves(image_cases(digits, method)) | {
            "randomised": randomised(digits, functools.partial(image_cases, digits, method))
        }
    return results


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    startup.start_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder))
    for name, row in results.items():
        print(name, json.dumps(row))
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
