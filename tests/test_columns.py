"""Examples with named columns: gathering, hashes, splits, batches and solvers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.fit_data import FitData
from apps.solving import solve
from evaluation.tasks import regression
from pipelines.batches import ordered_batches, shuffled_batches
from pipelines.examples import Examples
from pipelines.splits import Fold, Source, split_fold, split_source
from training import samples


def rows(count=200, seed=0):
    """Return rows of a number, which is sometimes missing, and a text."""
    random = np.random.default_rng(seed)
    number = random.normal(size=count).astype("float32")
    number[::7] = np.nan
    text = np.array([f"t{k}é".encode() for k in range(count)], object)
    return Examples.of({"number": number, "text": text}, random.normal(size=count))


def splits(count=400):
    return split_source(Source(rows(count)))


def test_the_spec_names_every_column():
    assert rows().spec["features"] == {"number": ((), "float32"), "text": ((), "string")}


def test_gather_in_a_graph_equals_numpy():
    examples = rows().select(np.arange(150, 20, -1))
    batch = next(iter(ordered_batches(examples, batch_size=64)))
    features, target = examples.numpy(slice(0, 64))
    for name, column in features.items():
        np.testing.assert_array_equal(batch.features[name].numpy(), column)
    np.testing.assert_array_equal(batch.target, target)


def test_shuffled_batches_keep_rows_together():
    examples = rows()
    known = {
        (str(number), text): target
        for number, text, target in zip(*examples.features.values(), examples.target, strict=True)
    }
    batches = shuffled_batches(examples, batch_size=50, steps_per_epoch=4, seed=1)
    for features, target in batches.take(8).as_numpy_iterator():
        for number, text, value in zip(*features.values(), target, strict=True):
            assert known[str(number), text] == value


def test_equal_rows_have_equal_hashes_and_boundaries_count():
    texts = [np.array(column, object) for column in ([b"ab", b"a", b"ab"], [b"c", b"bc", b"c"])]
    hashes = Examples.of({"one": texts[0], "two": texts[1]}, np.zeros(3)).content_hashes()
    assert hashes[0] == hashes[2] != hashes[1]


def test_hashes_of_contents_stay_the_same_between_versions():
    texts = np.array([b"ab", b"", b"caf\xc3\xa9"], object)
    numbers = np.array([1.5, np.nan, -2], "float32")
    pairs = np.arange(6).reshape(3, 2)
    pictures = np.arange(12, dtype="uint8").reshape(3, 2, 2)
    columns = {"one": texts, "two": numbers, "three": pairs, "zero": texts}
    for features, known in (
        (columns, ["b1e1e58da72fdb81", "ab85f3e74e73a9ee", "e0b3fac5135f1f5b"]),
        (texts, ["8810de87f1b5520e", "b4b2797457a0a6e4", "e3d79231bda27757"]),
        (pictures, ["98c94eeea18b89fa", "ea197968a5c6e1c2", "fbb7bdb2c8353cc8"]),
    ):
        examples = Examples.of(features, np.zeros(3))
        assert [f"{found:016x}" for found in examples.content_hashes().tolist()] == known
        some = examples.select(np.array([2, 0])).hashed()
        assert [f"{found:016x}" for found in some.content_hashes().tolist()] == known[2::-2]


def test_splits_of_rows_are_disjoint_and_complete():
    found = splits()
    parts = [set(part.content_hashes().tolist()) for part in (found.train, found.valid, found.test)]
    assert sum(found.sizes.values()) == 400
    assert len(set.union(*parts)) == sum(map(len, parts))


def test_every_example_is_a_test_example_of_one_fold():
    whole, seen = splits(), []
    for number in (1, 2, 3, 4):
        part = split_fold(whole, Fold(number, 4))
        assert sum(part.sizes.values()) == 400
        assert not set(part.train.rows) & {*part.valid.rows, *part.test.rows}
        assert len(part.test) == pytest.approx(100, abs=30)
        seen += part.test.rows.tolist()
    assert sorted(seen) == list(range(400))


def test_an_official_test_stays_out_of_the_folds():
    official = split_source(Source(rows(), test=rows(30, seed=1)))
    part = split_fold(official, Fold(1, 3))
    assert sum(part.sizes.values()) == sum(official.sizes.values()) - 30


@pytest.mark.parametrize("kind", ["columns", "array"])
def test_samples_survive_a_round_trip(kind, tmp_path):
    raw = rows(20).features if kind == "columns" else np.arange(20.0)
    samples.save(tmp_path / "samples.npz", samples.Samples(raw, np.arange(20)))
    again = samples.load(tmp_path / "samples.npz")
    for one, other in zip(tf.nest.flatten(again.raw), tf.nest.flatten(raw), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_metrics_of_numbers_are_those_of_scikit_learn():
    from sklearn import metrics

    random = np.random.default_rng(0)
    target = random.normal(3e5, 1e5, 500)
    given = (target + random.normal(0, 3e4, 500)).astype("float32")
    found = regression.metrics(regression.Predictions(given, target))
    assert found == pytest.approx(
        {
            "rmse": metrics.root_mean_squared_error(target, given),
            "mae": metrics.mean_absolute_error(target, given),
            "r2": metrics.r2_score(target, given),
        }
    )
    for name, (low, high) in regression.intervals(regression.Predictions(given, target)).items():
        assert low < found[name] < high


def test_r2_of_equal_targets_is_a_number():
    same = np.full(5, 2.0)
    assert regression.metrics(regression.Predictions(same, same))["r2"] == 1
    assert regression.metrics(regression.Predictions(same + 1, same))["r2"] == 0


class Watcher(keras.callbacks.Callback):
    """Records its calls."""

    def __init__(self):
        super().__init__()
        self.told = []

    def on_epoch_end(self, epoch, logs=None):
        self.told.append((epoch, logs))


@pytest.mark.parametrize(("sweeps", "patience", "seen"), [(3, 9, 3), (9, 9, 5), (9, 1, 2)])
def test_a_solver_reports_epochs(sweeps, patience, seen, tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    x = np.ones((8, 1), "float32")
    valid = ordered_batches(Examples.of(x, x[:, 0]), batch_size=4)

    def weights():
        for step in range(sweeps):
            # Far from the answer, 1, from the second step on.
            model.set_weights([np.full((1, 1), 1.0 + step)])
            yield {"loss": float(step)}

    watcher = Watcher()
    callbacks = [
        watcher,
        keras.callbacks.TensorBoard(str(tmp_path)),
        keras.callbacks.EarlyStopping("val_loss", patience=patience),
    ]
    solve(
        model,
        FitData(None, valid, 1, None, None, 1),
        weights(),
        epochs=range(5),
        callbacks=callbacks,
    )
    assert len(watcher.told) == seen
    assert [logs["val_loss"] for _, logs in watcher.told] == [float(k**2) for k in range(seen)]
