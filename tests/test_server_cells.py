"""The server reads cells as they are written in the training table."""

import json
import math

import pytest

from apps import Regression
from exporting.export import export
from inference.request_errors import RequestError
from inference.servable import Servable
from serving.http.codec import encode_response, parse_request
from training.train import train

KNOWN = {"when": 17956.25, "clock": 14.5, "run": 3723.0, "rate": 5.0, "flag": "yes", "town": "a"}


@pytest.fixture(scope="module")
def servable(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    lines = ["when,clock,run,rate,flag,town,y"]
    lines += [
        f"{k % 28 + 1:02d}.{k % 12 + 1:02d}.2019 0{k % 10}:30,{k % 24}:{k % 60:02d},"
        f"{k % 5}:{k % 60:02d}:00,{k % 13}%,{['yes', 'no'][k % 2]},{'ab'[k // 60]},{k}"
        for k in range(120)
    ]
    (folder / "table.csv").write_text("\n".join(lines))
    app = Regression(data=str(folder / "table.csv"), target="y", model="linear")
    run = train(app, run_dir=folder / "run", precision="float32", verbose=0)
    export(run)
    servable = Servable(run.path / "export" / "1", 1)
    yield servable
    servable.close()


def predict(servable, body):
    request = parse_request(json.dumps(body).encode(), servable)
    outputs = servable.run_within(request.signature, request.arrays, 60)
    return json.loads(encode_response(request, outputs))


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("when", "01.03.2019 06:00"), ("when", "2019-03-01T06:00"),
        ("when", "March 1, 2019 6:00 am"),
        ("clock", "14:30"), ("clock", "2:30 pm"), ("run", "1:02:03"), ("run", "PT1H2M3S"),
        ("run", "1h 2m 3s"), ("rate", "5%"), ("rate", "5 %"), ("rate", "50 \u2030"),
        ("rate", " 5.0 "),
        ("flag", "YES"), ("flag", "y"), ("flag", "1"),
    ],
)  # fmt: skip
def test_a_cell_is_read_as_its_value(servable, name, cell):
    written = KNOWN | {name: cell}
    (expected, found) = predict(servable, {"instances": [KNOWN, written]})["predictions"]
    assert found["value"] == expected["value"]
    columns = {key: [value] * 2 for key, value in KNOWN.items()} | {name: [cell, KNOWN[name]]}
    outputs = predict(servable, {"inputs": columns})["outputs"]
    assert outputs["value"] == [expected["value"]] * 2


@pytest.mark.parametrize("cell", ["", "NA", "n/a", "-"])
def test_a_code_for_missing_is_missing(servable, cell):
    body = {"instances": [KNOWN | {"rate": cell}, KNOWN | {"rate": math.nan}]}
    first, second = predict(servable, body)["predictions"]
    assert first == second


@pytest.mark.parametrize(
    ("name", "cell", "said"),
    [
        ("rate", "much", "'much' cannot be read as a number; expected a number .%., or a cell"),
        ("when", "soon", "as a date; expected a number .days since 1970."),
        ("when", 1525282061, 'after the year 9999; .* as a text: "1525282061"'),
        ("clock", "25:00", "as a time of day; expected a number .hours of the day."),
        ("run", "fast", "as a duration; expected a number .seconds."),
        ("rate", True, "not of expected type"),
        ("town", 5, "not of expected type"),
    ],
)
def test_other_cells_are_refused(servable, name, cell, said):
    with pytest.raises(RequestError, match=said) as caught:
        predict(servable, {"instances": [KNOWN, KNOWN | {name: cell}]})
    assert caught.value.status == 400


def test_columns_have_their_units(servable):
    units = {one["name"]: one.get("unit") for one in servable.about["columns"]}
    assert units == {
        "when": "days since 1970", "clock": "hours of the day", "run": "seconds", "rate": "%",
        "flag": None, "town": None,
    }  # fmt: skip
