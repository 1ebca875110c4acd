"""The house keeps its floors, its sizes and its types: the sources are parsed, not run."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import athanor

ROOT = Path(athanor.__file__).resolve().parent
ROOMS = (
    "pipelines",
    "optimizers",
    "conformance",
    "apps",
    "checking",
    "training",
    "evaluation",
    "serving",
    "tuning",
)
# What each room may import besides itself; the ground first.
FLOORS = {
    "pipelines": set(),
    "optimizers": set(),
    "conformance": {"optimizers"},
    "apps": {"pipelines", "optimizers"},
    "checking": {"pipelines", "apps"},
    "training": {"pipelines", "optimizers", "apps"},
    "evaluation": {"pipelines", "optimizers", "apps", "training"},
    "serving": {"pipelines", "optimizers", "apps", "training", "evaluation"},
    "tuning": {"pipelines", "optimizers", "apps", "training", "evaluation", "serving"},
}
TOP = {"athanor", "commands", "console", "flags", "making", "manual", "verbs"}
HEAVY = ("tensorflow", "keras", "numpy", "sklearn", "matplotlib")
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
FILES = sorted(
    [ROOT / f"{name}.py" for name in sorted(TOP)]
    + [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
)
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def parsed(path):
    return ast.parse(path.read_text())


def imported(tree):
    """The first names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: name the module in full"
            found.add(node.module.partition(".")[0])
    return found


def functions(tree):
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_the_parser_sees_the_house():
    assert len(FILES) > 20
    assert imported(ast.parse("def f():\n    from apps import app")) == {"apps"}


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_downwards(room):
    ours = {*ROOMS, *TOP}
    for path in (ROOT / room).rglob("*.py"):
        upwards = (imported(parsed(path)) & ours) - FLOORS[room] - {room}
        assert not upwards, f"{path.relative_to(ROOT)} imports {sorted(upwards)} from above"


def test_optimizers_know_keras_alone():
    for path in (ROOT / "optimizers").rglob("*.py"):
        assert not imported(parsed(path)) & {"tensorflow", "sklearn", "matplotlib"}


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in ("serving", "tuning")])
def test_rooms_below_do_not_know_the_apps_by_name(room):
    """No `if app ==` anywhere: rooms know kinds."""
    import apps

    # A kind of question may be called like an app.
    kinds = {app.question for app in apps.ALL}
    names = {app.name() for app in apps.ALL} - kinds | {app.__name__ for app in apps.ALL}
    if room == "apps":
        return
    for path in (ROOT / room).rglob("*.py"):
        texts = {n.value for n in ast.walk(parsed(path)) if isinstance(n, ast.Constant)}
        used = {n.id for n in ast.walk(parsed(path)) if isinstance(n, ast.Name)}
        assert not names & (texts | used), f"{path.relative_to(ROOT)} names an app"


@each_file
def test_a_file_is_not_long(path):
    assert len(path.read_text().splitlines()) <= 300, "split it"


@each_file
def test_no_function_is_long(path):
    long = [f.name for f in functions(parsed(path)) if f.end_lineno - f.lineno >= 60]
    assert not long, f"split {long}"


@each_file
def test_every_signature_is_typed(path):
    untyped = []
    for function in functions(parsed(path)):
        given = function.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        bare = [a.arg for a in arguments if a and not a.annotation and a.arg not in ("self", "cls")]
        untyped += [f"{function.name}({name})" for name in bare]
        untyped += [] if function.returns else [f"{function.name} ->"]
    assert not untyped


@each_file
def test_nothing_is_asserted(path):
    """`python -O` leaves assertions out."""
    lines = [node.lineno for node in ast.walk(parsed(path)) if isinstance(node, ast.Assert)]
    assert not lines, f"raise instead of assert in lines {lines}"


@each_file
def test_a_file_has_a_name_and_a_docstring(path):
    assert path.stem not in NO_NAMES, "name it after what it holds"
    assert path.parent.name not in NO_NAMES
    assert ast.get_docstring(parsed(path)), "say what the file is for"


def test_every_room_is_installed():
    import configparser

    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    there = {room for room in ROOMS if list((ROOT / room).glob("*.py"))}
    assert set(setup["options"]["packages"].split()) >= there
    assert set(setup["options"]["py_modules"].split()) == TOP


@pytest.mark.slow
def test_only_pictures_load_matplotlib():
    """Most of a second, which a training and a replay have no use for."""
    imports = "\n".join(
        f"import {path.parent.name}.{path.stem}"
        for room in ("training", "evaluation")
        for path in sorted((ROOT / room).glob("*.py"))
        if path.stem not in ("pictures", "style")
    )
    # Keras by itself loads it too.
    begin = "import sys\nfrom training import start\nstart.tensorflow()"
    code = f"{begin}\n{imports}\nprint(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "evaluation.replay" in loaded.stdout.split()
    assert "matplotlib" not in loaded.stdout.split()


@pytest.mark.parametrize("module", ["apps", "athanor"])
def test_modules_of_the_command_line_load_nothing_heavy(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert module in loaded.stdout.split()
    assert not set(HEAVY) & set(loaded.stdout.split())
