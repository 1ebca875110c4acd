"""The columns in about.json of an export: names as in the file, and values of training."""

import csv
import dataclasses

import numpy as np
import pytest

from apps import Regression
from evaluation.modalities import rows as judged
from inference.modalities.rows import model_info, prepare_of
from pipelines.rows.column_statistics import usual_range
from pipelines.rows.preprocessing import PrepareColumns
from training.train import train

COUNT = 400


@pytest.fixture(scope="module")
def columns():
    """The training values by column name; numbers are whole or have one decimal."""
    random = np.random.default_rng(0)
    return {
        "Year Built": random.integers(1870, 2011, COUNT),
        "年份": np.minimum(2010, random.normal(1995, 15, COUNT).astype(int)),
        "湿度 %": random.uniform(0, 100, COUNT).round(1),
        "rare": (np.arange(COUNT) % 150 == 1).astype(int),
        "seconds": random.integers(1_600_000_000, 1_700_000_000, COUNT),
        "largest": np.where(np.arange(COUNT) % 3, 3.4e38, -3.4e38),
        "between": np.where(np.arange(COUNT) % 2, 0.025, 0.026),
    }


@pytest.fixture(scope="module")
def run(columns, tmp_path_factory):
    folder = tmp_path_factory.mktemp("schema")
    table = columns | {"target": columns["Year Built"] + columns["湿度 %"]}
    lines = [",".join(map(str, row)) for row in zip(*table.values(), strict=True)]
    (folder / "table.csv").write_text("\n".join([",".join(table), *lines]), "utf-8")
    app = Regression(data=f"csv:{folder / 'table.csv'}", model="linear")
    return train(app, run_dir=folder / "run", precision="float32", verbose=0)


def test_columns_have_their_names_in_the_file(run, columns):
    told = {one["title"]: one["name"] for one in model_info(run)["columns"]}
    assert list(told) == list(columns)
    assert told["年份"] != "年份" and told["rare"] == "rare"


def test_the_importance_figure_has_the_column_names_of_the_file(run, columns):
    (axis,) = judged.figures(run, None)["importance.png"].axes
    shown = {label.get_text() for label in axis.get_yticklabels()}
    assert len(shown) == len(columns)
    assert {"Year Built", "rare"} <= shown
    with (run.path / "importance.csv").open(encoding="utf-8", newline="") as file:
        (header, *lines) = csv.reader(file)
    assert header == ["column", "rise"]
    assert {name for name, _ in lines} == set(columns)
    rises = [float(rise) for _, rise in lines]
    assert rises == sorted(rises, reverse=True)
    assert rises[0] > 0


def test_low_and_high_are_within_the_training_values(run, columns):
    """Two deviations from the mean gave 2031 for years of 1870 to 2010."""
    for one in model_info(run)["columns"]:
        seen = columns[one["title"]]
        assert seen.min() <= one["low"] <= one["typical"] <= one["high"] <= seen.max(), one
        assert one["low"] < one["high"], one
        if one["title"] not in ("rare", "largest", "between"):
            near = np.percentile(seen, [5, 95])
            assert one["low"] <= near[0] and near[1] <= one["high"]
        if seen.dtype.kind == "i":
            assert float(one["low"]).is_integer() and float(one["high"]).is_integer()


def test_low_and_high_are_rounded(run):
    seconds = next(one for one in model_info(run)["columns"] if one["title"] == "seconds")
    assert seconds["low"] % 10_000 == seconds["high"] % 10_000 == 0


def test_the_typical_value_is_rounded(run):
    typical = {one["title"]: one["typical"] for one in model_info(run)["columns"]}
    assert len(str(typical["between"])) <= len("0.0255")


def test_an_older_layer_without_low_and_high_is_read(run, columns, monkeypatch):
    layer = prepare_of(run.model)
    config = layer.get_config()
    assert PrepareColumns.from_config(config).ends == layer.ends != {}
    assert PrepareColumns.from_config({k: v for k, v in config.items() if k != "ends"}).ends == {}
    monkeypatch.setattr(layer, "statistics", dataclasses.replace(layer.statistics, ends={}))
    for one in model_info(run)["columns"]:
        seen = columns[one["title"]]
        assert seen.min() <= one["low"] <= one["high"] <= seen.max()


@pytest.mark.parametrize(
    ("column", "ends"),
    [
        ([np.nan, np.nan], [0, 0]),
        ([*range(201)], [2, 198]),
        ([0] * 999 + [1, np.nan], [0, 1]),
    ],
    ids=["nothing known", "percentiles", "a rare one"],
)
def test_low_and_high_values(column, ends):
    assert usual_range(np.array(column, float)) == ends
