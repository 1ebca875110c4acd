"""The standard deviation of predicted ratings is that of the errors."""

import numpy as np
import pytest
import tensorflow as tf

from apps import Recommender
from apps.recommender.bayesian_mf import posterior_means
from apps.recommender.dot_product import FactorDotProduct
from apps.recommender.factors import Interactions, bias_baseline, rating_tables
from apps.recommender.rating_spread import spread_tables
from inference.predict import predict
from training.train import train

NUM_USERS, NUM_ITEMS, RANK = 300, 200, 16


def simulated(share, seed=0):
    """Ratings with a noise that differs among users; the share that is not held out is random."""
    random = np.random.default_rng(seed)
    users, items = (random.normal(size=(count, 2)) for count in (NUM_USERS, NUM_ITEMS))
    noise = random.uniform(0.5, 1.0, NUM_USERS)
    cells = random.permutation(NUM_USERS * NUM_ITEMS)[:12_000]
    rows, columns = np.divmod(cells, NUM_ITEMS)
    ratings = 3 + 0.5 * (users[rows] * items[columns]).sum(1)
    ratings = (ratings + noise[rows] * random.normal(size=len(rows))).astype("float32")
    cut = int(share * len(rows))
    return tuple(
        Interactions(rows[part], columns[part], ratings[part], NUM_USERS, NUM_ITEMS)
        for part in (slice(0, cut), slice(cut, None))
    )


def standardised_errors(pairs, factors, test, users=None, items=None):
    """Return (rating - predicted) / deviation of the test pairs, and the deviations."""
    tables, spread = rating_tables(pairs, factors, RANK), spread_tables(pairs, factors)
    rows = test.users + 1 if users is None else np.full(len(test.users), users)
    columns = test.items + 1 if items is None else np.full(len(test.items), items)
    predicted = (tables.users[rows] * tables.items[columns]).sum(1)
    deviations = np.sqrt((spread.users[rows] * spread.items[columns]).sum(1))
    return (test.ratings - predicted) / deviations, deviations


@pytest.fixture(scope="module")
def fitted():
    pairs, test = simulated(0.8)
    means = posterior_means(pairs, num_factors=3, rank=RANK, seed=0)
    return pairs, [next(means)[0] for _ in range(6)][-1], test


def test_standardised_errors_have_a_variance_of_1(fitted):
    errors, deviations = standardised_errors(*fitted)
    thirds = np.array_split(np.argsort(deviations), 3)
    assert np.mean(errors**2) == pytest.approx(1, abs=0.1)
    assert [np.mean(errors[part] ** 2) for part in thirds] == pytest.approx([1, 1, 1], abs=0.2)
    assert np.mean(np.abs(errors) < 1.645) == pytest.approx(0.9, abs=0.02)
    low, _, high = (deviations[part].mean() for part in thirds)
    assert high > 1.2 * low, "the noise of users differs"


@pytest.mark.parametrize(("users", "items"), [(0, None), (None, 0), (0, 0)])
def test_ratings_of_unknown_users_and_items_have_the_spread_of_the_data(fitted, users, items):
    errors, deviations = standardised_errors(*fitted, users=users, items=items)
    assert np.mean(errors**2) == pytest.approx(1, abs=0.15)
    assert deviations.mean() > standardised_errors(*fitted)[1].mean()


def test_biases_alone_have_a_spread(fitted):
    pairs, _, test = fitted
    errors, _ = standardised_errors(pairs, bias_baseline(pairs)[0], test)
    assert np.mean(errors**2) == pytest.approx(1, abs=0.15)


def test_little_data_widen_the_spread():
    few, test = simulated(0.1)
    means = posterior_means(few, num_factors=3, rank=RANK, seed=0)
    errors, deviations = standardised_errors(few, [next(means)[0] for _ in range(6)][-1], test)
    assert np.mean(errors**2) == pytest.approx(1, abs=0.2)
    assert deviations.mean() > 0.9


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_spread_has_the_unit_of_the_ratings(scale):
    pairs, test = (
        part._replace(ratings=part.ratings * np.float32(scale)) for part in simulated(0.8)
    )
    factors, _ = next(posterior_means(pairs, num_factors=3, rank=RANK, seed=0))
    errors, _ = standardised_errors(pairs, factors, test)
    assert np.mean(errors**2) == pytest.approx(1, abs=0.2)


def test_the_export_and_predict_give_the_spread(exported):
    run = exported(Recommender)
    ask = tf.saved_model.load(run.path / "export" / "1").signatures["rating"]
    users, items = [b"user 1", b"user 1", b"nobody"], [b"item 1", b"?", b"item 1"]
    known, no_item, no_user = ask(user=tf.constant(users), item=tf.constant(items))["rating_std"]
    assert 0.4 < known < no_item < 2, "the noise has a deviation of 0.5"
    assert known < no_user < 2
    (row,) = predict(run, ["user 1,item 1"])
    assert row["rating_std"] == pytest.approx(float(known), rel=1e-4)


@pytest.mark.parametrize("model", ["svdpp", "retrieval"])
def test_models_without_a_posterior_have_no_spread(model, tmp_path):
    run = train(Recommender(model=model, epochs=1, factors=2), run_dir=tmp_path / "run", verbose=0)
    (row,) = predict(run, ["user 1,item 1"])
    assert {"rating", "score"} <= {*row}
    assert "rating_std" not in row


def test_a_layer_of_an_older_version_has_no_spread():
    layer = FactorDotProduct(2, 3, rating_width=4, score_width=5, lowest=1.0, highest=5.0)
    config = layer.get_config()
    del config["has_spread"]
    again = FactorDotProduct.from_config(config)
    pairs = {"user": np.array([1]), "item": np.array([2])}
    assert again(pairs).shape == (1, 2)


def test_new_users_and_items_have_the_spread_of_unknown_ones(fitted):
    pairs, factors, _ = fitted
    layer = FactorDotProduct(
        NUM_USERS + 1,
        NUM_ITEMS + 1,
        rating_width=1,
        score_width=1,
        lowest=1.0,
        highest=5.0,
        has_spread=True,
    )
    layer.set_spread(spread_tables(pairs, factors))
    new = layer({"user": np.array([NUM_USERS + 1, 1]), "item": np.array([1, NUM_ITEMS + 1])})
    unknown = layer({"user": np.array([0, 1]), "item": np.array([1, 0])})
    np.testing.assert_allclose(new[:, 2], unknown[:, 2])
