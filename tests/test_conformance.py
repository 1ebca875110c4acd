"""Ours keep what every optimizer promises; and each check finds the flaw that it is for."""

import os
import subprocess
import sys
import types
from pathlib import Path

import keras
import pytest
from keras import ops

import athanor
import optimizers
from cli import main
from conformance import checks, fits, table
from conformance.findings import FINDINGS
from conformance.subject import Subject, SubjectError, of_class, subject

OURS = [*optimizers.ALL, *optimizers.WRAPPERS]
# Seconds each, of which a default run of all tests has not enough.
LONG = [
    checks.minimises,
    fits.compiles,
    fits.scales_float16,
    fits.takes_sparse_gradients,
    fits.traces_once,
    fits.continues_from_a_file,
    fits.leaves_frozen_variables,
    fits.equals_on_two_replicas,
]
ours = pytest.mark.parametrize("cls", OURS, ids=lambda cls: cls.__name__)


def kept(check, found):
    try:
        fits.quiet(check, found)
    except checks.Skipped as reason:
        pytest.skip(str(reason))


@ours
@pytest.mark.parametrize(
    "check", [one for one in table.CHECKS if one not in LONG], ids=lambda one: one.__name__
)
def test_keeps(check, cls):
    kept(check, of_class(cls))


@pytest.mark.slow
@ours
@pytest.mark.parametrize("check", LONG, ids=lambda one: one.__name__)
def test_keeps_in_longer_checks(check, cls):
    kept(check, of_class(cls))


@pytest.mark.slow
def test_one_of_ours_compiles():
    kept(fits.compiles, of_class(optimizers.AdaBelief))


@pytest.mark.slow
def test_two_replicas_equal_one():
    names = [cls.__name__.lower() for cls in OURS]
    command = [sys.executable, "-m", "conformance.replicas", *names]
    root = str(Path(athanor.__file__).parent)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": root}
    )
    assert done.returncode == 0, done.stderr[-2000:]


class Flawed(keras.optimizers.Optimizer):
    """Gradient descent, with one flaw in each subclass."""

    def __init__(self, learning_rate=0.01, **kwargs):
        super().__init__(learning_rate, **kwargs)

    def update_step(self, gradient, variable, learning_rate):
        rate = ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, ops.multiply(ops.cast(gradient, variable.dtype), rate))


class Restarting(Flawed):
    """Assigns in `build`, which a graph repeats."""

    def build(self, variables):
        super().build(variables)
        self.factor = self.add_variable((), "zeros", "float32", name="factor")
        self.factor.assign(1.0)

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate * self.factor)
        self.factor.assign(0.0)


class OwnRate(Flawed):
    """Does not use the rate that it is given."""

    def update_step(self, gradient, variable, learning_rate):  # noqa: ARG002
        super().update_step(gradient, variable, 0.01)


class Counting(Flawed):
    """Counts steps in Python, which a graph does not see and a file does not hold."""

    count = 0

    def update_step(self, gradient, variable, learning_rate):
        self.count += 1
        super().update_step(gradient, variable, learning_rate / self.count)


class Swallowing(Flawed):
    """Loses arguments of Keras."""

    def __init__(self, learning_rate=0.01, **_):
        super().__init__(learning_rate)


class Uphill(Flawed):
    """Has the wrong sign."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, -learning_rate)


class Batches(Flawed):
    """Counts batches where it means steps."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate / float(self._iterations + 1))


class Decaying(Flawed):
    """Has a decay of its own, which knows no exclusions."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient + (self.weight_decay or 0) * variable, variable, learning_rate)


class Sparse(Flawed):
    """Updates the rows that have a gradient alone, and those by their sign."""

    def update_step(self, gradient, variable, learning_rate):
        if hasattr(gradient, "indices"):
            gradient = gradient.values[0] * ops.ones_like(variable)
        super().update_step(gradient, variable, learning_rate)


class Boastful(Flawed):
    """Stores two arrays per variable, it says."""


FLAWS = [
    (Uphill, checks.minimises),
    (Swallowing, checks.keeps_its_arguments),
    (OwnRate, checks.takes_a_schedule),
    (Flawed, checks.refuses_wrong_rates),
    (keras.optimizers.Adam, checks.keeps_bfloat16),
    (Uphill, fits.scales_float16),
    (Restarting, fits.compiles),
    (Swallowing, checks.averages_weights),
    (Swallowing, checks.clips),
    (Decaying, checks.excludes_from_decay),
    (Batches, checks.accumulates),
    (Sparse, fits.takes_sparse_gradients),
    (keras.optimizers.Adam, fits.takes_sparse_gradients),
    (Counting, fits.continues_from_a_file),
    (Boastful, fits.keeps_what_it_says),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flawed", "check"), FLAWS, ids=[f"{cls.__name__}-{check.__name__}" for cls, check in FLAWS]
)
def test_a_flaw_is_found(flawed, check):
    # Known to files, so that not this is what breaks.
    known = keras.saving.custom_object_scope({flawed.__name__: flawed})
    with known, pytest.raises(AssertionError):
        fits.quiet(check, of_class(flawed))


class Idle(Flawed):
    """Never moves."""

    def update_step(self, gradient, variable, learning_rate):
        pass


def test_python_without_assertions_finds_flaws_too(monkeypatch):
    """Compiled as by `python -O`."""
    optimized = types.ModuleType("optimized")
    source = Path(checks.__file__).read_text()
    exec(compile(source, checks.__file__, "exec", optimize=1), vars(optimized))
    monkeypatch.setattr(optimized, "STEPS", 5)
    for check in (optimized.minimises, optimized.takes_a_schedule):
        with pytest.raises(AssertionError):
            fits.quiet(check, of_class(Idle))


def test_a_class_that_files_do_not_know_is_found():
    with pytest.raises(AssertionError, match="register_keras_serializable"):
        fits.quiet(fits.continues_from_a_file, of_class(Flawed))


def test_a_wrong_formula_is_found():
    right = of_class(keras.optimizers.SGD)
    wrong = Subject("off", lambda rate: right.make(rate * 1.00001), right.rate, right.twin)
    with pytest.raises(AssertionError, match="off by"):
        checks.equals_its_twin(wrong)
    checks.equals_its_twin(right)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("adann", "Did you mean 'adan'"),
        ("no_such_module:Mine", "expected package.module:Class"),
        (":Mine", "expected package.module:Class"),
        ("optimizers:", "expected package.module:Class"),
        ("keras.layers:Dense", "expected a subclass of keras.optimizers.Optimizer"),
        ("optimizers:LayerwiseLearningRate", "which cannot be made"),
    ],
)
def test_an_address_of_no_optimizer(address, expected):
    with pytest.raises(SubjectError, match=expected):
        subject(address)


@pytest.mark.parametrize(("address", "status"), [("sgd", 1), ("adan", 0), ("adann", 2)])
def test_command(monkeypatch, capsys, address, status):
    monkeypatch.setattr(table, "CHECKS", (checks.refuses_wrong_rates, checks.keeps_its_arguments))
    try:
        assert main._run(["check-optimizer", address]) == status
    except SystemExit as ended:
        assert ended.code == status
    told = capsys.readouterr()
    if status == 2:
        assert "Did you mean" in told.err
        return
    lines = told.out.splitlines()
    assert lines[0].split()[0] == ("broken" if status else "kept")
    assert lines[-1] == f"{2 - status} kept, {status} broken, 0 skipped"


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda one: one.title[:30])
def test_findings_still_show_what_they_say(finding):
    """One that fails is mended in Keras: delete it."""
    assert finding.shown() != finding.expected
