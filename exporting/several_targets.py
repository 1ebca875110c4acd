"""Export the runs of several targets as one version that answers all of them."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from apps.fields import FieldError
from evaluation import gate
from exporting import replay, savedmodel, warmup_records
from exporting.model_info import describe_signatures, instances
from exporting.options import ExportOptions
from exporting.parity import OutputsDifferError, compare
from exporting.parity_check import TOLERANCES, ParityError, arrays_under, replay_in_process
from exporting.version_folders import new_version
from inference import saving
from inference.artifacts import ABOUT
from inference.modalities import rows
from inference.named_outputs import named_function, training_outputs
from inference.servable import DEFAULT
from pipelines.files import plain_path
from pipelines.rows.column_names import clean_name
from pipelines.rows.preprocessing import column_specs, stack_columns
from training import provenance
from training.run import Run, RunError, write_json
from training.target_runs import TargetRuns


def export(group: TargetRuns, options: ExportOptions) -> dict[str, Any]:
    """Write export/N/ of all targets, with outputs such as `price_value` and `sold_class`.

    A fresh process replays the inputs that training stored for each target, and every output is
    compared with that of training. Raises ParityError if one differs; nothing is published.
    """
    if options.format != "savedmodel" or options.quantize:
        raise FieldError(
            f"Received --format {options.format}"
            + f" --quantize {options.quantize}" * bool(options.quantize)
            + " for a run of several targets; expected savedmodel. For other formats export the "
            f"run of each target, such as {next(iter(group.runs.values())).path}."
        )
    _require_same_columns(group)
    if options.gate:
        for run in group.runs.values():
            gate.require(run, options.gate)
    with new_version(group.path / "export") as version, plain_path(version.path) as path:
        parity = _write(group, path, with_examples=options.with_examples)
        write_json(path / "parity.json", parity)
        provenance.sign(path, provenance.EXPORT_FILES)
    return {
        "export": str(version.target),
        "parity": parity,
        "formats": {},
        "quantized": None,
        "notes": [] if warmup_records.available() else [warmup_records.MISSING_NOTE],
        "request": str(version.target / savedmodel.SAMPLE_REQUEST),
        "curl": savedmodel.curl(group.app, version.target),
    }


def _require_same_columns(group: TargetRuns) -> None:
    kinds = [rows.kinds_of(run) for run in group.runs.values()]
    if any(one != kinds[0] for one in kinds):
        raise RunError(
            f"Received {group.path}, whose runs have different columns; expected those of one "
            "training. Train them again, or export the run of each target."
        )


def _write(group: TargetRuns, path: Path, *, with_examples: bool) -> dict[str, Any]:
    first = next(iter(group.runs.values()))
    function = _signature(group)
    saving.save_models([run.model for run in group.runs.values()], path, {DEFAULT: function})
    raw = first.samples.raw if with_examples else rows.synthetic_features(first)
    published = rows.sample_inputs(raw, first)
    info = rows.model_info(first)
    typical = {column["name"]: column["typical"] for column in info["columns"]}
    inputs = warmup_records.inputs_of(published, DEFAULT, savedmodel.model_info.NUM_EXAMPLES)
    examples = instances(inputs, typical)
    about = {
        "app": group.app,
        "question": "rows",
        "answer": "targets",
        "targets": [_describe(target, run) for target, run in group.runs.items()],
        "signatures": describe_signatures({DEFAULT: function}),
        **info,
        "examples": examples,
        "example_signature": DEFAULT,
        "examples_from": "data" if with_examples else "schema",
    }
    write_json(path / ABOUT, about)
    request = {"signature_name": DEFAULT, "instances": examples}
    write_json(path / savedmodel.SAMPLE_REQUEST, request)
    warmup_records.write(path, group.app, published)
    return _check_parity(group, path)


def _describe(target: str, run: Run) -> dict[str, Any]:
    return {
        "name": target,
        "answer": run.manifest["answer"],
        "labels": list(run.manifest["labels"]),
        "outputs": sorted(f"{_prefix(target)}{name}" for name in training_outputs(run)[0]),
    }


def _prefix(target: str) -> str:
    return f"{clean_name(target)}_"


def _signature(group: TargetRuns) -> Any:
    """Return the function from columns by name to the outputs of all targets."""
    functions = {_prefix(target): named_function(run) for target, run in group.runs.items()}
    kinds = rows.kinds_of(next(iter(group.runs.values())))

    @tf.function(autograph=False)
    def predict(**columns: Any) -> dict[str, Any]:
        matrices = stack_columns(columns, kinds)
        return {
            f"{prefix}{name}": output
            for prefix, function in functions.items()
            for name, output in function(matrices).items()
        }

    return predict.get_concrete_function(**column_specs(kinds))


def _check_parity(group: TargetRuns, path: Path) -> dict[str, Any]:
    """Compare the outputs of a fresh process with those of training, target by target."""
    what, command = "an export", [replay.__file__, str(path)]
    samples = [rows.sample_inputs(run.samples.raw, run) for run in group.runs.values()]
    inputs = {key: np.concatenate([one[key] for one in samples]) for key in samples[0]}
    given = arrays_under(replay_in_process(what, command, inputs)[0], f"{DEFAULT}/")
    start, differences = 0, {}
    for target, run in group.runs.items():
        expected, decide = training_outputs(run)
        stop = start + len(run.samples.answers)
        outputs = {
            name: array[start:stop] for name, array in arrays_under(given, _prefix(target)).items()
        }
        tolerance = TOLERANCES[run.manifest["precision"]["policy"]]
        try:
            differences[target] = compare(
                {name: outputs[name] for name in expected}, expected, tolerance, decide
            )
        except (OutputsDifferError, KeyError) as error:
            raise ParityError(
                f"Received {what} whose outputs of {target} differ from those of training: "
                f"{error}. It was not published; train again, or report this run."
            ) from error
        start = stop
    worst = max(differences.values(), key=lambda difference: difference.used_share)
    return {
        "passed": True,
        "max_abs_diff": worst.value,
        "tolerance": worst.tolerance,
        "examples": start,
        "targets": {target: one.value for target, one in differences.items()},
        "compared": sorted(given),
    }
