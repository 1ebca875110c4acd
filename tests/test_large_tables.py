"""Large tables: matrices on the disk; epochs, trees, validation and resamples of bounded size."""

import itertools

import numpy as np
import pytest

from apps import Regression
from apps.regression import boosting, trees
from apps.regression.matrices import RowMatrices
from evaluation import intervals
from pipelines.examples import Examples
from pipelines.rows import packing
from pipelines.rows.packing import pack_columns
from pipelines.tables import cells, column_store
from pipelines.tables.cell_hashes import hash_rows
from pipelines.tables.cells import Cells
from training import fitting
from training.fitting import count_steps_for


def table(count=3_000):
    random = np.random.default_rng(0)
    x = random.normal(size=count)
    return {"x": x, "kind": random.choice([*"abc"], count), "price": x + random.normal(size=count)}


def test_a_large_matrix_is_mapped_from_the_disk(monkeypatch):
    random = np.random.default_rng(0)
    columns = [random.normal(size=500), Cells.of([b"a", b"b"] * 250).distinct]
    kinds, rows = {"x": "number", "kind": "category"}, np.arange(0, 500, 3)
    in_memory = pack_columns(columns, kinds, rows)
    monkeypatch.setattr(column_store, "MAX_BYTES_IN_MEMORY", 100)
    monkeypatch.setattr(packing, "ROWS_PER_PART", 64)
    monkeypatch.setattr(cells, "MIN_ROWS_FOR_THREADS", 0)
    mapped = pack_columns(columns, kinds, rows)
    assert isinstance(mapped["numbers"], np.memmap)
    for name, matrix in in_memory.items():
        np.testing.assert_array_equal(mapped[name], matrix)
    np.testing.assert_array_equal(in_memory["numbers"][:, 0], columns[0][rows])


def test_splits_do_not_depend_on_where_the_table_is(monkeypatch):
    app = Regression(data=table(), target="price")
    in_memory = app.load_splits()
    monkeypatch.setattr(column_store, "MAX_BYTES_IN_MEMORY", 1000)
    monkeypatch.setattr(packing, "ROWS_PER_PART", 100)
    monkeypatch.setattr(cells, "MIN_ROWS_FOR_THREADS", 0)
    mapped = app.load_splits()
    assert isinstance(mapped.train.features["numbers"], np.memmap)
    assert mapped.fingerprint() == in_memory.fingerprint()
    np.testing.assert_array_equal(mapped.test.rows, in_memory.test.rows)


def test_a_sample_keeps_the_order():
    examples = Examples.of(np.arange(1000), np.arange(1000)).select(np.arange(0, 1000, 2))
    sample = examples.sample(100)
    assert len(sample) == 100
    assert (np.diff(sample.targets) > 0).all()
    assert np.isin(sample.targets, examples.targets).all()
    np.testing.assert_array_equal(sample.rows, examples.sample(100).rows)
    assert examples.sample(500) is examples


@pytest.mark.parametrize("fields", [{}, {"batch_size": 1000}])
def test_an_epoch_takes_a_bounded_number_of_examples(fields):
    app = Regression(**fields)
    size = app.batch_size or 128
    for count in (7_000_000, 80_000_000):
        assert 0.9 < count_steps_for(app, count, 1)[0] * size / app.max_epoch_examples <= 1
    count = app.max_epoch_examples - 1
    assert 0.9 < count_steps_for(app, count, 1)[0] * size / count <= 1
    whole = Regression(model="svm", solver="batch")
    assert count_steps_for(whole, 7_000_000, 1) == (1, 1)


def test_trees_are_fitted_to_a_sample(monkeypatch):
    monkeypatch.setattr(trees, "MAX_EXAMPLES", 500)
    monkeypatch.setattr(trees, "MAX_HELD_OUT", 100)
    monkeypatch.setattr(boosting, "MAX_FOLDED_EXAMPLES", 0)
    sizes, fit = [], trees.fit_boosted
    monkeypatch.setattr(
        trees, "fit_boosted", lambda part, options: sizes.append(len(part.x)) or fit(part, options)
    )
    app = Regression(data=table(), target="price")
    splits = app.load_splits()
    prepare = app.make_preprocessing(splits)
    train, valid = (RowMatrices(prepare, part) for part in (splits.train, splits.valid))
    trees.fit_trees(train, valid, 0).refit(train, valid, 0)
    assert sizes == [500, 600]


def test_epochs_are_compared_on_a_sample_of_validation(monkeypatch):
    monkeypatch.setattr(fitting, "MAX_VALIDATION_ROWS", 100)
    app = Regression(data=table(), target="price", model="mlp", width=8)
    splits = app.load_splits()
    assert len(splits.valid) > 200
    data = fitting.make_fit_data(app, splits, fitting.build_compiled(app, splits, "float32"))
    assert sum(len(target) for _, target in data.valid) == 100


def test_many_units_get_fewer_resamples(monkeypatch):
    def count_resamples(units):
        return sum(1 for _ in itertools.islice(intervals.resampled_positions(units), 2000))

    assert count_resamples(10) == 1000
    monkeypatch.setattr(intervals, "MAX_DRAWS", 3000)
    assert [count_resamples(units) for units in (10, 1000)] == [300, 200]


@pytest.mark.parametrize(
    "words", [[b"1", b"2.50", b"", b"-1e3"], [b"1", b"x", b""], [b"nan(1)", b"1"], [b"", b""]]
)
def test_a_repetitive_column_is_read_as_any_other(words, monkeypatch):
    cells_of_column = np.random.default_rng(0).choice(np.array(words, object), 20_000).tolist()
    repetitive = Cells.of(cells_of_column)
    assert repetitive.is_repetitive
    monkeypatch.setattr(cells, "NUM_SAMPLES", 10**9)
    other = Cells.of(cells_of_column)
    assert not other.is_repetitive
    np.testing.assert_array_equal(repetitive.numbers, other.numbers)
    assert (repetitive.floats is None) == (other.floats is None)
    hashes = [hash_rows({"a": column}, len(column)) for column in (repetitive, other)]
    np.testing.assert_array_equal(*hashes)
    assert not Cells.of([b"%d" % number for number in range(20_000)]).is_repetitive
