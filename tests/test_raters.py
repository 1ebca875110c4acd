"""Findings about users need more than chance, and never put users on the quarantine list."""

import numpy as np
import pytest

from apps import Recommender
from data_checks.examine import examine
from data_checks.outputs import entries


def write(path, rows, *, rated=True):
    head = "user,item,rating" if rated else "user,item"
    lines = [",".join(map(str, row if rated else row[:2])) for row in rows]
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def accused(path, check):
    diagnosis = examine(Recommender(data=f"csv:{path}"), None, lambda *_: None)
    assert not [entry for entry in entries(diagnosis) if entry.check == check]
    return [one for one in diagnosis.findings if one.check == check]


def clicks(random, num_users, num_items, each):
    return [
        (f"u{user}", f"i{item}", random.integers(1, 6))
        for user in range(num_users)
        for item in random.choice(num_items, each, replace=False)
    ]


@pytest.mark.parametrize(
    ("num_users", "num_items", "each"), [(300, 9, 7), (500, 12, 6), (60, 6, 5)]
)
def test_similar_clicks_among_few_items_are_no_finding(num_users, num_items, each, tmp_path):
    rows = clicks(np.random.default_rng(0), num_users, num_items, each)
    assert not accused(write(tmp_path / "few.csv", rows, rated=False), "copied users")


def test_users_of_the_same_series_are_not_copies(tmp_path):
    random = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"series {series} part {part}", 1)
        for user in range(200)
        for series in random.choice(30, 1)
        for part in range(8)
    ]
    rows += clicks(random, 50, 100, 8)
    assert not accused(write(tmp_path / "series.csv", rows, rated=False), "copied users")


@pytest.mark.parametrize("rated", [True, False])
def test_a_copied_user_is_found(rated, tmp_path):
    rows = clicks(np.random.default_rng(0), 100, 60, 15)
    rows += [("twin", item, rating) for user, item, rating in rows if user == "u3"]
    (found,) = accused(write(tmp_path / "copied.csv", rows, rated=rated), "copied users")
    assert {one.where for one in found.occurrences} == {"u3", "twin"}


def test_a_user_with_constant_common_ratings_is_no_finding(tmp_path):
    random = np.random.default_rng(0)
    rows = [
        (f"u{user}", f"i{item}", 5 if random.random() < 0.95 else 1)
        for user in range(200)
        for item in random.choice(80, 22, replace=False)
    ]
    assert not accused(write(tmp_path / "usual.csv", rows), "constant raters")
    rows += [("bored", f"i{item}", 1) for item in range(25)]
    (found,) = accused(write(tmp_path / "bored.csv", rows), "constant raters")
    assert [one.where for one in found.occurrences] == ["bored"]
