"""Situations that a report must name, planted in data; of the clean twin it says nothing.

Each is a table: a training set and a test set of its own, a model, and a finding.
"""

import csv
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

import athanor
from evaluation import report

pytestmark = pytest.mark.thorough
NUM_TRAIN, NUM_TEST = 3000, 1500


class Situation(NamedTuple):
    """What to change in the clean tables, and the finding that names it."""

    finding: str
    plant: Callable
    fields: dict | None = None
    options: dict | None = None
    text: str = ""


def clean(seed=0):
    """Return columns of training and test rows; a sum of two columns makes a class probable."""
    random = np.random.default_rng(seed)
    count = NUM_TRAIN + NUM_TEST
    columns = {f"x{k}": random.normal(size=count).round(4) for k in range(5)}
    columns["region"] = random.choice(["north", "south", "east", "west"], count)
    columns["sex"] = random.choice(["f", "m"], count)
    chances = 1 / (1 + np.exp(-4 * (columns["x3"] + columns["x4"])))
    columns["label"] = np.where(random.random(count) < chances, "yes", "no")
    return {name: values.astype(object) for name, values in columns.items()}, random


def smooth(columns, random):
    """Predict a smooth function instead, which networks and kernels know better than trees."""
    x = [columns[f"x{k}"].astype(float) for k in range(5)]
    values = np.sin(3 * x[0]) + x[1] * x[2] + 0.1 * random.normal(size=len(x[0]))
    columns["label"][:] = values.round(4)


def flipped(labels, rows):
    other = {"yes": "no", "no": "yes"}
    labels[rows] = [other[one] for one in labels[rows]]


def rows_of_test():
    return np.arange(NUM_TRAIN, NUM_TRAIN + NUM_TEST)


def noisy_test_labels(columns, random):
    """A model cannot know that labels are worse where it is used."""
    flipped(columns["label"], random.choice(rows_of_test(), NUM_TEST // 5, replace=False))


def bad_region(columns, random):
    rows = np.flatnonzero(columns["region"] == "east")
    columns["label"][rows] = random.choice(["yes", "no"], len(rows))


def wrong_labels(columns, random):
    flipped(columns["label"], random.choice(len(columns["label"]), len(columns["label"]) // 20))


def shifted(columns, random):  # noqa: ARG001
    columns["x3"][NUM_TRAIN:] += 1.0


def leak(columns, random):
    columns["closed_on"] = np.where(columns["label"] == "yes", "done", "open").astype(object)
    flips = random.choice(len(columns["label"]), 20, replace=False)
    columns["closed_on"][flips] = "unknown"


def unlike_groups(columns, random):
    """One group has far more positive examples, and a column that stands for the group."""
    rows = np.flatnonzero(columns["sex"] == "m")
    columns["label"][rows[random.random(len(rows)) < 0.6]] = "yes"


def few_test_rows(columns, random):  # noqa: ARG001
    for name in columns:
        columns[name] = columns[name][: NUM_TRAIN + 60]


def third_class(columns, random):
    rows = random.choice(len(columns["label"]), len(columns["label"]) // 12, replace=False)
    columns["label"][rows] = "maybe"


SITUATIONS = {
    "no better than its baseline": Situation(
        "worse_than_baseline", lambda *_: None, {"model": "mlp", "epochs": 1, "width": 4}
    ),
    "a leaking column": Situation("target_leakage", leak),
    "label errors": Situation("label_errors", wrong_labels),
    "drift": Situation("drift", shifted),
    "unfair": Situation("unfair", unlike_groups, {"drop": "sex"}, {"sensitive": "sex"}),
    "wrong labels in the test set": Situation("validation_gap", noisy_test_labels),
    "overconfident": Situation("overconfident", noisy_test_labels),
    "a bad slice": Situation("bad_slice", bad_region, text="region = east"),
    "too few test examples": Situation("small_test_set", few_test_rows),
    "a useless class": Situation("useless_class", third_class),
}


def write(columns, folder):
    """Write train.csv and test.csv; return them as fields of an app."""
    for name, rows in (("train", slice(NUM_TRAIN)), ("test", slice(NUM_TRAIN, None))):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(columns)
            table.writerows(zip(*(values[rows] for values in columns.values()), strict=True))
    return {"data": str(folder / "train.csv"), "test": str(folder / "test.csv")}


def findings_of(columns, folder, situation):
    fields = {
        "target": "label",
        "model": "linear",
        **write(columns, folder),
        **(situation.fields or {}),
    }
    run = athanor.train(athanor.Regression(**fields), run_dir=folder / "run", verbose=0)
    scores = report.evaluate(run, **(situation.options or {}))
    return {one["kind"] for one in scores["findings"]}, scores


@pytest.fixture(scope="module")
def clean_findings(tmp_path_factory):
    columns, _ = clean()
    return findings_of(columns, tmp_path_factory.mktemp("clean"), Situation("", clean))


def test_nothing_is_said_of_clean_data(clean_findings):
    kinds, scores = clean_findings
    found = kinds & {one.finding for one in SITUATIONS.values()}
    # The model is that of a baseline, and it is less sure where the sum is near 0.
    assert found <= {"bad_slice", "small_test_set"}, scores["findings"]
    assert "region" not in str(scores["findings"])


def test_nothing_is_said_of_a_model_that_is_better(tmp_path):
    columns, random = clean()
    smooth(columns, random)
    kinds, scores = findings_of(columns, tmp_path, Situation("", smooth, {"model": "blend"}))
    assert scores["verdict"]["outcome"] == "better", scores["verdict"]
    assert not kinds - {"bad_slice"}, scores["findings"]  # where the function is steep


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_is_named(name, tmp_path):
    columns, random = clean()
    SITUATIONS[name].plant(columns, random)
    kinds, scores = findings_of(columns, tmp_path, SITUATIONS[name])
    assert SITUATIONS[name].finding in kinds, scores["findings"]
    assert SITUATIONS[name].text in str(scores["findings"])
