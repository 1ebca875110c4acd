"""Decoded sets are kept, and made again whenever what is kept may be wrong."""

import numpy as np
import pytest

from pipelines.decoded import remembered
from pipelines.examples import Examples


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "athanor" / "decoded"


def made(calls):
    calls.append(1)
    return Examples.of(np.arange(12, dtype="uint8").reshape(3, 4), np.arange(3))


def ask(key, calls):
    return remembered(key, lambda: made(calls))


def test_a_set_is_decoded_once(cache):
    calls = []
    first, second = ask("a", calls).numpy(), ask("a", calls).numpy()
    assert len(calls) == 1
    assert len(list(cache.iterdir())) == 1
    assert all(
        np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(first, second, strict=True)
    )


@pytest.mark.usefixtures("cache")
def test_another_key_is_another_set():
    calls = []
    ask("a", calls)
    ask("b", calls)
    assert len(calls) == 2


@pytest.mark.parametrize("damage", [lambda b: b[:100], lambda _: b"", lambda b: b[::-1]])
def test_a_damaged_file_is_made_again(damage, cache):
    calls = []
    ask("a", calls)
    (file,) = cache.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert np.array_equal(ask("a", calls).target, np.arange(3))
    assert len(calls) == 2
    ask("a", calls)
    assert len(calls) == 2


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    calls = []
    assert len(ask("a", calls)) == 3
    assert len(ask("a", calls)) == 3
    assert len(calls) == 2


def test_a_memory_map_is_not_kept(cache, tmp_path):
    mapped = np.memmap(tmp_path / "map", "uint8", mode="w+", shape=(3, 4))
    assert len(remembered("a", lambda: Examples.of(mapped, np.arange(3)))) == 3
    assert not cache.exists()
