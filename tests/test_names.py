"""Programs in benchmarks/ and docs/, and tests, use names and arguments that the package has.

mypy reads benchmarks/ and docs/ too, but it knows nothing of modules beside a program, and it does
not read tests.
"""

import ast
import importlib
import inspect
import re
import runpy
import sys
from pathlib import Path

import pytest
from test_architecture import PACKAGES, TOP

import athanor

ROOT = Path(athanor.__file__).resolve().parent
PROGRAMS = sorted((ROOT / "benchmarks").rglob("*.py"))
TESTS = sorted((ROOT / "tests").glob("*.py"))
DOCS = [path for path in sorted((ROOT / "docs").glob("*.py")) if path.stem != "conf"]
OURS = {*PACKAGES, *TOP, "recipes"} | {path.stem for path in (*PROGRAMS, *TESTS)}
# Functions that replace the attribute of an object that their second argument names.
REPLACING = ("setattr", "delattr", "record_seconds")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@pytest.fixture(autouse=True)
def program_directories(monkeypatch):
    """Modules beside a program can be imported; packages of the same name come first."""
    directories = [str(ROOT / "benchmarks"), str(ROOT / "benchmarks" / "recipes")]
    monkeypatch.setattr(sys, "path", [*sys.path, *directories])


def is_ours(thing):
    """Whether a module, class or function is defined in this repository."""
    name = thing.__name__ if inspect.ismodule(thing) else getattr(thing, "__module__", None)
    return str(name).partition(".")[0] in OURS


def attribute(thing, name):
    """Return an attribute or a submodule. Raises AttributeError if there is none."""
    if inspect.ismodule(thing) and not hasattr(thing, name):
        try:
            return importlib.import_module(f"{thing.__name__}.{name}")
        except ModuleNotFoundError:
            pass
    return getattr(thing, name)


class Reader(ast.NodeVisitor):
    """Look up what a file takes from our modules, and list what is missing."""

    def __init__(self):
        # For each function around the current line: names, and what they stand for if it is ours.
        self.scopes = [{}]
        self.missing = []
        self.count = 0

    def look_up(self, node, action):
        """Return the result of an action; list its error, and return None."""
        self.count += 1
        try:
            return action()
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] in OURS:
                self.missing.append(f"line {node.lineno}: {error}")
        except (AttributeError, TypeError) as error:
            self.missing.append(f"line {node.lineno}: {error}")
        return None

    def visit_Import(self, node):
        for alias in node.names:
            if (first := alias.name.partition(".")[0]) in OURS:
                module = self.look_up(node, lambda name=alias.name: importlib.import_module(name))
                if not alias.asname:
                    module = sys.modules.get(first)
                self.scopes[-1][alias.asname or first] = module

    def visit_ImportFrom(self, node):
        if node.module.partition(".")[0] not in OURS:
            return
        if module := self.look_up(node, lambda: importlib.import_module(node.module)):
            for alias in node.names:
                taken = self.look_up(node, lambda name=alias.name: attribute(module, name))
                self.scopes[-1][alias.asname or alias.name] = taken

    def visit(self, node):
        if isinstance(node, FUNCTIONS):
            self.read_function(node)
        else:
            super().visit(node)

    def read_function(self, node):
        """Read a function; its own names hide those around it."""
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        arguments = {arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
        self.scopes.append(dict.fromkeys(arguments.union(*map(bound_names, body))))
        self.generic_visit(node)
        self.scopes.pop()

    def visit_With(self, node):
        if "raises(AttributeError" not in ast.unparse(node.items[0]):
            self.generic_visit(node)

    def visit_Attribute(self, node):
        self.value(node)

    def visit_Call(self, node):
        called = self.value(node.func)
        if (inspect.isfunction(called) or inspect.isclass(called)) and is_ours(called):
            self.check_arguments(node, called)
        self.check_name_in_text(node)
        for part in (*node.args, *node.keywords):
            self.visit(part)

    def check_arguments(self, node, called):
        """List a call that the signature does not allow."""
        starred = any(isinstance(argument, ast.Starred) for argument in node.args)
        if not starred and all(keyword.arg for keyword in node.keywords):
            keywords = {keyword.arg: None for keyword in node.keywords}
            signature = inspect.signature(called)
            self.look_up(node, lambda: signature.bind(*[None] * len(node.args), **keywords))

    def check_name_in_text(self, node):
        """List `setattr(module, "name", ...)` if the module has no such name."""
        if not ast.unparse(node.func).endswith(REPLACING):
            return
        match node.args:
            case [owner, ast.Constant(value=str(name)), *_]:
                owner = self.value(owner)
                if (inspect.ismodule(owner) or inspect.isclass(owner)) and is_ours(owner):
                    self.look_up(node, lambda: attribute(owner, name))

    def value(self, node):
        """Return what an expression names in our modules; None if it is anything else."""
        if isinstance(node, ast.Name):
            return next((scope[node.id] for scope in self.scopes[::-1] if node.id in scope), None)
        if not isinstance(node, ast.Attribute):
            self.visit(node)
            return None
        owner = self.value(node.value)
        if (inspect.ismodule(owner) or inspect.isclass(owner)) and is_ours(owner):
            return self.look_up(node, lambda: attribute(owner, node.attr))
        return None


def bound_names(node):
    """Return the names that a statement binds, without those inside functions and imports."""
    if isinstance(node, FUNCTIONS):
        return set() if isinstance(node, ast.Lambda) else {node.name}
    is_target = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    return ({node.id} if is_target else set()).union(*map(bound_names, ast.iter_child_nodes(node)))


def read(source):
    """Return the reader of a source."""
    reader = Reader()
    reader.visit(ast.parse(source))
    return reader


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from apps import Mnst", "Mnst"),
        ("import apps; apps.Mnst", "Mnst"),
        ("from tuning import spaces", "spaces"),
        ("import tuning.spaces", "spaces"),
        ("import apps\ndef f(x): return apps.Mnst", "Mnst"),
        ("from training import train; setattr(train, 'train_app', 1)", "train_app"),
        ("import apps; apps.Mnist.smallest()", "smallest"),
        ("import apps; apps.get()", "missing a required argument"),
        ("import apps; apps.get('mnist', folds=3)", "folds"),
        ("import protocol; protocol.in_turns", "in_turns"),
    ],
)
def test_the_reader_finds(line, expected):
    (missing,) = read(line).missing
    assert expected in missing


@pytest.mark.parametrize(
    "line",
    [
        "import apps; apps.get('mnist'), apps.Mnist.tiny(), apps.app.App",
        "import apps\ndef f(apps): return apps.Mnst",
        "import apps\nwith pytest.raises(AttributeError): apps.Mnst",
        "import keras; keras.Mnst",
    ],
)
def test_the_reader_accepts(line):
    assert not read(line).missing


@pytest.mark.parametrize("files", [[*PROGRAMS, *DOCS], TESTS], ids=["programs", "tests"])
def test_names_and_arguments_exist(files):
    readers = {path: read(path.read_text()) for path in files}
    assert sum(reader.count for reader in readers.values()) > 500
    assert not [
        f"{path.relative_to(ROOT)}, {line}"
        for path, reader in readers.items()
        for line in reader.missing
    ]


@pytest.mark.parametrize(
    "path",
    [path for path in PROGRAMS if path.stem != "protocol"],
    ids=lambda path: str(path.relative_to(ROOT / "benchmarks")),
)
def test_programs_show_their_help(path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    try:
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(path), run_name="__main__")
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] in OURS:
            raise
        pytest.skip(f"needs {error.name}")
    assert ended.value.code == 0
    text = re.sub(r"\s+", "", capsys.readouterr().out)
    assert (
        re.sub(r"\s+", "", ast.get_docstring(ast.parse(path.read_text())).partition("\n")[0])
        in text
    )
