"""check-data finds every planted error, and no error in clean data."""

import dataclasses

import numpy as np
import planted
import pytest

from apps import ALL, Finetune, Recommender, Regression, Text
from data_checks.examine import examine
from data_checks.reading import skipped_rows
from data_checks.rows import columns
from pipelines.tables.table import Table


def examined(app):
    return examine(app, None, lambda *_: None)


def found(diagnosis, check):
    named = [one for one in diagnosis.findings if one.check == check]
    assert named, f"not found: {check}; only {[one.check for one in diagnosis.findings]}"
    return named


def assert_found(diagnosis, fault):
    named = found(diagnosis, fault.check)
    assert fault.severity in {one.severity for one in named}, named
    places = [f"{one.where} {one.detail}" for finding in named for one in finding.occurrences]
    assert not fault.where or any(fault.where in place for place in places), places
    if fault.split:
        assert fault.split in {one.split for finding in named for one in finding.occurrences}


def each(faults):
    return pytest.mark.parametrize("name", faults)


@pytest.mark.parametrize("faults", [planted.IMAGE, planted.ROW, planted.TEXT, planted.IDS])
def test_at_least_twenty_errors_are_planted(faults):
    assert len(faults) >= 20


@each(planted.TEXT)
def test_errors_in_texts_are_found(name, tmp_path):
    fault = planted.TEXT[name]
    tables = planted.texts()
    fault.plant(tables)
    assert_found(examined(Text(**planted.write(tables, tmp_path), **(fault.fields or {}))), fault)


@each(planted.ROW)
def test_errors_in_rows_are_found(name, tmp_path):
    fault = planted.ROW[name]
    tables = planted.rows()
    fault.plant(tables)
    assert_found(examined(Regression(**planted.write(tables, tmp_path), target="price")), fault)


def test_a_target_that_depends_on_one_column_is_no_error(tmp_path):
    random, cells = np.random.default_rng(0), []
    for split in ("train", "test"):
        size = random.gamma(9, 12, 400)
        price = 3000 * size + random.normal(0, 10_000, 400)
        rows = [f"{s:.1f},{random.integers(9)},{p:.0f}" for s, p in zip(size, price, strict=True)]
        path = tmp_path / f"{split}.csv"
        path.write_text("size,rooms,price\n" + "\n".join(rows))
        cells.append(f"csv:{path}")
    diagnosis = examined(Regression(data=cells[0], test=cells[1], target="price"))
    (finding,) = found(diagnosis, "target leakage")
    assert finding.severity == "warning" and 0.98 < finding.share < 0.999


@each(planted.IDS)
def test_errors_in_ids_are_found(name, tmp_path):
    fault = planted.IDS[name]
    tables = planted.ids()
    fault.plant(tables)
    assert_found(examined(Recommender(**planted.write(tables, tmp_path))), fault)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The diagnosis of image folders with all planted errors at once."""
    root = tmp_path_factory.mktemp("pictures")
    fields = planted.images(root)
    for fault in planted.IMAGE.values():
        if fault.plant:
            fault.plant(root)
    return examined(Finetune(**fields))


@each(planted.IMAGE)
def test_errors_in_images_are_found(name, folder):
    assert_found(folder, planted.IMAGE[name])


CLEAN = {
    "text": lambda place: Text(**planted.write(planted.texts(), place)),
    "row": lambda place: Regression(**planted.write(planted.rows(), place), target="price"),
    "ids": lambda place: Recommender(**planted.write(planted.ids(), place)),
    "image": lambda place: Finetune(**planted.images(place)),
}


@pytest.mark.parametrize("kind", CLEAN)
def test_clean_data_have_no_findings(kind, tmp_path):
    diagnosis = examined(CLEAN[kind](tmp_path))
    assert [one for one in diagnosis.findings if one.severity != "note"] == []


@pytest.mark.parametrize(
    "app",
    # The digits of Finetune are those of Mnist.
    [pytest.param(app, marks=pytest.mark.slow) if app is Finetune else app for app in ALL],
    ids=lambda app: app.name(),
)
def test_embedded_data_have_no_errors(app):
    assert examined(app()).counts["error"] == 0


@pytest.mark.slow
def test_checks_do_not_change_the_splits(tmp_path):
    app = Finetune(**planted.images(tmp_path, count=6, test_count=4))
    app = dataclasses.replace(app, size=64)
    checked = examined(app).data.splits
    assert checked.train.features.shape[1:] == (32, 32, 3)
    for part in ("train", "valid", "test"):
        ours, theirs = getattr(checked, part), getattr(app.load_splits(), part)
        assert (ours.content_hashes() == theirs.content_hashes()).all()


def test_collinear_columns_are_found_despite_missing_cells():
    random = np.random.default_rng(0)
    tables = random.normal(size=(300, 9))
    tables[:, 4] = 3 * tables[:, 1] - 9
    tables[:, 6] = 5e12 - 1e9 * tables[:, 1]
    tables[:, 7] = 5.0
    tables[random.random(tables.shape) < 0.1] = np.nan
    tables[19:, 8], tables[:19, 8] = np.nan, tables[:19, 1]  # too few to say
    assert list(columns._collinear(tables)) == [(1, 4), (1, 6), (4, 6)]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([0], "1 row without a target; training leaves it out"),
        ([0, 1], "2 rows without a target; training leaves them out"),
    ],
)
def test_rows_that_training_leaves_out_are_counted(rows, said):
    table = Table({"y": np.array([b"", b""], object)})
    found = skipped_rows(table, "train", rows, "missing targets", "without a target", "Fill it in.")
    assert [finding.message for finding in found] == [said]
