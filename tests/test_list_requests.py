"""Lists on request: liked items, filters, diversity and reasons, in the model and its graph."""

import numpy as np
import pytest
import tensorflow as tf

from apps import Recommender
from apps.recommender.dot_product import FactorDotProduct
from exporting import savedmodel
from exporting.export import ParityError
from exporting.parity import OutputsDifferError, compare
from exporting.parity_check import arrays_under
from exporting.ranked_lists import list_shortfalls
from inference import saved_graph
from inference.modalities import ids, requested_lists, requested_signature
from inference.modalities.diversity import POOL_PER_ITEM, diverse_positions
from inference.modalities.item_scores import ids_of, list_scorer_of, recommending_only, top_items
from inference.modalities.item_similarity import item_vectors
from inference.modalities.requested_lists import ListRequest, recommend_with
from training.run import Run

DEFAULTS = requested_signature.DEFAULTS._asdict()


@pytest.fixture(scope="module")
def model(tiny_run):
    return tiny_run(Recommender).model


@pytest.fixture(scope="module")
def vectors(model):
    return item_vectors(model)


@pytest.fixture
def ask(model, vectors):
    """A function from some inputs to the outputs as NumPy arrays; texts as str."""

    def outputs(**inputs):
        request = ListRequest(
            **{name: tf.constant(one) for name, one in (DEFAULTS | inputs).items()}
        )
        found = recommend_with(model, vectors, request)
        return {
            name: one.numpy().astype("U") if one.dtype == tf.string else one.numpy()
            for name, one in found.items()
        }

    return outputs


def numbers_of(model, names):
    places = {name: number for number, name in enumerate(ids_of(model).items, 1)}
    return [places.get(name, 0) for name in names]


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_without_options_lists_are_those_of_recommend(exclude_seen, model, ask):
    users = ["user 1", "nobody", "user 2"]
    found = ask(user=users, k=20, exclude_seen=exclude_seen)
    top = top_items(model, tf.constant(users), 20, tf.constant(exclude_seen), in_test=True)
    expected = np.array(ids_of(model).offered)[top.indices.numpy()]
    np.testing.assert_array_equal(found["items"], expected)
    np.testing.assert_allclose(found["scores"], top.scores.numpy(), rtol=1e-6)
    assert not len(found["unknown"])


def test_liked_items_take_the_place_of_a_user(model, ask):
    liked = ["item 3", "nothing", "item 8", ""]
    found = ask(liked=[liked], k=5, user=["user 1"])
    numbers = tf.constant([numbers_of(model, liked)])
    every = tf.range(1, len(ids_of(model).items) + 1)
    scores = list_scorer_of(model).list_scores_of_liked(numbers, every).numpy()[0]
    scores[np.array(numbers_of(model, ["item 3", "item 8"])) - 1] = -np.inf
    seen = ids_of(model).histories_of(tf.constant(["user 1"]), in_test=True).numpy()[0]
    scores[seen - 1] = -np.inf
    best = np.argsort(-scores, kind="stable")[:5]
    assert found["items"][0].tolist() == [ids_of(model).items[place] for place in best]
    assert found["unknown"].tolist() == ["nothing"]
    everything = ask(liked=[liked], k=10**6, exclude_seen=False)["items"][0]
    assert not {"item 3", "item 8"} & set(everything), "what a person named is left out"


def test_without_a_known_liked_item_the_list_is_popularity(ask):
    popular = ask(user=["nobody"])["items"]
    np.testing.assert_array_equal(ask(liked=[["nothing", "no thing"]])["items"], popular)
    np.testing.assert_array_equal(ask()["items"], popular)


def test_a_repeated_liked_item_counts_once_at_its_last_place(ask):
    once, twice = (
        ask(liked=[liked], k=8) for liked in (["item 3", "item 8"], ["item 3", "item 8", "item 3"])
    )
    np.testing.assert_array_equal(once["items"], twice["items"])
    np.testing.assert_allclose(once["scores"], twice["scores"], rtol=1e-5)
    numbers = requested_lists._distinct(tf.constant([[4, 5, 4, 0, 0], [1, 2, 3, 3, 3]]))
    assert numbers.numpy().tolist() == [[0, 5, 4, 0, 0], [1, 2, 0, 0, 3]]


def test_a_batch_holds_users_and_liked_items(ask):
    liked = [["item 3", "item 8"], ["", ""], ["item 5", ""]]
    together = ask(user=["", "user 2", ""], liked=liked, k=6)
    alone = [
        ask(liked=[["item 3", "item 8"]], k=6),
        ask(user=["user 2"], k=6),
        ask(liked=[["item 5"]], k=6),
    ]
    for row, one in enumerate(alone):
        np.testing.assert_array_equal(together["items"][row], one["items"][0])
        np.testing.assert_array_equal(together["reasons"][row], one["reasons"][0])
    assert ask(user=[""], liked=liked, k=6)["items"].shape == (3, 6)
    assert ask(user=tf.zeros([0], tf.string), k=6)["items"].shape == (0, 6)


def test_filters_restrict_the_candidates(ask):
    whole = ask(user=["user 1"], k=10**6)["items"][0]
    whole = whole[whole != ""]
    some = {whole[1], whole[4], whole[9], whole[-1]}
    found = ask(user=["user 1"], only=[*some, "nothing", ""], k=6)
    assert found["items"][0].tolist() == [item for item in whole if item in some] + ["", ""]
    assert not found["scores"][0, 4:].any() and found["unknown"].tolist() == ["nothing"]
    rest = ask(user=["user 1"], exclude=[*some, "nothing"], k=10**6)["items"][0]
    assert [item for item in rest if item] == [item for item in whole if item not in some]
    both = ask(user=["user 1"], only=list(some), exclude=[whole[4]], k=6)["items"][0]
    assert set(both) == some - {whole[4]} | {""}
    nothing = ask(user=["user 1"], only=["nothing"], k=3)
    assert (nothing["items"] == "").all() and not nothing["scores"].any()


def test_a_changed_catalogue_restricts_lists_but_not_what_is_told(model, ask):
    names = ids_of(model).items
    whole = ask(liked=[[names[0]]], k=len(names))
    with recommending_only(model, names[4:9]):
        found = ask(liked=[[names[0]]], only=[names[0], names[5], names[7]], k=8)
        seen = ask(user=["user 1"], k=8)
    assert set(found["items"][0]) == {names[5], names[7], ""}
    assert found["items"].shape == (1, 5) and not len(found["unknown"])
    assert set(found["reasons"].ravel()) <= {names[0], ""}
    order = [item for item in whole["items"][0] if item in (names[5], names[7])]
    assert found["items"][0].tolist()[:2] == order
    assert set(seen["items"][0]) <= {*names[4:9], ""}


def slow_diverse_list(scores, vectors, k, weight):
    """Return the indices of a list by maximal marginal relevance, in plain Python."""
    pool = np.argsort(-scores, kind="stable")[: POOL_PER_ITEM * k]
    pool = pool[np.isfinite(scores[pool])]
    span = np.ptp(scores[pool])
    relevance = {i: (scores[i] - scores[pool].min()) / span for i in pool}
    chosen: list[int] = []

    def value(item):
        similar = max((vectors[item] @ vectors[other] for other in chosen), default=0.0)
        return (1 - weight) * relevance[item] - weight * similar

    while len(chosen) < min(k, len(pool)):
        chosen.append(max((i for i in pool if i not in chosen), key=value))
    return chosen


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.7, 1.0])
def test_diverse_lists_are_those_of_maximal_marginal_relevance(weight):
    random = np.random.default_rng(0)
    scores = random.normal(size=(4, 120)).astype("float32")
    vectors = random.normal(size=(120, 5)).astype("float32")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores[1, 5:] = -np.inf  # fewer candidates than places
    scores[2] = -np.inf
    weights = tf.constant(weight)
    graph = tf.function(diverse_positions, autograph=False)
    for way in (diverse_positions, graph):
        positions, found = (one.numpy() for one in way(scores, vectors, tf.constant(8), weights))
        for row in range(4):
            expected = slow_diverse_list(scores[row], vectors, 8, weight) if row != 2 else []
            is_item = np.isfinite(found[row])
            assert positions[row][is_item].tolist() == expected
            np.testing.assert_array_equal(found[row][is_item], scores[row][expected])
            assert is_item.tolist() == [True] * len(expected) + [False] * (8 - len(expected))


def test_diversity_makes_items_of_a_list_differ(model, vectors, ask):
    def similarity(weight):
        items = ask(user=["user 1", "user 2", "user 3"], diversity=weight)["items"]
        rows = [vectors[np.array(numbers_of(model, row)) - 1] for row in items]
        return np.mean([(one @ one.T)[np.triu_indices(len(one), 1)].mean() for one in rows])

    assert similarity(0.0) > similarity(0.5) > similarity(1.0)
    plain, diverse = (ask(user=["user 1"], diversity=weight) for weight in (0.0, 0.9))
    assert plain["items"][0, 0] == diverse["items"][0, 0], "the best item stays first"


def test_reasons_are_the_most_similar_items_of_the_history(model, vectors, ask):
    seen = ids_of(model).histories_of(tf.constant(["user 1"]), in_test=True).numpy()[0]
    names = np.array(["", *ids_of(model).items])
    liked = ["item 3", "item 8"]
    for inputs, history in (
        ({"user": ["user 1"]}, names[seen]),
        ({"user": ["user 1"], "exclude_seen": False, "k": 10**6}, names[seen]),
        ({"liked": [liked], "user": ["user 1"]}, np.array(liked)),
    ):
        found = ask(**inputs)
        for item, reasons, similarities in zip(
            found["items"][0], found["reasons"][0], found["similarities"][0], strict=True
        ):
            past = history[history != item]
            places = np.array(numbers_of(model, [item, *past])) - 1
            similar = vectors[places[1:]] @ vectors[places[0]]
            order = [place for place in np.argsort(-similar)[:3] if similar[place] > 0]
            expected = past[order].tolist() if item else []
            assert [one for one in reasons if one] == expected
            given = similarities[: len(expected)]
            np.testing.assert_allclose(given, similar[order][: len(expected)], atol=1e-5)
            assert not similarities[len(expected) :].any()
    assert (ask(user=["nobody"])["reasons"] == "").all()


WRONG = {
    "more weight than 1": ({"diversity": 1.5}, "diversity 1.5; expected a weight from 0 to 1"),
    "less weight than 0": ({"diversity": -0.25}, "diversity -0.25; expected a weight"),
    "no number": ({"diversity": float("nan")}, "diversity nan; expected a weight"),
    "long": ({"k": 13}, "1 users and k 13; expected lists of at most 12 items"),
    "many": (
        {"user": [""] * 9, "k": 12},
        "9 users and k 12; expected lists of at most 12 items, and 100 in all",
    ),
    "many liked": ({"liked": [["item 1"] * 8]}, "1 lists of 8 liked items; expected at most 7"),
    "many lists": ({"liked": [["item 1"] * 5] * 21}, "21 lists of 5 liked items; expected at"),
    "other rows": (
        {"user": ["a", "b"], "liked": [["item 1"]] * 3},
        "2 users and 3 lists of liked items; expected as many of both",
    ),
}


@pytest.mark.parametrize(("inputs", "message"), WRONG.values(), ids=WRONG)
def test_wrong_requests_are_refused_with_their_reason(inputs, message, model, vectors, monkeypatch):
    for name, value in (("MAX_LIST_LENGTH", 12), ("MAX_LISTED_ITEMS", 100), ("MAX_LIKED_ITEMS", 7)):
        monkeypatch.setattr(requested_lists, name, value)
    request = ListRequest(**{name: tf.constant(one) for name, one in (DEFAULTS | inputs).items()})
    function = requested_signature.make_function(model, vectors)
    for way in (lambda *given: recommend_with(model, vectors, ListRequest(*given)), function):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            way(*request)
    too_long = ListRequest(**DEFAULTS | {"k": 10**6})._asdict()
    assert len(ids_of(model).offered) > 12
    with pytest.raises(tf.errors.InvalidArgumentError, match="k 1000000; expected lists of"):
        function(**{name: tf.constant(one) for name, one in too_long.items()})


def test_a_model_of_popularity_alone_has_no_reasons_and_no_diversity(model):
    request = ListRequest(*map(tf.constant, ListRequest(**DEFAULTS | {"user": ["user 1"]})))
    found = recommend_with(model, None, request)
    assert not found["similarities"].numpy().any() and found["items"].numpy().all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="the same items to all users"):
        recommend_with(model, None, request._replace(diversity=tf.constant(0.5)))


def test_runs_without_a_table_of_liked_items_give_popularity():
    layer = FactorDotProduct(1, 2, rating_width=1, score_width=1, lowest=1, highest=5)
    layer.score_tables[0].assign([[1.0], [0.0]])
    layer.score_tables[1].assign([[0.0], [2.0], [3.0]])
    scores = layer.list_scores_of_liked(tf.constant([[1], [0]]), tf.constant([1, 2])).numpy()
    np.testing.assert_array_equal(scores, [[2, 3], [2, 3]])


@pytest.fixture(scope="module")
def sampled(tiny_run):
    """The outputs of the graph for the samples, and what the parity check expects."""
    run = tiny_run(Recommender)
    samples = ids.sample_inputs(run.samples.raw, run)
    inputs = arrays_under(samples, "recommend_with/input/")
    outputs = ids.signatures(run)["recommend_with"](
        **{name: tf.constant(one) for name, one in inputs.items()}
    )
    given = {name: one.numpy() for name, one in outputs.items()}
    given = {name: one.astype("S") if one.dtype == object else one for name, one in given.items()}
    return given, arrays_under(samples, "recommend_with/output/")


def test_samples_have_diverse_lists_of_users_and_liked_items(sampled):
    given, expected = sampled
    assert compare(given, expected, 1e-5).used_share < 1
    assert given["unknown"].tolist() == [b"no such item"] and expected["diversity"] > 0
    assert (given["reasons"][::2] != b"").any() and (given["reasons"][1::2] != b"").any()


DAMAGE = {
    "other scores": lambda given: {"scores": given["scores"] * np.float32(1.001)},
    "other items": lambda given: {"items": np.roll(given["items"], 1, 0)},
    "another order": lambda given: {
        name: given[name][:, ::-1] for name in ("items", "scores", "reasons", "similarities")
    },
    "other reasons": lambda given: {"reasons": np.roll(given["reasons"], 1, 2)},
    "other similarities": lambda given: {"similarities": given["similarities"] + np.float32(0.01)},
    "no reasons": lambda given: {
        "reasons": np.full_like(given["reasons"], b""),
        "similarities": np.zeros_like(given["similarities"]),
    },
    "nothing unknown": lambda given: {"unknown": given["unknown"][:0]},
    "one item alone": lambda given: {"items": np.full_like(given["items"], b"item 1")},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_outputs_do_not_pass_the_parity_check(damage, sampled):
    given, expected = sampled
    with pytest.raises(OutputsDifferError):
        compare(given | damage(given), expected, 1e-5)


def test_items_of_nearly_equal_values_may_change_places():
    scores = np.float32([3.0, 2.0000001, 2.0, 1.0])
    vectors = np.eye(4, dtype="float32")
    options = {"size": 40, "weight": 0.3, "tolerance": 1e-5}
    for places in ([0, 1, 2, 3], [0, 2, 1, 3]):
        assert max(list_shortfalls(places, scores, vectors, **options)) < 1e-3
    assert max(list_shortfalls([1, 0, 2, 3], scores, vectors, **options)) > 0.1


def test_wrong_reasons_fail_the_export(exported, tmp_path, monkeypatch):
    right = requested_lists.nearest_of_history

    def of_other_users(vectors, numbers, history):
        return right(vectors, numbers, history[::-1])

    monkeypatch.setattr(requested_lists, "nearest_of_history", of_other_users)
    with pytest.raises(ParityError, match="in recommend_with: "):
        savedmodel.write(exported(Recommender), tmp_path)


def test_item_vectors_are_stored_once_and_outside_of_the_graph(exported):
    directory = exported(Recommender).path / "export" / "1"
    vectors = item_vectors(exported(Recommender).model)
    loaded = tf.saved_model.load(directory)
    captured = loaded.signatures["recommend_with"].variables
    assert sum(one.shape == vectors.shape for one in captured) == 1
    assert vectors.tobytes() not in (directory / "saved_model.pb").read_bytes()


def test_a_graph_of_an_older_version_is_replaced_by_the_model(tiny_run):
    run = Run.load(tiny_run(Recommender).path)
    saved_graph.save(run)
    run = Run.load(run.path)
    graph = saved_graph._opened(run)
    assert graph is not None
    del graph.signatures["recommend_with"]
    inputs = {name: np.array(one, object) for name, one in DEFAULTS.items()}
    inputs |= {"k": np.int32(3), "exclude_seen": np.bool_(True), "diversity": np.float32(0)}
    assert saved_graph.call(run, "recommend_with", inputs)["items"].shape == (1, 3)
