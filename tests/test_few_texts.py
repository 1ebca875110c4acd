"""Few and very short texts, and classes with odd names: an answer or a clear refusal."""

import csv

import numpy as np
import pytest

from apps import Text
from inference.predict import predict
from pipelines.examples import DataError, Examples
from pipelines.texts.ngrams import NgramKinds, frequent_ngrams
from training.train import train

WORDS = ["good", "bad", "film", "was", "not", "very", "plot", "music", "slow"]


def texts(count):
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, 6)) for _ in range(count)]


def repeated(names, count=60):
    return [names[number % len(names)] for number in range(count)]


def app(path, some, classes, **fields):
    with (path / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(some, classes, strict=True)])
    return Text(**{"data": str(path / "data.csv"), "model": "ngrams", "epochs": 1, **fields})


def trained(path, some, classes, **fields):
    fields = {"width": 4, **fields}
    return train(app(path, some, classes, **fields), run_dir=path / "run", verbose=0)


@pytest.mark.parametrize(
    ("model", "count"),
    [
        *((model, 3) for model in ("ngrams", "blend", "cnn", "rnn")),
        ("blend", 10),
        # The parts of a blend.
        *(
            pytest.param(model, 10, marks=pytest.mark.thorough)
            for model in ("ngrams", "cnn", "rnn")
        ),
    ],
)
def test_a_few_texts_can_be_trained_on(model, count, tmp_path):
    run = trained(tmp_path, texts(count), repeated("ab", count), model=model)
    rows = predict(run, ["good film", "", "xyzzy"])
    assert {row["class"] for row in rows} <= {"a", "b"}
    assert all(0 < row["probability"] <= 1 for row in rows)


@pytest.mark.parametrize(
    "some",
    [
        pytest.param([f"w{number}" for number in range(60)], id="unique"),  # no word occurs twice
        pytest.param(
            [["!!!", "?"][number % 2] + "." * (number % 5) for number in range(60)],
            id="punctuation",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            [str(number * 37 % 101) for number in range(60)],
            id="numbers",
            marks=pytest.mark.thorough,
        ),
        pytest.param([""] * 20 + texts(40), id="empty"),
    ],
)
def test_short_texts_can_be_trained_on(some, tmp_path):
    run = trained(tmp_path, some, repeated("ab"))
    assert len(predict(run, some[:3])) == 3


def test_ngrams_of_one_text_count_if_there_are_no_others():
    train = Examples.of(np.array([b"aa bb", b"cc dd"], object), np.arange(2))
    (known,) = frequent_ngrams(train, NgramKinds(1, characters=False), 10).known
    assert len(known) == 4


@pytest.mark.parametrize(
    ("some", "classes", "reason"),
    [
        (texts(2), ["a", "b"], "leaves the test split empty"),
        (["same text"] * 60, repeated("ab"), "1 of them distinct"),
        (repeated(["good", "bad"]), repeated("ab"), "2 of them distinct"),
        (texts(60), ["a"] * 60, "1 different values in the column 'label'"),
        (texts(60), repeated(["good", " good"]), "1 different values"),
        ([""] * 60, repeated("ab"), "no row with a text"),
        (["<br />"] * 30 + ["<p>"] * 30 + ["<i>"] * 30, repeated("ab", 90), "without a word"),
    ],
)
def test_unusable_data_are_refused(some, classes, reason, tmp_path):
    with pytest.raises(DataError, match=reason):
        trained(tmp_path, some, classes)


@pytest.mark.parametrize(
    ("classes", "labels", "note"),
    [
        (["10", "9", "-1"], ("-1", "9", "10"), ""),
        (["2.5", "1.0", "1"], ("1", "2.5"), ""),
        (["True", "False"], ("False", "True"), ""),
        (["true", "FALSE", "True"], ("FALSE", "True"), "labels that mean the same are one class"),
        (["very good", "not, good"], ("not, good", "very good"), ""),
        (["Good", "good", "bad"], ("Good", "bad", "good"), ""),
        (["good", " good ", "bad"], ("bad", "good"), ""),
        (["None", "n/a", "some", "all"], ("all", "some"), "rows of train without a class left out"),
        (["😀", "😢"], ("😀", "😢"), ""),
        (["01", "1", "2"], ("1", "2"), "labels that mean the same are one class"),
    ],
)
def test_classes_with_odd_names(classes, labels, note, tmp_path):
    splits = app(tmp_path, texts(60), repeated(classes)).load_splits()
    assert splits.labels == labels
    assert note in "\n".join(splits.notes)


def test_a_class_without_a_training_text_is_named(tmp_path):
    for number in range(9):
        classes = ["b"] * 30 + ["c"] * 30
        classes[number] = "a"
        splits = app(tmp_path, texts(60), classes).load_splits()
        in_train = splits.labels.index("a") in splits.train.targets
        assert ("no row of train has the class 'a'" in splits.notes) == (not in_train)
