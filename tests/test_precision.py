"""The precision is measured once for each machine; a given precision is used."""

import json

import pytest

from training import precision


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "athanor" / "precision.json"


def test_auto_reads_its_stored_measurement(cache):
    """A second call reads the stored seconds instead of measuring."""
    first = precision.choose_precision("auto", "image")
    assert precision.choose_precision("auto", "image") == first
    ((key, _),) = json.loads(cache.read_text()).items()
    for fast, policy in (("bfloat16", "mixed_bfloat16"), ("float32", "float32")):
        seconds = {"float32": 2.0, "bfloat16": 2.0, fast: 1.0}
        cache.write_text(json.dumps({key: seconds}))
        assert precision.choose_precision("auto", "image").policy == policy


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"a": 1}'])
def test_a_damaged_measurement_is_repeated(content, cache, monkeypatch):
    monkeypatch.setattr(precision, "_convolution_seconds", {"float32": 2.0, "bfloat16": 1.0}.get)
    cache.parent.mkdir(parents=True)
    cache.write_text(content)
    assert precision.choose_precision("auto", "image").policy == "mixed_bfloat16"
    known = json.loads(cache.read_text())
    assert {"float32", "bfloat16"} in [set(seconds) for seconds in known.values() if seconds != 1]


def test_a_given_precision_is_not_measured(cache):
    assert precision.choose_precision("float32", "image").policy == "float32"
    assert precision.choose_precision("bfloat16", "text").policy == "mixed_bfloat16"
    assert precision.choose_precision("auto", "text").policy == "float32"
    assert not cache.exists()
