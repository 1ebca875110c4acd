"""Compare a run of each data set, default flags and seed 0, with its best peer: README's table.

    python benchmarks/peers.py
    python benchmarks/peers.py --only cars TREC      # the other rows stay unchanged

About half an hour on two quiet cores. Every run is `athanor APP train`. The peers are the baselines
that the same command fits and prints on the same examples, for tables LightGBM and CatBoost too if
they are installed (extra `peers`), and for MNIST the convolutional network of keras.io. The test
examples are read once a run. Seconds are processor time, so that other programs on the machine do
not count.
"""

import argparse
import dataclasses
import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import protocol
from protocol import Program, Run, Table

sys.path.append(str(protocol.HERE / "recipes"))
import boosted_peers

SHARED = protocol.ROOT.parent / "shared" / "data"
# The baselines' names in scores.json, and in the table.
NAMES = {
    "boosting": "gradient boosting (scikit-learn)",
    "linear": "linear or logistic regression",
    "user_and_item_means": "user and item means",
    "softmax_regression": "softmax regression",
    "tf-idf_svm": "TF-IDF + linear SVM",
    "nb-svm": "NB-SVM",
    **boosted_peers.PEERS,
}
TREES = "benchmarks/recipes/boosted_peers.py"
RECIPE = ("benchmarks/recipes/mnist_convnet.py",)
RECIPE_NAME = "keras.io convnet, 15 epochs"


class Row(NamedTuple):
    """One line of the table: the training flags and the metric."""

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


def measure_row(row: Row, directory: Path) -> Run:
    """Run a row; return the run with processor seconds and the best peer in its answer."""
    app, *flags = row.flags.split()
    words = ("-m", "athanor", app, "train", *flags, "--json")
    run, seconds = _run_timed(
        Program(row.name, words, lambda result: _read_scores(row, directory / result["run"])),
        directory,
    )
    if row.name == "MNIST":
        peer_run, _ = _run_timed(Program(RECIPE_NAME, RECIPE), directory)
        run.answer.update(peer=RECIPE_NAME, peers=peer_run.answer["accuracy"])
    others = {}
    for name in boosted_peers.installed() if app == "regression" else ():
        peer_run, _ = _run_timed(Program(name, (TREES, name, *flags)), directory)
        others[name] = peer_run.answer[row.metric]
    if others:
        others[run.answer["peer"]] = run.answer["peers"]
        best = _best(row, others)
        run.answer.update(others=others, peer=best, peers=others[best])
    return dataclasses.replace(run, answer=run.answer | {"cpu": seconds})


def _run_timed(program: Program, directory: Path) -> tuple[Run, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = protocol.run(program, 0, directory)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return run, round(used, 1)


def _read_scores(row: Row, run: Path) -> dict[str, Any]:
    scores_file = json.loads((run / "scores.json").read_text())
    scores = {
        name: scores[row.metric]
        for name, scores in scores_file["baselines"].items()
        if scores.get(row.metric) is not None
    }
    best = _best(row, scores)
    return {
        "score": scores_file["test"][row.metric],
        "interval": scores_file["intervals"][row.metric],
        "examples": scores_file["examples"],
        "peer": best,
        "peers": scores[best],
    }


def _best(row: Row, scores: dict[str, float]) -> str:
    """Return the name of the best score."""
    return (max if row.metric == "accuracy" else min)(scores, key=lambda name: scores[name])


def table(runs: dict[str, Run]) -> Table:
    """Return a line for each run, in the order of ROWS."""
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


def _line(row: Row, answer: dict[str, Any]) -> list[str]:
    def format_score(number: float) -> str:
        if row.metric == "accuracy":
            return f"{100 * number:.2f} %"
        return f"{number:,.0f}" if number > 1000 else f"{number:.3f}"

    low, high = map(format_score, answer["interval"])
    score, peer_score = format_score(answer["score"]), format_score(answer["peers"])
    interval = f"{low} to {high}"
    metric = {"rmse": "RMSE"}.get(row.metric, row.metric)
    examples, seconds = f"{answer['examples']:,}", f"{answer['cpu']:,.0f}"
    peer = NAMES.get(answer["peer"], answer["peer"])
    return [row.name, examples, metric, score, interval, peer, peer_score, seconds]


def main() -> None:
    """Measure the rows that --only names, and store them with the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [row.name for row in ROWS]
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    only = parser.parse_args().only
    conditions = protocol.block(
        [], 1, judged="test examples, once a run", missing=boosted_peers.missing()
    )
    conditions["command"] = "python benchmarks/peers.py"
    path = protocol.RESULTS / "peers.json"
    earlier = json.loads(path.read_text()) if path.exists() else {"runs": []}
    runs = {run["program"]: Run(**run) for run in earlier["runs"]}
    if {*runs} - {*only}:  # rows of earlier commits stay, with the packages of that time
        before = earlier["protocol"]
        commits = [*before["commit"].split(" and "), conditions["commit"]]
        conditions["commit"] = " and ".join(dict.fromkeys(commits))
        conditions["versions"] = before["versions"] | conditions["versions"]
        conditions["missing"] = [
            name for name in conditions["missing"] if name in before["missing"]
        ]
    title = "Default flags, seed 0, beside the best peer on the same examples"
    with tempfile.TemporaryDirectory() as directory:
        for row in ROWS:
            if row.name in only:
                runs[row.name] = measure_row(row, Path(directory))
                protocol.write("peers", title, conditions, list(runs.values()), table(runs))


if __name__ == "__main__":
    main()
