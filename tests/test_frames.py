"""Data frames and arrays in place of an address, and as inputs of `predict`."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import apps
from pipelines import frames, sources
from pipelines.examples import DataError
from pipelines.files import expand_home, state_directory
from pipelines.tables.table import Tables

FLOATS = st.floats(allow_infinity=False, min_value=-1e30, max_value=1e30)
SLOW_FIXTURE = [HealthCheck.function_scoped_fixture]


def read(data, tmp_path):
    """Write a frame to a file, and read its columns."""
    path = tmp_path / "frame.feather"
    frames.write_table(data, path)
    columns = sources.tables(str(path), embedded=Tables).train.columns
    return {name: column.tolist() for name, column in columns.items()}


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW_FIXTURE)
@given(numbers=st.lists(FLOATS, min_size=1, max_size=8))
def test_numbers_survive_exactly(numbers, tmp_path):
    cells = read({"id": list(range(len(numbers))), "x": numbers}, tmp_path)["x"]
    assert cells == pytest.approx(numbers, abs=0, nan_ok=True, rel=0)


def test_cells_of_every_kind(tmp_path):
    rows = {
        "#id": [1, 2, 3],
        "text": ["a;b,c", 'say "yes"', "two\nlines"],
        "missing": [None, float("nan"), 0.5],
        "day": [datetime.date(2024, 2, 29), None, datetime.date(1999, 12, 31)],
        "time": [datetime.datetime(2024, 2, 29, 13, 30), None, None],
        "true": [True, False, None],
        "scalar": [np.float32(0.1), np.int64(2**60), np.float64("nan")],
        "wide": [10**19, 2, 3],
        "mixed": [1, "two", datetime.date(2024, 2, 29)],
        "list": [["a", "b"], [], None],
        "wait": [datetime.timedelta(minutes=2), None, datetime.timedelta(0)],
    }
    nan = pytest.approx(float("nan"), nan_ok=True)
    assert read(rows, tmp_path) == {
        "#id": [1, 2, 3],
        "text": [b"a;b,c", b'say "yes"', b"two\nlines"],
        "missing": [nan, nan, 0.5],
        "day": [datetime.datetime(2024, 2, 29), None, datetime.datetime(1999, 12, 31)],
        "time": [datetime.datetime(2024, 2, 29, 13, 30), None, None],
        "true": [b"True", b"False", b""],
        "scalar": [str(float(np.float32(0.1))).encode(), str(2**60).encode(), b""],
        "wide": [str(10**19).encode(), b"2", b"3"],
        "mixed": [b"1", b"two", b"2024-02-29"],
        "list": [b"a, b", b"", b""],
        "wait": [120.0, nan, 0.0],
    }


def test_dates_of_numpy_are_dates(tmp_path):
    days = np.array(["2024-02-29", "NaT"], "datetime64[ns]")
    assert read({"day": days, "x": [1, 2]}, tmp_path)["day"] == [
        datetime.datetime(2024, 2, 29),
        None,
    ]


def test_rows_without_a_value_are_left_out(tmp_path):
    data = {"a": [1.0, None, 3.0], "b": ["x", None, None]}
    assert frames.write_table(data, tmp_path / "t.feather").tolist() == [0, 2]


def test_a_frame_has_the_splits_of_its_file(tmp_path):
    random = np.random.default_rng(0)
    table = pa.table({"x": random.normal(size=500), "price": random.integers(0, 99, 500)})
    parquet.write_table(table, tmp_path / "t.parquet")
    sides = [
        apps.Regression(data=data, target="price").load_splits().fingerprint()
        for data in (table, table.to_pydict(), tmp_path / "t.parquet")
    ]
    assert len({*sides}) == 1


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_of_pandas_and_polars(library, tmp_path):
    module = pytest.importorskip(library)
    frame = module.DataFrame(
        {"a": [1.5, None, 3.25], "b": ["x", None, "z"], "c": [1, 2, 3], "d": [True, False, None]}
    )
    if library == "pandas":
        frame = frame.set_index(np.array([7, 8, 9]))
        frame["kind"] = module.Categorical(["u", None, "v"])
    expected = {
        "a": [1.5, pytest.approx(float("nan"), nan_ok=True), 3.25],
        "b": [b"x", b"", b"z"],
        "c": [1, 2, 3],
        "d": [b"True", b"False", b""],
    }
    assert read(frame, tmp_path) == expected | (
        {"kind": [b"u", b"", b"v"]} if library == "pandas" else {}
    )


def test_a_frame_becomes_an_address_once():
    data = {"x": [1.0, 2.0], "price": [3, 4]}
    app = apps.Regression(data=data, target="price")
    assert app == apps.Regression(
        data=[{"x": 1.0, "price": 3}, {"x": 2.0, "price": 4}], target="price"
    )
    assert app.data.startswith("feather:")
    assert [one.name for one in (state_directory() / frames.DATA_FOLDER).iterdir()] == [
        app.data.rpartition("/")[2]
    ]
    assert apps.Regression.from_json(app.to_json()) == app
    assert expand_home(app.data.partition(":")[2]).is_file()


@pytest.mark.parametrize("data", [[], {"x": [1.0], "price": [3]}])
def test_a_frame_is_not_a_json_field(data):
    with pytest.raises(apps.FieldError, match="expected an address"):
        apps.Regression.from_json({"data": data, "target": "price"})
    assert not (state_directory() / frames.DATA_FOLDER).exists()


def test_images_and_labels_become_an_archive():
    images = np.arange(4 * 8 * 8, dtype="uint8").reshape(4, 8, 8)
    app = apps.Mnist(data=(images, np.array([0, 1, 0, 1])))
    assert app.data.startswith("npz:")
    other = apps.Mnist(data={"x": images, "y": np.array(["a", "b", "a", "b"], object)})
    assert other.data != app.data
    assert apps.Mnist(data=(images, np.array([0, 1, 0, 1]))) == app


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: apps.Mnist(data=(np.zeros((2, 3, 3)), np.array([object(), 1], object))),
            "objects in 'y'",
        ),
        (lambda: apps.Regression(data=(np.zeros((2, 3, 3)), [1, 2])), "expected a data frame"),
        (lambda: apps.Finetune(data=(np.zeros((2, 3, 3)), [1, 2])), "folder:PATH"),
        (lambda: apps.Regression(data=np.zeros(3)), "expected a data frame"),
        (lambda: apps.Regression(data=[]), "expected a data frame"),
        (lambda: apps.Regression(data={"a": [1, 2], "b": [1]}), "different lengths"),
        (lambda: apps.Regression(data={"a": [{}]}), "a dict in the column 'a'"),
        (lambda: apps.Regression(data=3), "expected a text"),
    ],
)
def test_other_data_raise_an_error(make, words):
    with pytest.raises(ValueError, match=words) as raised:
        make()
    assert isinstance(raised.value, DataError) or "--data" in str(raised.value)
