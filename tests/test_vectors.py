"""Word vectors from a file: reading, refusals, the network that starts with them, and its run."""

import gzip
import json

import keras
import numpy as np
import pytest

from apps import Text
from apps.fields import FieldError
from exporting.export import export
from pipelines.examples import DataError, Examples
from pipelines.texts.vectors import read_vectors, require_file
from pipelines.texts.vocabulary import DEVIATION, Vocabulary
from training.run import Run, RunError
from training.train import train


def written(path, *lines):
    path.write_bytes(b"".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return str(path)


@pytest.fixture
def file(tmp_path):
    return written(
        tmp_path / "vectors.txt", "The 1 2\n", "good 3 4\n", "the 5 6\n", "Film 7 8\n",
        "u.s. 9 9\n", "also 0 1\n", "never 1 0\n",
    )  # fmt: skip


def values(found):
    return {word: vector.tolist() for word, vector in found.of.items()}


def test_reads_requested_words_and_the_first_others(file):
    found = read_vectors(file, ["the", "film", "bad"], 1)
    assert values(found) == {"the": [5, 6], "film": [7, 8], "good": [3, 4]}


@pytest.mark.parametrize("form", ["gzip", "header", "spaces", "blank", "windows"])
def test_reads_other_forms(file, form, tmp_path):
    text = (tmp_path / "vectors.txt").read_bytes()
    other = {
        "gzip": gzip.compress(text),
        "header": b"7 2\n" + text,
        "spaces": text + b". . . 1 2\nat name@here 3 4\n",  # as GloVe of 840 billion words has
        "blank": text.replace(b"\n", b" \n") + b"\n",  # as fastText writes
        "windows": text.replace(b"\n", b"\r\n"),
    }[form]
    written(tmp_path / "other", other)
    assert values(read_vectors(str(tmp_path / "other"), [], 9)) == values(read_vectors(file, [], 9))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no words"),
        ("\n \n", "no words"),
        ("5 2\n", "no words"),
        ("the\n", "'the' and 0 numbers in line 1"),
        ("the\t1\t2\n", "and 0 numbers in line 1"),
        ("the 1 2\ngood 3\n", "'good' and 1 numbers in line 2; expected 2"),
        ("the 1 2\ngood 3 4 5\n", "'good' and 3 numbers in line 2; expected 2"),
        ("the 1 two\n", "'the' and '1 two' in line 1; expected numbers"),
        ("the 1  2\n", "expected numbers"),
        ("the 1 nan\n", "not finite"),
        ("the 1 1e99\n", "not finite"),
        ("the 1 2\ngood 1 1\nthe 3 4\n", "'the' as in line 1 in line 3; expected each word once"),
        (b"the 1 2\ncaf\xe9 1 2\n", "not UTF-8"),
        (b"PK\x03\x04rest", "a zip archive"),
        (gzip.compress(b"the 1 2\n", mtime=0)[:-9], "cannot be read"),
        (b"\x1f\x8bnothing", "cannot be read"),
    ],
)
def test_unusable_files_are_refused(content, reason, tmp_path):
    path = written(tmp_path / "vectors.txt", content)
    with pytest.raises(DataError, match=reason) as raised:
        read_vectors(path, ["the"], 0)
    assert repr(path) in str(raised.value)
    assert "expected" in str(raised.value)


def test_a_missing_file_and_a_directory_are_refused_before_tensorflow_is_loaded(tmp_path, run_cli):
    for path in (tmp_path, tmp_path / "no.txt", written(tmp_path / "one", "the\n")):
        with pytest.raises(DataError, match="--vectors"):
            require_file(str(path))
        status, _, err = run_cli("text", "train", "--vectors", path)
        assert status == 2
        assert "--vectors" in err


def test_vectors_without_a_network_are_refused():
    with pytest.raises(FieldError, match=r"--vectors .* with --model ngrams"):
        Text(model="ngrams", vectors="vectors.txt")


def examples(*some):
    return Examples.of(np.array([one.encode() for one in some], object), np.arange(len(some)) % 2)


def test_the_vocabulary_has_words_of_the_texts_and_of_the_file(file):
    train = examples("the film good bad", "the film good bad")
    found = Vocabulary.of(train, 6, file)
    # u.s. is several words in a text.
    assert found.words == ("bad", "film", "good", "the", "also", "never")
    assert found.vectors.shape == (8, 2)
    assert (found.num_frequent, found.num_found) == (4, 3)
    assert "3 of 4 words" in found.describe()
    assert not found.vectors[0].any()
    film, the = found.vectors[3], found.vectors[5]
    np.testing.assert_allclose(film / 7, the / [5, 6] * [1, 8 / 7], rtol=1e-5)
    known = found.vectors[[3, 4, 5, 6, 7]]
    assert known.std() == pytest.approx(DEVIATION, rel=0.3)
    assert Vocabulary.of(train, 4, file).words == ("bad", "film", "good", "the")


def test_a_file_of_another_language_is_refused(tmp_path):
    path = written(tmp_path / "vectors.txt", "хорошо 1 2\n")
    with pytest.raises(DataError, match=r"none of the 2 words .* such as 'bad'"):
        Vocabulary.of(examples("good bad", "good bad"), 10, path)


@pytest.fixture
def reviews(tmp_path):
    """Write random vectors of some words of the embedded reviews."""
    words = ["the", "film", "not", "good", "bad", "was", "sesquipedalian"]
    numbers = np.random.default_rng(0).normal(size=(len(words), 5))
    lines = [
        f"{word} {' '.join(map(str, row))}\n" for word, row in zip(words, numbers, strict=True)
    ]
    return written(tmp_path / "reviews.txt", *lines)


def tiny(path, **fields):
    return Text(**{"epochs": 2, "width": 4, "vocabulary": 200, "grams": 1, **fields}, vectors=path)


@pytest.mark.parametrize("model", [pytest.param("blend", marks=pytest.mark.thorough), "rnn"])
def test_a_run_does_not_need_the_file(reviews, model, tmp_path):
    run = train(tiny(reviews, model=model), run_dir=tmp_path / "run", verbose=0)
    stored = json.loads((tmp_path / "run/run.json").read_text())["files"]["vectors"]
    assert stored["name"] == reviews
    assert len(stored["digest"]) == 32
    assert "words of the training texts" in stored["note"]
    (tmp_path / "reviews.txt").unlink()
    run = Run.load(run.path)
    words = run.model.get_layer("words").vocabulary
    assert "sesquipedalian" in words
    network = next(layer for layer in run.model.layers if hasattr(layer, "layers"))
    (embedding,) = [one for one in network.layers if isinstance(one, keras.layers.Embedding)]
    assert embedding.embeddings.shape == (len(words) + 2, 5)
    assert run.splits.train is not None
    assert export(run)["parity"]["passed"]


@pytest.mark.thorough
def test_a_changed_file_is_not_continued_with(reviews, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    app = tiny(reviews, model="cnn", epochs=3)
    stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: epoch and interrupted())
    with pytest.raises(KeyboardInterrupt):
        train(app, run_dir=tmp_path / "run", callbacks=[stop], verbose=0)
    content = (tmp_path / "reviews.txt").read_text()
    written(tmp_path / "reviews.txt", content.replace("film ", "movie "))
    with pytest.raises(RunError, match="content of vectors"):
        train(app, run_dir=tmp_path / "run", verbose=0)
    written(tmp_path / "reviews.txt", content)
    resumed = train(app, run_dir=tmp_path / "run", verbose=0)
    whole = train(app, run_dir=tmp_path / "whole", verbose=0)
    for one, other in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
