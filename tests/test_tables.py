"""CSV files in every form, and TFDS sets, become tables of named columns."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from pipelines import sources
from pipelines.examples import DataError
from pipelines.inspection import Inspection
from pipelines.tables import (
    cell_formats,
    csv_blocks,
    csv_files,
    encodings,
    format_inference,
    irregular_csv,
)
from pipelines.tables.cells import Cells
from pipelines.tables.table import Table, Tables


def read(place, content, encoding="utf-8", inspection=None):
    path = place / "file.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return csv_files.read(str(path), inspection)


def cells(tables):
    return {name: column.tolist() for name, column in tables.train.columns.items()}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_any_separator(separator, tmp_path):
    text = separator.join(["a", "b c"]) + "\n" + separator.join(["1", "x"]) + "\n"
    assert cells(read(tmp_path, text)) == {"a": [b"1"], "b c": [b"x"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_byte_order_mark_is_read(encoding, tmp_path):
    found = read(tmp_path, "größe,stadt\n1,Köln\n", encoding)
    assert cells(found) == {"größe": [b"1"], "stadt": ["Köln".encode()]}
    assert found.notes == ()


def test_decimal_commas_are_parsed_and_noted(tmp_path):
    found = read(tmp_path, "a;b;c\n3,5;1.234,25;x, y\n-0,1;7;1,2,3\n")
    assert found.train.columns["b"].tolist() == [b"1.234,25", b"7"]
    assert found.train.columns["c"].tolist() == [b"x, y", b"1,2,3"]
    judged = format_inference.infer_formats(found.train)
    assert {name: one.form.kind for name, one in judged.items()} == {
        "a": "number", "b": "number", "c": "category"
    }  # fmt: skip
    assert cell_formats.parse_numbers(found.train.columns["a"], judged["a"].form).tolist() == [
        3.5,
        -0.1,
    ]
    assert cell_formats.parse_numbers(found.train.columns["b"], judged["b"].form).tolist() == [
        1234.25,
        7,
    ]
    assert judged["b"].explanation == "'1.234,25' read as 1234.25"


def test_a_quoted_comma_in_a_file_of_commas_stays(tmp_path):
    found = read(tmp_path, 'a,b\n"1,234",x\n')
    assert found.train.columns["a"].tolist() == [b"1,234"]
    assert not found.notes


def test_quoted_separators_line_breaks_and_blanks(tmp_path):
    found = read(tmp_path, 'a,b\n"x, y", 1 \n"two\nlines",\n\n  ,  \n"said ""no""",3')
    assert cells(found) == {
        "a": [b"x, y", b"two\nlines", b'said "no"'],
        "b": [b"1", b"", b"3"],
    }


def test_broken_lines_are_left_out_and_named(tmp_path):
    found = read(tmp_path, "a,b\n1,2\n3\n4,5,6\n7,8\n")
    assert cells(found)["a"] == [b"1", b"7"]
    (note,) = found.notes
    assert note == (
        "file.csv: 2 lines left out, not of 2 cells: line 3 has 1 cells, line 4 has 3 cells"
    )


def test_missing_and_repeated_column_names_are_replaced_and_noted(tmp_path):
    found = read(tmp_path, "a,,a,b\n1,2,3,4\n")
    assert list(cells(found)) == ["a", "column_2", "a_2", "b"]
    assert found.notes == (
        "file.csv: column 2 has no name; it is called 'column_2'",
        "file.csv: column 3 repeats the name 'a'; it is called 'a_2'",
    )


def test_a_cell_may_be_long(tmp_path):
    long = "word " * 200_000
    assert cells(read(tmp_path, f"text,n\n{long},1\n"))["text"] == [long.strip().encode()]


@pytest.mark.parametrize("seed", range(3))
def test_what_the_csv_module_writes_is_read(seed, tmp_path):
    random = np.random.default_rng(seed)
    alphabet = list('ab ,;"\n\té雪')
    rows = [["".join(random.choice(alphabet, 6)).strip() or "x" for _ in range(3)] for _ in "12345"]
    with (tmp_path / "w.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["one", "two", "three"], *rows])
    found = csv_files.read(str(tmp_path / "w.csv")).train.columns
    again = [[cell.decode() for cell in row] for row in zip(*found.values(), strict=True)]
    assert again == rows


MANY = 'größe;text\n1,5;"two\r\nlines; é"\n\n2;x;y\r\n1.234,5;"said ""no"""\n雪;🎈\n'


@pytest.mark.parametrize("part", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_reading_in_parts_of_any_size_gives_the_same_table(part, encoding, tmp_path, monkeypatch):
    whole = read(tmp_path, MANY, encoding)
    assert cells(whole)["text"] == ["two\r\nlines; é".encode(), b'said "no"', "🎈".encode()]
    monkeypatch.setattr(irregular_csv, "CHARACTERS_PER_PART", part)
    monkeypatch.setattr(csv_blocks, "BYTES_PER_BLOCK", part)
    monkeypatch.setattr(encodings, "BYTES_PER_READ", part)
    again = read(tmp_path, MANY, encoding)
    assert cells(again) == cells(whole)
    assert again.notes == whole.notes
    assert again.train.broken == whole.train.broken == ((5, 3),)
    assert again.train.lines.tolist() == whole.train.lines.tolist() == [3, 6, 7]


@pytest.mark.parametrize("before", range(5))
def test_characters_and_quotes_may_cross_read_boundaries(before, tmp_path):
    texts = ["x" * before + "雪" * 3000, 'é\n"' * 5000, "🎈" * 9000]
    with (tmp_path / "w.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "n"], *([text, 1] for text in texts)])
    found = csv_files.read(str(tmp_path / "w.csv")).train.columns["text"]
    assert [cell.decode() for cell in found] == texts


def test_one_late_byte_decides_the_encoding_of_the_whole_file(tmp_path, monkeypatch):
    monkeypatch.setattr(encodings, "BYTES_PER_READ", 8)
    found = read(tmp_path, "stadt,n\nBonn,1\nBonn,1\nKöln,2\n", "latin-1")
    assert cells(found)["stadt"] == [b"Bonn", b"Bonn", "Köln".encode()]
    assert found.notes == ("file.csv is not UTF-8; read as Windows-1252, as in 'Köln'",)


def test_a_pipe_is_read():
    out, into = os.pipe()
    os.write(into, b"a,b\n1,2\n")
    os.close(into)
    assert cells(csv_files.read(f"/dev/fd/{out}")) == {"a": [b"1"], "b": [b"2"]}
    os.close(out)


def test_an_inspection_reports_progress_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_blocks, "BYTES_PER_BLOCK", 1000)
    content, told = "a,b\n" + "1,2\n" * 20_000, []
    read(tmp_path, content, inspection=Inspection(lambda *said: told.append(said)))
    what, done, of = zip(*told, strict=True)
    assert set(what) == {"reading file.csv, byte"} and set(of) == {len(content)}
    assert len(done) >= 50 and list(done) == sorted(done) and 0 < done[0] < done[-1] <= len(content)


def test_cells_convert_to_an_array():
    texts = ["7", "", "é", " N/A", "7", "x", "1e400", "-2.5", "NULL"]
    objects = np.array([text.encode() for text in texts], object)
    column = Cells.of(objects)
    assert len(column) == 9 and column.dtype == object and column.tolist() == objects.tolist()
    assert (column[-1], column[2], column[np.int64(0)]) == (b"NULL", "é".encode(), b"7")
    for rows in (slice(2, None, 3), np.array([8, 0, 0]), objects == b"7", slice(0, 0)):
        assert column[rows].tolist() == objects[rows].tolist()
    same = column[[0, 4]]
    assert same[0] is same[1]
    assert np.asarray(column).tolist() == objects.tolist()
    np.testing.assert_array_equal(
        column.numbers, [7, np.nan, np.nan, np.nan, 7, np.nan, np.inf, -2.5, np.nan]
    )
    assert np.flatnonzero(column.missing()).tolist() == [1, 3, 8]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "without rows"),
        (
            "a,b\n1\n",
            "none of the 1 lines .* 2 cells, as the names have: line 2 has 1 cells, as '1'",
        ),
    ],
)
def test_no_table_is_refused(content, reason, tmp_path):
    with pytest.raises(DataError, match=reason):
        read(tmp_path, content)


@pytest.mark.parametrize("name", ["nowhere.csv", "."])
def test_no_file_is_refused(name):
    with pytest.raises(DataError, match="cannot be read"):
        csv_files.read(name)


def test_a_separate_test_address_is_used(tmp_path):
    for name, value in (("own", 1), ("other", 2)):
        (tmp_path / f"{name}.csv").write_text(f"a\n{value}\n")
    found = sources.tables(
        f"csv:{tmp_path}/own.csv", embedded=Tables, test=f"csv:{tmp_path}/other.csv"
    )
    assert cells(found) == {"a": [b"1"]}
    assert found.test.columns["a"].tolist() == [b"2"]


@pytest.mark.parametrize(
    ("address", "near"),
    [("cvs:file.csv", "csv:file.csv"), ("tfd:trec", "tfds:trec"), ("embeded", "embedded")],
)
def test_an_unknown_address_names_the_nearest(address, near):
    with pytest.raises(DataError, match=f"Did you mean {near!r}"):
        sources.tables(address, embedded=Tables)


def test_a_plain_path_of_an_existing_file_is_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.csv").write_text("a\n1\n")
    (tmp_path / "other").write_text("a\n2\n")
    found = sources.tables("own.csv", embedded=Tables, test="./other")
    assert (cells(found), found.test.columns["a"].tolist()) == ({"a": [b"1"]}, [b"2"])


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("photos", "'photos', a folder; expected 'embedded'"),
        ("photos/", "'photos/', a folder; expected 'embedded'"),
        ("nowhere/rows", "'nowhere/rows', which names no existing file or folder; expected"),
        ("nowhere.csv", "'nowhere.csv', which names no existing file or folder; expected"),
        ("nowhere/", "'nowhere/', which names no existing file or folder; expected"),
        ("./nowhere", "'./nowhere', which names no existing file or folder; expected"),
        ("tfd:rows.csv", "Did you mean 'csv:rows.csv'"),
    ],
)
def test_a_wrong_address_names_the_existing_file(address, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "rows.csv").write_text("a\n1\n")
    with pytest.raises(DataError) as raised:
        sources.tables(address, embedded=Tables)
    assert says in str(raised.value) and "tfds:photos" not in str(raised.value)


def test_a_table_selects_rows():
    table = Table({"a": np.array([1, 2, 3]), "b": np.array([b"x", b"y", b"z"], object)})
    some = table.select(np.array([2, 0]))
    assert (len(table), len(some)) == (3, 2)
    assert some.columns["b"].tolist() == [b"z", b"x"]


def prepared(name):
    place = Path(os.environ.get("TFDS_DATA_DIR", "")) / name
    if not place.is_dir():
        pytest.skip(f"needs TFDS_DATA_DIR or ../shared/tfds with the prepared set {name}")
    return sources.tables(f"tfds:{name}", embedded=Tables)


def test_tfds_columns_equal_those_of_tfds():
    found = prepared("trec")
    import tensorflow_datasets as tfds

    some = list(
        tfds.as_numpy(tfds.load("trec", split="test", data_dir=os.environ["TFDS_DATA_DIR"]))
    )
    for name in ("text", "label-fine"):
        assert found.test.columns[name].tolist() == [row[name] for row in some]
    assert len(found.train.labels["label-coarse"]) == 6
    assert (len(found.train), found.valid) == (5452, None)


def test_nested_features_have_their_own_names():
    found = prepared("wine_quality/white").train.columns
    assert {"quality", "alcohol", "pH"} < set(found)
    assert (found["alcohol"].dtype, found["quality"].dtype) == ("float32", "int64")


def test_features_that_are_not_scalar_are_left_out():
    assert "movie_genres" not in prepared("movielens/100k-ratings").train.columns


def test_an_image_set_is_not_a_table():
    columns = prepared("mnist").train.columns
    assert set(columns) == {"label"}
