"""The code on the page of optimizers runs, and equals Keras's optimizers."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import athanor
import optimizers
from optimizers import SOLVERS

DOCS = Path(athanor.__file__).resolve().parent / "docs"
PAGE = (DOCS / "optimizers.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
START = np.array([2.0, -3.0])
SGD = keras.optimizers.SGD


@pytest.fixture(scope="module")
def shown():
    """The names that the code of the page defines."""
    names = {}
    for block in BLOCKS:
        exec(block, names)
    return names


def slope(w, *_):
    """Return the gradient of a bowl that is ten times as steep in one direction."""
    return np.array([1.0, 10.0]) * w


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("momentum", lambda: SGD(0.01, momentum=0.9)),
        ("adagrad", lambda: keras.optimizers.Adagrad(0.01)),
        ("rmsprop", lambda: keras.optimizers.RMSprop(0.01)),
        ("adam", lambda: keras.optimizers.Adam(0.01)),
    ],
)
def test_the_code_equals_the_optimizers_of_keras(shown, name, theirs):
    weight, made = keras.Variable(START, dtype="float32"), theirs()
    for _ in range(30):
        made.apply([keras.ops.convert_to_tensor(slope(np.asarray(weight)), "float32")], [weight])
    np.testing.assert_allclose(np.asarray(weight), shown[name](START, slope, 0.01, 30), rtol=1e-4)


def test_the_three_forms_of_gradient_descent_differ_in_batch_size(shown):
    seen = []

    def noting(w, examples):
        seen.append(len(examples))
        return slope(w)

    for batch in (8, 1, 4):
        seen.clear()
        end = shown["descent"](START, noting, np.arange(8), 0.01, 6, batch)
        assert seen == [batch] * 6
        np.testing.assert_allclose(end, START * (1 - 0.01 * np.array([1.0, 10.0])) ** 6)


def test_the_table_names_existing_optimizers():
    table = PAGE.partition("| you have | take | why |")[2].partition("\n\n")[0]
    solvers = {cls.__name__.lower() for cls in SOLVERS}
    for line in table.strip().splitlines()[1:]:
        for name in re.findall(r"`([\w]+)`", line.split("|")[2]):
            known = name.lower().replace("_", "")
            elsewhere = {"layerwiselearningrate", "sharpnessaware"}
            assert known in {*optimizers.names(), *solvers, *elsewhere}, name


def test_figures_exist():
    for name in re.findall(r"!\[.*?\]\((.*?)\)", PAGE):
        assert (DOCS / name).is_file(), f"make it: python docs/figures.py ({name})"


def test_every_optimizer_is_on_the_page_of_checks():
    page = (DOCS / "conformance.md").read_text()
    for name in optimizers.names():
        assert f"| `{name}` |" in page, "make it: python -m conformance.page docs/conformance.md"
