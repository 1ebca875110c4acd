"""Numbers that are large beside their differences: seconds since 1970, user numbers."""

import json

import numpy as np
import pytest
import tensorflow as tf

from apps.regression.app import Regression
from apps.regression.layers import Destandardize
from pipelines.rows import preprocessing as columns
from pipelines.rows import reading as rows
from pipelines.splits import split_source
from pipelines.tables import csv_files
from training.run import Run

START = 1_700_000_000  # seconds; as float32 it is one number within 128


@pytest.fixture
def epoch(tmp_path):
    """Seconds of one hour, user numbers, and what follows from both."""
    random = np.random.default_rng(0)
    seconds, users = random.permutation(3000)[:400], random.permutation(400)
    lines = [
        f"{START + s},{10**9 + u},{(START + s) * 1000},{s + 5 * u}"
        for s, u in zip(seconds, users, strict=True)
    ]
    path = tmp_path / "epoch.csv"
    path.write_text("\n".join(["seconds,user,later,y", *lines, ""]))
    return path


def source(path, **options):
    return rows.source(csv_files.read(str(path)), **options)


def test_every_second_is_a_number_of_its_own(epoch):
    found = source(epoch, target="later").train
    assert {len(np.unique(found.columns[name])) for name in ("seconds", "user")} == {400}
    assert len(np.unique(found.target)) == 400
    assert len(np.unique(found.content_hashes())) == 400


def test_a_column_is_scaled_before_it_is_rounded(epoch):
    train = source(epoch, target="y").train
    prepared = columns.PrepareColumns.adapted(train)(train.features)["numbers"].numpy()
    for place, column in enumerate(train.columns.values()):
        expected = (column - column.mean()) / column.std()
        np.testing.assert_allclose(prepared[:, place], expected, atol=1e-5)


def test_a_target_of_seconds_is_learnt_and_answered(epoch, tmp_path, run_cli):
    flags = ["--data", f"csv:{epoch}", "--target", "later", "--model", "linear", "--drop", "y,user"]
    status, _, error = run_cli("regression", "train", *flags, "--run-dir", tmp_path / "run")
    assert status == 0, error
    run = Run.load(tmp_path / "run")
    features, target = run.splits.test.numpy()
    given = run.model({name: tf.constant(c) for name, c in features.items()}, training=False)
    assert np.abs(given.numpy() - target).max() < 5_000  # of three million milliseconds
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["baselines"]["linear"]["rmse"] < 5_000


def test_a_loss_compares_in_float64():
    app = Regression(model="linear")
    parts = split_source(rows.source(csv_files.Tables(_table()), target="y"))
    loss = app.make_loss(parts)
    target = parts.train.targets[:2]
    mean, scale = loss.mean, loss.scale
    right = ((target - mean) / scale)[:, None, None]
    assert float(loss(tf.constant(target), tf.constant(right, "float32"))) < 1e-12


def _table():
    from pipelines.tables.table import Table

    y = 1e12 + np.arange(100.0)
    return Table({"x": np.arange(100.0), "y": y})


@pytest.mark.parametrize(("mean", "dtype"), [(3.5, "float32"), (1.7e9, "float64")])
def test_an_answer_has_the_digits_that_its_unit_needs(mean, dtype):
    given = Destandardize(mean, 100.0)(tf.constant([[[0.5]]]))
    assert given.dtype == dtype
    assert float(given[0]) == mean + 50


@pytest.mark.slow
def test_large_numbers_in_all_formats(epoch, tmp_path, run_cli):
    flags = ["--data", f"csv:{epoch}", "--target", "later", "--drop", "y", "--epochs", "2"]
    assert run_cli("regression", "train", *flags, "--run-dir", tmp_path / "run")[0] == 0
    status, _, error = run_cli("regression", "export", tmp_path / "run", "--format", "litert,onnx")
    assert status == 0, error
