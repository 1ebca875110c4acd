"""The content of a run's report, as report.json holds it."""

from typing import Any

import apps
from evaluation import learning_curve_text
from evaluation.run_report import public
from training.run import Run

# Keys of scores.json that the report repeats.
SCORE_KEYS = (
    *("verdict", "findings", "test", "intervals", "units", "examples", "weight", "baselines"),
    *("comparisons", "training_seconds", "baseline_seconds", "blend", "test_set", "calibration"),
    "coverage",
    "drift",
    "decision",
    "discrimination",
    "seeds",
    "slices",
    "fairness",
)
UNTESTED_GROUPS = "Fairness between groups of people: evaluate with --sensitive COLUMN."
NOT_TESTED = (
    "Another training: this is one run, and another seed would give other scores.",
    "Other data: later times, other places, other devices, or inputs unlike the test examples.",
    "Inputs that are made to deceive the model.",
    "The exported files: every export is compared with the trained model in its own parity.json.",
)


def report_content(run: Run, scores: dict[str, Any], figures: list[str]) -> dict[str, Any]:
    """Return what the page, the card and report.json show; it holds no path of the machine."""
    manifest = run.manifest
    return {
        "title": f"{manifest['app']} run {run.path.name}",
        "app": manifest["app"],
        "about": apps.summary(type(run.app)),
        "modality": run.modality,
        "task": run.task,
        **{key: scores[key] for key in SCORE_KEYS if key in scores},
        "tables": {name: scores[name] for name in scores["tables"]},
        "figures": figures,
        "learning_curve": learning_curve_text.read(run),
        "data": _data(run),
        "settings": {"given": public.fields(run.app), "chosen": manifest.get("chosen", {})},
        "training": _training(manifest),
        "versions": manifest["versions"],
        "commands": _commands(run),
        "limits": _limits(run, scores),
        "not_tested": _not_tested(scores),
    }


def _not_tested(scores: dict[str, Any]) -> list[str]:
    known = NOT_TESTED[1:] if "seeds" in scores else NOT_TESTED
    return [*known] if scores.get("fairness") else [*known, UNTESTED_GROUPS]


def _data(run: Run) -> dict[str, Any]:
    data, fields = run.manifest["data"], run.manifest["fields"]
    fold = data.get("fold")
    return {
        "address": public.address(fields["data"]),
        "test": public.address(fields.get("test") or ""),
        "target": fields.get("target") or "",
        "labels": run.manifest["labels"],
        "sizes": data.get("sizes", {}),
        "fold": f"{fold['number']} of {fold['of']}" if fold else "",
        "dropped": data.get("dropped", 0),
        "quarantined": bool(data.get("quarantine")),
        "notes": [public.text(note) for note in data.get("notes", [])],
        "fingerprint": data["fingerprint"],
    }


def _training(manifest: dict[str, Any]) -> dict[str, Any]:
    names = ("parameters", "epochs", "best_epoch", "stopped", "hardware", "devices", "replicas")
    return {
        **{name: manifest[name] for name in names if manifest.get(name) is not None},
        "precision": manifest["precision"]["policy"],
        "seconds": manifest["seconds"]["train"],
    }


def _commands(run: Run) -> dict[str, str]:
    """Return the commands with RUN in place of the run directory."""
    quarantine = " --quarantine quarantine.csv" * (run.quarantine is not None)
    return {
        "train again": public.command(run.app) + quarantine,
        "check that it repeats": "athanor replay RUN",
        "evaluate again": "athanor evaluate RUN",
        "export": "athanor export RUN",
    }


def _limits(run: Run, scores: dict[str, Any]) -> list[str]:
    """Return what the scores do not tell about this run."""
    limits = [
        f"The scores hold for examples like the {scores['examples']:,} test examples; the "
        "intervals say how much the scores vary with another sample of as many."
    ]
    if run.manifest["data"].get("fold") is None and not run.manifest["fields"].get("test"):
        limits.append(
            "The test examples come from the same data as the training examples, unless the "
            "data have a test split of their own."
        )
    if labels := run.manifest["labels"]:
        limits.append(f"The model knows {len(labels):,} classes, and no input is refused.")
    if scores.get("note"):
        limits.append(scores["note"])
    if run.manifest.get("stopped"):
        limits.append("The training was stopped before its last epoch.")
    return limits
