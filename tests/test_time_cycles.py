"""The recurring parts of dates and times of day: hour, weekday, day of the year."""

import dataclasses
import datetime

import numpy as np
import pytest
import tensorflow as tf

from apps import Regression
from pipelines.examples import Examples
from pipelines.rows.packing import pack_columns
from pipelines.rows.preprocessing import PrepareColumns
from pipelines.rows.time_cycles import HOURS_OF_DAY, WEEK, YEAR, Cycle, cycle_numbers, find_cycles
from training.train import train

RNG = np.random.default_rng(0)
START = np.datetime64("2019-01-01").astype("int64")


def periods(column, kind="time"):
    return [cycle.period for cycle in find_cycles("when", kind, np.asarray(column, "float64"))]


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (START + np.arange(0, 60, 0.25), [1, WEEK]),
        (START + np.arange(60), [WEEK]),
        (START + np.arange(800), [WEEK, YEAR]),
        (START + np.arange(0, 800, 0.3), [1, WEEK, YEAR]),
        (START + 0.5 + np.arange(60), [WEEK]),
        (START + np.arange(5), []),
        ([np.nan, START, START], []),
        ([np.nan], []),
    ],
    ids=["hours", "days", "years", "hours of years", "noon", "few days", "one day", "missing"],
)
def test_only_the_parts_that_vary_are_used(column, found):
    assert periods(column) == found


def test_months_and_years_have_no_weekday():
    months = np.arange("2010-01", "2018-01", dtype="datetime64[M]").astype("datetime64[D]")
    assert periods(months.astype("int64")) == [YEAR]


def test_times_of_day_have_one_cycle_and_numbers_none():
    assert periods([9.5, 14.0], "clock") == [HOURS_OF_DAY]
    assert periods(START + np.arange(800), "number") == []


def test_the_place_in_a_cycle_is_that_of_the_calendar():
    date = datetime.datetime(2024, 2, 28, 18, 0)  # a Wednesday
    days = (date - datetime.datetime(1970, 1, 1)) / datetime.timedelta(days=1)
    cycles = find_cycles("when", "time", START + np.arange(0, 800, 0.3))
    found = cycle_numbers(tf.constant([[days]], tf.float64), [0] * 3, cycles).numpy()[0]
    place = found[:3] * 12**-0.5 + 0.5
    assert place == pytest.approx([0.75, (2 + 0.75) / 7, (31 + 27.75) / 365.2425], abs=2 / 365)
    assert found[3:6] == pytest.approx(2**0.5 * np.sin(2 * np.pi * place), abs=1e-5)
    assert found[6:] == pytest.approx(2**0.5 * np.cos(2 * np.pi * place), abs=1e-5)


def examples(count=400):
    when = START + np.sort(RNG.uniform(0, 900, count))
    kinds = {"when": "time", "size": "number", "clock": "clock"}
    columns = [when, RNG.normal(size=count), RNG.uniform(0, 24, count)]
    when[3] = np.nan
    return Examples.of(pack_columns(columns, kinds, count), np.zeros(count), kinds=kinds)


def test_the_layer_gives_the_same_numbers_after_a_shift_in_float32():
    train_part = examples()
    layer = PrepareColumns.adapted(train_part)
    assert [cycle.column for cycle in layer.cycles] == ["when"] * 3 + ["clock"]
    assert layer.widths["numbers"] == 3 + 3 * 4
    assert layer.origins[:15] == ["when", "size", "clock", *(["when"] * 3 + ["clock"]) * 3]
    features = train_part.features
    expected = layer(features)["numbers"].numpy()
    assert np.abs(expected).max() < 10 and not np.isnan(expected).any()
    assert np.abs(expected[:, 3:].std(0) - 1).max() < 0.3
    offsets = layer.offsets()
    assert offsets["when"] == round(offsets["when"]) != 0
    shifted = features["numbers"] - np.array([offsets[name] for name in layer.numbers])
    float32 = {"numbers": tf.constant(shifted, tf.float32), "texts": features["texts"]}
    assert layer.shifted()(float32)["numbers"].numpy() == pytest.approx(expected, abs=2e-4)


def test_the_layer_is_stored_with_its_cycles():
    layer = PrepareColumns.adapted(examples())
    again = PrepareColumns.from_config(layer.get_config())
    assert again.cycles == layer.cycles and isinstance(again.cycles[0], Cycle)
    older = {name: part for name, part in layer.get_config().items() if name != "cycles"}
    assert PrepareColumns.from_config(older).cycles == []


def test_a_linear_model_learns_a_cycle_from_the_date_alone(tmp_path):
    lines = ["when,y"]
    for k in range(600):
        date = datetime.datetime(2019, 1, 1) + datetime.timedelta(hours=37 * k)
        angles = 2 * np.pi * date.hour / 24, 2 * np.pi * date.timetuple().tm_yday / 365.25
        lines.append(f"{date:%d.%m.%Y %H:%M},{3 * np.sin(angles[0]) + 2 * np.cos(angles[1]):.4f}")
    (tmp_path / "log.csv").write_text("\n".join(lines))
    app = Regression(data=str(tmp_path / "log.csv"), target="y", model="linear")
    run = train(app, run_dir=tmp_path / "run", precision="float32", verbose=0)
    test = run.splits.test
    outputs = run.model(test.numpy().features).numpy().ravel()
    target = test.targets
    assert 1 - np.square(outputs - target).mean() / target.var() > 0.98
    plain = dataclasses.replace(app, as_="when=category")
    with pytest.raises(ValueError, match="learnt"):
        plain.load_splits()
