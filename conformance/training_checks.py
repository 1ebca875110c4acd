"""Checks of an optimizer that train a model; each raises AssertionError if it fails."""

import os
import re
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from conformance.checks import Skipped, assert_equal, require
from conformance.subject import BACKEND, INPUTS, JIT_COMPILE, TARGETS, Subject
from optimizers import AveragedWeights

NUMBER_WORDS = ("no", "one", "two", "three", "four")
ROWS = INPUTS.reshape(40, 3).astype("float32")
ROW_TARGETS = TARGETS.reshape(40, 3).astype("float32")
# Ids of a vocabulary of four words, of which a batch may lack one. The embedding has one row
# more than columns, for rules that depend on the rank of a gradient.
WORD_IDS = np.random.default_rng(2).integers(4, size=(40, 3))
WORD_IDS[:16] %= 3


def _model(optimizer: Any, layers: list[Any] | None = None, **options: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = layers or [keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    model.compile(optimizer, loss="mse", **({"jit_compile": JIT_COMPILE} | options))
    return model


def _fit(model: keras.Model, inputs: np.ndarray = ROWS, epochs: int = 1) -> list[float]:
    """Train without shuffling and return the loss of each epoch."""
    options = {"batch_size": 8, "shuffle": False, "verbose": 0, "callbacks": [AveragedWeights()]}
    return model.fit(inputs, ROW_TARGETS, epochs=epochs, **options).history["loss"]


def _weights(model: keras.Model) -> list[np.ndarray]:
    return [one.astype("float64") for one in model.get_weights()]


def resumes_from_a_file(subject: Subject) -> None:
    """Saved, loaded without custom_objects and continued, it equals uninterrupted training."""
    uninterrupted, first = (_model(subject.new(gradient_accumulation_steps=2)) for _ in range(2))
    _fit(uninterrupted, epochs=4)
    _fit(first, epochs=2)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "half.keras"
        first.save(path)
        try:
            second = keras.saving.load_model(path)
        except TypeError as error:
            remedy = "decorate it with keras.saving.register_keras_serializable"
            raise AssertionError(f"the file cannot be loaded: {remedy}") from error
    _fit(second, epochs=2)
    remedy = "create all state with add_variable or add_optimizer_variables in build"
    assert_equal(_weights(second), _weights(uninterrupted), 0.0, remedy)


def compiles(subject: Subject) -> None:
    """Eager mode, graph mode and XLA give the same weights."""
    final_weights = []
    modes: list[dict[str, Any]] = [
        {"run_eagerly": True},
        {"jit_compile": False},
        {"jit_compile": True},
    ]
    for options in modes:
        model = _model(subject.new(), **options)
        _fit(model, epochs=2)
        final_weights.append(_weights(model))
    for other, name in zip(final_weights[1:], ("in graph mode", "with XLA"), strict=True):
        remedy = f"differs {name}: a value read before an assignment may change with it"
        assert_equal(other, final_weights[0], 1e-4, remedy)


def trains_in_mixed_float16(subject: Subject) -> None:
    """In mixed_float16 with loss scaling, the loss falls and stays finite."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = _model(subject.new())
        losses = _fit(model, epochs=8)
    finally:
        keras.config.set_dtype_policy(before)
    require(np.isfinite(losses).all(), f"the losses were {losses}")
    require(losses[-1] < losses[0], f"the loss went from {losses[0]:.3g} to {losses[-1]:.3g}")


def accepts_sparse_gradients(subject: Subject) -> None:
    """An embedding learns like a dense table that multiplies one-hot vectors."""
    if BACKEND != "tensorflow":
        raise Skipped("only TensorFlow has sparse gradients")
    _require_equal_embeddings(subject.new)
    _require_equal_embeddings(lambda: subject.new(clipnorm=0.01))


def _require_equal_embeddings(new: Callable[[], Any]) -> None:
    final_weights = []
    for lookup in (keras.layers.Embedding(4, 3), _OneHot(4, 3)):
        layers = [keras.Input((3,), dtype="int32"), lookup]
        layers += [keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(3)]
        model = _model(new(), layers)
        random = np.random.default_rng(3)
        model.set_weights([random.uniform(-1, 1, one.shape) for one in model.get_weights()])
        _fit(model, WORD_IDS, epochs=2)
        final_weights.append(_weights(model))
    remedy = "use gradient zero for missing rows, and the sum of the parts of repeated rows"
    assert_equal(final_weights[0], final_weights[1], 1e-4, remedy)


class _OneHot(keras.layers.Layer):
    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.rows, self.width = rows, width

    def build(self, shape: Any) -> None:  # noqa: ARG002
        self.table = self.add_weight(
            shape=(self.rows, self.width), initializer="uniform", name="embeddings"
        )

    def call(self, numbers: Any) -> Any:
        return keras.ops.matmul(keras.ops.one_hot(numbers, self.rows), self.table)


def leaves_frozen_variables_unchanged(subject: Subject) -> None:
    """Frozen variables do not change, even with weight decay."""
    frozen = keras.layers.Dense(4, "tanh", trainable=False)
    optimizer = subject.new(weight_decay=0.1)
    model = _model(optimizer, [keras.Input((3,)), frozen, keras.layers.Dense(3)])
    before = [one.copy() for one in frozen.get_weights()]
    _fit(model)
    for old, new in zip(before, frozen.get_weights(), strict=True):
        require((old == new).all(), "a frozen variable moved")


def traces_once(subject: Subject) -> None:
    """The step is not traced again after the second step, even if the learning rate changes."""
    if BACKEND == "torch":
        raise Skipped("PyTorch runs Python in every step")
    optimizer = subject.new()
    model = _model(optimizer)
    calls: list[int] = []
    update = optimizer.update_step

    def count_and_update(*args: Any) -> None:
        calls.append(1)
        update(*args)

    optimizer.update_step = count_and_update
    model.fit(ROWS[:16], ROW_TARGETS[:16], batch_size=8, verbose=0)
    first_calls = len(calls)
    optimizer.learning_rate = subject.learning_rate / 2
    _fit(model, epochs=2)
    require(
        first_calls and len(calls) == first_calls,
        "it was traced again: keep Python numbers out of the step",
    )


def memory(subject: Subject) -> float:
    """Count the numbers that an optimizer stores per weight, without the weight itself."""
    optimizer = subject.new()
    optimizer.build([keras.Variable(np.ones(1000, "float32"))])
    return round(sum(int(np.prod(one.shape)) for one in optimizer.variables) / 1000, 1)


def stores_documented_arrays(subject: Subject) -> None:
    """It stores as many arrays per variable as its docstring states."""
    docstring = type(subject.new()).__doc__ or ""
    stated = re.search(
        r"Stores (\w+) arrays?(\s+and\s+\w+\s+numbers?)?\s+per\s+variable", docstring
    )
    if stated is None or stated[1] not in NUMBER_WORDS:
        raise Skipped("its docstring does not say 'Stores two arrays per variable'")
    actual = memory(subject)
    expected = NUMBER_WORDS.index(stated[1])
    require(actual == expected, f"stores {actual:g} arrays, its docstring says {stated[1]}")


def matches_on_two_replicas(subject: Subject) -> None:
    """Two tf.distribute replicas with parts of a gradient equal one with the whole gradient."""
    if BACKEND != "tensorflow":
        raise Skipped("only TensorFlow has tf.distribute")
    # A process of its own: TensorFlow must split the CPU into devices before it starts.
    command = [sys.executable, "-m", "conformance.replicas", subject.address]
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=paths)
    last = (process.stderr.strip().splitlines() or ["no message"])[-1]
    require(process.returncode == 0, f"differs or fails: {last}")


def run_without_warnings(check: Any, subject: Subject) -> None:
    """Run a check and suppress warnings of other libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(subject)
