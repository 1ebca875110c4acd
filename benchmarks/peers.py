"""One run of each data set with default flags and seed 0, beside its best peer: the README's table.

    python benchmarks/peers.py
    python benchmarks/peers.py --only cars TREC      # the other rows stay as they were

About half an hour on two quiet cores. Every run is `athanor APP train`. The peers are the models
that the same command fits and prints on the same examples, and for MNIST the convolutional network
of keras.io. The test examples are read once a run. Seconds are those of the processor, so that
other programs of the machine do not count.
"""

import argparse
import dataclasses
import json
import resource
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import protocol
from protocol import Program, Run, Table

SHARED = protocol.ROOT.parent / "shared" / "data"
# The peers' names in scores.json, as the table calls them.
NAMES = {
    "boosting": "gradient boosting (scikit-learn)",
    "linear": "linear or logistic regression",
    "user_and_item_means": "user and item means",
    "softmax_regression": "softmax regression",
    "tf-idf_logistic_regression": "TF-IDF + logistic regression",
}
RECIPE = ("benchmarks/recipes/mnist_convnet.py",)
RECIPE_NAME = "keras.io convnet, 15 epochs"


class Row(NamedTuple):
    """One line of the table: what is trained, and the metric that it is judged by."""

    name: str
    flags: str
    metric: str
    scale: float = 1.0


ROWS = (
    Row("diabetes", "regression", "rmse"),
    Row("concrete", f"regression --data {SHARED}/concrete_strength/concrete_strength.csv "
        "--target compressive_strength", "rmse"),
    Row("cars", f"regression --data {SHARED}/auto_mpg/auto_mpg.csv --target mpg", "rmse"),
    Row("white wine", "regression --data tfds:wine_quality/white --target quality", "rmse"),
    Row("California housing", f"regression --data {SHARED}/california_housing/housing.csv "
        "--target median_house_value", "rmse"),
    Row("Titanic", f"regression --data {SHARED}/titanic/titanic.csv --target survived "
        "--drop alive", "accuracy"),
    Row("MNIST", "mnist --data tfds:mnist", "accuracy"),
    Row("TREC", "text --data tfds:trec", "accuracy"),
    Row("SST-2", "text --data tfds:glue/sst2", "accuracy"),
    Row("CLINC150", "text --data tfds:clinc_oos", "accuracy"),
    Row("MovieLens 100K", "recommender --data tfds:movielens/100k-ratings", "rmse"),
)  # fmt: skip


def measured(row: Row, directory: Path) -> Run:
    """One run of a row, with the seconds of the processor and the best peer in its answer."""
    app, *flags = row.flags.split()
    words = ("-m", "athanor", app, "train", *flags, "--json")
    said, seconds = _timed(
        Program(row.name, words, lambda said: _answer(row, directory / said["run"])), directory
    )
    if row.name == "MNIST":
        theirs, _ = _timed(Program(RECIPE_NAME, RECIPE), directory)
        said.answer.update(peer=RECIPE_NAME, peers=theirs.answer["accuracy"])
    return dataclasses.replace(said, answer=said.answer | {"cpu": seconds})


def _timed(program: Program, directory: Path) -> tuple[Run, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = protocol.run(program, 0, directory)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return run, round(used, 1)


def _answer(row: Row, run: Path) -> dict[str, Any]:
    said = json.loads((run / "scores.json").read_text())
    scores = {
        name: scores[row.metric]
        for name, scores in said["baselines"].items()
        if scores.get(row.metric) is not None
    }
    best = (max if row.metric == "accuracy" else min)(scores, key=lambda name: scores[name])
    return {
        "score": said["test"][row.metric],
        "interval": said["intervals"][row.metric],
        "examples": said["examples"],
        "peer": best,
        "peers": scores[best],
    }


def table(runs: dict[str, Run]) -> Table:
    """A line for each run, in the order of ROWS."""
    lines = [_line(row, runs[row.name].answer) for row in ROWS if row.name in runs]
    header = [
        "data",
        "test examples",
        "metric",
        "athanor",
        "95 % interval",
        "best peer",
        "its score",
    ]
    return Table([*header, "CPU seconds"], lines)


def _line(row: Row, found: dict[str, Any]) -> list[str]:
    def shown(number: float) -> str:
        if row.metric == "accuracy":
            return f"{100 * number:.2f} %"
        return f"{number:,.0f}" if number > 1000 else f"{number:.3f}"

    low, high = map(shown, found["interval"])
    score, peers = shown(found["score"]), shown(found["peers"])
    ends = f"{low} to {high}"
    metric = {"rmse": "RMSE"}.get(row.metric, row.metric)
    examples, seconds = f"{found['examples']:,}", f"{found['cpu']:,.0f}"
    peer = NAMES.get(found["peer"], found["peer"])
    return [row.name, examples, metric, score, ends, peer, peers, seconds]


def main() -> None:
    """Measure the rows that are asked for, and keep them with the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [row.name for row in ROWS]
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    only = parser.parse_args().only
    conditions = protocol.block([], 1, judged="test examples, once a run")
    conditions["command"] = "python benchmarks/peers.py"
    place = protocol.RESULTS / "peers.json"
    kept = json.loads(place.read_text())["runs"] if place.exists() else []
    runs = {run["program"]: Run(**run) for run in kept}
    title = "Default flags, seed 0, beside the best peer on the same examples"
    with tempfile.TemporaryDirectory() as directory:
        for row in ROWS:
            if row.name in only:
                runs[row.name] = measured(row, Path(directory))
                protocol.write("peers", title, conditions, list(runs.values()), table(runs))


if __name__ == "__main__":
    main()
