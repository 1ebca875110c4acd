"""Athanor: train, evaluate and export models on your own data.

    import athanor

    run = athanor.train(athanor.Regression(data=frame, target="price"))
    athanor.predict(run, new_rows)

Every function is a command of the command line, with the same options, files and errors.
TensorFlow is imported by the first function that needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps import App, Finetune, Mnist, Recommender, Regression, Text
    from cli.explaining import explain
    from cli.main import main
    from cli.python import check_data, export, predict, serve, train, tune
    from cli.python_scores import compare, evaluate, learning_curve, replay, report
    from data_checks.options import CheckDataOptions
    from evaluation.notebook import Report, Run, Scores, Seeds, Table
    from evaluation.options import CompareOptions, ReplayOptions
    from exporting.options import ExportOptions
    from inference.options import ExplainOptions, PredictOptions
    from serving.options import ServeOptions
    from training.options import TrainOptions
    from tuning.options import TuneOptions
    from tuning.result import SearchResult

# The public names by module; a module is imported when one of its names is first used.
MODULES = {
    "apps": ("App", "Finetune", "Mnist", "Recommender", "Regression", "Text"),
    "cli.explaining": ("explain",),
    "cli.main": ("main",),
    "cli.python": ("check_data", "export", "predict", "serve", "train", "tune"),
    "cli.python_scores": ("compare", "evaluate", "learning_curve", "replay", "report"),
    "data_checks.options": ("CheckDataOptions",),
    "evaluation.notebook": ("Report", "Run", "Scores", "Seeds", "Table"),
    "evaluation.options": ("CompareOptions", "ReplayOptions"),
    "exporting.options": ("ExportOptions",),
    "inference.options": ("ExplainOptions", "PredictOptions"),
    "serving.options": ("ServeOptions",),
    "training.options": ("TrainOptions",),
    "tuning.options": ("TuneOptions",),
    "tuning.result": ("SearchResult",),
}
__all__ = [
    "App",
    "CheckDataOptions",
    "CompareOptions",
    "ExplainOptions",
    "ExportOptions",
    "Finetune",
    "Mnist",
    "PredictOptions",
    "Recommender",
    "Regression",
    "ReplayOptions",
    "Report",
    "Run",
    "Scores",
    "SearchResult",
    "Seeds",
    "ServeOptions",
    "Table",
    "Text",
    "TrainOptions",
    "TuneOptions",
    "check_data",
    "compare",
    "evaluate",
    "explain",
    "export",
    "learning_curve",
    "main",
    "predict",
    "replay",
    "report",
    "serve",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    for module, names in MODULES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'athanor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


if __name__ == "__main__":
    __getattr__("main")()
