"""Search from Python: the best run and a table of trials."""

from pathlib import Path
from typing import NamedTuple

from apps.app import App
from apps.fields import FieldError
from evaluation import report
from evaluation.notebook import Run, Table
from tuning import report as search_report
from tuning.options import TuneOptions
from tuning.search import SearchError, search


class SearchResult(NamedTuple):
    """The result of a search; it shows itself as the table of its trials.

    Attributes:
        best: the run of the best trial, scored on the test examples.
        trials: values, score and status of every trial, the best first.
        objective: the validation score by which trials are ranked.
        directory: of the search.

    """

    best: Run
    trials: Table
    objective: str
    directory: Path

    def __repr__(self) -> str:
        return repr(self.trials)

    def _repr_html_(self) -> str:
        return self.trials._repr_html_()


def search_in_process(app: App, options: TuneOptions) -> SearchResult:
    """Search in this process, and score the best trial on the test examples.

    Raises what `tuning.search.search` raises, and FieldError for several workers.
    """
    if options.workers > 1:
        raise FieldError(
            f"Received workers={options.workers} in Python; expected 1. Several workers are "
            f"started by the command: athanor {app.name()} tune --workers {options.workers}"
        )
    outcome = search(app, options, verbose=False)
    if outcome is None:
        raise SearchError(
            "Received KerasTuner's environment variables of a worker; expected none in Python. "
            "Unset KERASTUNER_TUNER_ID."
        )
    best = Run.of(outcome.best)
    report.score(best)
    search_report.write_hparams(outcome.oracle, outcome.directory / "logs")
    title = f"{outcome.objective} of {len(outcome.oracle.trials)} trials"
    trials = Table(search_report.table(outcome.oracle), title=title)
    return SearchResult(best, trials, outcome.objective, outcome.directory)
