"""The recommender app: ids, splits by time, lists, messy files."""

import gzip
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse

import optimizers
from apps import Recommender
from apps.recommender.bayesian_mf import gaussians, posterior_means
from apps.recommender.factors import (
    Interactions,
    randomized_svd,
    rating_tables,
    reduce_rank,
)
from apps.recommender.list_ranking import ranking_tables
from apps.recommender.svdpp import train_epochs
from evaluation import report
from evaluation.modalities import ids as asked_ids
from evaluation.tasks import ranking, task_of
from evaluation.tasks.list_metrics import Lists
from evaluation.tasks.ranked_users import NO_ITEM, ranked_users
from evaluation.tasks.ranking import Predictions
from inference.inputs import UnreadableError
from inference.modalities import ids as questions
from inference.modalities import item_scores, item_similarity
from inference.modalities.item_scores import ids_of, top_items
from inference.modalities.item_similarity import item_vectors, most_similar
from inference.predict import predict
from pipelines import embedded
from pipelines.examples import AddressError, DataError
from pipelines.ids import numbering
from pipelines.ids import reading as ids
from pipelines.ids.preprocessing import Ids
from pipelines.splits import Fold, split_fold
from pipelines.tables.table import Table, Tables
from training.train import train

MESSY = """\ufeffReader , Book,Stars,When
ann,"Emma, or not",5,2020-01-01
ann,"Emma, or not",1,2021-01-01
bob,"Emma, or not",4,2020-01-02
,Ulysses,4,2020-01-03
bob,,4,2020-01-03
bob,Ulysses,n/a,2020-01-03
Zoë  Ł,日本,3.5,2020-01-04
 bob , 日本 ,2,2020-01-05
bob,extra,cells,2020,1
"""

LIST_METRICS = {
    *("recall_at_10", "ndcg_at_10", "recall_at_20", "ndcg_at_20"),
    *("coverage", "popularity_bias"),
}


def table(text):
    header, *rows = [line.split(",") for line in text.split()]
    columns = zip(header, zip(*rows, strict=True), strict=True)
    return Table({name: np.array([c.encode() for c in cells], object) for name, cells in columns})


def messy(tmp_path, copies=12):
    """Write a messy file with enough readers for all splits."""
    path = tmp_path / "books.csv"
    more = [
        f"reader {n},book {m},{1 + (n * m) % 5},2019-01-{1 + n:02}"
        for n in range(copies)
        for m in range(6)
    ]
    path.write_text(MESSY + "\n".join(more) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def tiny(tiny_run):
    return tiny_run(Recommender)


def columns_of(path):
    from pipelines.tables import csv_files

    return csv_files.read(str(path))


def test_messy_rows_are_counted_and_the_last_of_a_pair_is_kept(tmp_path):
    columns = ids.Columns("Reader", "Book", "Stars", "When")
    splits = ids.splits(columns_of(messy(tmp_path)), columns, "random")
    found = {}
    for part in (splits.train, splits.valid, splits.test):
        features, ratings = part.numpy()
        found |= dict(
            zip(zip(features["user"], features["item"], strict=True), ratings, strict=True)
        )
    assert found[b"ann", b"Emma, or not"] == 1
    assert found["Zoë  Ł".encode(), "日本".encode()] == 3.5
    assert found[b"bob", "日本".encode()] == 2
    assert len(found) == 4 + 72
    told = " ".join(splits.notes)
    assert "2 rows without a user or an item" in told
    assert "1 rows left out whose rating is not a number" in told
    assert "1 repeated pairs" in told


@pytest.mark.parametrize(
    ("repeats", "rating"), [("last", 5.0), ("mean", 3.0), ("sum", 9.0)], ids=str
)
def test_repeated_pairs_have_the_last_rating_or_the_mean_or_the_sum(repeats, rating):
    some = table("user,item,rating,time a,x,1,30 a,x,5,40 b,x,2,50 a,x,3,20 a,y,4,10")
    found = ids.read_interactions(
        some, ids.Columns("user", "item", "rating", "time"), repeats=repeats
    )
    features, ratings = found.examples.numpy()
    assert features["user"].tolist() == [b"a", b"b", b"a"]
    assert features["item"].tolist() == [b"x", b"x", b"y"]
    assert ratings.tolist() == [rating, 2.0, 4.0]
    assert found.times.tolist() == [40, 50, 10]
    assert found.notes[0].startswith("2 repeated pairs left out")
    plain = ids.read_interactions(some, ids.Columns("user", "item"), repeats=repeats)
    assert plain.examples.targets.tolist() == [1, 1, 1]


def test_sums_of_ratings_that_are_too_large_are_refused():
    some = table("user,item,rating a,x,3e38 a,x,3e38 b,x,1")
    with pytest.raises(DataError, match="sums are too large"):
        ids.read_interactions(some, ids.Columns("user", "item", "rating"), repeats="sum")


def test_common_column_names_are_found_and_wrong_ones_named():
    some = table("userId,movieId,rating a,x,1 b,x,2")
    assert ids.find_column(some, ids.Columns(), "user") == "userId"
    assert ids.find_column(some, ids.Columns(), "time") == ""
    with pytest.raises(DataError, match=r"Received --item 'movie'.*Did you mean 'movieId'"):
        ids.find_column(some, ids.Columns(item="movie"), "item")
    with pytest.raises(DataError, match="Received no --user"):
        ids.find_column(table("who,movieId a,x"), ids.Columns(), "user")


def test_by_time_the_newest_pairs_are_the_test():
    rows = "\n".join(f"u{n % 10},i{n // 10},{n % 5},{1000 - n}" for n in range(100))
    splits = ids.splits(Tables(table("user,item,rating,time\n" + rows)), ids.Columns(), "time")
    assert splits.sizes == {"train": 72, "valid": 8, "test": 20}
    assert set(splits.test.numpy().features["item"]) == {b"i0", b"i1"}
    assert "the newest by time" in " ".join(splits.notes)


def test_whole_numbers_are_one_id_however_they_are_written():
    some = table("user,item,rating 7.0,x1,1 7,x2,2 8,x1,3")
    assert ids.read_ids(some, "user").tolist() == [b"7", b"7", b"8"]
    other = table("user,item,rating 1.0,x,1 1.1,x,2 v2,x,3")
    assert ids.read_ids(other, "user").tolist() == [b"1.0", b"1.1", b"v2"]


def test_pairs_of_one_time_are_drawn_at_random():
    rows = "\n".join(f"u{n % 10},i{n},{n % 5},2020-01-01" for n in range(100))
    splits = ids.splits(Tables(table("user,item,rating,time\n" + rows)), ids.Columns(), "auto")
    assert "drawn at random" in " ".join(splits.notes)


def moments(splits):
    """Return the times of the pairs of each split; the time of a pair is its item number."""
    return [
        np.array([int(item) for item in part.numpy().features["item"]])
        for part in (splits.train, splits.valid, splits.test)
    ]


def by_time(num_users=10, count=300, *, arriving=False):
    """Return pairs at the times 0, 1, ...; `arriving` users start one after the other."""
    users = np.arange(count) * num_users // count if arriving else np.arange(count) % num_users
    rows = "\n".join(f"u{user},{n},{n % 5},{n}" for n, user in enumerate(users))
    return Tables(table("user,item,rating,time\n" + rows))


@pytest.mark.parametrize("split", ["auto", "time"])
def test_validation_pairs_are_the_newest_of_what_is_left(split):
    train, valid, test = moments(ids.splits(by_time(), ids.Columns(), split))
    assert train.max() < valid.min() <= valid.max() < test.min()


@pytest.mark.parametrize("split", ["time", "user_time"])
def test_a_split_by_time_needs_times(split):
    with pytest.raises(AddressError, match=f"--split {split} without .* one of the columns .*when"):
        ids.splits(Tables(table("user,item,rating,when\n1,2,3,4\n")), ids.Columns(), split)


def test_a_column_that_may_hold_times_is_named():
    rows = "".join(
        f"{user},{item},{user + item},{item}\n" for user in range(9) for item in range(9)
    )
    named = Tables(table("user,item,rating,when\n" + rows))
    notes = ids.splits(named, ids.Columns(), "auto").notes
    assert "if the column when holds times, name it with --time" in notes[0]
    assert "name it with --time" not in " ".join(ids.splits(named, ids.Columns(), "random").notes)
    assert "name it with --time" not in " ".join(
        ids.splits(named, ids.Columns(time="when"), "auto").notes
    )


def test_users_unknown_to_training_are_no_test_by_default():
    splits = ids.splits(by_time(arriving=True), ids.Columns(), "auto")
    known = set(splits.train.numpy().features["user"])
    assert set(splits.test.numpy().features["user"]) == known
    users = [part.numpy().features["user"] for part in (splits.train, splits.valid, splits.test)]
    for user in known:
        mine = [at[who == user] for at, who in zip(moments(splits), users, strict=True)]
        assert max([*mine[0], *mine[1]]) < min(mine[2]), "the newest of each user"
        assert not len(mine[1]) or max(mine[0]) < min(mine[1])
    assert splits.sizes["test"] == 60
    (note,) = splits.notes
    assert "the newest of each user by time (--split time would test 100% pairs of users" in note
    forced = ids.splits(by_time(arriving=True), ids.Columns(), "time")
    assert "60 of 60 are of users unknown to training" in forced.notes[0]
    assert "at random" in ids.splits(by_time(), ids.Columns(), "random").notes[0]


@pytest.mark.parametrize(("split", "arriving"), [("time", False), ("time", True), ("auto", True)])
def test_folds_by_time_have_a_rolling_origin(split, arriving):
    whole = ids.splits(by_time(arriving=arriving), ids.Columns(), split)
    seen: list[int] = []
    for number in (1, 2, 3, 4):
        folded = split_fold(whole, Fold(number, 4))
        users = [p.numpy().features["user"] for p in (folded.train, folded.valid, folded.test)]
        for user in set(users[2]) if split == "auto" else [None]:
            mine = [
                at[(who == user) | (user is None)]
                for at, who in zip(moments(folded), users, strict=True)
            ]
            assert max([*mine[0], *mine[1]]) < min(mine[2])
        assert sum(map(len, users)) == 60 * (number + 1)
        seen += moments(folded)[2].tolist()
        (note,) = folded.notes
        assert f"part {number + 1} of 5" in note
        unknown = sum(user not in set(users[0]) for user in users[2])
        assert f"{unknown} of 60 are of users unknown" in note
    assert len(seen) == len(set(seen)) == 240


def test_random_folds_test_each_pair_once_with_a_note():
    whole = ids.splits(by_time(), ids.Columns(), "random")
    tests = []
    for number in (1, 2, 3):
        folded = split_fold(whole, Fold(number, 3))
        tests += moments(folded)[2].tolist()
        assert folded.notes[0].startswith("the test pairs are drawn at random")
    assert sorted(tests) == list(range(300))


@pytest.mark.parametrize("split", ["auto", "time", "user_time", "random"])
@pytest.mark.parametrize("count", [10, 13, 40])
def test_few_pairs_are_enough_for_all_splits(split, count):
    sizes = ids.splits(by_time(3, count), ids.Columns(), split).sizes
    assert sizes["test"] == pytest.approx(0.2 * count, abs=0.51)
    assert sizes["valid"] >= 1


def test_without_ratings_every_pair_is_an_interaction():
    rows = "\n".join(f"u{n % 10},i{n // 10}" for n in range(60))
    splits = ids.splits(Tables(table("user,item\n" + rows)), ids.Columns(), "auto")
    assert set(splits.train.targets) == {1.0}
    assert "no rating column" in " ".join(splits.notes)


def test_unknown_ids_become_0_and_interactions_are_known():
    splits = ids.splits(embedded.ratings(), ids.Columns(), "random")
    layer = Ids.adapted(splits)
    numbers = layer({"user": np.array([b"user 1", b"?"]), "item": np.array([b"", b"item 2"])})
    assert (numbers["user"].numpy() > 0).tolist() == [True, False]
    assert (numbers["item"].numpy() > 0).tolist() == [False, True]
    users = tf.constant([b"nobody", b"user 1"])
    for in_test, parts in (False, ("train", "valid")), (True, ("train", "valid", "test")):
        met = layer.interactions_of(users, in_test=in_test).numpy()
        assert set(met[:, 0]) == {1}
        features = [getattr(splits, part).numpy().features for part in parts]
        mine = {item for part in features for item in part["item"][part["user"] == b"user 1"]}
        assert {layer.items[place].encode() for place in met[:, 1]} == mine


def test_gaussians_have_the_requested_mean_and_covariance():
    random = np.random.default_rng(0)
    root = random.normal(size=(3, 3))
    normal, right = root @ root.T + np.eye(3), random.normal(size=3)
    count = 200_000
    many = np.repeat(normal[..., None], count, 2), np.repeat(right[:, None], count, 1)
    drawn = gaussians(*many, random.normal(size=(3, count)))
    covariance = np.linalg.inv(normal)
    np.testing.assert_allclose(drawn.mean(1), covariance @ right, atol=0.01)
    np.testing.assert_allclose(np.cov(drawn), covariance, atol=0.01)


def test_randomized_svd_equals_the_full_svd():
    random = np.random.default_rng(0)
    table = sparse.random_array((60, 40), density=0.2, rng=random, format="csr")
    left, values, right = randomized_svd(table, 5)
    np.testing.assert_allclose(values, np.linalg.svd(table.toarray())[1][:5], rtol=0.01)
    np.testing.assert_allclose(table @ right.T, left * values, atol=0.05)


def test_factors_of_reduced_rank_have_the_nearest_product():
    random = np.random.default_rng(0)
    users, items = random.normal(size=(9, 6)), random.normal(size=(7, 6))
    left, values, right = np.linalg.svd(users @ items.T)
    few = reduce_rank(users, items, 2)
    np.testing.assert_allclose(few[0] @ few[1].T, left[:, :2] * values[:2] @ right[:2], atol=1e-9)


def test_the_posterior_mean_comes_near_the_noise_floor():
    splits = ids.splits(embedded.ratings(), ids.Columns(), "random")
    names = {
        kind: numbering.distinct_ids(splits.train.numpy().features[kind])
        for kind in ("user", "item")
    }

    def numbers(part):
        features, ratings = part.numpy()
        return *(numbering.number_ids(names[kind], features[kind]) for kind in names), ratings

    users, items, ratings = numbers(splits.train)
    pairs = Interactions(users - 1, items - 1, ratings, len(names["user"]), len(names["item"]))
    means = posterior_means(pairs, num_factors=3, rank=8, seed=0)
    rows = [rating_tables(pairs, next(means)[0], 8) for _ in range(8)][-1]
    users, items, ratings = numbers(splits.test)
    error = np.sqrt(np.mean(((rows.users[users] * rows.items[items]).sum(1) - ratings) ** 2))
    assert 0.5 < error < 0.56


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6, 1e12])
def test_ratings_of_any_scale_are_factorised(scale):
    random = np.random.default_rng(0)
    cells = random.permutation(40 * 30)[:900]
    liked = 3 + random.normal(size=(40, 2)) @ random.normal(size=(2, 30))
    ratings = (scale * liked.flat[cells]).astype("float32")
    pairs = Interactions(cells // 30, cells % 30, ratings, 40, 30)
    learnt = posterior_means(pairs, num_factors=3, rank=14, seed=0)
    *_, (found, _) = itertools.islice(learnt, 3)
    users, items = rating_tables(pairs, found, 14)
    given = (users[pairs.users + 1] * items[pairs.items + 1]).sum(1)
    assert np.square(given - ratings).mean() < 0.1 * ratings.var()


@pytest.mark.parametrize("value", [0.0, -1.0, 7.0])
def test_equal_ratings_rank_by_interactions(value):
    cells = np.arange(40 * 30).reshape(40, 30)[:, :20].ravel()
    pairs = Interactions(cells // 30, cells % 30, np.full(len(cells), value, "float32"), 40, 30)
    users, items, _ = ranking_tables(pairs, pairs)
    scores = users[1:] @ items[1:].T
    assert (scores[:, :20].min(1) > scores[:, 20:].max(1)).all()


def test_metrics_of_lists_equal_those_by_hand():
    lists = Lists(
        user_positions=np.array([0, 2]),
        hits=np.array([[True, False, True], [False, False, False]]),
        num_relevant=np.array([2, 1]),
        indices=np.array([[0, 1, 2], [0, 1, 3]]),
        popularity=np.array([4.0, 3, 2, 1, 0]),
        mean_popularity=3.0,
    )
    answers = Predictions(np.array([1.0, 2, 3]), np.array([1.0, 1, 5]), np.array([0, 1, 2]), lists)
    found = ranking.metrics(answers)
    assert found["recall_at_10"] == pytest.approx(0.5)
    assert found["ndcg_at_10"] == pytest.approx((1 + 0.5) / (1 + 1 / np.log2(3)) / 2)
    assert found["coverage"] == pytest.approx(0.8)
    # The lists' mean popularities are (4 + 3 + 2) / 3 and (4 + 3 + 1) / 3, beside 3 in training.
    assert found["popularity_bias"] == pytest.approx(((3 + 8 / 3) / 2) / 3)
    assert found["rmse"] == pytest.approx(np.sqrt(5 / 3))
    for name, (low, high) in ranking.intervals(answers).items():
        assert low <= found[name] <= high, name


def test_the_run_beats_its_baselines_and_stays_above_the_floor(tiny):
    answers = task_of(tiny).predict_test_set(tiny)
    scores = ranking.metrics(answers)
    beside = {name: ranking.metrics(a) for name, a in asked_ids.baselines(tiny.splits)}
    assert beside["noise_floor"]["rmse"] == pytest.approx(0.5)
    assert not report.score(tiny)["remarks"], "nobody can use the noise floor"
    assert 0.5 < scores["rmse"] < beside["user_and_item_means"]["rmse"]
    assert scores["recall_at_10"] > beside["popularity"]["recall_at_10"]
    assert scores["ndcg_at_10"] > beside["popularity"]["ndcg_at_10"]


def test_lists_exclude_items_seen_in_training(tiny):
    answers, some = task_of(tiny).predict_test_set(tiny), ranked_users(tiny.splits)
    known = tiny.splits.train.numpy().features
    items = numbering.distinct_ids(known["item"])
    met = set(zip(known["user"], known["item"], strict=True))
    for name, places in zip(some.names, answers.lists.indices[:, :10], strict=True):
        assert not met & {(name, item) for item in items[places]}


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (
            lambda model, _, n: top_items(
                model, tf.fill([n], "user 1"), 3, tf.constant(value=True), in_test=True
            ),
            "users",
        ),
        (lambda model, rows, n: most_similar(model, rows, tf.fill([n], "item 1"), 3), "items"),
    ],
    ids=["best", "nearest"],
)
def test_requests_whose_answers_exceed_memory_are_refused(ask, kind, exported, monkeypatch):
    model = exported(Recommender).model
    count, rows = len(ids_of(model).offered), item_vectors(model)
    monkeypatch.setattr(item_scores, "MAX_PAIRS", 7 * count)
    ask(model, rows, 7)

    @tf.function(autograph=False)
    def graph(model, rows, n):
        return ask(model, rows, n)

    for way in (ask, graph):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"8 {kind}; expected at most 7"):
            way(model, rows, 8)


def test_the_samples_of_an_export_fit_into_memory(exported, monkeypatch):
    run = exported(Recommender)
    monkeypatch.setattr(item_scores, "MAX_PAIRS", 5 * len(ids_of(run.model).offered))
    found = questions.sample_inputs(run.samples.raw, run)
    assert len(found["recommend/input/user"]) == len(found["recommend/output/scores"]) == 5
    assert len(found["similar/input/item"]) == len(found["similar/output/scores"]) == 5


def test_items_are_described_in_blocks_and_once(exported, monkeypatch):
    model = exported(Recommender).model
    monkeypatch.setattr(item_similarity, "_scores", lambda *_: np.zeros([1, 1]))  # ratings count
    whole = item_vectors(model)
    monkeypatch.setattr(item_similarity, "PAIRS_PER_BATCH", 3 * len(ids_of(model).items))
    np.testing.assert_allclose(item_vectors(model), whole, atol=1e-5)
    known = questions._cached_item_vectors(model)
    monkeypatch.setattr(questions, "item_vectors", None)
    assert questions._cached_item_vectors(model) is known


def test_the_export_recommends(exported):
    run = exported(Recommender)
    loaded = tf.saved_model.load(run.path / "export" / "1")
    ask = loaded.signatures["recommend"]
    users = tf.constant(["user 1", "nobody"])
    fresh = ask(user=users, k=tf.constant(7), exclude_seen=tf.constant(True))
    assert fresh["items"].shape == fresh["scores"].shape == (2, 7)
    assert (np.diff(fresh["scores"].numpy(), axis=1) <= 0).all()
    popularity = ranking.item_popularity(run.splits)
    items = numbering.distinct_ids(run.splits.train.numpy().features["item"])
    assert popularity[items == fresh["items"].numpy()[1, 0]] == popularity.max()
    everything = ask(user=users, k=tf.constant(10**6), exclude_seen=tf.constant(True))
    assert everything["items"].shape[1] == len(items)
    assert everything["items"].numpy()[0, -1] == b""
    assert everything["scores"].numpy()[0, -1] == 0, "JSON knows no infinity"
    features = run.splits.train.numpy().features
    met = set(features["item"][features["user"] == b"user 1"])
    assert not met & set(everything["items"].numpy()[0])


def test_unknown_ids_are_predicted_by_means(tiny):
    features, ratings = tiny.splits.train.numpy()
    mine = ratings[features["user"] == b"user 1"]
    mean = ratings.mean()
    (known, nobody, nothing) = predict(tiny, ["user 1,?", "?,item 1", "?,?"])
    damped = mean + (mine - mean).sum() / (len(mine) + 5)
    assert known["rating"] == pytest.approx(damped, abs=1e-3)
    assert "the user's mean" in known["basis"]
    assert "popularity" in nobody["basis"]
    assert nothing["rating"] == pytest.approx(mean, abs=1e-3)


@pytest.fixture(scope="module")
def few_left(tmp_path_factory):
    """A run of 20 users and items: u1 has seen 16 of them, u2 all."""
    folder = tmp_path_factory.mktemp("few")
    pairs = [(f"u{u}", f"i{i}") for u in range(20) for i in range(20) if (u + i) % 3]
    pairs = [pair for pair in pairs if pair[0] not in ("u1", "u2")]
    pairs += [("u1", f"i{i}") for i in range(16)] + [("u2", f"i{i}") for i in range(20)]
    rows = [f"{user},{item},{1 + (7 * n) % 5}" for n, (user, item) in enumerate(pairs)]
    later = ["u1,i17,4", "u1,i18,2", "u3,i0,5", "u4,i2,3"]
    for name, some in (("plain", rows), ("test", later)):
        (folder / f"{name}.csv").write_text("\n".join(["user,item,rating", *some]))
    data = {
        name: f"csv:{folder / file}.csv" for name, file in (("data", "plain"), ("test", "test"))
    }
    return train(Recommender(epochs=1, factors=2, **data), run_dir=folder / "run", verbose=0)


def seen_by(run, user, *more):
    parts = [part.numpy().features for part in (run.splits.train, run.splits.valid, *more)]
    return {item for part in parts for item in part["item"][part["user"] == user]}


def test_only_unseen_items_are_recommended(few_left, capsys):
    for user in ("u1", "u5"):
        test = few_left.splits.test
        met = {item.decode() for item in seen_by(few_left, user.encode(), test)}
        rows = predict(few_left, [user])
        items = [row["item"] for row in rows]
        assert len(items) == min(10, 20 - len(met))
        assert not met & set(items)
        scores = [row["score"] for row in rows]
        assert scores == sorted(scores, reverse=True)
    assert "every item" not in capsys.readouterr().err


def test_a_user_who_has_seen_every_item_gets_a_message_and_no_list(few_left, capsys):
    assert predict(few_left, ["u2"]) == []
    assert (
        "The user u2 has interacted with every item that can be recommended"
        in capsys.readouterr().err
    )


def test_evaluated_lists_exclude_seen_items(few_left):
    splits = few_left.splits
    some = ranked_users(splits)
    items = numbering.distinct_ids(splits.train.numpy().features["item"])
    for lists in (
        task_of(few_left).predict_test_set(few_left).lists,
        dict(asked_ids.baselines(splits))["popularity"].lists,
    ):
        for name, places, hits in zip(some.names, lists.indices, lists.hits, strict=True):
            left = places[places != NO_ITEM]
            assert len(left) == len(set(left)) == 20 - len(seen_by(few_left, name))
            assert not seen_by(few_left, name) & set(items[left])
            assert not hits[places == NO_ITEM].any()


def test_the_most_popular_lists_are_those_of_sorting_all_items(tiny):
    splits, some = tiny.splits, ranked_users(tiny.splits)
    items = numbering.distinct_ids(splits.train.numpy().features["item"])
    popularity = ranking.item_popularity(splits)
    lists = dict(asked_ids.baselines(splits))["popularity"].lists
    for name, places in zip(some.names[:20], lists.indices, strict=False):
        scores = np.where(np.isin(items, list(seen_by(tiny, name))), -np.inf, popularity)
        np.testing.assert_array_equal(places, np.argsort(-scores, kind="stable")[: len(places)])


def test_predict_lists_ten_and_reads_files(tiny, tmp_path, capsys):
    assert len(predict(tiny, ["user 2"])) == 10
    path = tmp_path / "pairs.csv"
    path.write_text('user_id,item_id\nuser 1,item 4\nuser 2\n"x, y",item 5\n')
    rated = predict(tiny, [str(path), '"x, y",item 5'])
    assert [row["basis"].split(":")[0] for row in rated] == ["user and item"] + ["unknown user"] * 2
    assert rated[1]["rating"] == rated[2]["rating"]
    assert [row["input"] for row in rated] == [f"{path}:2", f"{path}:4", '"x, y",item 5']
    assert "line 3 has 1 cells" in capsys.readouterr().err
    for wrong in ("a,b,c", "", "a,"):
        with pytest.raises(UnreadableError, match="expected a user, USER,ITEM"):
            predict(tiny, [wrong])


def test_an_item_given_as_a_user_is_reported(tiny, capsys):
    for asked in ("item 1", "item 1,user 1"):
        (first, *_) = predict(tiny, [asked])
        assert first["basis"] != "user and item"
        assert "no user 'item 1', but an item of that name" in capsys.readouterr().err
    predict(tiny, ["user 1", "nobody"])
    assert "an item of that name" not in capsys.readouterr().err


def test_strict_ends_with_1_where_an_id_is_unknown(tiny, run_cli):
    known = run_cli("recommender", "predict", tiny.path, "user 1", "user 1,item 1", "--strict")
    assert known[0] == 0, known
    status, out, err = run_cli("predict", tiny.path, "nobody", "user 1,?", "--strict")
    assert (status, out.count("nobody")) == (1, 10)
    assert "2 inputs with a user or an item that training has not seen: 'nobody'" in err


def test_a_search_draws_no_field_that_the_default_model_ignores():
    assert "l2" not in Recommender.space


@pytest.mark.slow
def test_svdpp_learns(tmp_path):
    app = Recommender(model="svdpp", epochs=6, factors=3, learning_rate=0.02)
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    scores = ranking.metrics(task_of(run).predict_test_set(run))
    means = ranking.metrics(dict(asked_ids.baselines(run.splits))["user_and_item_means"])
    assert 0.5 < scores["rmse"] < means["rmse"]


@pytest.mark.slow
def test_svdpp_uses_the_averaged_weights_of_schedule_free():
    random = np.random.default_rng(0)
    users, items = random.integers(0, 4, 40), random.integers(0, 5, 40)
    pairs = Interactions(users, items, random.normal(3, 1, 40).astype("float32"), 4, 5)
    batch = {"user": users + 1, "item": items + 1}, pairs.ratings
    ends = []
    for steps, count in ((6, 1), (2, 3)):
        made = optimizers.get("schedule_free", 0.1)
        batches = itertools.repeat(batch)
        found = train_epochs(pairs, batches, steps, made, num_factors=2, l2=0.0, seed=0)
        *_, (factors, _) = (next(found) for _ in range(count))
        np.testing.assert_array_equal(factors.items, np.asarray(made._averages[1]))
        ends.append(factors.items)
    np.testing.assert_array_equal(*ends)


@pytest.mark.slow
def test_clicks_without_ratings_are_ranked(tmp_path):
    columns = embedded.ratings().train.columns
    path = tmp_path / "clicks.csv"
    pairs = zip(columns["user_id"], columns["item_id"], strict=True)
    path.write_text("user,item\n" + "".join(f"{u.decode()},{i.decode()}\n" for u, i in pairs))
    run = train(Recommender(data=f"csv:{path}"), run_dir=tmp_path / "run", verbose=0)
    scores = ranking.metrics(task_of(run).predict_test_set(run))
    beside = ranking.metrics(dict(asked_ids.baselines(run.splits))["popularity"])
    assert set(scores) == LIST_METRICS
    assert scores["recall_at_10"] > beside["recall_at_10"]
    assert scores["ndcg_at_10"] > beside["ndcg_at_10"]


def test_data_without_structure_keep_the_means(tmp_path):
    random = np.random.default_rng(0)
    rows = [f"u{n % 20},i{n // 20},{random.integers(1, 6)}" for n in range(200)]
    path = tmp_path / "noise.csv"
    path.write_text("\n".join(["user,item,rating", *rows]))
    run = train(Recommender(data=f"csv:{path}", epochs=4), run_dir=tmp_path / "run", verbose=0)
    scores = ranking.metrics(task_of(run).predict_test_set(run))
    means = ranking.metrics(dict(asked_ids.baselines(run.splits))["user_and_item_means"])
    assert scores["rmse"] < 1.05 * means["rmse"]


def test_few_users_and_items_are_enough():
    pairs = Interactions(np.zeros(3, int), np.arange(3), np.array([1, 2, 3], "float32"), 1, 3)
    mean, _ = next(posterior_means(pairs, num_factors=2, rank=4, seed=0))
    assert np.isfinite(rating_tables(pairs, mean, 4).users).all()
    assert np.isfinite(ranking_tables(pairs, pairs).items).all()


def test_a_messy_file_works_with_every_command(run_cli, tmp_path):
    path, run = messy(tmp_path), tmp_path / "run"
    flags = [
        "--user",
        "Reader",
        "--item",
        "Book",
        "--rating",
        "Stars",
        "--epochs",
        "2",
        "--factors",
        "2",
        "--json",
    ]
    words = ("train", "--data", f"csv:{path}", "--run-dir", run, *flags)
    status, out, err = run_cli("recommender", *words)
    assert status == 0, err
    assert {"rmse", "mae", *LIST_METRICS} == set(json.loads(out)["test"])
    assert "lines left out" in err
    status, out, err = run_cli("recommender", "predict", run, "nobody,日本", "Zoë  Ł", "--json")
    assert status == 0, err
    assert json.loads(out)["predictions"][0]["basis"].startswith("unknown user")


def test_wrong_columns_give_a_one_line_error(run_cli, tmp_path):
    words = ("recommender", "train", "--data", f"csv:{messy(tmp_path)}", "--user", "Readr")
    status, _, err = run_cli(*words)
    assert status == 2
    assert "Did you mean 'Reader'" in err
    assert len(err.strip().splitlines()) <= 2


@pytest.mark.slow
def test_a_fold_of_movielens_is_below_0_915(run_cli, tmp_path):
    place = Path(__file__).resolve().parents[2] / "shared/data/movielens_100k/u.data.gz"
    if not place.is_file():
        pytest.skip("needs ../shared/data/movielens_100k")
    lines = gzip.decompress(place.read_bytes()).decode().splitlines()
    for name, some in (("test", lines[:20_000]), ("train", lines[20_000:])):
        rows = "\n".join(line.replace("\t", ",") for line in some)
        (tmp_path / f"{name}.csv").write_text(f"user_id,item_id,rating,timestamp\n{rows}\n")
    data = ("--data", f"csv:{tmp_path}/train.csv", "--test", f"csv:{tmp_path}/test.csv")
    status, out, err = run_cli(
        "recommender", "train", *data, "--run-dir", tmp_path / "run", "--json"
    )
    assert status == 0, err
    assert json.loads(out)["test"]["rmse"] < 0.915


def test_an_older_file_without_test_pairs_is_read():
    layer = Ids(["ann"], ["x", "y"], 1)
    layer.starts.assign([0, 0, 1])
    layer.interactions.assign([2])
    kept = {}
    layer.save_own_variables(kept)
    del kept["2"]
    again = Ids(["ann"], ["x", "y"], 1)
    again.load_own_variables(kept)
    assert again.interactions_of(tf.constant(["ann"]), in_test=False).numpy().tolist() == [[0, 1]]


def test_lists_have_the_scores_of_their_pairs(tiny):
    users = [b"user 1", b"nobody", b"user 2"]
    top = top_items(tiny.model, tf.constant(users), 5, tf.constant(value=False), in_test=True)
    items = np.array(ids_of(tiny.model).offered)[top.indices.numpy()]
    pairs = {
        "user": tf.repeat(users, 5),
        "item": tf.constant([name.encode() for name in items.flat]),
    }
    scores = tiny.model(pairs).numpy()[:, 1].reshape(3, 5)
    np.testing.assert_allclose(scores, top.scores.numpy(), rtol=1e-5, atol=1e-6)
