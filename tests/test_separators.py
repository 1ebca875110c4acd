"""The separator of a CSV file, its header and comments."""

import pytest

from pipelines.examples import DataError
from pipelines.tables import csv_files, encodings
from pipelines.tables.encodings import detect


def names(place, content):
    (place / "file.csv").write_text(content)
    return [*csv_files.read(str(place / "file.csv")).train.columns]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('"size, of it, in m2";rooms\n3;4\n', ["size, of it, in m2", "rooms"]),
        ("size, m2;rooms\n3,5;4\n7,25;5\n", ["size, m2", "rooms"]),
        ("a;b, c, d\n1;2\n3;4\n", ["a", "b, c, d"]),
        ('"a\nb; c; d",e\n1,2\n', ["a\nb; c; d", "e"]),
        ("a|b,c\n1|2,3\n4|5,6\n", ["a", "b,c"]),
        ("text\tlabel; kind\na; b; c\tx\nd, e\ty\n", ["text", "label; kind"]),
        ("a,b;c,d\n1,2,3\n4,5,6\n", ["a", "b;c", "d"]),
        ("one\n1\n", ["one"]),
        ("sep=;\na;b\n1;2\n", ["a", "b"]),
        ('"sep=\t"\r\na,x\tb\r\n1,5\t2\r\n', ["a,x", "b"]),
        ("\nSEP=^\n\na^b\n1^2\n", ["a", "b"]),
    ],
)
def test_the_separator_is_found(content, expected, tmp_path):
    assert names(tmp_path, content) == expected


def test_a_line_that_names_the_separator_counts_as_a_line(tmp_path):
    (tmp_path / "file.csv").write_text("sep=;\na;b\n1;2\n3\n")
    table = csv_files.read(str(tmp_path / "file.csv")).train
    assert (table.lines.tolist(), table.broken) == ([3], ((4, 1),))


def test_the_error_shows_a_broken_line_if_all_are_broken(tmp_path):
    with pytest.raises(DataError) as raised:
        names(tmp_path, "Report of May\n" + "a,b,c\n" + "1,2,3\n" * 20)
    assert "none of the 21 lines" in str(raised.value)
    assert "line 2 has 3 cells" in str(raised.value) and "as 'a,b,c'" in str(raised.value)


COMMENTS = "# from the station\n#\n# units: mm\n"


@pytest.mark.parametrize(
    ("content", "expected", "rows"),
    [
        (COMMENTS + "a,b\n1,2\n3,4\n", ["a", "b"], 2),
        ("\n" + COMMENTS + "\na;b\n1,5;2\n3;4\n", ["a", "b"], 2),
        ("# made on 1 May, by hand\na,b\n1,x\n3,y\n", ["a", "b"], 2),
        ('"# made on 1 May, by hand",,\na,b,c\n1,x,2\n', ["a", "b", "c"], 1),
        # The names themselves may begin so.
        ("#id,name\n1,x\n2,y\n", ["#id", "name"], 2),
        ("#name,kind\nx,y\nz,y\n", ["#name", "kind"], 2),
        (COMMENTS + "#id\tname\n1\tx\n2\ty\n", ["#id", "name"], 2),
        ("#\n1\n2\n", ["#"], 2),
    ],
)
def test_comment_lines_above_the_names_are_left_out(content, expected, rows, tmp_path):
    (tmp_path / "file.csv").write_text(content)
    found = csv_files.read(str(tmp_path / "file.csv"))
    assert ([*found.train.columns], len(found.train)) == (expected, rows)
    skipped = not content.lstrip("\n").startswith(("#id", "#name", "#\n1"))
    assert ["comment line" in note for note in found.notes] == [True] * skipped
    assert found.train.lines[-1] == content.count("\n")
    assert [[*one.columns] for one in csv_files.headers(str(tmp_path / "file.csv"))][-1] == expected


def test_the_note_shows_a_comment(tmp_path):
    (tmp_path / "file.csv").write_text(COMMENTS + "a,b\n1,2\n")
    (note,) = csv_files.read(str(tmp_path / "file.csv")).notes
    assert note == (
        "file.csv: 3 comment lines above the column names left out, such as '# from the station'"
    )


def test_an_unclosed_quote_in_the_header_is_read(tmp_path):
    (tmp_path / "file.csv").write_text('"height,price\n1,2\n3,4\n')
    (table,) = csv_files.headers(str(tmp_path / "file.csv"))
    assert [*table.columns] == ['"height', "price"]


def test_ascii_headers_are_read_without_the_rest_of_the_file(tmp_path, monkeypatch):
    path = tmp_path / "file.csv"
    path.write_bytes(b"a,b\n" + b"1,2\n" * 300_000 + "é,1\n".encode("cp1252"))
    seen = []
    monkeypatch.setattr(encodings, "detect", lambda *given: seen.append(given) or detect(*given))
    tables = [*csv_files.headers(str(path))]
    assert ([[*one.columns] for one in tables], seen) == ([["a", "b"]] * 2, [])


@pytest.mark.parametrize("codec", ["cp1252", "utf-8", "gb18030"])
def test_names_and_rows_share_one_decision_on_the_encoding(codec, tmp_path, monkeypatch):
    path = tmp_path / "file.csv"
    path.write_bytes(("größe,b\n" + "é,2\n" * 99).encode(codec))
    seen = []
    monkeypatch.setattr(encodings, "detect", lambda *given: seen.append(given) or detect(*given))
    (first, _), rows = [*csv_files.headers(str(path))], csv_files.read(str(path)).train
    assert [*first.columns] == [*rows.columns]
    assert len(seen) == 1
    path.write_bytes("größe,b\né,2\n".encode("utf-16"))  # another file is decided anew
    assert [*csv_files.read(str(path)).train.columns] == ["größe", "b"]
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            '"size","price"\n' + "".join(f'"{row}",2,3\n' for row in range(10)),
            ["column_1", "size", "price"],
        ),
        ("size;price\n" + "1;2;\n" * 10, ["size", "price", "column_3"]),
    ],
    ids=["R", "separators behind rows"],
)
def test_an_unnamed_column_is_called_by_its_number(content, expected, tmp_path):
    (tmp_path / "file.csv").write_text(content)
    found = csv_files.read(str(tmp_path / "file.csv"))
    assert ([*found.train.columns], len(found.train), found.train.broken) == (expected, 10, ())
    assert "has no name" in found.notes[0]
    assert [*next(csv_files.headers(str(tmp_path / "file.csv"))).columns] == expected


def test_an_additional_comma_in_a_few_rows_makes_no_column(tmp_path):
    (tmp_path / "file.csv").write_text("text,kind\nso, so,x\nwell, no,y\n")
    with pytest.raises(DataError, match="none of the 2 lines"):
        csv_files.read(str(tmp_path / "file.csv"))
