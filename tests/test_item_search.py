"""The search of the best items of a large catalogue gives what sorting all scores gives."""

import numpy as np
import pytest
import tensorflow as tf

from apps import Recommender
from apps.recommender.dot_product import FactorDotProduct
from apps.recommender.factors import Tables
from inference.modalities import item_scores, item_search
from inference.modalities.item_scores import ids_of, top_items

NUM_ITEMS, WIDTH = 20_000, 12
NONE = np.zeros((0, 2), "int32")


@pytest.fixture(scope="module")
def scorer():
    """A layer whose rows of items are as long as those of items with few or many interactions."""
    random = np.random.default_rng(0)
    layer = FactorDotProduct(
        4, NUM_ITEMS, rating_width=1, score_width=WIDTH, lowest=0.0, highest=1.0
    )
    lengths = random.permutation(1 / (1 + np.arange(NUM_ITEMS)) ** 0.7)
    items = random.normal(size=(NUM_ITEMS + 1, WIDTH)) * np.append(0, lengths)[:, None]
    items[:, -1] = np.append(0, lengths)  # popularity
    users = random.normal(size=(5, WIDTH))
    users[0] = np.eye(WIDTH)[-1]
    layer.set_scores(Tables(users, items))
    return layer


def all_scores(scorer, users, items, left_out):
    scores = scorer.list_scores(users, items).numpy()
    scores[left_out[:, 0], left_out[:, 1]] = -np.inf
    return scores


def longest(scorer, items, count):
    """Return pairs of the first user and the items with the longest rows."""
    lengths = np.linalg.norm(scorer.item_rows(items).numpy(), axis=1)
    best = np.argsort(-lengths)[:count].astype("int32")
    return np.stack([np.zeros_like(best), best], 1)


@pytest.mark.parametrize("k", [0, 1, 20, 9_000, 17_000])
@pytest.mark.parametrize("num_left_out", [0, 30, 10_000])
@pytest.mark.parametrize("catalogue", ["all", "restricted"])
def test_the_search_finds_the_highest_of_all_scores(scorer, k, num_left_out, catalogue):
    numbers = np.arange(1, NUM_ITEMS + 1, dtype="int32")
    items = (
        numbers if catalogue == "all" else np.random.default_rng(1).permutation(numbers)[:18_000]
    )
    left_out, users = longest(scorer, items, num_left_out), np.array([3, 0, 1])

    @tf.function(autograph=False)
    def graph(users, k):
        return item_search.search(scorer, users, items, tf.constant(left_out), k)

    top = graph(tf.constant(users), tf.constant(k))
    scores = all_scores(scorer, users, items, left_out)
    best = -np.sort(-scores, axis=1)[:, :k]
    np.testing.assert_allclose(top.scores, best, rtol=1e-4, atol=1e-6)
    found = np.take_along_axis(scores, top.indices.numpy(), 1)
    np.testing.assert_allclose(found, best, rtol=1e-4, atol=1e-6)
    assert all(len(set(row)) == k for row in top.indices.numpy())


def test_the_search_ends_early(scorer, monkeypatch):
    counts = []
    rows = scorer.item_rows
    items = np.arange(1, NUM_ITEMS + 1, dtype="int32")
    monkeypatch.setattr(item_search, "ITEMS_PER_BLOCK", 100)
    monkeypatch.setattr(item_search, "NUM_FIRST_ITEMS", 200)
    monkeypatch.setattr(
        scorer, "item_rows", lambda numbers: counts.append(len(numbers)) or rows(numbers)
    )
    for user in range(5):
        counts.clear()
        item_search.search(scorer, tf.constant([user]), items, tf.constant(NONE), 20)
        assert sum(counts[1:]) < NUM_ITEMS / 4, "the first call sorts the items"


@pytest.mark.parametrize("offered", [slice(None), slice(0, None, 2)])
def test_lists_of_the_search_are_those_of_all_scores(exported, monkeypatch, offered):
    model = exported(Recommender).model
    users = tf.constant([b"user 1", b"nobody", b"user 2"])
    with item_scores.recommending_only(model, ids_of(model).items[offered]):
        for exclude in (tf.constant(value) for value in (True, False)):
            every = top_items(model, users, 10**6, exclude, in_test=True)
            scores = np.empty(every.scores.shape)
            np.put_along_axis(scores, every.indices.numpy(), every.scores.numpy(), 1)
            monkeypatch.setattr(item_scores, "MIN_SEARCHED_ITEMS", 1)
            monkeypatch.setattr(item_search, "ITEMS_PER_BLOCK", 4)
            monkeypatch.setattr(item_search, "NUM_FIRST_ITEMS", 8)
            for k in (5, 10**6):
                found = top_items(model, users, k, exclude, in_test=True)
                expected = every.scores.numpy()[:, :k]
                np.testing.assert_allclose(found.scores, expected, rtol=1e-4, atol=1e-6)
                # The items may differ where scores are equal.
                of_items = np.take_along_axis(scores, found.indices.numpy(), 1)
                np.testing.assert_allclose(of_items, expected, rtol=1e-4, atol=1e-6)
            monkeypatch.undo()
