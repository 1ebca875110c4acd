"""The verbs `report` and `learning-curve`: on a run, or on a group of runs."""

from pathlib import Path
from typing import Any

import apps
from apps.fields import FieldError
from cli import runs
from evaluation.options import EvaluateOptions, LearningCurveOptions


def report(app: type[apps.App], path: Path, options: EvaluateOptions) -> dict[str, Any]:
    """Write the report of a run or of a group of runs; evaluate a run before if needed."""
    from training import seed_runs

    if seeds := seed_runs.find(path):
        runs.require_app(app, path, seeds["app"])
        if options.sensitive:
            raise FieldError(
                f"Received --sensitive {options.sensitive} for the runs of several seeds; expected "
                f"one run. Name one of them, such as {path / 'seed-0'}."
            )
        return _report_of_seeds(path, seeds)
    if group := runs.target_runs(app, path, options):
        reports = {target: _report(run, options.sensitive) for target, run in group.runs.items()}
        return {"run": str(path), "targets": reports}
    return _report(runs.checked_run(app, path, options), options.sensitive)


def learning_curve(
    app: type[apps.App], path: Path, options: LearningCurveOptions, *, verbose: int = 2
) -> dict[str, Any]:
    """Measure the learning curve of a run, draw it, and say what twice the examples would bring."""
    run = runs.load(app, path, options)
    from evaluation import learning_curve as curve
    from evaluation.learning_curve_text import FIGURE
    from evaluation.run_report import files
    from evaluation.run_report import learning_curve as section

    content = curve.learning_curve(run, options.fits, verbose=verbose)
    section.draw(run, content)
    files.rewrite(run)
    print(content["text"])
    print(f"figure  {runs.short(run.path / FIGURE)}")
    return {"run": str(run.path), **content}


def _report(run: Any, sensitive: str) -> dict[str, Any]:
    from evaluation.run_report import files

    content = files.rewrite(run, sensitive)
    if content is None:
        from training import startup

        startup.start_tensorflow()
        from evaluation import report as evaluation

        content = evaluation.evaluate(run, sensitive)
    return _printed(
        run.path, {name: run.path / file for name, file in files.FILES.items()}, content
    )


def _report_of_seeds(path: Path, seeds: dict[str, Any]) -> dict[str, Any]:
    from evaluation.run_report import seeds as seeds_report

    try:
        paths = seeds_report.write(path, seeds)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        from training.run import RunError

        raise RunError(
            f"Received {path}, whose seeds.json is of another version or damaged; expected one "
            "that this version wrote. Train again with the same --run-dir."
        ) from error
    return _printed(path, paths, seeds)


def _printed(path: Path, paths: dict[str, Path], content: dict[str, Any]) -> dict[str, Any]:
    print(content["verdict"]["text"])
    for name, file in paths.items():
        print(f"{name:7} {runs.short(file)}")
    return {
        "run": str(path),
        **{name: str(file) for name, file in paths.items()},
        "verdict": content["verdict"],
        "findings": content["findings"],
    }
