"""Every package has every modality and every task, and saved models find every layer."""

import ast
import typing
from pathlib import Path

import athanor
from apps.app import ModalityName, TaskName

ROOT = Path(athanor.__file__).resolve().parent
MODALITY_NAMES = set(typing.get_args(ModalityName))
TASK_NAMES = set(typing.get_args(TaskName))


def modalities_by_room():
    from cli.runs import INPUTS
    from data_checks.examine import MODALITIES
    from evaluation import modalities as evaluated
    from inference import modalities as inferred
    from training.manifest import DECODER_FIELDS

    return {
        "cli": set(INPUTS),
        "data_checks": {one.name for one in MODALITIES},
        "evaluation": {one.NAME for one in evaluated.MODALITIES},
        "inference": {one.NAME for one in inferred.MODALITIES},
        "training": set(DECODER_FIELDS),
    }


def test_every_package_has_every_modality():
    assert modalities_by_room() == dict.fromkeys(modalities_by_room(), MODALITY_NAMES)


def test_every_package_has_every_task():
    from evaluation.tasks import TASKS
    from inference.tasks import TASKS as PREDICTED
    from training.manifest import ANSWERS

    assert {one.NAME for one in TASKS} == TASK_NAMES
    assert {one.NAME for one in PREDICTED} == TASK_NAMES
    assert set(ANSWERS) == TASK_NAMES


def test_the_page_has_a_script_for_every_modality():
    assert not {name for name in MODALITY_NAMES if not (ROOT / f"serving/page/{name}.js").is_file()}


def defines_layers(path):
    """Whether a file defines a class that derives from keras.layers.Layer."""
    classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    return any(ast.unparse(base) == "keras.layers.Layer" for one in classes for base in one.bases)


def test_saved_models_find_every_layer():
    from apps import saved_layers

    files = [path for room in ("apps", "pipelines") for path in (ROOT / room).rglob("*.py")]
    defining = {path for path in files if defines_layers(path)}
    assert defining
    assert defining <= {Path(module.__file__) for module in saved_layers.MODULES}
