"""The separator of a CSV file, and lines that have another number of cells."""

import pytest

from pipelines import csv_files
from pipelines.examples import DataError


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


def test_where_no_line_is_a_row_one_is_shown(tmp_path):
    with pytest.raises(DataError) as told:
        names(tmp_path, "Report of May\n" + "a,b,c\n" + "1,2,3\n" * 20)
    assert "none of the 21 lines" in str(told.value)
    assert "line 2 has 3 cells" in str(told.value) and "as 'a,b,c'" in str(told.value)
