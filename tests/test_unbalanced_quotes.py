"""An unclosed quote never merges rows; a quoted cell may have several lines."""

import csv
import io
import time

import numpy as np
import pytest

from pipelines.tables import csv_files
from pipelines.tables.unbalanced_quotes import TolerantReader

PLAIN = [["bad nasty film", "neg"], ["good lovely film", "pos"]] * 100


def read(place, rows, separator=",", header=("text", "label")):
    """Write rows without quoting, and read them."""
    path = place / "file.csv"
    path.write_text("".join(separator.join(row) + "\n" for row in [header, *rows]), newline="")
    return csv_files.read(str(path))


def column(found, name="text"):
    return [cell.decode() for cell in found.train.columns[name]]


def with_quotes(*where, mark='"'):
    return [
        [mark + text if number in where else text, label]
        for number, (text, label) in enumerate(PLAIN)
    ]


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("where", [(20,), (20, 90), (3, 10, 17, 199), (0,), range(0, 200, 3)])
def test_an_unclosed_quote_is_part_of_the_cell(where, separator, tmp_path):
    found = read(tmp_path, with_quotes(*where), separator)
    texts = column(found)
    assert (len(texts), column(found, "label")) == (200, ["neg", "pos"] * 100)
    assert [place for place, text in enumerate(texts) if text.startswith('"')] == [*where]
    (note,) = found.notes
    assert f"file.csv: {len(where)} opening quote" in note and f"line {where[0] + 2}" in note


def test_closing_quotes_do_not_close_earlier_cells(tmp_path):
    rows = [*PLAIN]
    rows[20], rows[55] = ['"a screen', "neg"], ['a screen of 15"', "pos"]
    found = read(tmp_path, rows)
    assert column(found)[20] == '"a screen' and column(found)[55] == 'a screen of 15"'
    assert len(found.train) == 200 and "line 22" in found.notes[0]


def test_quotes_within_texts_stay(tmp_path):
    found = read(tmp_path, [['"Great" is what he said', "pos"], ['he said "no"', "neg"]])
    assert column(found) == ['"Great" is what he said', 'he said "no"']


def test_one_stray_quote_in_a_quoted_file(tmp_path):
    content = 'id,text,label\n1,"bad, nasty",neg\n2,"good film,pos\n3,"said ""no"", twice",neg\n'
    (tmp_path / "file.csv").write_text(content + '4,"two\nlines, one cell",pos\n')
    found = csv_files.read(str(tmp_path / "file.csv"))
    assert column(found) == ["bad, nasty", '"good film', 'said "no", twice', "two\nlines, one cell"]
    assert found.train.lines.tolist() == [2, 3, 4, 6]
    assert found.notes[0].endswith("read as part of the cell: line 3")


@pytest.mark.parametrize("header", ['"a,b,y', 'a,"b,y', 'a,b,y"'])
def test_a_quote_in_the_header(header, tmp_path):
    (tmp_path / "file.csv").write_text(header + "\n" + "1,2,3\n" * 60)
    found = csv_files.read(str(tmp_path / "file.csv"))
    assert [*found.train.columns] == header.split(",") and len(found.train) == 60


def test_backslashes_before_quotes(tmp_path):
    (tmp_path / "file.csv").write_text('text,label\n"said \\"no\\", twice",neg\n"C:\\dir\\",pos\n')
    found = csv_files.read(str(tmp_path / "file.csv"))
    assert column(found) == ['said "no", twice', "C:\\dir\\"]


@pytest.mark.parametrize("rows", [1, 2])
def test_a_cell_of_many_lines_is_one_cell_and_noted(rows, tmp_path):
    with (tmp_path / "file.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], *[["one, two, \n" * 40, "pos"]] * rows])
    found = csv_files.read(str(tmp_path / "file.csv"))
    assert column(found) == [("one, two, \n" * 40).strip()] * rows
    assert found.notes == ("file.csv: a quoted cell from line 2 on has 41 lines",)


@pytest.mark.parametrize("seed", range(5))
def test_files_of_the_csv_module_are_also_read_by_lines(seed):
    random = np.random.default_rng(seed)
    alphabet = list('ab ,"\n')
    rows = [["".join(random.choice(alphabet, 8)) for _ in range(3)] for _ in range(200)]
    rows = [[cell.strip(" \n") or "x" for cell in row] for row in rows]
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    lines = TolerantReader(io.StringIO(file.getvalue(), newline=""), ",")
    assert [*lines] == rows
    assert lines.line_num == file.getvalue().count("\n") and not lines.unmatched_quotes


@pytest.mark.parametrize("line", ['"' * 20_000, '"' + "\\" * 20_000, '"' + '\\"' * 9_999 + '"a'])
def test_every_line_takes_linear_time(line):
    started = time.process_time()
    assert len([*TolerantReader([line + "\n"] * 3, ",")]) >= 1
    assert time.process_time() - started < 1
