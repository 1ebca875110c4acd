"""Train an app with several seeds on the same splits, and tell luck from skill."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from apps.app import App, FieldError
from evaluation import report, seed_findings
from evaluation.cross_validation import require_trainable
from evaluation.paired_comparison import Comparisons, holm
from evaluation.run_report import seeds as seeds_report
from evaluation.seed_variance import compare_over_seeds, seed_variance
from evaluation.tasks import task_of
from evaluation.verdict import judge
from training import provenance
from training.directory import create_group_directory
from training.options import TrainOptions
from training.resume import find_finished_run
from training.run import SCORES, Run, write_json
from training.seed_runs import SUMMARY_FILE, folder_of
from training.train import train

MIN_SEEDS, MAX_SEEDS = 3, 100
DEFAULT_OPTIONS = TrainOptions()


def train_seeds(
    app: App, num_seeds: int, options: TrainOptions = DEFAULT_OPTIONS, *, verbose: int = 2
) -> dict[str, Any]:
    """Train and evaluate an app once for each seed from `app.seed` on, on the same splits.

    The runs are in directories seed-0, seed-1, ... After an interruption the same call resumes:
    trained seeds stay as they are. The returned summary, also in seeds.json, holds for each metric
    the mean (`test`) and its variance over seeds and over examples (`variance`), the scores and
    the verdict of each run, and the comparison of the mean with every baseline.

    Args:
        app: the app to train; its seed is the first one.
        num_seeds: number of seeds.
        options: of `train`; `run_dir` is the directory of all seeds.
        verbose: 0 prints nothing, 1 a progress bar, 2 a line for each epoch.

    Raises:
        FieldError: for fewer than 3 seeds.
        DataError: if the data cannot be used; nothing is written.
        RunError: if the directory holds other files.

    """
    if not MIN_SEEDS <= num_seeds <= MAX_SEEDS:
        raise FieldError(
            f"Received --seeds {num_seeds}; expected {MIN_SEEDS} to {MAX_SEEDS}. Five seeds "
            "are usual."
        )
    seeded = [dataclasses.replace(app, seed=app.seed + k) for k in range(num_seeds)]
    require_trainable(app, [None], options)
    names = [folder_of(one.seed) for one in seeded]
    files = [SUMMARY_FILE, *seeds_report.FILES.values()]
    directory = create_group_directory(app, options.run_dir, [*files, *names])
    if options.minutes:
        options = dataclasses.replace(options, minutes=options.minutes / num_seeds)
    group = _Group()
    for number, (name, one) in enumerate(zip(names, seeded, strict=True), 1):
        print(f"seed {one.seed} ({number} of {num_seeds})", flush=True)
        own = dataclasses.replace(options, run_dir=directory / name)
        group.add(_finished_run(one, own) or train(one, own, verbose=verbose))
    summary = {"run": str(directory), **group.summary()}
    write_json(directory / SUMMARY_FILE, summary)
    for run, scores in group.runs:
        write_json(run.path / SCORES, seed_findings.with_group(run, scores))
    seeds_report.write(directory, summary)
    return summary


def _finished_run(app: App, options: TrainOptions) -> Run | None:
    """Return the run of a seed that is trained, else None."""
    run = find_finished_run(app, options)
    if run:
        provenance.require_signature(run.path, provenance.RUN_FILES, trust=options.trust)
    return run


class _Group:
    """Collects the scores of the runs; of their predictions it keeps the resamples alone."""

    def __init__(self) -> None:
        self.runs: list[tuple[Run, dict[str, Any]]] = []
        self.resamples: list[Any] = []
        self.baselines: report.Baselines | None = None

    def add(self, run: Run) -> None:
        """Score a run."""
        task = task_of(run)
        # All seeds have the same splits, and so the same baselines.
        self.baselines = self.baselines or report.baselines_of(run)
        predictions = task.predict_test_set(run)
        scores = report.score(run, predictions, self.baselines)
        self.resamples.append(task.bootstrap(predictions))
        self.count = task.num_units(predictions)
        self.runs.append((Run(run.path, run.data_dir), scores))
        self.task = task

    def summary(self) -> dict[str, Any]:
        """Return the content of seeds.json, without the directory."""
        (run, scores), tests = self.runs[-1], [scores["test"] for _, scores in self.runs]
        variance = dict(self._variances(tests))
        mean = {name: one.mean for name, one in variance.items()}
        comparisons = self._compare(tests)
        verdict = judge(mean, scores["baselines"], comparisons, scores["examples"])
        summary = {
            "app": run.manifest["app"],
            "fields": run.manifest["fields"],
            "seeds": [run.manifest["fields"]["seed"] for run, _ in self.runs],
            "test": mean,
            "variance": {name: one.to_json() for name, one in variance.items()},
            **{key: scores[key] for key in ("units", "baselines", "examples", "weight")},
            **{key: scores[key] for key in ("test_set", "note")},
            "comparisons": {
                title: {name: one.to_json() for name, one in row.items()}
                for title, row in comparisons.items()
            },
            "verdict": verdict.to_json(),
            "runs": [_row(run, scores) for run, scores in self.runs],
        }
        found = seed_findings.of_group(summary)
        return summary | {"findings": [one.to_json() for one in found]}

    def _variances(self, tests: list[dict[str, float]]) -> Iterator[tuple[str, Any]]:
        for name in tests[0]:
            values = np.array([row[name] for row in tests])
            yield name, seed_variance(values, self._stacked(name), self.count)

    def _stacked(self, name: str) -> np.ndarray:
        return np.stack([row[name] for row in self.resamples])

    def _compare(self, tests: list[dict[str, float]]) -> Comparisons:
        predictions, _ = self.baselines or ({}, {})
        found = {}
        for title in self.runs[0][1]["comparisons"]:
            baseline = predictions[title]
            found[title] = compare_over_seeds(
                tests,
                self.resamples,
                self.task.metrics(baseline),
                self.task.bootstrap(baseline),
                self.count,
            )
        return holm(found)


def _row(run: Run, scores: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "seed": run.manifest["fields"]["seed"],
        "run": run.path.name,
        "test": scores["test"],
        "intervals": {name: [*ends] for name, ends in scores["intervals"].items()},
        "outcome": scores["verdict"]["outcome"],
        "seconds": scores["training_seconds"],
    }
