"""Train an app with every combination of some values, and store the score after each epoch.

    python benchmarks/recipes/tuning_table.py --app mnist --into benchmarks/results/tuning

A search over these values can then look up what it would find, and what its epochs would cost,
without training again. An interrupted command continues where it stopped.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from training import startup

# Not the embedded rows: on them no network is better than a linear model, whatever its fields.
CONCRETE = "shared/data/concrete_strength/concrete_strength.csv"
ROOT = Path(__file__).resolve().parents[3]  # the folder around the checkout
# Small data, few epochs; each app's own flags are among the combinations.
SPACES: dict[str, tuple[dict[str, Any], dict[str, tuple]]] = {
    "regression": (
        {"epochs": 8, "data": f"csv:{CONCRETE}", "target": "compressive_strength"},
        {
            "learning_rate": (0.001, 0.002, 0.005, 0.01, 0.02, 0.04),
            "width": (48, 96, 192),
            "dropout": (0.0, 0.1, 0.2),
            "batch_size": (64, 128),
        },
    ),
    "mnist": (
        {"epochs": 6},
        {
            "learning_rate": (0.025, 0.05, 0.1, 0.2, 0.4, 0.8),
            "batch_size": (48, 96, 192),
            "dropout": (0.0, 0.2, 0.4),
            "augment": (0.0, 1.0),
        },
    ),
    "finetune": (
        {"epochs": 4, "head_epochs": 4},
        {
            "learning_rate": (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008),
            "unfreeze": (0.0, 0.45, 0.9),
            "decay": (0.2, 0.5),
            "dropout": (0.0, 0.2, 0.5),
        },
    ),
    "text": (
        {"epochs": 5},
        {
            "learning_rate": (0.0015, 0.003, 0.006, 0.012, 0.024),
            "width": (32, 64),
            "dropout": (0.1, 0.2, 0.4),
            "grams": (1, 2, 3),
        },
    ),
    "recommender": (
        {"epochs": 8},
        {
            "model": ("auto", "svdpp"),
            "factors": (4, 8, 12, 16),
            "l2": (0.03, 0.05, 0.1, 0.15, 0.2, 0.3),
            "learning_rate": (0.0025, 0.005, 0.01),
        },
    ),
    # Above, one field decides: every recommendation by bayes is better than all by svdpp.
    "recommender-svdpp": (
        {"epochs": 8, "model": "svdpp"},
        {
            "factors": (4, 8, 12, 16),
            "l2": (0.03, 0.05, 0.1, 0.15, 0.2, 0.3),
            "learning_rate": (0.0025, 0.005, 0.01, 0.02, 0.04),
        },
    ),
}


# For models without gradient descent the learning rate has no effect: one is trained.
FIRST_RATE = {"learning_rate": 0.0025}


def combinations(name: str) -> list[dict[str, Any]]:
    """Return every combination of an app's values."""
    _, space = SPACES[name]
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]


def key(values: dict[str, Any]) -> str:
    """Return the key of a combination in the table."""
    return json.dumps(values, sort_keys=True)


def curve(app: Any, directory: Path) -> list[float]:
    """Return the best validation score so far, after each epoch; short if training diverged."""
    from training.failures import DivergedError
    from training.train import train
    from tuning import objectives, tuner_fixes

    with contextlib.suppress(DivergedError):
        train(app, run_dir=directory, precision="float32", verbose=0)
    history = directory / "history.csv"
    rows = history.read_text().splitlines() if history.exists() else []
    scores = []
    for end in range(2, len(rows) + 1):
        beginning = directory / "beginning.csv"
        beginning.write_text("\n".join(rows[:end]) + "\n")
        scores.append(objectives.best_so_far(beginning, app.monitor, app.monitor))
    tuner_fixes.free_graphs()
    return scores


def main() -> None:
    """Train the missing combinations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--app", choices=SPACES, required=True)
    parser.add_argument("--into", type=Path, required=True)
    options = parser.parse_args()
    startup.start_tensorflow()
    import apps
    from training.run import write_json

    options.into.mkdir(parents=True, exist_ok=True)
    path = options.into.resolve() / f"{options.app}.json"
    fields, space = SPACES[options.app]
    table = {"fields": fields, "space": space, "curves": {}}
    if path.exists():
        table = json.loads(path.read_text())
    os.chdir(ROOT)
    app = apps.get(options.app.partition("-")[0])(patience=0, **fields)
    for values in combinations(options.app):
        if key(values) in table["curves"]:
            continue
        if (
            values.get("model") == "auto"
            and (first_rate_key := key(values | FIRST_RATE)) in table["curves"]
        ):
            table["curves"][key(values)] = table["curves"][first_rate_key]
            continue
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as directory:
            scores = curve(dataclasses.replace(app, **values), Path(directory) / "run")
        table["curves"][key(values)] = scores
        write_json(path, table)
        print(key(values), scores[-1:], f"{time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
