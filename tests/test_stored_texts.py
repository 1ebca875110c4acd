"""Texts in large pieces of memory behave as arrays of objects; large sets take little memory."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import athanor
from apps import Text
from evaluation.modalities import text_baselines
from pipelines.examples import Examples
from pipelines.tables import column_store, typed_files
from pipelines.tables.arrow_columns import tables_of
from pipelines.tables.cells import Cells
from pipelines.texts import ngrams, words
from pipelines.texts.ngrams import NgramKinds, sample_by_ngrams
from pipelines.texts.preprocessing import decode_words
from pipelines.texts.stored_texts import Texts, empty_of
from training import fitting

GENERATOR = Path(athanor.__file__).resolve().parent / "benchmarks/recipes/large_texts.py"
SOME = [b"one text", b"", b"nul \0 inside", "ünïcode".encode(), b"x" * 5000, b"NA", b" \n", b"None"]


def objects(texts):
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def chunked(texts, size=3):
    parts = [texts[start : start + size] for start in range(0, len(texts), size)]
    return Cells(pa.chunked_array([pa.array([t or None for t in p], pa.binary()) for p in parts]))


def table(count, seed=0):
    """Return texts of a few words, with copies and phrases of other texts, and their classes."""
    random = np.random.default_rng(seed)
    texts = [" ".join(random.choice([*"abcdefgh"], random.integers(1, 9))) for _ in range(count)]
    texts = [f"{text} {'good' if number % 2 else 'bad'}" for number, text in enumerate(texts)]
    return {"text": texts, "label": ["yes" if text.endswith("good") else "no" for text in texts]}


@pytest.mark.parametrize("make", [objects, chunked, lambda some: Cells.of(some)])
def test_indexing_gives_what_an_array_of_objects_gives(make):
    texts, expected = Texts.of(make(SOME)), objects(SOME)
    assert (len(texts), texts.shape, texts.dtype) == (len(SOME), expected.shape, expected.dtype)
    mask = np.arange(len(SOME)) % 3 == 1
    for rows in (slice(None), slice(2, 7, 2), [5, 0, 5], np.array([], int), mask, np.array([-1])):
        np.testing.assert_array_equal(texts[rows], expected[rows])
        assert texts[rows].dtype == object
    assert texts[4] == texts[np.int64(4)] == expected[4]
    assert [*texts] == SOME == np.asarray(texts).tolist()
    assert [*texts.take(np.array([6, 1]))] == [SOME[6], SOME[1]]
    assert empty_of(make(SOME)).tolist() == [False, True, False, False, False, True, True, True]


def test_blocks_are_consecutive_and_bounded():
    texts = Texts.of(objects([b"x" * size for size in (3, 0, 4, 90, 5, 5, 5)]))
    blocks = [*texts.blocks(10)]
    assert [texts.sizes[block].tolist() for block in blocks] == [[3, 0, 4], [90], [5, 5], [5]]
    assert [*Texts.of(objects([])).blocks()] == []


def test_cells_are_not_copied():
    cells = chunked([b"x" * 1000] * 3000, 1000)
    tracemalloc.start()
    texts = Texts.of(cells)
    assert tracemalloc.get_traced_memory()[1] < 500_000
    tracemalloc.stop()
    assert texts[2999] == b"x" * 1000


def test_examples_of_texts_equal_those_of_objects():
    column = [b"%d words" % number for number in range(100)]
    stored, plain = (
        Examples.of(texts, np.arange(100)).select(np.arange(0, 100, 3))
        for texts in (Texts.of(objects(column)), objects(column))
    )
    assert stored.spec == plain.spec
    for pair in zip(stored.numpy([4, 2]), plain.numpy([4, 2]), strict=True):
        np.testing.assert_array_equal(*pair)
    np.testing.assert_array_equal(stored.content_hashes(), plain.content_hashes())
    gathered = stored.gather(np.array([1, 3]))
    assert gathered.features.numpy().tolist() == plain.numpy([1, 3]).features.tolist()
    blocks = [block.targets for block in stored.blocks(8)]
    assert [*map(len, blocks)] == [8, 8, 8, 8, 2]
    np.testing.assert_array_equal(np.concatenate(blocks), stored.targets)


def test_splits_do_not_depend_on_where_the_texts_are(monkeypatch):
    app = Text(data=table(2000))
    in_memory = app.load_splits()
    monkeypatch.setattr(column_store, "MAX_BYTES_IN_MEMORY", 1000)
    mapped = app.load_splits()
    assert isinstance(mapped.train.features, Texts)
    assert mapped.fingerprint() == in_memory.fingerprint()
    np.testing.assert_array_equal(mapped.train.groups, in_memory.train.groups)
    assert (in_memory.train.groups != np.arange(2000)).any()


def test_a_text_takes_a_few_numbers_of_memory(tmp_path):
    """As Python objects, the texts of this file take more than 500 bytes each."""
    count, path = 20_000, tmp_path / "texts.csv"
    lines = (f"{number} {'word ' * 80},{number % 3}\n" for number in range(count))
    path.write_text("text,label\n" + "".join(lines))
    Text(data=f"csv:{path}").load_splits()  # imports what it needs
    tracemalloc.start()
    splits = Text(data=f"csv:{path}").load_splits()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(splits.sizes.values()) == count
    assert size < 120 * count


@pytest.mark.parametrize("limit", [100, 2**29])
def test_a_parquet_file_is_read_in_parts(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(column_store, "MAX_BYTES_IN_MEMORY", limit)
    texts = [" both ", "", None, "left\u00a0", "none", "6"] * 50
    data = {
        "text": texts,
        "kind": pa.array([*"abc"] * 100).dictionary_encode(),
        "number": np.arange(300.0),
        "lists": pa.array([["a", "b"], []] * 150, pa.list_(pa.string())),
    }
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table(data), path, row_group_size=70)
    columns = tables_of(typed_files.read("parquet", str(path)), "t").train.columns
    assert columns["text"].tolist() == [b"both", b"", b"", b"left", b"none", b"6"] * 50
    assert columns["kind"].tolist() == [b"a", b"b", b"c"] * 100
    assert columns["number"].tolist() == [*range(300)]
    assert columns["lists"].tolist() == [b"a, b", b""] * 150


def test_samples_of_many_texts_are_counted(monkeypatch):
    app = Text(data=table(2000))
    train = app.load_splits().train
    kinds = NgramKinds.of(train, 3, 2)
    assert sample_by_ngrams(train, kinds, 10**9) is train
    monkeypatch.setattr(ngrams, "TEXTS_PER_BLOCK", 100)
    sample = sample_by_ngrams(train, kinds, 20_000)
    count = sum(len(hashes) for _, hashes in ngrams._occurrences(sample, kinds))
    assert 18_000 < count < 22_000
    monkeypatch.setattr(words, "MAX_COUNTED_TEXTS", 1)
    assert len(words.frequent_words.__wrapped__(train, 100)) < 9


def test_epochs_of_many_texts_read_texts_as_they_come(monkeypatch):
    app = Text(data=table(2000), epochs=2, model="cnn")
    splits = app.load_splits()
    layer = app.make_preprocessing(splits)
    decode, stored, _, lengths = app.prepare_once(splits, layer)
    assert decode is decode_words
    monkeypatch.setattr(Text, "max_epoch_examples", 100)
    prepare, train, valid, estimated = app.prepare_once(splits, layer)
    assert (train, valid) == (splits.train, splits.valid)
    rows = slice(40, 60)
    as_stored = decode(stored.numpy(rows).features)
    for name, part in prepare(train.numpy(rows).features).items():
        np.testing.assert_array_equal(part, as_stored[name])
    np.testing.assert_array_equal(lengths, estimated)


def test_epochs_of_texts_are_compared_on_a_sample_of_validation(monkeypatch):
    monkeypatch.setattr(fitting, "MAX_VALIDATION_TEXTS", 100)
    app = Text(data=table(2000), model="cnn", width=4)
    splits = app.load_splits()
    assert len(splits.valid) > 120
    data = fitting.make_fit_data(app, splits, fitting.build_compiled(app, splits, "float32"))
    assert sum(len(target) for _, target in data.valid) == 100


def test_baselines_predict_in_blocks(monkeypatch):
    splits = Text(data=table(600)).load_splits()
    whole = dict(text_baselines.baselines(splits))
    monkeypatch.setattr(text_baselines, "TEXTS_PER_BLOCK", 7)
    for name, predictions in text_baselines.baselines(splits):
        np.testing.assert_allclose(predictions.probabilities, whole[name].probabilities)


PEAK = """
import sys, threading, time
from pathlib import Path
import athanor
from pipelines.texts import ngrams

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

def watch():
    while True:
        peak[0] = max(peak[0], resident())
        time.sleep(0.02)

peak = [0.0]
threading.Thread(target=watch, daemon=True).start()
ngrams.MAX_OCCURRENCES, ngrams.MAX_VALIDATION_OCCURRENCES = 4_000_000, 1_000_000
for name in ("apps.text.blending", "evaluation.modalities.text_baselines"):
    __import__(name)
    sys.modules[name].MAX_VALIDATION_OCCURRENCES = 1_000_000
run = athanor.train(athanor.Text(data=sys.argv[1], model="ngrams"), run_dir=Path(sys.argv[2]))
athanor.evaluate(run)
print(peak[0])
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_texts(tmp_path):
    """Peak memory of reading, training and scoring, with small samples of n-grams."""
    peaks = []
    for count in (60_000, 300_000):
        path = tmp_path / f"{count}.csv"
        subprocess.run([sys.executable, GENERATOR, str(count), str(path)], check=True)
        command = [sys.executable, "-c", PEAK, f"csv:{path}", str(tmp_path / f"run-{count}")]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(float(done.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 150
