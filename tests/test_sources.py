"""Checks that every source has to pass; then addresses and their errors."""

import dataclasses
import socket

import numpy as np
import pytest
from made import contents, joined, random_images, reordered, source

from apps import Mnist
from pipelines import embedded, sources
from pipelines.examples import DataError, Examples
from pipelines.splits import Splits, split_source

ADDRESSES = ["embedded", "tfds:mnist", "tfds:fashion_mnist"]
OFFICIAL = {"tfds:mnist": 10_000, "tfds:fashion_mnist": 10_000}
TOTAL = {"embedded": 1797, "tfds:mnist": 70_000, "tfds:fashion_mnist": 70_000}


def poisoned(part, kept=()):
    """Return a part in which all stored examples outside `kept` are white."""
    features = np.full_like(part.features, 255)
    features[list(kept)] = part.features[list(kept)]
    return Examples(features, part.target, part.rows)


def check_disjoint(splits):
    sets = [set(part.content_hashes().tolist()) for part in parts_of(splits)]
    assert len(set.union(*sets)) == sum(map(len, sets))


def check_complete(splits, address):
    assert sum(splits.sizes.values()) + splits.dropped == TOTAL[address]
    assert min(splits.sizes.values()) > 0


def check_official_test_is_whole(splits, address):
    assert len(splits.test) == OFFICIAL[address]


def check_shares_are_as_promised(splits, address):
    cut_off = len(splits.train) + len(splits.valid)
    if address not in OFFICIAL:
        cut_off += len(splits.test)
        assert len(splits.test) / cut_off == pytest.approx(0.2, abs=0.02)
    assert len(splits.valid) / cut_off == pytest.approx(0.1, abs=0.02)


def check_same_address_same_fingerprint(splits, address):
    assert reload(address).fingerprint() == splits.fingerprint()


def check_stable_spec(splits):
    (shape, dtype), target = splits.spec["features"], splits.spec["target"]
    assert (len(shape), dtype, target) == (3, "uint8", ((), "int64"))
    assert all(part.spec == splits.spec for part in parts_of(splits))
    assert all(part.numpy([0]).features.shape == (1, *shape) for part in parts_of(splits))


def check_labels_cover_the_targets(splits):
    found = set(np.concatenate([part.numpy().target for part in parts_of(splits)]).tolist())
    assert found == set(range(len(splits.labels)))


def check_nothing_held_out_reaches_prepare(splits):
    clean = Splits(
        train=poisoned(splits.train, kept=splits.train.rows),
        valid=poisoned(splits.valid),
        test=poisoned(splits.test),
        labels=splits.labels,
    )
    assert prepared(clean) == prepared(splits)
    # The poison works: where it reaches training examples, the layer is another.
    assert prepared(dataclasses.replace(splits, train=poisoned(splits.train))) != prepared(splits)


def parts_of(splits):
    return splits.train, splits.valid, splits.test


def prepared(splits):
    config = Mnist().make_preprocessing(splits).get_config()
    return {name: config[name] for name in config if name != "name"}, Mnist().make_input_decoder(
        splits
    )


def reload(address):
    return sources.load(address, embedded=embedded.digits)


CHECKS = [
    check_disjoint,
    check_complete,
    check_official_test_is_whole,
    check_shares_are_as_promised,
    check_same_address_same_fingerprint,
    check_stable_spec,
    check_labels_cover_the_targets,
    check_nothing_held_out_reaches_prepare,
]
PAIRS = [
    pytest.param(address, check, marks=[pytest.mark.slow] * (address == "tfds:fashion_mnist"))
    for address in ADDRESSES
    for check in CHECKS
    if address in OFFICIAL or check is not check_official_test_is_whole
]


@pytest.mark.parametrize(("address", "check"), PAIRS, ids=lambda v: getattr(v, "__name__", v))
def test_source(address, check, load):
    splits = load(address)
    check(splits, address) if check.__code__.co_argcount == 2 else check(splits)


@pytest.mark.slow
def test_images_are_those_of_tfds(load):
    splits = load("tfds:mnist")
    import tensorflow_datasets as tfds

    some = tfds.as_numpy(tfds.load("mnist", split="test[:200]", as_supervised=True))
    known = dict(zip(contents(splits.test), splits.test.numpy().target, strict=True))
    for image, target in some:
        assert known[image.tobytes()] == target


def sides(examples, **official):
    """Return the names of the splits by the content of each example."""
    labels = tuple(map(str, range(10)))
    splits = split_source(source()._replace(train=examples, labels=labels, **official))
    found = {}
    for name, part in zip(("train", "valid", "test"), parts_of(splits), strict=True):
        for content in contents(part):
            found.setdefault(content, set()).add(name)
    return found


def test_duplicates_are_in_one_split():
    once = random_images(100)
    again = Examples.of(once.features, (once.target + 1) % 3)
    found = sides(joined(once, again, once))
    assert len(found) == 100
    assert all(len(names) == 1 for names in found.values())


def test_the_order_does_not_change_the_splits():
    digits = embedded.digits().train
    order = np.random.default_rng(0).permutation(len(digits))
    assert sides(reordered(digits, order)) == sides(digits)


def test_more_examples_do_not_move_others():
    digits = embedded.digits().train
    few, all_of_them = sides(reordered(digits, range(500))), sides(digits)
    assert few == {content: all_of_them[content] for content in few}


def test_the_order_does_not_change_the_fingerprint():
    examples = random_images(100)
    turned = source()._replace(train=reordered(examples, range(99, -1, -1)))
    same = source()._replace(train=examples)
    assert split_source(turned).fingerprint() == split_source(same).fingerprint()


@pytest.mark.parametrize("change", ["pixel", "target", "one fewer", "label"])
def test_changed_data_change_the_fingerprint(change):
    made = source()
    features, target, labels = made.train.features.copy(), made.train.target.copy(), made.labels
    if change == "pixel":
        features[0, 0, 0, 0] ^= 1
    if change == "target":
        target[0] = (target[0] + 1) % 3
    if change == "label":
        labels = ("a", "b", "z")
    rows = slice(1, None) if change == "one fewer" else slice(None)
    other = made._replace(train=Examples.of(features[rows], target[rows]), labels=labels)
    assert split_source(other).fingerprint() != split_source(made).fingerprint()


def test_official_splits_are_kept_and_dropped_from_training():
    made = source(100, test=20, valid=30)
    leaked = joined(made.train, made.test.select(np.arange(3)), made.valid.select(np.arange(2)))
    splits = split_source(made._replace(train=leaked))
    assert (splits.sizes, splits.dropped) == ({"train": 100, "valid": 30, "test": 20}, 5)
    assert contents(splits.test) == contents(made.test)
    assert contents(splits.valid) == contents(made.valid)


def test_dropped_copies_are_counted_with_any_label():
    made = source(100, test=20)
    leaked = made.test.select(np.arange(4))
    leaked = Examples.of(leaked.numpy().features, (leaked.numpy().target + 1) % 3)
    splits = split_source(made._replace(train=joined(made.train, leaked)))
    assert splits.dropped == 4
    assert splits.sizes["train"] + splits.sizes["valid"] == 100


def test_validation_shares_nothing_with_an_official_test():
    made = source(100, test=20, valid=30)
    splits = split_source(made._replace(valid=joined(made.valid, made.test.select(np.arange(5)))))
    assert splits.sizes == {"train": 100, "valid": 30, "test": 20}


def test_too_few_examples_are_refused():
    with pytest.raises(DataError, match="split empty"):
        split_source(source(1))


@pytest.mark.parametrize(
    ("address", "near"),
    [("embeded", "embedded"), ("tfd:mnist", "tfds:mnist")],
)
def test_unknown_address_names_the_nearest(address, near):
    with pytest.raises(DataError, match=f"Received the data address {address!r}.*{near!r}"):
        reload(address)


@pytest.mark.parametrize("address", ["", "tfds:", "csv:", "folder", "mnist"])
def test_unknown_address_names_the_forms(address):
    with pytest.raises(DataError, match="expected 'embedded' or 'tfds:NAME'"):
        reload(address)


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network")

    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("offline")
def test_unknown_set_names_the_directory(tmp_path):
    with pytest.raises(DataError, match="tfds:nonsense") as raised:
        sources.load("tfds:nonsense", embedded=embedded.digits, data_dir=tmp_path)
    assert str(tmp_path) in str(raised.value)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_missing_set_names_the_directory_and_two_remedies(by, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / by))
    data_dir = tmp_path / by if by == "argument" else None
    with pytest.raises(DataError, match="not prepared") as raised:
        sources.load("tfds:mnist", embedded=embedded.digits, data_dir=data_dir)
    text = str(raised.value)
    for part in (str(tmp_path / by), "--data-dir", "TFDS_DATA_DIR", "tfds.load('mnist')"):
        assert part in text


def load_with_test(own, other):
    """Splits of one made source with another one's test set."""
    both = iter([own, other])
    return sources.load("embedded", test="embedded", embedded=lambda: next(both))


def test_a_separate_test_set_is_its_official_test_split():
    own, other = source(100, test=10), source(60, test=25)
    splits = load_with_test(own, other._replace(test=random_images(25, seed=7)))
    assert contents(splits.test) == contents(random_images(25, seed=7))


def test_a_separate_test_set_without_splits_is_used_whole():
    other = source()._replace(train=random_images(40, seed=9))
    splits = load_with_test(source(100, test=10), other)
    assert contents(splits.test) == contents(other.train)
    assert len(splits.train) + len(splits.valid) == 100


def test_a_separate_test_set_of_another_form_is_refused():
    with pytest.raises(DataError, match="expected the form of"):
        load_with_test(source(), source(shape=(9, 9, 1)))
    with pytest.raises(DataError, match="expected the form of"):
        load_with_test(source(), source()._replace(labels=("x", "y", "z")))
