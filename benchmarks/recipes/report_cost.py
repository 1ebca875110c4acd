"""Train a run without scores, or evaluate one and print the seconds and the memory of each part."""

import json
import resource
import sys
import time
from pathlib import Path


def main() -> None:
    """`train RUN APP FIELDS`, or `evaluate RUN [baselines]`."""
    from training import startup

    command, path, *others = sys.argv[1:]
    startup.start_tensorflow()
    if command == "evaluate":
        print(json.dumps(evaluate(Path(path), baselines=bool(others))))
        return
    import apps
    from training.train import train

    app, fields = others
    train(apps.get(app)(**json.loads(fields)), run_dir=Path(path), verbose=0)


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
