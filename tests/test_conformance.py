"""Our optimizers pass all checks, and each check detects its flaw."""

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
from conformance import checks, suite, training_checks
from conformance.keras_issues import KERAS_ISSUES
from conformance.subject import Subject, SubjectError, find_subject, from_class

OURS = [*optimizers.ALL, *optimizers.WRAPPERS]
# Checks that take seconds each: only in `make slow`.
SLOW_CHECKS = [
    checks.minimizes,
    training_checks.compiles,
    training_checks.trains_in_mixed_float16,
    training_checks.accepts_sparse_gradients,
    training_checks.traces_once,
    training_checks.resumes_from_a_file,
    training_checks.leaves_frozen_variables_unchanged,
    training_checks.matches_on_two_replicas,
]
ours = pytest.mark.parametrize("cls", OURS, ids=lambda cls: cls.__name__)
# `make test` runs these for every optimizer, and the other checks for the two of SAMPLE.
# `make thorough` and CI run all checks for all.
CHEAP_CHECKS = [
    checks.keeps_its_arguments,
    checks.rejects_unknown_variables,
    checks.rejects_invalid_learning_rates,
    checks.skips_missing_gradients,
]
SAMPLE = (optimizers.AdaBelief, optimizers.WRAPPERS[0])
CASES = [(check, cls) for check in suite.CHECKS if check not in SLOW_CHECKS for cls in OURS]


def run_check(check, subject):
    try:
        training_checks.run_without_warnings(check, subject)
    except checks.Skipped as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(
    ("check", "cls"),
    [
        pytest.param(
            check, cls, marks=[] if check in CHEAP_CHECKS or cls in SAMPLE else pytest.mark.thorough
        )
        for check, cls in CASES
    ],
    ids=lambda one: one.__name__,
)
def test_passes_check(check, cls):
    run_check(check, from_class(cls))


@pytest.mark.slow
@ours
@pytest.mark.parametrize("check", SLOW_CHECKS, ids=lambda one: one.__name__)
def test_passes_slow_check(check, cls):
    run_check(check, from_class(cls))


@pytest.mark.slow
def test_one_optimizer_compiles():
    run_check(training_checks.compiles, from_class(optimizers.AdaBelief))


@pytest.mark.slow
def test_two_replicas_equal_one():
    names = [cls.__name__.lower() for cls in OURS]
    command = [sys.executable, "-m", "conformance.replicas", *names]
    root = str(Path(athanor.__file__).parent)
    process = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": root}
    )
    assert process.returncode == 0, process.stderr[-2000:]


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
    """Ignores the learning rate."""

    def update_step(self, gradient, variable, learning_rate):  # noqa: ARG002
        super().update_step(gradient, variable, 0.01)


class Counting(Flawed):
    """Counts steps in Python, which a graph does not run and a file does not store."""

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
    """Counts batches instead of steps."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate / float(self._iterations + 1))


class Decaying(Flawed):
    """Applies weight decay itself, also to excluded variables."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient + (self.weight_decay or 0) * variable, variable, learning_rate)


class Sparse(Flawed):
    """Uses only the first part of a sparse gradient, for all rows."""

    def update_step(self, gradient, variable, learning_rate):
        if hasattr(gradient, "indices"):
            gradient = gradient.values[0] * ops.ones_like(variable)
        super().update_step(gradient, variable, learning_rate)


class Boastful(Flawed):
    """Stores two arrays per variable: a false statement."""


FLAWS = [
    (Uphill, checks.minimizes),
    (Swallowing, checks.keeps_its_arguments),
    (OwnRate, checks.accepts_a_schedule),
    (Flawed, checks.rejects_invalid_learning_rates),
    (keras.optimizers.Adam, checks.keeps_bfloat16),
    (Uphill, training_checks.trains_in_mixed_float16),
    (Restarting, training_checks.compiles),
    (Swallowing, checks.applies_ema),
    (Swallowing, checks.clips_gradients),
    (Decaying, checks.excludes_from_weight_decay),
    (Batches, checks.accumulates_gradients),
    (Sparse, training_checks.accepts_sparse_gradients),
    (keras.optimizers.Adam, training_checks.accepts_sparse_gradients),
    (Counting, training_checks.resumes_from_a_file),
    (Boastful, training_checks.stores_documented_arrays),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flawed", "check"), FLAWS, ids=[f"{cls.__name__}-{check.__name__}" for cls, check in FLAWS]
)
def test_a_flaw_is_found(flawed, check):
    # The class is registered, so that the check fails for the flaw.
    registered = keras.saving.custom_object_scope({flawed.__name__: flawed})
    with registered, pytest.raises(AssertionError):
        training_checks.run_without_warnings(check, from_class(flawed))


class Idle(Flawed):
    """Never moves."""

    def update_step(self, gradient, variable, learning_rate):
        pass


def test_checks_work_under_python_without_assertions(monkeypatch):
    """Compiles the checks as `python -O` does."""
    optimized = types.ModuleType("optimized")
    source = Path(checks.__file__).read_text()
    exec(compile(source, checks.__file__, "exec", optimize=1), vars(optimized))
    monkeypatch.setattr(optimized, "NUM_STEPS", 5)
    for check in (optimized.minimizes, optimized.accepts_a_schedule):
        with pytest.raises(AssertionError):
            training_checks.run_without_warnings(check, from_class(Idle))


def test_a_class_that_is_not_registered_is_found():
    with pytest.raises(AssertionError, match="register_keras_serializable"):
        training_checks.run_without_warnings(
            training_checks.resumes_from_a_file, from_class(Flawed)
        )


def test_a_wrong_formula_is_found():
    right = from_class(keras.optimizers.SGD)
    wrong = Subject(
        "off", lambda rate: right.make(rate * 1.00001), right.learning_rate, right.reference
    )
    with pytest.raises(AssertionError, match="off by"):
        checks.equals_its_reference(wrong)
    checks.equals_its_reference(right)


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
def test_an_address_that_names_no_optimizer_is_refused(address, expected):
    with pytest.raises(SubjectError, match=expected):
        find_subject(address)


@pytest.mark.parametrize(("address", "status"), [("sgd", 1), ("adan", 0), ("adann", 2)])
def test_exit_status_and_output_of_check_optimizer(monkeypatch, capsys, address, status):
    monkeypatch.setattr(
        suite, "CHECKS", (checks.rejects_invalid_learning_rates, checks.keeps_its_arguments)
    )
    try:
        assert main._run(["check-optimizer", address]) == status
    except SystemExit as raised:
        assert raised.code == status
    output = capsys.readouterr()
    if status == 2:
        assert "Did you mean" in output.err
        return
    lines = output.out.splitlines()
    assert lines[0].split()[0] == ("failed" if status else "passed")
    assert lines[-1] == f"{2 - status} passed, {status} failed, 0 skipped"


@pytest.mark.parametrize("issue", KERAS_ISSUES, ids=lambda one: one.title[:30])
def test_keras_issues_still_reproduce(issue):
    """If this fails, Keras has fixed the issue: delete it."""
    assert issue.actual() != issue.expected
