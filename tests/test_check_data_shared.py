"""check-data finds no errors in well-known public sets, read as each app reads them."""

import os
from pathlib import Path

import pytest

import apps
from data_checks.examine import examine

SHARED = Path(__file__).resolve().parents[2] / "shared"
TABLES = {
    "california_housing/housing.csv": "median_house_value",
    "auto_mpg/auto_mpg.csv": "mpg",
    "diamonds/diamonds.csv": "price",
    "concrete_strength/concrete_strength.csv": "compressive_strength",
}
SETS = {
    "wine_quality/white": ("regression", {"target": "quality"}),
    "wine_quality/red": ("regression", {"target": "quality"}),
    "movielens/100k-ratings": ("recommender", {}),
    "trec": ("text", {}),
    "clinc_oos": ("text", {}),
    "glue/sst2": ("text", {}),
    "imdb_reviews": ("text", {}),
    "mnist": ("mnist", {}),
    "fashion_mnist": ("mnist", {}),
    "tf_flowers160": ("finetune", {}),
}


def assert_no_errors(app, **fields):
    diagnosis = examine(apps.get(app)(**fields), None, lambda *_: None)
    errors = [
        f"{one.check}: {one.message}" for one in diagnosis.findings if one.severity == "error"
    ]
    assert errors == []


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_public_tables_have_no_errors(name):
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"needs ../shared/data/{name}")
    assert_no_errors("regression", data=f"csv:{path}", target=TABLES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_public_sets_have_no_errors(name):
    if not (Path(os.environ.get("TFDS_DATA_DIR", "")) / name.partition("/")[0]).is_dir():
        pytest.skip(f"needs TFDS_DATA_DIR or ../shared/tfds with the prepared set {name}")
    app, fields = SETS[name]
    assert_no_errors(app, data=f"tfds:{name}", **fields)
