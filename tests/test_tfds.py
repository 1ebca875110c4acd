"""Errors for prepared sets that cannot be used name the set and the reason."""

import os
import shutil
from pathlib import Path

import pytest

from pipelines import embedded, sources
from pipelines.examples import DataError


def prepared(name):
    place = Path(os.environ.get("TFDS_DATA_DIR", "")) / name
    if not place.is_dir():
        pytest.skip(f"needs TFDS_DATA_DIR or ../shared/tfds with the prepared set {name}")
    return place


def load(name, data_dir=None):
    return sources.load(f"tfds:{name}", embedded=embedded.digits, data_dir=data_dir)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("tf_flowers160", "one size"),
        ("wine_quality/white", "one size"),
        ("glue/sst2", "names no input and target"),
    ],
)
def test_a_set_of_another_kind_is_refused(name, reason):
    prepared(name)
    with pytest.raises(DataError, match=reason):
        load(name)


def test_damaged_records_are_named(tmp_path):
    shutil.copytree(prepared("mnist"), tmp_path / "mnist")
    (records,) = (tmp_path / "mnist").rglob("*train.tfrecord*")
    records.parent.chmod(0o755)
    records.chmod(0o644)
    os.truncate(records, 500_000)
    with pytest.raises(DataError, match=f"damaged records in {tmp_path}"):
        load("mnist", tmp_path)
