"""The rules of the architecture: each test parses the sources and lists all offenders.

What ruff and mypy check, such as types and docstrings, is not checked here.
"""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import athanor

ROOT = Path(athanor.__file__).resolve().parent
PACKAGES = (
    "pipelines",
    "optimizers",
    "conformance",
    "apps",
    "data_checks",
    "training",
    "inference",
    "evaluation",
    "exporting",
    "serving",
    "tuning",
    "cli",
)
# Packages that each package may import, beside itself; the lowest first.
ALLOWED_IMPORTS = {
    "pipelines": set(),
    "optimizers": set(),
    "conformance": {"optimizers"},
    "apps": {"pipelines", "optimizers"},
    "data_checks": {"pipelines", "apps"},
    "training": {"pipelines", "optimizers", "apps"},
    "inference": {"pipelines", "optimizers", "apps", "training"},
    "evaluation": {"pipelines", "optimizers", "apps", "data_checks", "training", "inference"},
    "exporting": {"pipelines", "optimizers", "apps", "training", "inference", "evaluation"},
}
ALLOWED_IMPORTS["serving"] = ALLOWED_IMPORTS["tuning"] = ALLOWED_IMPORTS["exporting"] | {
    "exporting"
}
ALLOWED_IMPORTS["cli"] = {*ALLOWED_IMPORTS}
TOP = {"athanor"}
HEAVY = ("tensorflow", "keras", "numpy", "sklearn", "matplotlib")
NO_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}


def files_of(*packages):
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


FILES = [ROOT / f"{name}.py" for name in sorted(TOP)] + files_of(*PACKAGES)


@functools.cache
def parsed(path):
    return ast.parse(path.read_text())


def imported(tree):
    """Return the top-level packages that a file imports, also inside functions."""
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


def test_the_sources_are_found_and_parsed():
    assert len(FILES) > 20
    assert imported(ast.parse("def f():\n    from apps import app")) == {"apps"}


def offenders(found, files=FILES):
    """Return a line for each file in which a check finds something."""
    return [
        f"{path.relative_to(ROOT)}: {wrong}"
        for path in files
        if (wrong := found(parsed(path), path))
    ]


def test_packages_import_only_lower_packages():
    ours = {*PACKAGES, *TOP}

    def upwards(tree, path):
        package = path.relative_to(ROOT).parts[0]
        return package in ALLOWED_IMPORTS and (imported(tree) & ours) - ALLOWED_IMPORTS[package] - {
            package
        }

    assert not offenders(upwards)


def test_optimizers_do_not_import_tensorflow():
    others = {"tensorflow", "sklearn", "matplotlib"}
    assert not offenders(lambda tree, _: imported(tree) & others, files_of("optimizers"))


def test_lower_packages_do_not_name_apps():
    """They depend on modalities and tasks: there is no `if app ==`."""
    import apps

    # A modality or a task may be called like an app.
    kinds = {app.modality for app in apps.ALL} | {"regression"}
    names = {app.name() for app in apps.ALL} - kinds | {app.__name__ for app in apps.ALL}

    def named(tree, _):
        texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
        used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        return names & (texts | used)

    below = [package for package in PACKAGES if package not in ("apps", "serving", "tuning", "cli")]
    assert not offenders(named, files_of(*below))


def test_files_have_at_most_300_lines():
    lengths = {path: len(path.read_text().splitlines()) for path in FILES}
    long = [f"{path.relative_to(ROOT)}: {n}" for path, n in lengths.items() if n > 300]
    assert not long, "split them"


def test_functions_have_at_most_60_lines():
    def long(tree, _):
        return [f.name for f in functions(tree) if f.end_lineno - f.lineno >= 60]

    assert not offenders(long), "split them"


def test_no_source_uses_assert():
    """`python -O` removes assertions."""

    def asserted(tree, _):
        return [f"line {node.lineno}" for node in ast.walk(tree) if isinstance(node, ast.Assert)]

    assert not offenders(asserted), "raise instead of assert"


def test_no_file_has_a_vague_name():
    assert not offenders(lambda _, path: {path.stem, path.parent.name} & NO_NAMES)


def test_every_package_is_installed():
    import configparser

    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    included = setup["options.packages.find"]["include"].split()
    assert set(included) == {f"{package}*" for package in PACKAGES}
    assert set(setup["options"]["py_modules"].split()) == TOP


@pytest.mark.slow
def test_only_modules_that_draw_import_matplotlib():
    """The import takes most of a second, and training and replay do not need it."""
    imports = "\n".join(
        "import " + ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("training", "evaluation")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.stem not in ("figures", "style", "fonts")
    )
    # Keras by itself loads it too.
    begin = "import sys\nfrom training import startup\nstartup.start_tensorflow()"
    code = f"{begin}\n{imports}\nprint(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "evaluation.replay" in loaded.stdout.split()
    assert "matplotlib" not in loaded.stdout.split()


@pytest.mark.parametrize("module", ["apps", "athanor"])
def test_the_command_line_imports_no_heavy_package(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert module in loaded.stdout.split()
    assert not set(HEAVY) & set(loaded.stdout.split())
