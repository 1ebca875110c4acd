"""Ours on Keras's other backends, which the extra `backends` has: by `make backends`.

In processes of their own, for Keras asks at its start which backend it has. Half a minute
to two an optimizer: most of it is start, XLA and torch.compile.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import athanor
import optimizers

pytestmark = pytest.mark.slow
ROOT = Path(athanor.__file__).parent
TESTS = (
    "tests/test_rules.py",
    "tests/test_wrappers.py",
    "tests/test_solvers.py::test_rosenbrock_is_solved",
)


@pytest.fixture(params=["jax", "torch"])
def run(request):
    """The function that runs a module on a backend, and wants it to succeed."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"needs {request.param}: make backends")

    def succeeded(*command):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=os.environ | {"KERAS_BACKEND": request.param},
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]

    return succeeded


@pytest.mark.parametrize(
    "cls", [*optimizers.ALL, *optimizers.WRAPPERS], ids=lambda cls: cls.__name__
)
def test_passes_all_checks(run, cls):
    run("athanor", "check-optimizer", cls.__name__.lower())


def test_what_is_special_in_each(run):
    run("pytest", "-p", "no:cacheprovider", *TESTS)
