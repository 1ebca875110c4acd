"""The verbs as Python functions, which `import athanor` offers.

Those on the scores of runs are in cli/python_scores.py.

Each is a command of the command line, with the same options, files and errors. TensorFlow is
imported by the first verb that needs it.
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from apps import App
from apps.fields import FieldError
from apps.options import CommonOptions
from data_checks.options import CheckDataOptions
from exporting.options import ExportOptions
from inference.options import PredictOptions
from serving.options import ServeOptions
from training import startup
from training.options import TrainOptions
from tuning.options import TuneOptions

if TYPE_CHECKING:
    from evaluation.notebook import Run, Seeds, Table
    from tuning.result import SearchResult


@overload
def train(
    app: App,
    options: TrainOptions | None = None,
    *,
    seeds: None = None,
    verbose: int = 2,
    **changes: Any,
) -> "Run": ...


@overload
def train(
    app: App, options: TrainOptions | None = None, *, seeds: int, verbose: int = 2, **changes: Any
) -> "Seeds": ...


def train(
    app: App,
    options: TrainOptions | None = None,
    *,
    seeds: int | None = None,
    verbose: int = 2,
    **changes: Any,
) -> "Run | Seeds":
    """Train an app, score it on its test examples, and return its run.

    The run is written to `run_dir`, by default runs/APP/DATE-TIME. The same call with the
    directory of an interrupted run continues it.

    Args:
        app: what to train, such as `athanor.Regression(data=frame, target="price")`.
        options: directory, devices, number format and so on.
        seeds: train once for each of several seeds on the same splits, 3 or more, and return the
            summary instead: `test` holds the means, `variance` the variance over seeds and over
            examples, `runs` the scores of each seed, `verdict` the comparison of the mean.
        verbose: 0 silent, 1 a progress bar, 2 a line an epoch.
        **changes: fields of `options`, such as `run_dir="runs/houses"`.

    Raises:
        ValueError: a wrong field, address, column, directory or device; nothing was written. Its
            class says which: FieldError, DataError, RunError, StrategyError.
        DivergedError: the loss is not finite any more; the best model so far is stored.

    Example:
        run = athanor.train(athanor.Regression(data="csv:houses.csv", target="price"))

    """
    options = dataclasses.replace(options or TrainOptions(), **changes)
    app.require_data()
    startup.start_tensorflow(options.devices, options.strategy)
    from evaluation.notebook import Run, Seeds

    if seeds is not None:
        from evaluation.seeds import train_seeds

        return Seeds(train_seeds(app, seeds, options, verbose=verbose))
    from evaluation.experiment import train_and_score

    return Run.of(train_and_score(app, options, verbose=verbose).run)


def predict(
    run: "Run | Path | str",
    inputs: Any = None,
    options: PredictOptions | None = None,
    **changes: Any,
) -> "Table":
    """Predict for new inputs.

    Args:
        run: the run, or its directory.
        inputs: for rows a data frame, a dict of columns, a list of dicts or CSV files; for
            images an array [n, height, width(, channels)] or image files; for texts a list of
            texts; for the recommender a list of users, of (user, item) pairs, or a frame of both;
            nothing with `liked`.
        options: for the recommender, which lists it makes, and whether unknown users and items are
            an error.
        **changes: fields of `options`, such as `liked=["film 3", "film 8"]` or `strict=True`.

    Returns:
        A list of dicts, one for each prediction, which a notebook shows as a table; its `notes`
        are about the inputs that were read.

    Raises:
        UnreadableError: inputs of another kind.
        FieldError: no inputs, or an option with a wrong value.
        DataError: a column that the model needs is missing.
        UnknownIdError: with `strict`, a user or an item that is unknown to training.

    Example:
        athanor.predict(run, [{"rooms": 4, "area": 120.0}])

    """
    options = dataclasses.replace(options or PredictOptions(), **changes)
    if inputs is None and not options.liked:
        raise FieldError("Received no inputs; expected some, or for the recommender `liked` items.")
    loaded = load_run(run, options)
    options.check_for(type(loaded.app))
    from evaluation.notebook import Table
    from inference.inputs import Notes
    from inference.predict import predict_values

    notes = Notes()
    predictions = predict_values(loaded, inputs, notes, options)
    if options.strict:
        from inference.modalities.id_predictions import require_known

        require_known(predictions)
    return Table(predictions, notes=notes)


def export(
    run: "Run | Path | str", options: ExportOptions | None = None, **changes: Any
) -> dict[str, Any]:
    """Write the next version of a run for servers, after a check that it predicts as in training.

    Args:
        run: the run, or its directory.
        options: formats, quantisation, items and examples.
        **changes: fields of `options`, such as `format="savedmodel,onnx"`.

    Returns:
        `export`, the directory of the version; `parity`, the differences that were measured;
        `formats`, `request` and `curl`, an example of a request.

    Raises:
        ParityError: the export predicts otherwise; nothing is published.
        RefusedError: a format cannot carry this model.

    Example:
        athanor.export(run)["export"]

    """
    options = dataclasses.replace(options or ExportOptions(), **changes)
    loaded = load_run(run, options)
    options.check_for(type(loaded.app))
    from exporting.export import export as write_version

    return write_version(loaded, options)


def tune(app: App, options: TuneOptions | None = None, **changes: Any) -> "SearchResult":
    """Search for better values of an app's fields; the same call continues a search.

    Args:
        app: its fields are those of the first trial.
        options: tuner, number of trials, objective and so on; one process.
        **changes: fields of `options`, such as `trials=50`.

    Returns:
        `best`, an ordinary run; `trials`, a table; `directory` and `objective`.

    Raises:
        FieldError: a wrong option, or several workers, which only the command starts.
        SearchError: the first trial failed, or all did.

    Example:
        athanor.tune(athanor.Mnist(), trials=10).best

    """
    options = dataclasses.replace(options or TuneOptions(), **changes)
    options.require_packages()
    app.require_data()
    startup.start_tensorflow(options.devices)
    from tuning.result import search_in_process

    return search_in_process(app, options)


def check_data(app: App, options: CheckDataOptions | None = None, **changes: Any) -> "Table":
    """Check data before training: duplicates, leakage, labels, unreadable files.

    Args:
        app: its data are checked.
        options: the page to write; a list for `quarantine`; by default nothing is an error.
        **changes: fields of `options`, such as `report="report.html"`.

    Returns:
        A table of the findings, worst first; `notes` names the files written.

    Raises:
        UnsoundError: with `fail_on`, a finding of at least that severity.

    Example:
        athanor.check_data(athanor.Text(data="csv:reviews.csv"))

    """
    from data_checks import destinations

    options = dataclasses.replace(options or CheckDataOptions(fail_on="never"), **changes)
    options.check_for(type(app))
    destinations.require_free(options)
    app.require_data()
    startup.start_tensorflow()
    from data_checks import outputs
    from evaluation.notebook import Table

    diagnosis, written = outputs.examine_and_write(app, options, lambda *_: None)
    outputs.require_sound(diagnosis, options.fail_on)
    notes = [f"{name}: {path}" for name, path in written.items()]
    return Table((one.to_json() for one in diagnosis.findings), notes=notes)


def serve(*runs: "Run | Path | str", options: ServeOptions | None = None, **changes: Any) -> None:
    """Serve exported runs over HTTP and gRPC until the process is interrupted.

    `athanor.serve(run, port=8501)` serves a run under the name of its app.
    """
    from serving.startup import serve as serve_models

    options = dataclasses.replace(options or ServeOptions(), **changes)
    serve_models([str(getattr(run, "path", run)) for run in runs], options)


def load_run(run: "Run | Path | str", options: CommonOptions) -> "Run":
    """Return the run, with TensorFlow started. Raises RunError, ProvenanceError."""
    from training import provenance
    from training import run as runs

    loaded = run if isinstance(run, runs.Run) else runs.Run.load(Path(run), options.data_dir)
    provenance.require_signature(loaded.path, provenance.RUN_FILES, trust=options.trust)
    startup.start_tensorflow()
    from evaluation.notebook import Run

    return Run.of(loaded)
