"""The cache of decoded data sets."""

import os

import numpy as np
import pytest

from pipelines import decoded
from pipelines.decoded import load_or_make
from pipelines.examples import Examples


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "athanor" / "decoded"


def made(calls):
    calls.append(1)
    return Examples.of(np.arange(12, dtype="uint8").reshape(3, 4), np.arange(3))


def asked(key, calls):
    return load_or_make(key, lambda: made(calls))


def test_a_set_is_decoded_once(cache):
    calls = []
    first, second = asked("a", calls).numpy(), asked("a", calls).numpy()
    assert len(calls) == 1
    assert len(list(cache.iterdir())) == 1
    assert all(
        np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(first, second, strict=True)
    )


@pytest.mark.usefixtures("cache")
def test_another_key_is_another_set():
    calls = []
    asked("a", calls)
    asked("b", calls)
    assert len(calls) == 2


@pytest.mark.parametrize("damage", [lambda b: b[:100], lambda _: b"", lambda b: b[::-1]])
def test_a_damaged_file_is_made_again(damage, cache):
    calls = []
    asked("a", calls)
    (file,) = cache.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    assert np.array_equal(asked("a", calls).target, np.arange(3))
    assert len(calls) == 2
    asked("a", calls)
    assert len(calls) == 2


def test_an_unwritable_cache_is_ignored(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    calls = []
    assert len(asked("a", calls)) == 3
    assert len(asked("a", calls)) == 3
    assert len(calls) == 2


def test_the_cache_is_bounded_and_the_least_recently_used_goes_first(cache, monkeypatch):
    asked("a", calls := [])
    (file,) = cache.iterdir()
    monkeypatch.setattr(decoded.prune, "__defaults__", (2 * file.stat().st_size,))
    asked("b", calls)
    for number, path in enumerate(cache.iterdir()):
        os.utime(path, ns=(number, number))
    asked("a", calls)  # used now, so that b is the older one
    asked("c", calls)
    assert (len(calls), len(list(cache.iterdir()))) == (3, 2)
    asked("a", calls)
    asked("c", calls)
    assert len(calls) == 3
    asked("b", calls)
    assert len(calls) == 4


def test_a_set_larger_than_the_limit_is_the_only_one_cached(cache, monkeypatch):
    monkeypatch.setattr(decoded.prune, "__defaults__", (1,))
    for key in "ab":
        asked(key, [])
        assert len(list(cache.iterdir())) == 1
    asked("b", calls := [])
    assert not calls


def test_changed_code_decodes_again(cache, monkeypatch):
    asked("a", calls := [])
    monkeypatch.setattr(decoded, "_code_digest", lambda: "0" * 16)
    asked("a", calls)
    assert (len(calls), len(list(cache.iterdir()))) == (2, 2)
    assert decoded.prune_stale() > 0
    assert [path.stem.partition("-")[2] for path in cache.iterdir()] == ["0" * 16]
    assert decoded.prune_stale() == 0


def test_doctor_prunes(cache, run_cli, monkeypatch):
    monkeypatch.setattr(decoded, "_code_digest", lambda: "old")
    load_or_make("a", lambda: made([]))
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parents[1]))
    status, out, _ = run_cli("doctor", "--prune")
    assert status == 0
    assert "MiB of decoded sets" in out
    assert "decoded sets 0.00 of 5 GiB" in out
    assert not list(cache.iterdir())


def test_a_memory_map_is_not_cached(cache, tmp_path):
    mapped = np.memmap(tmp_path / "map", "uint8", mode="w+", shape=(3, 4))
    assert len(load_or_make("a", lambda: Examples.of(mapped, np.arange(3)))) == 3
    assert not cache.exists()
