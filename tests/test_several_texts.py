"""Several text columns that are read as one text: training, prediction, checks, refusals."""

import csv
import re

import numpy as np
import pytest

from apps import Text
from data_checks.examine import examine
from inference.inputs import UnreadableError
from inference.predict import predict
from pipelines.examples import AddressError, DataError
from pipelines.tables.table import Table, Tables
from pipelines.texts.ngrams import NgramKinds
from pipelines.texts.reading import SEPARATOR, Columns, source, text_cells
from pipelines.texts.words import split_words
from training.train import train

ROWS = [("good", "the film", "1"), ("", "bad film", "0"), ("NA", "", "1"), ("poor, bad", "NA", "0")]


def table(rows=ROWS, names=("title", "body", "mark")):
    columns = zip(*rows, strict=True)
    return Table(
        {
            name: np.array([cell.encode() for cell in column], object)
            for name, column in zip(names, columns, strict=True)
        }
    )


def written(path, rows=ROWS * 15, names=("title", "body", "mark")):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return str(path)


def test_columns_are_joined_in_the_order_of_the_flag():
    joined = [b"good ||| the film", b" ||| bad film", b"", b"poor, bad ||| "]
    assert text_cells(table(), "title,body").tolist() == joined
    assert text_cells(table(), "body, title").tolist()[0] == b"the film ||| good"
    assert text_cells(table(names=("title,body", "x", "mark")), "title,body").tolist()[0] == b"good"


def ngrams(title, body):
    (words,) = NgramKinds(4, characters=False).hashes(
        split_words([title + SEPARATOR.decode() + body])
    )
    return {*words.numpy().ravel()}


def test_no_ngram_has_words_of_two_columns():
    with_body = [ngrams(title, "bb") - ngrams(title, "cc") for title in ("aa", "dd")]
    assert len(with_body[0]) == 4  # bb after none to three signs
    assert with_body[0] == with_body[1]


def test_the_target_is_found_beside_the_texts():
    found = source(Tables(table(ROWS * 4)), Columns("title,body"))
    assert found.reading.column == "title,body"
    assert "text in columns 'title,body', 2 classes in 'mark'" in found.notes
    assert "4 rows of train without a text left out" in found.notes
    assert found.train.features[0] == b"good ||| the film"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("title,title", "which names a column twice"),
        ("title,words", "with 'words'; expected some of the columns title, body, mark"),
        ("title,", "with ''; expected some of the columns"),
    ],
)
def test_wrong_columns_are_refused(text, reason, tmp_path):
    with pytest.raises(AddressError, match=re.escape(reason)):
        source(Tables(table()), Columns(text))
    path = written(tmp_path / "mails.csv")
    Text(data=path, text="title,body").require_data()
    with pytest.raises(AddressError, match="words"):
        Text(data=path, text="title,words").require_data()


def test_a_test_set_without_one_of_the_columns_is_refused():
    test = table([("a", "1")], ("title", "mark"))
    with pytest.raises(DataError, match="expected the column 'body', as in train"):
        source(Tables(table(), test=test), Columns("title,body"))


def test_a_run_predicts_tables_and_joined_texts(tmp_path):
    random = np.random.default_rng(0)
    rows = [
        (
            f"{'good' if k % 2 else 'bad'} {random.integers(30)}",
            f"mail {k % 7}",
            ["no", "yes"][k % 2],
        )
        for k in range(80)
    ]
    path = written(tmp_path / "mails.csv", rows)
    app = Text(data=path, text="title,body", model="ngrams")
    run = train(app, run_dir=tmp_path / "run", verbose=0)
    assert run.manifest["reading"]["column"] == "title,body"
    other = written(tmp_path / "new.csv", [("good 3", "mail 2")], ("title", "body"))
    (row,), (joined,) = predict(run, [other]), predict(run, ["good 3 ||| mail 2"])
    assert row == joined
    assert row["class"] == "yes"
    with pytest.raises(UnreadableError, match="'body', the column of texts in training"):
        predict(run, [written(tmp_path / "one.csv", [("good",)], ("title",))])
    found = examine(app, None, lambda *_: None).findings
    assert "refused by training" not in {one.check for one in found}
