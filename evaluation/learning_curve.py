"""Train the app of a run on parts of its training examples, to know what twice as many bring."""

import dataclasses
import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from apps.app import FieldError
from apps.metrics import metric
from evaluation import report, scores_file
from evaluation.decisive import decisive_metrics
from evaluation.intervals import Z
from evaluation.learning_curve_text import FILE, sentence
from evaluation.learning_law import LearningLaw, Point
from evaluation.tasks import task_of
from pipelines.splits import Splits
from training.run import SCORES, Run, RunError, write_json
from training.train import train

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of the training examples
MIN_EXAMPLES = 200  # training examples of the run
MIN_FITS, MAX_FITS = 2, 50


def learning_curve(run: Run, fits: int = MIN_FITS, *, verbose: int = 2) -> dict[str, Any]:
    """Train the app of a run on 1/8, 1/4, 1/2 and all of its training examples, and fit a law.

    Each size has `fits` models: their seeds are those of the run and the next ones, and their
    examples are drawn anew with each seed. The run itself is the first model of the full size. All
    have the validation and test examples of the run. The scores are those of the test examples,
    because some apps fit a part of the model to the validation examples; no model is chosen by
    them. Returns the content of learning_curve.json, which is in the run after every model, so
    that the same call resumes.

    Args:
        run: a run, which is evaluated before if it was not.
        fits: number of models of each size.
        verbose: 0 prints nothing, 1 a progress bar, 2 a line for each epoch.

    Raises:
        FieldError: for less than 2 fits.
        RunError: for a run with less than 200 training examples, or that was stopped.

    """
    if not MIN_FITS <= fits <= MAX_FITS:
        raise FieldError(f"Received --fits {fits}; expected {MIN_FITS} to {MAX_FITS}.")
    _require_enough(run)
    scores = scores_file.read(run) if (run.path / SCORES).exists() else report.score(run)
    name, start = decisive_metrics(scores["test"])[0], run.app.seed
    content = _stored(run.path / FILE, name)
    points = {(share, seed): score for share, seed, score in content.get("scores", [])}
    points[1.0, start] = scores["test"][name]
    wanted = [(share, start + k) for share in SHARES for k in range(fits)]
    missing = [one for one in wanted if one not in points]
    content = {"metric": name, "unit": scores["units"].get(name, ""), "fits": fits}
    if verbose and missing:
        print(f"{len(missing)} trainings, {_estimate(run, missing)}", flush=True)
    for number, (share, seed) in enumerate(missing, 1):
        if verbose:
            print(f"{share:g} of the training examples, seed {seed} ({number} of {len(missing)})")
        points[share, seed] = _score(run, share, seed, name, verbose)
        write_json(run.path / FILE, content | {"scores": _rows(points)})
    size = len(run.splits.train)
    measured = [Point(_count(share, size), seed, points[share, seed]) for share, seed in wanted]
    low, high = scores["intervals"][name]
    law = LearningLaw(measured, metric(name), scores["examples"], (high - low) / (2 * Z))
    content |= {
        "scores": _rows(points),
        "points": [point._asdict() for point in measured],
        "examples": size,
        "now": law.forecast(size).to_json(),
        "doubled": law.forecast(2 * size).to_json(),
        "curve": [
            law.forecast(round(size * 2**power)).to_json() for power in np.arange(-3, 1.25, 0.25)
        ],
    }
    content["text"] = sentence(content)
    write_json(run.path / FILE, content)
    return content


def _require_enough(run: Run) -> None:
    if run.manifest["stopped"]:
        raise RunError(
            f"Received the run {run.path}, which was stopped; expected a finished one. Continue it "
            f"with --resume {run.path}."
        )
    size = len(run.splits.train)
    if size < MIN_EXAMPLES:
        raise RunError(
            f"Received the run {run.path} of {size:,} training examples; expected at least "
            f"{MIN_EXAMPLES}, because an eighth of fewer teaches nothing."
        )


def _stored(path: Path, name: str) -> dict[str, Any]:
    """Return what an earlier or interrupted call measured; nothing if it cannot be used."""
    try:
        content = json.loads(path.read_text())
        usable = content["metric"] == name and all(len(row) == 3 for row in content["scores"])
        return content if usable else {}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _rows(points: dict[tuple[float, int], float]) -> list[list[float]]:
    return [[*place, score] for place, score in sorted(points.items())]


def _estimate(run: Run, missing: list[tuple[float, int]]) -> str:
    """Say how long the trainings take, from the seconds of the run."""
    seconds = run.manifest["seconds"]["train"] * sum(share for share, _ in missing)
    if seconds < 90:
        return f"about {max(1, round(seconds))} seconds and the start of each"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.1f} hours"


def _score(run: Run, share: float, seed: int, name: str, verbose: int) -> float:
    """Train on a part of the training examples, and score the test examples."""
    app, options = dataclasses.replace(run.app, seed=seed), run.train_options
    limit = (run.manifest.get("time_limit") or {}).get("minutes")
    options = dataclasses.replace(options, minutes=limit * share if limit else None)
    with tempfile.TemporaryDirectory(prefix="athanor-learning-curve-") as folder:
        options = dataclasses.replace(options, run_dir=Path(folder) / "run")
        part = functools.partial(part_of, share=share, seed=seed)
        fitted = train(app, options, fold=run.fold, part=part, verbose=verbose)
        task = task_of(fitted)
        return task.metrics(task.predict_test_set(fitted))[name]


def part_of(splits: Splits, share: float, seed: int) -> Splits:
    """Return the splits with a random part of the training examples; of groups whole ones.

    The parts of a seed contain each other.
    """
    if share >= 1:
        return splits
    train = splits.train
    random, count = np.random.default_rng(seed), _count(share, len(train))
    if train.group_hashes is None:
        positions = random.permutation(len(train))[:count]
    else:
        positions = np.concatenate([*_whole_groups(train.group_hashes[train.rows], count, random)])
    return dataclasses.replace(splits, train=train.select(np.sort(positions)))


def _whole_groups(
    groups: np.ndarray, count: int, random: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield the positions of random groups until there are `count`."""
    _, numbers = np.unique(groups, return_inverse=True)
    total = 0
    for group in random.permutation(numbers.max() + 1):
        positions = np.flatnonzero(numbers == group)
        total += len(positions)
        yield positions
        if total >= count:
            return


def _count(share: float, size: int) -> int:
    return max(1, round(share * size))
