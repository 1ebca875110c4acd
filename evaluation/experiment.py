"""Train an app and score its run on the test examples."""

from typing import Any, NamedTuple

from apps.app import App
from evaluation import report
from inference import saved_graph
from training import provenance
from training.options import TrainOptions
from training.resume import find_finished_run
from training.run import ELSEWHERE, Run
from training.train import train


class Experiment(NamedTuple):
    """A run and the content of its scores.json, which is None on workers that write no run."""

    run: Run
    scores: dict[str, Any] | None


def train_and_score(app: App, options: TrainOptions, *, verbose: int = 2) -> Experiment:
    """Train, or take the finished run in `options.run_dir`; then score it.

    Raises what `training.train.train` raises, and ProvenanceError for a finished run of another
    user.
    """
    run = find_finished_run(app, options)
    if run:
        provenance.require_signature(run.path, provenance.RUN_FILES, trust=options.trust)
    run = run or train(app, options, verbose=verbose)
    if run.path == ELSEWHERE:
        return Experiment(run, None)
    scores = report.score(run)
    saved_graph.save(run)
    return Experiment(run, scores)
