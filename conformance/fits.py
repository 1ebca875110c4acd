"""What an optimizer promises a model that it trains, a function each."""

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
from conformance.subject import BACKEND, BY_XLA, INPUTS, TARGETS, Subject
from optimizers import AveragedWeights

COUNTS = ("no", "one", "two", "three", "four")
ROWS = INPUTS.reshape(40, 3).astype("float32")
ANSWERS = TARGETS.reshape(40, 3).astype("float32")
# Of four words, of which a batch may lack one; one row more than columns, for rules
# that look at the rank of a gradient.
WORDS = np.random.default_rng(2).integers(4, size=(40, 3))
WORDS[:16] %= 3


def _model(optimizer: Any, layers: list[Any] | None = None, **how: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = layers or [keras.Input((3,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    model.compile(optimizer, loss="mse", **({"jit_compile": BY_XLA} | how))
    return model


def _fit(model: keras.Model, inputs: np.ndarray = ROWS, epochs: int = 1) -> list[float]:
    """The loss of each epoch; batches come in order."""
    how = {"batch_size": 8, "shuffle": False, "verbose": 0, "callbacks": [AveragedWeights()]}
    return model.fit(inputs, ANSWERS, epochs=epochs, **how).history["loss"]


def _weights(model: keras.Model) -> list[np.ndarray]:
    return [one.astype("float64") for one in model.get_weights()]


def continues_from_a_file(subject: Subject) -> None:
    """Saved half-way, loaded without custom_objects and continued it is as uninterrupted."""
    whole, first = (_model(subject.new(gradient_accumulation_steps=2)) for _ in range(2))
    _fit(whole, epochs=4)
    _fit(first, epochs=2)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "half.keras"
        first.save(path)
        try:
            second = keras.saving.load_model(path)
        except TypeError as error:
            remedy = "decorate it by keras.saving.register_keras_serializable"
            raise AssertionError(f"the file cannot be loaded: {remedy}") from error
    _fit(second, epochs=2)
    remedy = "create all state by add_variable or add_optimizer_variables in build"
    assert_equal(_weights(second), _weights(whole), 0.0, remedy)


def compiles(subject: Subject) -> None:
    """Step by step, as a graph and by XLA the same weights come out."""
    ends = []
    ways: list[dict[str, Any]] = [
        {"run_eagerly": True},
        {"jit_compile": False},
        {"jit_compile": True},
    ]
    for how in ways:
        model = _model(subject.new(), **how)
        _fit(model, epochs=2)
        ends.append(_weights(model))
    for other, name in zip(ends[1:], ("as a graph", "by XLA"), strict=True):
        remedy = f"differs {name}: what was read before an assignment may show the new value"
        assert_equal(other, ends[0], 1e-4, remedy)


def scales_float16(subject: Subject) -> None:
    """In mixed_float16, with the loss scaled, the loss falls and stays a number."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = _model(subject.new())
        losses = _fit(model, epochs=8)
    finally:
        keras.config.set_dtype_policy(before)
    require(np.isfinite(losses).all(), f"the losses were {losses}")
    require(losses[-1] < losses[0], f"the loss went from {losses[0]:.3g} to {losses[-1]:.3g}")


def takes_sparse_gradients(subject: Subject) -> None:
    """An embedding learns as the same table that one-hot vectors are multiplied with."""
    if BACKEND != "tensorflow":
        raise Skipped("gradients are sparse on TensorFlow alone")
    _takes_sparse_gradients(subject.new)
    _takes_sparse_gradients(lambda: subject.new(clipnorm=0.01))


def _takes_sparse_gradients(new: Callable[[], Any]) -> None:
    ends = []
    for lookup in (keras.layers.Embedding(4, 3), _OneHot(4, 3)):
        layers = [keras.Input((3,), dtype="int32"), lookup]
        layers += [keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(3)]
        model = _model(new(), layers)
        random = np.random.default_rng(3)
        model.set_weights([random.uniform(-1, 1, one.shape) for one in model.get_weights()])
        _fit(model, WORDS, epochs=2)
        ends.append(_weights(model))
    remedy = "rows without a gradient have one of zero, repeated rows the sum of their parts"
    assert_equal(ends[0], ends[1], 1e-4, remedy)


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


def leaves_frozen_variables(subject: Subject) -> None:
    """What is not trainable does not move, decay or no."""
    frozen = keras.layers.Dense(4, "tanh", trainable=False)
    made = subject.new(weight_decay=0.1)
    model = _model(made, [keras.Input((3,)), frozen, keras.layers.Dense(3)])
    before = [one.copy() for one in frozen.get_weights()]
    _fit(model)
    for one, other in zip(before, frozen.get_weights(), strict=True):
        require((one == other).all(), "a frozen variable moved")


def traces_once(subject: Subject) -> None:
    """After the second step Python does not run any more, also where the rate changes."""
    if BACKEND == "torch":
        raise Skipped("PyTorch runs Python in every step")
    made = subject.new()
    model = _model(made)
    runs: list[int] = []
    update = made.update_step

    def counted(*args: Any) -> None:
        runs.append(1)
        update(*args)

    made.update_step = counted
    model.fit(ROWS[:16], ANSWERS[:16], batch_size=8, verbose=0)
    seen = len(runs)
    made.learning_rate = subject.rate / 2
    _fit(model, epochs=2)
    require(seen and len(runs) == seen, "it was traced again: keep Python numbers out of the step")


def memory(subject: Subject) -> float:
    """Numbers that it keeps for each of a vector's, itself not counted."""
    made = subject.new()
    made.build([keras.Variable(np.ones(1000, "float32"))])
    return round(sum(int(np.prod(one.shape)) for one in made.variables) / 1000, 1)


def keeps_what_it_says(subject: Subject) -> None:
    """The arrays that its docstring says it keeps of a variable, and no more."""
    told = type(subject.new()).__doc__ or ""
    said = re.search(r"Stores (\w+) arrays?(\s+and\s+\w+\s+numbers?)?\s+per\s+variable", told)
    if said is None or said[1] not in COUNTS:
        raise Skipped("its docstring has no 'Stores two arrays per variable'")
    found = memory(subject)
    require(found == COUNTS.index(said[1]), f"keeps {found:g} arrays, says {said[1]}")


def equals_on_two_replicas(subject: Subject) -> None:
    """Two replicas of tf.distribute that share a gradient are as one that has all of it."""
    if BACKEND != "tensorflow":
        raise Skipped("tf.distribute is TensorFlow's")
    # In a process of its own: devices are divided before TensorFlow starts.
    command = [sys.executable, "-m", "conformance.replicas", subject.address]
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=paths)
    last = (done.stderr.strip().splitlines() or ["no word"])[-1]
    require(done.returncode == 0, f"differs, or fails: {last}")


def quiet(check: Any, subject: Subject) -> None:
    """Run a check without the warnings of others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(subject)
