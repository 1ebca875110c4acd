"""Splits by the groups of a column, and by time: `--group COL` and `--by-time COL`."""

import dataclasses

import numpy as np
import pytest

from apps.regression.app import Regression
from apps.regression.boosting import folds_of
from apps.text.app import Text
from data_checks.examine import examine
from pipelines.examples import DataError
from pipelines.rows import reading as rows
from pipelines.split_columns import SplitColumns
from pipelines.splits import Fold, split_fold, split_source
from pipelines.tables.table import Table, Tables
from pipelines.texts import reading as texts

NAMES = ("train", "valid", "test")
FIRST_DAY = np.datetime64("2020-01-01")


def cells(values):
    return np.array([*(str(value).encode() for value in values), None], object)[:-1]


def visits(count=1000, customers=400, seed=0):
    """Rows of customers, by an id with a decimal point, on days in random order."""
    random = np.random.default_rng(seed)
    customer = random.integers(customers, size=count)
    columns = {
        "customer": [f"{number}.0" for number in customer],
        "sold": FIRST_DAY + random.integers(300, size=count),
        "x": random.normal(size=count),
        "y": random.normal(size=count) + customer,
    }
    return Table({name: cells(values) for name, values in columns.items()})


def split_of(table, *, target="y", drop=(), official=None, **columns):
    tables = Tables(table, test=official)
    found = rows.source(tables, target=target, drop=drop, split_columns=SplitColumns(**columns))
    return split_source(found)


def values_of(table, splits, name):
    """Return the cells of a column in each split; positions are those of the table."""
    return [np.asarray(table.columns[name])[getattr(splits, part).rows] for part in NAMES]


def groups_of(table, splits, name="customer"):
    return [set(values.tolist()) for values in values_of(table, splits, name)]


def all_folds(splits, count):
    return [split_fold(splits, Fold(number, count)) for number in range(1, count + 1)]


def require_disjoint(parts):
    assert all(parts)
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


@pytest.mark.parametrize("customers", [3, 7, 40, 400])
def test_rows_of_a_group_are_in_one_split_and_one_fold(customers):
    table = visits(customers=customers)
    splits = split_of(table, group="customer")
    require_disjoint(groups_of(table, splits))
    count = 3 if customers == 3 else 5
    tested = []
    for fold in all_folds(splits, count):
        require_disjoint(groups_of(table, fold))
        tested += groups_of(table, fold)[2]
    assert sorted(tested) == sorted({*table.columns["customer"]})


def test_two_folds_of_four_groups_have_every_split():
    table = visits(customers=4)
    for fold in all_folds(split_of(table, group="customer"), 2):
        require_disjoint(groups_of(table, fold))


def test_the_group_column_is_no_feature_and_the_notes_say_what_was_done():
    table = visits()
    splits = split_of(table, group="customer")
    assert set(splits.reading.forms) == {"sold", "x"}
    counts = [len(groups) for groups in groups_of(table, splits)]
    told = " ".join(splits.notes)
    assert "column customer names the groups and is no feature" in told
    assert (
        f"rows of one 'customer' are in one split: {counts[0]} groups in train, {counts[1]} in "
        f"validation, {counts[2]} in test" in told
    )


@pytest.mark.parametrize("customers", [40, 400])
def test_more_rows_move_no_group(customers):
    table = visits(customers=customers)
    before = split_of(table.select(np.arange(800)), group="customer")
    after = split_of(table, group="customer")
    for one, other in zip(groups_of(table, before), groups_of(table, after), strict=True):
        new = other - {*table.columns["customer"][:800]}
        assert one == other - new


def test_a_group_is_where_its_cell_says_whatever_the_other_columns_and_the_spelling():
    table = visits()
    columns = {
        **table.columns,
        "customer": cells(cell.decode().removesuffix(".0") for cell in table.columns["customer"]),
        "x": table.columns["x"][::-1],
    }
    one, other = (split_of(each, group="customer") for each in (table, Table(columns)))
    for first, second in zip(NAMES, NAMES, strict=True):
        np.testing.assert_array_equal(getattr(one, first).rows, getattr(other, second).rows)


@pytest.mark.parametrize(("customers", "folds"), [(20, 5), (12, 6), (500, 5)])
def test_classes_are_stratified_by_group(customers, folds):
    """The rare class is in a fifth of the groups."""
    random = np.random.default_rng(1)
    customer = random.integers(customers, size=2000)
    sick = (customer % 5 == 0) & (random.random(2000) < 0.7)
    table = Table(
        {
            "customer": cells(customer),
            "x": cells(random.random(2000)),
            "y": cells(np.where(sick, "sick", "well")),
        }
    )
    splits = split_of(table, group="customer")
    for each in [splits, *all_folds(splits, folds)]:
        require_disjoint(groups_of(table, each))
    shares = [getattr(splits, name).targets.mean() for name in NAMES]
    if customers != 12:  # of them three have the class
        assert min(shares) > 0.5, "'sick' is class 0"
        assert all((getattr(splits, name).targets == 0).sum() > 0 for name in NAMES)
        assert not [note for note in splits.notes if "has the class" in note]


def test_every_fold_has_groups_even_if_each_class_has_fewer_than_folds():
    customer = np.repeat(np.arange(6), 20)
    target = np.where(customer < 3, "sick", "well")
    table = Table({"customer": cells(customer), "x": cells(np.arange(120)), "y": cells(target)})
    for fold in all_folds(split_of(table, group="customer"), 5):
        require_disjoint(groups_of(table, fold))


def test_a_class_of_two_groups_is_missing_somewhere_and_named():
    customer = np.repeat(np.arange(20), 50)
    target = np.where(customer < 2, "rare", np.where(customer % 2, "odd", "even"))
    table = Table({"customer": cells(customer), "x": cells(np.arange(1000)), "y": cells(target)})
    splits = split_of(table, group="customer")
    require_disjoint(groups_of(table, splits))
    absent = [note for note in splits.notes if "has the class 'rare'" in note]
    assert absent
    for name, words in zip(NAMES, ("train", "validation", "test"), strict=True):
        rare = (getattr(splits, name).targets == splits.labels.index("rare")).any()
        assert rare != any(f"no row of {words} " in note for note in absent)


def test_groups_of_a_separate_test_set_that_training_knows_are_counted():
    table = visits(200, customers=50)
    official = Table({**visits(40, seed=9).columns, "customer": cells([*range(45, 65)] * 2)})
    splits = split_of(table, official=official, group="customer")
    told = " ".join(splits.notes)
    assert (
        "5 of the 20 'customer' groups of test are in train or validation too, with 10 of 40"
        in told
    )
    assert "the test set is separate" in told
    del official.columns["customer"]
    told = " ".join(split_of(table, official=official, group="customer").notes)
    assert "the test data have no column 'customer'" in told


def test_validation_and_test_are_the_newest_rows():
    table = visits()
    splits = split_of(table, by_time="sold")
    train, valid, test = values_of(table, splits, "sold")
    assert max(train) < min(valid) <= max(valid) < min(test), "ties stay together"
    sizes = splits.sizes
    assert sizes["test"] == pytest.approx(200, abs=10)
    assert sizes["valid"] == pytest.approx(100, abs=10)
    told = " ".join(splits.notes)
    assert (
        f"validation and test are the newest rows by 'sold': validation from "
        f"{min(valid).decode()} on, test from {min(test).decode()} on (dates, '" in told
    )
    assert "sold" in splits.reading.forms
    assert "is a feature; --drop sold leaves it out" in told
    dropped = split_of(table, by_time="sold", drop=["sold"])
    assert "sold" not in dropped.reading.forms
    np.testing.assert_array_equal(dropped.test.rows, splits.test.rows)


@pytest.mark.parametrize("days", [5, 9, 300])
def test_folds_have_a_rolling_origin(days):
    table = visits()
    numbers = np.random.default_rng(0).integers(days, size=1000)
    numbers[:days] = np.arange(days)
    table = Table({**table.columns, "sold": cells(numbers)})
    folds = all_folds(split_of(table, by_time="sold"), 3)
    newest = -1
    for number, fold in enumerate(folds, 1):
        train, valid, test = (values.astype(float) for values in values_of(table, fold, "sold"))
        assert max(train) < min(valid) <= max(valid) < min(test)
        assert min(test) > newest
        newest = max(test)
        assert f"fold {number} of 3 by 'sold'" in " ".join(fold.notes)
    assert newest == numbers.max()


def test_one_time_of_most_rows_leaves_every_split_some():
    times = np.r_[np.zeros(500), 1, 2]
    table = Table({"when": cells(times), "x": cells(np.arange(502)), "y": cells(np.arange(502))})
    assert split_of(table, by_time="when").sizes == {"train": 500, "valid": 1, "test": 1}
    times = np.r_[1, 2, 3, 4, np.full(500, 5)]
    table = Table({"when": cells(times), "x": cells(np.arange(504)), "y": cells(np.arange(504))})
    splits = split_of(table, by_time="when")
    assert splits.sizes == {"train": 3, "valid": 1, "test": 500}
    sizes = [[*fold.sizes.values()] for fold in all_folds(splits, 3)]
    assert sizes == [[1, 1, 1], [2, 1, 1], [3, 1, 500]]


def test_numbers_datetimes_and_days_of_either_order_are_times():
    days = FIRST_DAY + np.arange(300)[::-1]
    texts_of_days = [str(day).split("-") for day in days]
    columns = [
        days.astype("datetime64[us]"),
        days.astype("int64").astype("float64"),
        cells(f"{day}/{month}/{year}" for year, month, day in texts_of_days),
        cells(f"{month}/{day}/{year}" for year, month, day in texts_of_days),
    ]
    for column in columns:
        table = Table({"when": column, "x": cells(np.arange(300)), "y": cells(np.arange(300))})
        splits = split_of(table, by_time="when")
        assert splits.test.rows.tolist() == [*range(60)]
        assert splits.valid.rows.tolist() == [*range(60, 90)]


def test_validation_is_the_newest_part_beside_a_separate_test_set():
    table, official = visits(), visits(50, seed=3)
    splits = split_of(table, official=official, by_time="sold")
    assert splits.sizes["valid"] == pytest.approx(100, abs=10)
    told = " ".join(splits.notes)
    assert "validation is the newest rows by 'sold'" in told
    newest = max(table.columns["sold"])
    older = int((official.columns["sold"] < newest).sum())
    assert f"{older} of 50 test rows are older than the newest row of train and" in told
    assert newest.decode() in told


def with_cells(name, values, count=100):
    table = visits(count, customers=30)
    column = np.array(table.columns[name])
    column[: len(values)] = cells(values)
    lines = np.arange(2, count + 2)
    return dataclasses.replace(
        table, columns={**table.columns, name: column}, name="visits.csv", lines=lines
    )


REFUSED = {
    "no such group": (visits(100), {"group": "custmer"}, "--group 'custmer'.*mean 'customer'"),
    "no such time": (visits(100), {"by_time": "sol"}, "--by-time 'sol'.*mean 'sold'"),
    "both": (visits(100), {"group": "customer", "by_time": "sold"}, "expected one of them"),
    "the target as group": (visits(100), {"group": "y"}, "--group y, the target"),
    "the target as time": (visits(100), {"by_time": "y"}, "--by-time y, the target"),
    "one group": (visits(100, 1), {"group": "customer"}, "with 1 group; expected at least 3"),
    "two groups": (visits(100, 2), {"group": "customer"}, "with 2 groups; expected at least 3"),
    "missing groups": (
        with_cells("customer", ["", "NA"]),
        {"group": "customer"},
        r"2 of 100 cells are missing .* \(visits.csv line 2, visits.csv line 3\)",
    ),
    "missing times": (
        with_cells("sold", [""]),
        {"by_time": "sold"},
        r"1 of 100 cells is missing .* \(visits.csv line 2\)",
    ),
    "an unreadable time": (
        with_cells("sold", ["soon"]),
        {"by_time": "sold"},
        r"1 of 100 cells is missing or cannot be read \(visits.csv line 2\)",
    ),
    "texts": (with_cells("sold", ["tea", "milk"] * 50), {"by_time": "sold"}, "cells such as 'tea'"),
    "ambiguous dates": (
        with_cells("sold", ["01/02/2019", "02/01/2019", "03/04/2019", "04/03/2019"] * 25),
        {"by_time": "sold"},
        "either order.*Name another column, or leave --by-time out",
    ),
    "times without a date": (
        with_cells("sold", [f"{hour}:30" for hour in range(10, 20)] * 10),
        {"by_time": "sold"},
        "times without a date",
    ),
    "two times": (
        with_cells("sold", ["2019-01-01", "2019-01-02"] * 50),
        {"by_time": "sold"},
        "with 2 different times; expected at least 3",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_columns_that_cannot_split_are_refused(case):
    table, columns, said = REFUSED[case]
    with pytest.raises(DataError, match=said):
        split_of(table, **columns)


def test_missing_cells_of_rows_without_a_target_do_not_matter():
    table = with_cells("customer", [""])
    columns = {**table.columns, "y": cells(["", *map(float, range(99))])}
    assert sum(split_of(Table(columns), group="customer").sizes.values()) == 99


@pytest.mark.parametrize(
    ("columns", "table", "said"),
    [
        ({"group": "customer"}, visits(100, 4), "with 4 groups; expected at least 5 for 5 folds"),
        (
            {"by_time": "sold"},
            with_cells("sold", [f"2019-01-0{day}" for day in range(1, 7)] * 17, 102),
            "with 6 different times; expected at least 7 for 5 folds",
        ),
    ],
)
def test_too_many_folds_are_refused(columns, table, said):
    with pytest.raises(DataError, match=said):
        split_fold(split_of(table, **columns), Fold(1, 5))


def test_boosted_trees_are_stopped_by_unknown_groups_or_the_newest_rows():
    table = visits(1000, customers=40)
    assert folds_of(split_of(table, by_time="sold").train) is None
    train = split_of(table, group="customer").train
    fold = folds_of(train)
    pairs = {*zip(table.columns["customer"][train.rows].tolist(), fold.tolist(), strict=True)}
    assert len(pairs) == len({group for group, _ in pairs})
    assert {*fold.tolist()} == {*range(5)}
    assert np.ptp(np.bincount(folds_of(split_of(table).train))) <= 1


def test_examples_of_a_single_group_have_no_folds():
    train = split_of(visits(60, customers=3), group="customer").train
    assert len({*train.split_hashes().tolist()}) == 1
    assert folds_of(train) is None


def messages(count=600):
    random = np.random.default_rng(2)
    positive = random.random(count) < 0.5
    body = [
        f"{'good' if good else 'bad'} thing number {number % 97}"
        for number, good in enumerate(positive)
    ]
    return Table(
        {
            "author": cells(
                f"author with a long name {number}" * 3
                for number in random.integers(50, size=count)
            ),
            "sent": cells(np.datetime64("2021-03-01T10:00") + random.permutation(count)),
            "body": cells(body),
            "mood": cells(np.where(positive, "up", "down")),
        }
    )


@pytest.mark.parametrize("columns", [{"group": "author"}, {"by_time": "sent"}])
def test_texts_are_split_by_groups_or_time(columns):
    """The split columns are neither the longest text nor the second column of classes."""
    kept = "sent" if "group" in columns else "author"
    table = messages().without({kept})
    table = dataclasses.replace(table, columns={**table.columns, "label": table.columns["mood"]})
    table = table.without({"mood"})
    source = texts.source(Tables(table), texts.Columns(), split_columns=SplitColumns(**columns))
    splits = split_source(source)
    told = " ".join(splits.notes)
    assert "text in column 'body'" in told
    assert "equal texts are in several splits" in told
    for each in [splits, *all_folds(splits, 4)]:
        if "group" in columns:
            require_disjoint(groups_of(table, each, "author"))
        else:
            train, valid, test = values_of(table, each, "sent")
            assert max(train) < min(valid) <= max(valid) < min(test)


def write(table, path):
    lines = [",".join(table.columns)]
    lines += [
        ",".join(cell.decode() for cell in row) for row in zip(*table.columns.values(), strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("fields", [{"group": "Customer no"}, {"by_time": "sold"}])
def test_an_app_splits_alike_when_its_fields_are_read_back(tmp_path, fields):
    table = visits(200, customers=40)
    columns = {"Customer no": table.columns["customer"], **table.without({"customer"}).columns}
    app = Regression(data=str(write(Table(columns), tmp_path / "v.csv")), target="y", **fields)
    app.require_data()
    splits = app.load_splits()
    again = Regression.from_json(app.to_json()).load_splits()
    assert again.fingerprint() == splits.fingerprint()
    assert (
        splits.fingerprint()
        != dataclasses.replace(app, group="", by_time="").load_splits().fingerprint()
    )


@pytest.mark.parametrize("app", [Regression, Text])
def test_unknown_columns_are_refused_before_tensorflow_is_imported(tmp_path, app):
    path = write(messages(30), tmp_path / "m.csv")
    for fields, said in (
        ({"group": "autor"}, "--group 'autor'.*mean 'author'"),
        ({"by_time": "sennt"}, "--by-time 'sennt'.*mean 'sent'"),
        ({"by_time": "sent", "group": "author"}, "--group author and --by-time sent; expected one"),
    ):
        with pytest.raises(DataError, match=said):
            app(data=str(path), target="mood", **fields).require_data()


def test_check_data_reads_the_same_splits_and_leaves_the_groups_out(tmp_path):
    path = write(visits(600, customers=590), tmp_path / "v.csv")
    app = Regression(data=str(path), target="y", group="customer")
    diagnosis = examine(app, None, lambda *_: None)
    assert diagnosis.data.splits.fingerprint() == app.load_splits().fingerprint()
    assert not [one for one in diagnosis.findings if "customer" in one.message]


def test_check_data_finds_the_texts_that_training_reads(tmp_path):
    """A longer column of authors, named as the groups, is not taken for the texts."""
    table = messages(200)
    body = np.array(table.columns["body"])
    body[3] = b""
    columns = {"said": body, **table.without({"body", "mood"}).columns}
    path = write(Table({**columns, "label": table.columns["mood"]}), tmp_path / "m.csv")
    diagnosis = examine(Text(data=str(path), group="author"), None, lambda *_: None)
    empty = [one for one in diagnosis.findings if one.check == "empty texts"]
    assert [one.where for one in empty[0].occurrences] == [f"{path.name} line 5"]
