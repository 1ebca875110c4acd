"""The verb `explain`, on the command line and in Python."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

import apps
from apps.fields import FieldError
from cli import output, runs
from cli.options import FLAGS, OUTPUT, OutputFlags
from cli.tools import RunDirectory
from inference.options import ExplainOptions

if TYPE_CHECKING:
    from evaluation.notebook import Run

EXPLAIN = ExplainOptions()
INPUT_HELP = "Inputs as of predict, whose answers are explained; without them the model is."


def add_command(cli: App, app_class: type[apps.App] | None, usage: str) -> None:
    """Add the command to those of an app, or to the top-level ones."""

    @cli.command(usage=f"{usage} explain RUN [INPUTS...] [OPTIONS]")
    def explain(
        run: RunDirectory,
        *inputs: Annotated[str, Parameter(help=INPUT_HELP)],
        options: Annotated[ExplainOptions, FLAGS] = EXPLAIN,
        printed: Annotated[OutputFlags, FLAGS] = OUTPUT,
    ) -> None:
        """Explain a model on its test examples, or its answers for inputs.

        Without inputs it writes explanation.json and figures into the run. With inputs it names
        what raises and lowers each answer, the nearest training examples, and for rows the least
        change that turns the answer.
        """
        with output.output(printed.json) as emit:
            result = _explain(app_class or runs.app_of(run), run, list(inputs), options)
            emit(result)
            if "explanations" in result:
                runs.require_all_read({"predictions": result["explanations"]})


def _explain(
    app: type[apps.App], path: Path, inputs: list[str], options: ExplainOptions
) -> dict[str, Any]:
    options.check_for(app, has_inputs=bool(inputs))
    group = runs.target_runs(app, path, options)
    if group is None:
        return _explain_run(runs.checked_run(app, path, options), inputs, options)
    if options.wanted:
        raise FieldError(
            f"Received --wanted for a run of several targets; expected the run of one: "
            f"{next(iter(group.runs.values())).path}, for example. Leave it out, or name that run."
        )
    from pipelines import standard_input

    # Every target reads the inputs.
    inputs = [
        standard_input.store_as_address(one) if standard_input.is_standard_input(one) else one
        for one in inputs
    ]
    explained = {}
    for target, run in group.runs.items():
        print(f"target {target}")
        explained[target] = _explain_run(run, inputs, options)
    return {"run": str(path), "targets": explained}


def _explain_run(run: Any, inputs: list[str], options: ExplainOptions) -> dict[str, Any]:
    from training import startup

    startup.start_tensorflow()
    from evaluation import explain
    from evaluation.explanations import console
    from inference.inputs import Notes

    if inputs:
        notes = Notes()
        explained = explain.explain_inputs(run, inputs, notes, options)
        console.print_answers(explained)
        return {"run": str(run.path), "explanations": explained, "notes": notes}
    content = explain.explain_model(run)
    console.print_model(content)
    for name in content["pictures"]:
        print(f"figure  {runs.short(run.path / name)}")
    print(f"json    {runs.short(run.path / explain.FILE)}")
    return {"run": str(run.path), **content}


def explain(
    run: "Run | Path | str",
    inputs: Any = None,
    options: ExplainOptions | None = None,
    **changes: Any,
) -> Any:
    """Explain a model on its test examples, or its answers for inputs.

    Args:
        run: the run, or its directory.
        inputs: as of `predict`; without them the model is explained.
        options: columns that a counterfactual row keeps, and its wanted answer.
        **changes: fields of `options`, such as `keep=["age"]`.

    Returns:
        Without inputs the content of explanation.json, a dict. With inputs a list of dicts, one
        for each: what raises and lowers its answer, the nearest training examples, and for rows
        counterfactuals.

    Raises:
        FieldError: an option with a wrong value, or an unknown column to keep.
        UnreadableError: inputs of another kind.

    Example:
        athanor.explain(run, [{"rooms": 4, "area": 120.0}])

    """
    from cli.python import load_run

    options = dataclasses.replace(options or ExplainOptions(), **changes)
    loaded = load_run(run, options)
    options.check_for(type(loaded.app), has_inputs=inputs is not None)
    from evaluation import explain as explanation
    from inference.inputs import Notes

    if inputs is None:
        return explanation.explain_model(loaded)
    from evaluation.notebook import Table

    notes = Notes()
    return Table(explanation.explain_values(loaded, inputs, notes, options), notes=notes)
