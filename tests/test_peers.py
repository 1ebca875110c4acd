"""The peers of `make bench`: LightGBM and CatBoost are measured where they are installed."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import athanor

BENCHMARKS = Path(athanor.__file__).resolve().parent / "benchmarks"


@pytest.fixture
def peers(monkeypatch):
    """The module of the recipe."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), str(BENCHMARKS / "recipes"), *sys.path])
    import boosted_peers

    yield boosted_peers
    for name in ("boosted_peers", "protocol", "render"):
        sys.modules.pop(name, None)


def test_peers_that_are_not_installed_are_named(peers, monkeypatch):
    found = {"lightgbm": object()}
    monkeypatch.setattr(importlib.util, "find_spec", found.get)
    assert list(peers.installed()) == ["lightgbm", "lightgbm_tuned"]
    assert peers.missing() == ["catboost"]


def test_results_say_which_peers_are_missing(peers):
    import render

    result = json.loads((BENCHMARKS / "results" / "peers.json").read_text())
    result["protocol"]["missing"] = peers.missing()
    absent = ", ".join(peers.missing())
    assert (f"Not installed, so not measured: {absent}." in render.conditions(result)) == bool(
        absent
    )
    result["protocol"]["missing"] = ["lightgbm", "catboost"]
    assert "Not installed, so not measured: lightgbm, catboost." in render.conditions(result)


def test_texts_become_category_numbers(peers):
    train = np.array([["b", "x"], ["a", "x"], ["b", "y"]], object)
    codes = peers.coded([train, np.array([["c", "y"]], object)])
    assert codes[0].tolist() == [[2, 1], [1, 1], [2, 2]]
    assert codes[1].tolist() == [[0, 2]]


@pytest.mark.parametrize("name", ["lightgbm", "lightgbm_tuned", "catboost", "catboost_tuned"])
@pytest.mark.parametrize("classes", [False, True])
def test_a_peer_learns_numbers_and_categories(peers, name, classes):
    pytest.importorskip(name.partition("_")[0])
    random = np.random.default_rng(0)
    numbers, categories = random.normal(size=(600, 2)), random.integers(1, 4, size=(600, 1))
    numbers[::7, 1] = np.nan
    targets = numbers[:, 0] + (categories[:, 0] == 2)
    targets = (targets > 0.5).astype("int64") if classes else targets
    rows = peers.Rows(numbers, categories, targets)
    parts = [
        peers.Rows(*(part[first:last] for part in rows))
        for first, last in ((0, 400), (400, 500), (500, 600))
    ]
    predicted = peers.predict(name, *parts, classes=classes, seed=0)
    errors = (predicted != parts[2].targets) if classes else (predicted - parts[2].targets) ** 2
    assert errors.mean() < (0.1 if classes else 0.2 * parts[2].targets.var())
