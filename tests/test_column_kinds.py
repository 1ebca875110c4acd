"""Kinds of columns that the user names, and the table of columns that a run writes."""

import csv
import dataclasses
import io

import numpy as np
import pytest

import athanor
from apps import FieldError, Regression
from data_checks.options import CheckDataOptions
from pipelines.examples import DataError
from pipelines.rows import reading as rows
from pipelines.rows.requested_kinds import KIND_NAMES, parse_kinds, with_file
from pipelines.tables import csv_files
from pipelines.tables.kind_requests import KindRequest
from training.train import train

ROWS = [
    f"{[1001, 1002, 8005][k % 3]},{k % 12 + 1:02d}/{k % 9 + 1:02d}/2019,{k % 20} kg,x{k},{3 * k}"
    for k in range(90)
]
LINES = "\n".join(["Zip Code,when,size,word,price", *ROWS]) + "\n"


@pytest.fixture
def path(tmp_path):
    (tmp_path / "houses.csv").write_text(LINES)
    return tmp_path / "houses.csv"


def source(path, kinds):
    tables = csv_files.read(str(path))
    return rows.source(tables, target="price", requests=parse_kinds(kinds))


def lines_of(text):
    return {line["column"]: line for line in csv.DictReader(io.StringIO(text))}


def test_kinds_are_parsed_from_a_line():
    assert parse_kinds('zip=category, when=date:dmy,"a,b"=number:comma:kg,x=y=Ignore') == {
        "zip": KindRequest("category"),
        "when": KindRequest("time", order="dmy"),
        "a,b": KindRequest("number", ",", "kg"),
        "x=y": KindRequest("ignore"),
    }
    assert parse_kinds("") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("zip", "COLUMN=KIND"),
        ("=number", "COLUMN=KIND"),
        ("zip=catgory", "Did you mean 'category'"),
        ("zip=", "one of the kinds number"),
        ("zip=number,zip=text", "twice"),
        ("zip=number:kg:lb", "'lb' is unknown; expected comma or point"),
        ("when=date:ymd", "expected dmy or mdy"),
        ("zip=category:x", "expected none"),
    ],
)
def test_wrong_kinds_are_refused(text, said):
    with pytest.raises(DataError, match=said):
        parse_kinds(text)


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ("Zip_Cod=category", "Did you mean 'Zip_Code'"),
        ("word=number", "of 90 known cells 90 cells such as 'x0' .houses.csv line 2.*no number"),
        ("word=date", "no date; expected cells such as 2019-03-21"),
        ("size=number:parsec", "size=number:parsec, but of 90 known cells 90"),
        ("size=date", "90 cells such as '0 kg'"),
    ],
)
def test_kinds_that_the_table_contradicts_are_refused(path, kinds, said):
    with pytest.raises(DataError, match=said):
        source(path, kinds)


def test_a_named_kind_replaces_the_inferred_one(path):
    inferred = source(path, "").reading.forms
    assert inferred["Zip_Code"].kind == "number" and inferred["when"].order == "mdy"
    found = source(path, "Zip Code=category,when=date:dmy,word=text,size=ignore")
    assert found.reading.kinds == {"Zip_Code": "category", "when": "time", "word": "text"}
    assert found.train.columns["Zip_Code"][:2].tolist() == [b"1001", b"1002"]
    days = found.train.columns["when"][1] - np.datetime64("2019-02-02").astype("int64")
    assert days == 0
    assert np.isnan(found.train.columns["when"]).sum() == sum(k % 12 + 1 > 31 for k in range(90))


@pytest.mark.parametrize("kind", ["ignore", "category"])
def test_a_column_that_is_no_number_as_a_feature_still_orders_or_weighs_rows(tmp_path, kind):
    lines = [f"{k % 28 + 1:02d}.03.2019;{k % 3},{k % 4 + 1};x{k % 5};{3 * k}" for k in range(90)]
    (tmp_path / "rows.csv").write_text("\n".join(["sold;w;word;price", *lines]) + "\n")

    def splits(as_):
        return Regression(
            data=f"csv:{tmp_path}/rows.csv", target="price", by_time="sold", weight="w", as_=as_
        ).load_splits()

    named, plain = splits(f"sold={kind},w={kind}"), splits("")
    for name in ("train", "valid", "test"):
        one, other = getattr(named, name), getattr(plain, name)
        np.testing.assert_array_equal(one.times, other.times)
        np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.targets, other.targets)
    assert {0.1, 2.4} <= {*named.train.weights.tolist()}


def test_a_few_other_cells_do_not_contradict_a_kind(tmp_path):
    path = tmp_path / "houses.csv"
    lines = [f"{f'A{k}' if k % 5 < 2 else k},{k}" for k in range(60)]
    path.write_text("\n".join(["size,price", *lines]))
    with pytest.raises(DataError, match="every text differs"):
        source(path, "")
    found = source(path, "size=number")
    assert np.isnan(found.train.columns["size"]).sum() == 24


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no line below the names"),
        ("a,b\n1,2\n", "with the columns a, b"),
        ("column,kind\nsize,numbr\n", "Did you mean 'number'"),
        ("column,kind\nsize,number\nsize,text\n", "line 3, 'size' twice"),
        ("column,kind\nsize,\n", "line 2, 'size' without a kind"),
        ("column,kind,details\nsize,date,kg\n", "the detail 'kg' is unknown"),
        ('column,kind\n"size,number\n', "cannot be read"),
        (b"column,kind\n\xff\xfe,number\n", "in UTF-8"),
        (None, "No such file"),
    ],
)
def test_a_malformed_table_of_columns_is_refused(tmp_path, content, said):
    path = tmp_path / "columns.csv"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=said):
        Regression(columns=str(path))


def test_a_table_of_columns_becomes_kinds(tmp_path):
    path = tmp_path / "columns.csv"
    path.write_text('\ufeffcolumn;kind;details\n"a,b";number;comma kg\nwhen;date;\nzip;text;\n')
    assert with_file("zip=category", str(path)) == '"a,b=number:comma:kg",when=date,zip=category'
    app = Regression(columns=str(path), as_="zip=category")
    assert app.columns == "" and dataclasses.replace(app) == app
    assert parse_kinds(app.as_)["a,b"] == KindRequest("number", ",", "kg")


def test_every_kind_is_described():
    assert {*KIND_NAMES.values()} == {
        *("number", "time", "clock", "duration", "boolean", "category", "text", "list", "ignore")
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "houses.csv").write_text(LINES)
    app = Regression(
        data=str(folder / "houses.csv"),
        target="price",
        as_="Zip Code=category,when=date:dmy",
        model="linear",
    )
    return train(app, run_dir=folder / "run", precision="float32", verbose=0)


def test_a_run_writes_its_columns_which_can_be_given_back(run, tmp_path):
    text = (run.path / "columns.csv").read_text("utf-8")
    found = lines_of(text)
    assert [*found] == ["Zip Code", "when", "size", "word", "price"]
    assert found["when"] == {
        "column": "when", "kind": "date", "details": "dmy", "missing": "0", "unreadable": "0",
        "distinct": "36", "example": "01/01/2019",
        "read_as": "2019-01-01", "used": "yes",
    }  # fmt: skip
    assert found["size"]["details"] == "kg" and found["size"]["distinct"] == "20"
    assert found["word"]["used"] == "no: every text differs"
    assert found["price"]["used"] == "no: target"
    (tmp_path / "edited.csv").write_text(text.replace("size,number", "size,category"))
    app = dataclasses.replace(run.app, as_="", columns=str(tmp_path / "edited.csv"))
    forms = app.load_splits().reading.forms
    assert forms["size"].kind == "category"
    assert forms["when"] == run.splits.reading.forms["when"]


def test_named_kinds_hold_for_predictions(run):
    asked = {"Zip Code": [1001.0, 1002.0], "when": ["02/01/2019", "1/2/2019"], "size": [3, "4 kg"]}
    first, second = (row["value"] for row in athanor.predict(run, asked | {"word": ["a", "b"]}))
    assert first != second
    alike = athanor.predict(run, asked | {"word": ["a", "b"], "when": ["2019-01-02", "2019-02-01"]})
    assert [row["value"] for row in alike] == [first, second]


def test_check_data_writes_the_columns(path, tmp_path):
    app = Regression(data=str(path), target="price", as_="word=ignore")
    written = tmp_path / "columns.csv"
    options = CheckDataOptions(
        report=tmp_path / "report.html", write_columns=written, fail_on="never"
    )
    found = athanor.check_data(app, options)
    assert f"columns: {written}" in found.notes
    assert not any("word" in str(one["message"]) for one in found)
    assert lines_of(written.read_text("utf-8"))["word"]["kind"] == "ignore"
    with pytest.raises(FieldError, match="--write-columns"):
        athanor.check_data(app, options)
    with pytest.raises(FieldError, match="no rows"):
        athanor.check_data(athanor.Text(), options)
