"""Lists by the order of a user's items: windows, the network, and whole runs."""

import csv
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from test_checkpoint import Killed, assert_same, trained

from apps import FieldError, Recommender
from apps.recommender.dot_product import layer_of
from apps.recommender.factors import Interactions
from apps.recommender.sequence_layers import SequenceEncoder, newest_known
from apps.recommender.sequence_mixture import MIXES, Mix, Mixture
from apps.recommender.sequences import Histories, cut_windows, histories, newest_items
from evaluation.tasks import ranking, task_of
from exporting.export import export
from inference.modalities.item_scores import ids_of, list_scorer_of
from inference.modalities.requested_lists import ListRequest
from inference.modalities.requested_signature import DEFAULTS
from pipelines.examples import DataError
from training import fitting, resume
from training.run import Run
from training.train import train

NUM_ITEMS, NUM_USERS, LENGTH = 60, 300, 14
RING = np.random.default_rng(0).permutation(NUM_ITEMS)
SUCCESSOR = np.roll(RING, -1)[np.argsort(RING)]


def history_of(*lengths, num_validation=0):
    """Return histories of users with as many items, numbered from 0 through all users."""
    users = np.repeat(np.arange(len(lengths)), lengths)
    from_end = np.concatenate([np.arange(length)[::-1] for length in lengths])
    ones = np.ones(len(users), "float32")
    return Histories(users, np.arange(len(users)), ones, ones, from_end < num_validation)


def test_each_item_but_the_first_is_predicted_once_from_the_items_before():
    found = cut_windows(history_of(7, 1, 3), length=4)
    np.testing.assert_array_equal(found.users, [0, 0, 2])
    # From the newest item backwards: the last window of a user is full.
    np.testing.assert_array_equal(found.inputs, [[1, 2, 0, 0], [3, 4, 5, 6], [9, 10, 0, 0]])
    np.testing.assert_array_equal(found.targets[found.weights > 0], [1, 2, 3, 4, 5, 6, 9, 10])
    assert (found.targets + 1)[found.weights > 0].tolist() == [2, 3, 4, 5, 6, 7, 10, 11]


def test_windows_without_a_target_are_left_out():
    pairs = history_of(9, 3, num_validation=1)
    found = cut_windows(pairs.reweighted(pairs.is_validation), length=4).with_targets()
    np.testing.assert_array_equal(found.users, [0, 1])
    np.testing.assert_array_equal(found.targets[found.weights > 0], [8, 11])
    assert cut_windows(pairs.training(), length=4).targets.max() == 10


def test_the_newest_items_of_each_user():
    np.testing.assert_array_equal(
        newest_items(history_of(5, 1, 2), 4, length=3), [[3, 4, 5], [6, 0, 0], [7, 8, 0], [0, 0, 0]]
    )


@pytest.fixture(scope="module")
def encoder():
    return SequenceEncoder(20, 6, 8, 0.2)


def test_a_later_item_never_changes_an_earlier_state(encoder):
    numbers = np.random.default_rng(0).integers(1, 21, (5, 6))
    states = encoder(numbers)
    for place in range(6):
        changed = numbers.copy()
        changed[:, place] = changed[:, place] % 20 + 1
        others = encoder(changed)
        np.testing.assert_allclose(others[:, :place], states[:, :place], atol=1e-5)
        assert (np.abs(others[:, place:] - states[:, place:]).max((1, 2)) > 1e-3).all()


def test_padding_changes_no_state_and_the_last_state_is_found(encoder):
    numbers = np.array([[3, 7, 9, 0, 0, 0], [3, 7, 9, 4, 1, 2]])
    states = encoder(numbers)
    np.testing.assert_allclose(states[0, :3], states[1, :3], atol=1e-5)
    np.testing.assert_allclose(
        encoder.last_states(tf.constant(numbers, tf.int32)),
        tf.stack([states[0, 2], states[1, 5]]),
        atol=1e-6,
    )


def test_unknown_items_are_left_out_and_the_newest_kept():
    liked = tf.constant([[0, 5, 0, 6, 7, 8], [1, 0, 0, 0, 0, 0], [0] * 6])
    np.testing.assert_array_equal(newest_known(liked, 3), [[6, 7, 8], [1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(newest_known(liked[:, :2], 3)[0], [5, 0, 0])


def planted(path, *, with_times=True):
    """Write histories in which an item is mostly followed by its successor on a ring."""
    random = np.random.default_rng(1)
    rows = []
    for user in range(NUM_USERS):
        taken = [int(random.integers(NUM_ITEMS))]
        while len(taken) < LENGTH:
            item = int(SUCCESSOR[taken[-1]])
            if random.random() < 0.25 or item in taken:
                item = int(random.choice(np.setdiff1d(np.arange(NUM_ITEMS), taken)))
            taken.append(item)
        rows += [(f"user {user}", f"item {item}", time) for time, item in enumerate(taken)]
    random.shuffle(rows)  # the order of the rows says nothing
    columns = ["user", "item", "timestamp"][: 3 if with_times else 2]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *(row[: len(columns)] for row in rows)])
    return f"csv:{path}"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return planted(tmp_path_factory.mktemp("planted") / "pairs.csv")


@pytest.fixture(scope="module")
def app(data):
    return Recommender(data=data, model="sequence", split="user_time", factors=6, epochs=6)


@pytest.fixture(scope="module")
def run(app, made_once):
    """A run with an export. Do not change it."""

    def write(path):
        export(train(app, run_dir=path, precision="float32", verbose=0))

    return Run.load(made_once("sequence", write))


def test_order_that_sets_do_not_show_is_learned(run, data, tmp_path):
    scores = ranking.metrics(task_of(run).predict_test_set(run))
    unordered = train(
        Recommender(data=data, split="user_time"), run_dir=tmp_path / "unordered", verbose=0
    )
    others = ranking.metrics(task_of(unordered).predict_test_set(unordered))
    assert scores["ndcg_at_10"] > others["ndcg_at_10"] + 0.1
    assert scores["recall_at_10"] > others["recall_at_10"]


def test_validation_pairs_are_newer_than_the_training_pairs_of_their_user(run):
    parts = run.splits.train, run.splits.valid, run.splits.test
    newest = [{} for _ in parts]
    oldest = [{} for _ in parts]
    for number, part in enumerate(parts):
        users, times = part.numpy().features["user"], part.times[part.rows]
        for user, time in zip(users, times, strict=True):
            newest[number][user] = max(time, newest[number].get(user, time))
            oldest[number][user] = min(time, oldest[number].get(user, time))
    for before, after in ((0, 1), (1, 2), (0, 2)):
        both = newest[before].keys() & oldest[after].keys()
        assert both
        assert all(newest[before][user] < oldest[after][user] for user in both)


def test_a_user_is_ranked_by_training_and_validation_pairs_in_order(run):
    splits, ids, layer = run.splits, ids_of(run.model), list_scorer_of(run.model)
    pairs = histories(splits.train, splits.valid, ids)
    newest = newest_items(pairs, len(ids.users))
    items = tf.range(1, len(ids.items) + 1)
    vectors = layer.encoder.logits(layer.encoder.last_states(tf.constant(newest)))
    width = layer.unordered_width
    rows = layer.score_tables[0][1:]
    ordered = tf.matmul(rows[:, width:], layer.score_tables[1][1:, width:], transpose_b=True)
    np.testing.assert_allclose(ordered, layer.mix[1] * vectors, atol=1e-4)
    known = tf.range(1, len(ids.users) + 1)
    listed = layer.list_scores(known, items)
    np.testing.assert_allclose(
        listed, tf.matmul(rows, layer.score_tables[1][1:], transpose_b=True), atol=1e-4
    )


def test_liked_items_are_read_in_order(run):
    layer = list_scorer_of(run.model)
    items = tf.range(1, len(ids_of(run.model).items) + 1)
    one, other, unknown = layer.list_scores_of_liked(
        tf.constant([[3, 9, 0, 4], [4, 9, 3, 0], [0, 0, 0, 0]]), items
    ).numpy()
    assert np.abs(one - other).max() > 0.01, "the same items in another order"
    np.testing.assert_allclose(unknown, layer.list_scores(tf.constant([0]), items)[0], atol=1e-5)
    short = layer.list_scores_of_liked(tf.constant([[3, 9, 4]]), items)
    np.testing.assert_allclose(short[0], one, atol=1e-5)


@pytest.mark.parametrize("mix", [Mix(0, 1), MIXES[0]])
def test_a_list_of_a_users_items_is_ranked_as_the_user(app, mix):
    """The models without order may know more of a user; the network knows the items alone."""
    splits = app.load_splits()
    ids = app.make_preprocessing(splits)
    layer = layer_of(app.make_network(splits))
    pairs = [Interactions.of(part, ids) for part in (splits.train, splits.valid)]
    mixture = Mixture(layer, histories(splits.train, splits.valid, ids), *pairs)
    mixture.assign(mix)
    items = tf.range(1, len(ids.items) + 1)
    users = layer.list_scores(tf.range(1, 6), items)
    liked = layer.list_scores_of_liked(tf.constant(mixture.newest[:5]), items)
    if mix.unordered:
        centred = (scores - tf.reduce_mean(scores, 1, keepdims=True) for scores in (users, liked))
        one, other = (tf.math.l2_normalize(scores, 1) for scores in centred)
        assert (tf.reduce_sum(one * other, 1).numpy() > 0.9).all()
    else:
        np.testing.assert_allclose(liked, users, atol=1e-4)


def test_the_export_recommends_the_next_item(run):
    loaded = tf.saved_model.load(run.path / "export" / "1")
    users = tf.constant(["user 1", "nobody"])
    answer = loaded.signatures["recommend"](
        user=users, k=tf.constant(5), exclude_seen=tf.constant(value=True)
    )
    assert (np.diff(answer["scores"].numpy(), axis=1) <= 0).all()
    layer, ids = list_scorer_of(run.model), ids_of(run.model)
    scores = layer.list_scores(ids.user_numbers.lookup(users), tf.range(1, len(ids.items) + 1))
    best = np.array(ids.items)[np.argmax(scores[1])]
    assert answer["items"].numpy()[1, 0].decode() == best
    seen = {item.decode() for item in _items_of(run, b"user 1")}
    assert seen and not seen & {item.decode() for item in answer["items"].numpy()[0]}


def test_the_export_reads_a_list_of_liked_items_in_order(run):
    loaded = tf.saved_model.load(run.path / "export" / "1")
    pairs = np.random.default_rng(2).permutation(NUM_ITEMS)[:40].reshape(-1, 2)
    pairs = pairs[(SUCCESSOR[pairs] != pairs[:, ::-1]).all(1)]
    request = ListRequest(*map(tf.constant, DEFAULTS))
    for order in (pairs, pairs[:, ::-1]):
        liked = [[f"item {first}", "?", f"item {last}"] for first, last in order]
        inputs = request._replace(liked=tf.constant(liked), k=tf.constant(3))._asdict()
        answer = loaded.signatures["recommend_with"](**inputs)
        expected = [f"item {item}".encode() for item in SUCCESSOR[order[:, 1]]]
        found = [item in row for item, row in zip(expected, answer["items"].numpy(), strict=True)]
        assert np.mean(found) > 0.7


def _items_of(run, user):
    parts = [part.numpy().features for part in (run.splits.train, run.splits.valid)]
    return {item for part in parts for item in part["item"][part["user"] == user]}


@pytest.mark.slow
@pytest.mark.parametrize("calls", [0, 2])
def test_a_resumed_training_equals_an_uninterrupted_one(app, calls, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "MAX_STEPS_PER_EXECUTION", 8)  # several calls an epoch
    app = dataclasses.replace(app, epochs=3, factors=2)
    undisturbed = trained(app, tmp_path / "undisturbed", checkpoint_every=1e9)
    with pytest.raises(Killed):
        trained(app, tmp_path / "stopped", stop=1, calls=calls)
    found = resume.newest_checkpoint(tmp_path / "stopped")
    assert (found.position.epoch, bool(found.position.step)) == (1, calls > 0)
    assert_same(trained(app, tmp_path / "stopped"), undisturbed)


TWO_DEVICES = """
import sys
from training import startup
startup.start_tensorflow(2)
from apps import Recommender
from apps.recommender import sequence_layers
from training.distributed.equivalence import compare_devices
sequence_layers.DROPOUT = 0.0  # each replica draws its own
how = {"model": "sequence", "split": "user_time", "factors": 2}
app = Recommender(data=sys.argv[1], optimizer="sgd", learning_rate=0.5, **how)
found = compare_devices(app)
assert found.difference <= 1e-5, found
assert found.moved > 1e-4, found
"""


@pytest.mark.slow
def test_two_devices_learn_the_same_as_one(data):
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, data], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_data_without_order_are_refused(tmp_path, run_cli):
    data = planted(tmp_path / "pairs.csv", with_times=False)
    flags = ("recommender", "train", "--data", data, "--model", "sequence")
    status, _, error = run_cli(*flags, "--run-dir", tmp_path / "run")
    assert status == 2
    assert "for data without times; expected the time of each pair" in error
    assert "--time COLUMN" in error
    assert not (tmp_path / "run").exists()
    status, _, error = run_cli(*flags, "--split", "random")
    assert status == 2
    assert "--model sequence with --split random" in error


def test_validation_pairs_of_the_lowest_rating_count_too(tmp_path):
    rows = [(user, item, int(item < 7), item) for user in range(30) for item in range(10)]
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("user", "item", "rating", "timestamp"), *rows])
    app = Recommender(data=f"csv:{tmp_path}/pairs.csv", model="sequence", split="user_time")
    splits = app.load_splits()
    pairs = histories(splits.train, splits.valid, app.make_preprocessing(splits))
    assert not pairs.ratings[pairs.is_validation].any()
    assert (pairs.weights > 0).all()
    windows = cut_windows(pairs.reweighted(pairs.weights * pairs.is_validation)).with_targets()
    assert np.count_nonzero(windows.weights) == pairs.is_validation.sum()


def test_equal_times_and_users_of_one_pair_are_refused(tmp_path):
    path = tmp_path / "pairs.csv"
    rows = [(user, item, 7) for user in "abcdefgh" for item in "uvwxyz"]
    for text, pairs in (("with the same time", rows), ("several training pairs", None)):
        if pairs is None:
            pairs = [(n, n % 3, n) for n in range(40)]
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("user", "item", "timestamp"), *pairs])
        with pytest.raises(DataError, match=text):
            Recommender(data=f"csv:{path}", model="sequence").load_splits()
    with pytest.raises(FieldError, match="with --split random"):
        Recommender(model="sequence", split="random")


def test_ratings_are_predicted_by_means(data, tmp_path, run_cli):
    random = np.random.default_rng(1)
    with Path(data.removeprefix("csv:")).open() as file:
        rows = [{**row, "rating": random.integers(1, 6)} for row in csv.DictReader(file)]
    with (tmp_path / "rated.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    data = ("--data", f"csv:{tmp_path}/rated.csv", "--run-dir", tmp_path / "run")
    flags = ("--model", "sequence", "--factors", "2", "--epochs", "1", "--json")
    status, out, error = run_cli("recommender", "train", *data, *flags)
    assert status == 0, error
    result = json.loads(out)
    means = result["baselines"]["user_and_item_means"]["rmse"]
    assert result["test"]["rmse"] == pytest.approx(means, rel=0.02)
