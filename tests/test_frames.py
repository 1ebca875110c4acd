"""Data frames and arrays in place of an address, and as inputs of `predict`."""

import datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import apps
from pipelines import frames
from pipelines.examples import DataError
from pipelines.files import expand_home, state_directory
from pipelines.tables import csv_files, numerals

FLOATS = st.floats(allow_infinity=False, min_value=-1e30, max_value=1e30)
SLOW_FIXTURE = [HealthCheck.function_scoped_fixture]


def read(data, tmp_path):
    """Write a frame as a CSV file, and read its cells."""
    path = tmp_path / "frame.csv"
    frames.write_table(data, path)
    table = csv_files.read(str(path)).train
    return {name: [cell.decode() for cell in column] for name, column in table.columns.items()}


@settings(max_examples=100, deadline=None, suppress_health_check=SLOW_FIXTURE)
@given(numbers=st.lists(FLOATS, min_size=1, max_size=8))
def test_numbers_survive_exactly(numbers, tmp_path):
    cells = read({"id": list(range(len(numbers))), "x": numbers}, tmp_path)["x"]
    assert [float(cell or "nan") for cell in cells] == pytest.approx(
        numbers, abs=0, nan_ok=True, rel=0
    )


def test_decimals_of_a_frame_are_not_thousands(tmp_path):
    """1.234 could mean a thousand if another column had decimal commas."""
    cells = read({"a": [1.234, 5.678], "b": ["1,5", "2,75"]}, tmp_path)["a"]
    assert [numerals.proven_decimal_mark(cell) for cell in cells] == [".", "."]
    assert [float(cell) for cell in cells] == [1.234, 5.678]


def test_cells_of_every_kind(tmp_path):
    rows = {
        "#id": [1, 2, 3],
        "text": ["a;b,c", 'say "yes"', "two\nlines"],
        "missing": [None, float("nan"), 0.5],
        "day": [datetime.date(2024, 2, 29), None, datetime.date(1999, 12, 31)],
        "time": [datetime.datetime(2024, 2, 29, 13, 30), None, None],
        "true": [True, False, True],
        "scalar": [np.float32(0.1), np.int64(2**60), np.float64("nan")],
        "wide": [10**19, 2, 3],
    }
    assert read(rows, tmp_path) == {
        "#id": ["1", "2", "3"],
        "text": ["a;b,c", 'say "yes"', "two lines"],
        "missing": ["", "", "0.5"],
        "day": ["2024-02-29", "", "1999-12-31"],
        "time": ["2024-02-29 13:30:00", "", ""],
        "true": ["True", "False", "True"],
        "scalar": [repr(float(np.float32(0.1))), str(2**60), ""],
        "wide": [str(10**19), "2", "3"],
    }


def test_dates_of_numpy_are_dates(tmp_path):
    days = np.array(["2024-02-29", "NaT"], "datetime64[ns]")
    assert read({"day": days, "x": [1, 2]}, tmp_path)["day"] == ["2024-02-29 00:00:00", ""]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_of_pandas_and_polars(library, tmp_path):
    module = pytest.importorskip(library)
    frame = module.DataFrame(
        {"a": [1.5, None, 3.25], "b": ["x", None, "z"], "c": [1, 2, 3], "d": [True, False, None]}
    )
    assert read(frame, tmp_path) == {
        "a": ["1.5", "", "3.25"],
        "b": ["x", "", "z"],
        "c": ["1", "2", "3"],
        "d": ["True", "False", ""],
    }


def test_a_frame_becomes_an_address_once():
    data = {"x": [1.0, 2.0], "price": [3, 4]}
    app = apps.Regression(data=data, target="price")
    assert app == apps.Regression(
        data=[{"x": 1.0, "price": 3}, {"x": 2.0, "price": 4}], target="price"
    )
    assert app.data.startswith("csv:")
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
        (lambda: apps.Finetune(data={"a": [1]}), "folder:PATH"),
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
