"""Splits of rows, classes and small sets."""

import dataclasses

import made
import numpy as np
import pytest

from pipelines import hash_splits, quarantine
from pipelines.examples import DataError, Examples
from pipelines.quarantine import Entry, key_of
from pipelines.rows import reading as rows
from pipelines.splits import Fold, Source, split_fold, split_source
from pipelines.tables.cell_hashes import hash_cells
from pipelines.tables.cells import Cells
from pipelines.tables.table import Table, Tables
from pipelines.texts import reading as texts

NAMES = ("train", "valid", "test")


def parts_of(splits):
    return [getattr(splits, name) for name in NAMES]


def cells(values):
    return np.array([*(str(value).encode() for value in values), None], object)[:-1]


def categories(count=1300, seed=0):
    """Rows of four columns with few values; `target` depends on one of them."""
    random = np.random.default_rng(seed)
    columns = {name: random.choice([*"pqr"], count) for name in "abcd"}
    positive = random.random(count) < np.where(columns["a"] == "p", 0.8, 0.3)
    columns["target"] = np.where(positive, "yes", "no")
    return Table({name: cells(values) for name, values in columns.items()})


def split_of(table, *, drop=(), target="target", **official):
    return split_source(rows.source(Tables(table, **official), target=target, drop=drop))


def test_equal_rows_are_split_as_separate_draws():
    splits = split_of(categories())
    sizes = splits.sizes
    assert sizes["test"] / 1300 == pytest.approx(0.2, abs=0.035)
    assert sizes["valid"] / 1300 == pytest.approx(0.1, abs=0.03)
    shares = [part.targets.mean() for part in parts_of(splits)]
    assert max(shares) - min(shares) < 0.1
    inputs = [len(np.unique(part.content_hashes())) for part in parts_of(splits)]
    assert inputs[2] > 60, "a test of three inputs judges nothing"
    found = [note for note in splits.notes if "equal rows" in note]
    learnt = np.concatenate([part.content_hashes() for part in parts_of(splits)[:2]])
    count = int(np.isin(splits.test.content_hashes(), learnt).sum())
    assert f"{count} of {sizes['test']} test rows" in found[0]


@pytest.mark.parametrize("drop", [("a",), ("b", "c", "d"), ("a", "b", "c")])
@pytest.mark.parametrize("which", [None, Fold(2, 5)])
def test_dropping_columns_does_not_change_the_splits(drop, which):
    found = []
    for dropped in ((), drop):
        splits = split_of(categories(400), drop=dropped)
        found.append(split_fold(splits, which) if which else splits)
    for one, other in zip(*map(parts_of, found), strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)


def test_the_order_of_rows_and_columns_does_not_change_the_splits():
    table = categories(400)
    order = np.random.default_rng(0).permutation(400)
    turned = Table({name: table.columns[name][order] for name in reversed([*table.columns])})
    keys = [
        {frozenset(part.keys().tolist()) for part in parts_of(split_of(one))}
        for one in (table, turned)
    ]
    assert keys[0] == keys[1]


def test_more_rows_do_not_move_rows_of_a_large_set():
    random = np.random.default_rng(0)
    table = Table({"x": random.normal(size=900), "target": random.normal(size=900)})
    few, every = split_of(table.select(np.arange(500))), split_of(table)
    for one, other in zip(parts_of(few), parts_of(every), strict=True):
        assert set(one.rows) <= set(other.rows)


@pytest.mark.parametrize("count", [10, 11, 14, 20, 37, 60, 120, 299])
def test_small_sets_are_split_by_exact_shares(count):
    random = np.random.default_rng(count)
    numbers = Table({"x": random.normal(size=count), "target": random.normal(size=count)})
    sizes = split_of(numbers).sizes
    assert sizes["test"] == pytest.approx(0.2 * count, abs=0.51)
    assert sizes["valid"] == pytest.approx(0.1 * count, abs=0.51)
    sizes = split_source(made.source(count)).sizes
    assert sizes["test"] == pytest.approx(0.2 * count, abs=2.1)
    assert sizes["valid"] == pytest.approx(0.1 * count, abs=2.1)
    assert sum(sizes.values()) == count
    for number in range(1, 4):
        assert min(split_fold(split_of(numbers), Fold(number, 3)).sizes.values()) > 0


def rare_classes(total, rare):
    """Class numbers: `rare` examples each of five classes, the others of one of two."""
    random = np.random.default_rng(0)
    classes = np.concatenate(
        [np.repeat(np.arange(5), rare), random.integers(5, 7, total - 5 * rare)]
    )
    return random.permutation(classes)


@pytest.mark.parametrize("rare", [10, 11, 17])
@pytest.mark.parametrize("total", [150, 5000])
@pytest.mark.parametrize("seed", range(4))
def test_a_class_of_ten_is_in_every_split(rare, total, seed):
    draws = np.random.default_rng(seed).integers(0, 2**64, total, dtype="uint64")
    classes = rare_classes(total, rare)
    folds = [hash_splits.Window(k / 5, 1 / 5, 0.08) for k in range(5)]
    shares = ((0.2, 0.1), (0.2, 0), (0, 0.1))
    asked = [
        (hash_splits.Window(0, *share), [hash_splits.Window(0, *share)], 0) for share in shares
    ]
    asked += [(window, folds, k) for k, window in enumerate(folds)]
    tests = np.zeros(total, int)
    for window, windows, which in asked:
        side = hash_splits.assign(draws, classes, windows, which)
        wanted = {hash_splits.TRAIN}
        wanted |= {hash_splits.TEST} if window.test else set()
        wanted |= {hash_splits.VALID} if window.valid else set()
        assert all(set(side[classes == k].tolist()) == wanted for k in range(7))
        tests += (side == hash_splits.TEST) * (windows is folds)
    assert (tests == 1).all(), "each example is a test example of one fold"


def test_stratification_moves_only_the_missing_class():
    random = np.random.default_rng(3)
    draws = random.integers(0, 2**63, 3000).astype("uint64") * 2
    classes = np.where(np.arange(3000) < 12, 1, 0)
    draws[:12] = np.uint64(2**63) + np.arange(12, dtype="uint64")  # all train by their hash
    window = hash_splits.Window(0.0, 0.2, 0.1)
    alone, stratified = (hash_splits.assign(draws, some, [window]) for some in (None, classes))
    np.testing.assert_array_equal(alone[12:], stratified[12:])
    assert np.bincount(stratified[:12], minlength=3).tolist() == [9, 1, 2]


def test_copies_of_texts_stay_in_one_split():
    random = np.random.default_rng(0)
    words = np.array([f"w{k}" for k in range(400)])
    own = [" ".join(random.choice(words, 6)) for _ in range(260)]
    classes = ["rare" if k < 12 else "often" for k in range(260)]
    again = [*own, *own[:40]]
    table = Table({"text": cells(again), "label": cells([*classes, *["often"] * 40])})
    splits = split_source(texts.source(Tables(table), texts.Columns()))
    sets = [set(part.content_hashes().tolist()) for part in parts_of(splits)]
    assert len(set.union(*sets)) == sum(map(len, sets)) == 260
    assert all(set(part.targets.tolist()) == {0, 1} for part in parts_of(splits))


def test_official_rows_drop_copies_but_not_rows_equal_by_chance():
    random = np.random.default_rng(0)
    numbers = {"x": random.normal(size=300), "target": random.normal(size=300)}
    table = Table(numbers)
    splits = split_of(table, test=table.select(np.arange(20)))
    assert (splits.dropped, splits.sizes["test"]) == (20, 20)
    few = categories(600)
    splits = split_of(few, test=categories(200, seed=1))
    assert splits.dropped < 60
    assert splits.sizes["train"] > 450


def test_a_quarantine_list_applies_with_any_columns(tmp_path):
    whole, less = split_of(categories(400)), split_of(categories(400), drop=("a",))
    named = whole.train.keys()[[3, 8]]
    quarantine.write(tmp_path / "list.csv", [Entry(key_of(key)) for key in named])
    for splits in (whole, less):
        left = quarantine.remove_listed(splits, tmp_path / "list.csv")
        assert len(left.train) == len(splits.train) - 2
        assert not np.isin(named, left.train.keys()).any()


def test_a_list_without_matches_is_refused_and_an_empty_one_accepted(tmp_path):
    splits = split_of(categories(400))
    path = tmp_path / "list.csv"
    for entries in ([Entry("", "photo.png")], [Entry("0" * 16), Entry("", "x.csv line 3")]):
        quarantine.write(path, entries)
        with pytest.raises(DataError, match="names an example of these data"):
            quarantine.remove_listed(splits, path)
    for entries in ([], [Entry("", "x.csv line 3", "train", "broken lines")]):
        quarantine.write(path, entries)
        assert quarantine.remove_listed(splits, path).sizes == splits.sizes


def test_the_fingerprint_of_equal_inputs_does_not_depend_on_order():
    examples = Examples.of(np.zeros((60, 2, 2, 1), "uint8"), np.arange(60) % 2)
    features = examples.features.copy()
    features[:, 0, 0, 0] = np.arange(60) // 2
    found = []
    for order in (np.arange(60), np.arange(60)[::-1]):
        turned = Examples.of(features[order], examples.target[order])
        found.append(split_source(Source(turned, labels=("a", "b"))).fingerprint())
    assert found[0] == found[1]


def test_notes_of_a_fold_describe_its_own_split():
    splits = split_of(categories(600))
    folded = split_fold(splits, Fold(1, 3))
    (note,) = [note for note in folded.notes if "equal rows" in note]
    assert f"of {len(folded.test)} test rows" in note
    assert len(folded.notes) == len(splits.notes)
    assert dataclasses.replace(folded, notes=()).reading_notes == splits.reading_notes


def test_hashes_of_cells_are_those_of_their_texts():
    random = np.random.default_rng(0)
    texts = ["".join(random.choice([*"ab01é"], random.integers(9))) for _ in range(5000)]
    texts += ["x" * 2**21, "x" * (2**21 + 1), "", *map(str, range(50_000))]
    packed = Cells.of(map(str.encode, texts))
    found = hash_cells(packed)
    assert len(set(found)) == len(set(texts))
    assert len(set(zip(found, texts, strict=True))) == len(set(texts))
    np.testing.assert_array_equal(found, hash_cells(np.asarray(packed)))


def test_test_data_without_targets_are_refused():
    table = Table({"x": np.arange(40.0), "target": np.arange(40.0)})
    other = Table({"x": np.arange(5.0), "target": np.full(5, np.nan)})
    with pytest.raises(DataError, match="Received test data without a usable row"):
        split_source(rows.source(Tables(table, None, other), target="target"))
