"""Train a run without scores, or evaluate one and print the seconds and the memory of each part."""

import argparse
import json
import resource
import time
from pathlib import Path


def main() -> None:
    """Train the run of a directory, or evaluate it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["train", "evaluate"])
    parser.add_argument("run", type=Path)
    parser.add_argument("--app", help="to train")
    parser.add_argument("--fields", type=json.loads, help="of the app, as JSON")
    parser.add_argument("--baselines", action="store_true", help="also evaluate baselines")
    options = parser.parse_args()
    from training import startup

    startup.start_tensorflow()
    if options.command == "evaluate":
        print(json.dumps(evaluate(options.run, baselines=options.baselines)))
        return
    import apps
    from training.train import train

    train(apps.get(options.app)(**options.fields), run_dir=options.run, verbose=0)


def evaluate(path: Path, *, baselines: bool) -> dict[str, float]:
    """Evaluate a run; return the seconds of each part, and the largest resident memory."""
    from training import startup

    startup.start_tensorflow()
    from evaluation import figures, report
    from evaluation.run_report import files
    from evaluation.tasks import task_of
    from training.run import Run

    run, seconds = Run.load(path), {}
    clock = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        seconds[name], clock = round(now - clock, 2), now

    assert run.splits
    lap("data")
    predictions = task_of(run).predict_test_set(run)
    lap("predictions")
    known: report.Baselines = report.baselines_of(run) if baselines else ({}, {})
    lap("baselines")
    scores = report.score(run, predictions, known)
    lap("scores and comparisons")
    drawn = figures.draw(run, predictions)
    lap("figures")
    files.write(run, scores, drawn.names)
    lap("report")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return seconds | {"test examples": len(run.splits.test), "peak GB": round(peak, 2)}


if __name__ == "__main__":
    main()
