"""Arrow reads a regular CSV file as the csv module does; other files go to the patient reader."""

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest

from pipelines.hash_splits import row_hashes
from pipelines.tables import (
    column_store,
    csv_blocks,
    csv_files,
    regular_csv,
    separators,
    text_files,
)
from pipelines.tables.cells import Cells
from pipelines.tables.csv_blocks import IrregularError
from pipelines.tables.type_inference import infer_column

SHARED = Path(__file__).parents[2] / "shared" / "data"
NUMBERS = ["1", "2.5", "", "NA", "-", "+5", "1e400", "nan", "nan(1)", "inf", "1,5", "10_1", " 7 "]
TEXTS = ["x", "y z", "\u00a0pad\u00a0", "é", "雪", "\t", "  ", "#", "5'11\"", 'a "b" c', "\x1c", ""]
QUOTED = ['"q"', '"a,b;c"', '"a\nb"', '"a\r\n\n\nb"', '"say ""no"""', ' "lead"', '""', '" "']


def reference(text, separator, width):
    """The cells and lines of all rows, and the broken lines, as the csv module reads them."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    rows = ((reader.line_num, [cell.strip() for cell in row]) for row in reader)
    _, *others = [(line, row) for line, row in rows if any(row)]
    whole = [(line, row) for line, row in others if len(row) == width]
    broken = [(line, len(row)) for line, row in others if len(row) != width]
    columns = [*map(list, zip(*(row for _, row in whole), strict=True))]
    return columns, [line for line, _ in whole], broken


def check_equal(path, text):
    """Read a file by Arrow and by the csv module; return whether it was regular."""
    with text_files.opened(str(path)) as file:
        layout = separators.layout(file)
        try:
            parsed = regular_csv.parse(file, layout)
        except IrregularError:
            return False
    skipped = layout.num_skipped
    text = "\n" * skipped + "\n".join(text.split("\n")[skipped:])
    columns, lines, broken = reference(text, layout.separator, len(parsed.header))
    cells = [[cell.decode() for cell in column.tolist()] for column in parsed.columns]
    assert cells == columns or not lines
    assert parsed.lines.tolist() == lines
    assert [(line, count) for line, count, _ in parsed.broken] == broken
    return True


def generated(random):
    separator, end = random.choice([",", ";", "\t", "|"]), random.choice(["\n", "\r\n"])
    width = random.integers(1, 5)
    pools = [random.choice(NUMBERS + TEXTS + QUOTED * 2, 4) for _ in range(width)]
    lines = [separator.join(f"n{k}" for k in range(width))]
    for _ in range(random.integers(1, 40)):
        row = [random.choice(pool) for pool in pools]
        kind = random.random()
        row = [*row, "more"] if kind < 0.03 else row[:1] if kind < 0.06 else row
        lines.append("" if kind > 0.97 else separator.join(row))
    return end.join(lines) + end * (random.random() < 0.7)


@pytest.mark.parametrize("stored", [0, 2**30])
@pytest.mark.parametrize("block", [1, 20, 2**24])
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in (1, 2))]
)
def test_generated_files_are_read_as_by_the_csv_module(seed, block, stored, tmp_path, monkeypatch):
    monkeypatch.setattr(column_store, "MAX_BYTES_IN_MEMORY", stored)
    monkeypatch.setattr(csv_blocks, "BYTES_PER_BLOCK", block)
    random, num_regular = np.random.default_rng(seed), 0
    for _ in range(50):
        text = generated(random)
        (tmp_path / "file.csv").write_text(text, newline="", encoding="utf-8")
        num_regular += check_equal(tmp_path / "file.csv", text)
    assert num_regular > 25


FILES = sorted(SHARED.glob("**/*.csv*"))


@pytest.mark.thorough
@pytest.mark.skipif(not FILES, reason="needs ../shared/data")
def test_shared_files_are_read_as_by_the_csv_module():
    num_regular = 0
    for path in FILES:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if len(content) < 2**22:
            num_regular += check_equal(path, content.decode("utf-8-sig"))
    assert num_regular > 20


@pytest.mark.parametrize(
    "text",
    [
        'a,b\n"x,1\ny,2\n',  # a quote without a partner
        'a,b\n"x"y,1\n',
        'a,b\n"x" ,1\n',
        'a,b\n"1,2\n3,4\n5",6\n',  # a cell that holds rows
    ],
)
def test_a_file_whose_quotes_do_not_pair_is_irregular(text, tmp_path):
    (tmp_path / "file.csv").write_text(text)
    assert not check_equal(tmp_path / "file.csv", text)
    assert len(csv_files.read(str(tmp_path / "file.csv")).train) == text.count("\n") - 1


def test_hashes_of_rows_stay_those_of_earlier_versions(tmp_path):
    rows = ["1.5,red,2019-03-21", ",雪,", "1.5,red,2019-03-21", "-7,,x y", "1.5,red,2019-03-21"]
    (tmp_path / "file.csv").write_text("\n".join(["n,text,när", *rows]), encoding="utf-8")
    hashes = row_hashes(csv_files.read(str(tmp_path / "file.csv")).train)
    assert [f"{number:016x}" for number in hashes.tolist()] == [
        "5018e01bd3f8c20d", "5a052e9d5399dc36", "cc28d699235555a5", "20a62d07cebca136",
        "030720f6c0f74d78",
    ]  # fmt: skip


def test_a_row_may_be_longer_than_a_block(tmp_path):
    text = "n,text\n" + "1," + "ab " * 2**20 + "\n2,short\n3\n"
    (tmp_path / "file.csv").write_text(text)
    assert check_equal(tmp_path / "file.csv", text)


@pytest.mark.parametrize("cell", ["nan(1)", "10_1", "0x10", " 7", "1 ", "\u0661", "1\x00"])
def test_numbers_are_those_of_float(cell):
    found = Cells.of([b"2.5", cell.encode(), b""]).numbers
    expected = 7.0 if cell == " 7" else 1.0 if cell == "1 " else np.nan
    np.testing.assert_array_equal(found, [2.5, expected, np.nan])


def test_an_exponent_proves_nothing_about_the_decimal_mark():
    column = infer_column(Cells.of([b"0.1e5", b"1.234e2", b"7"] * 20))
    assert (column.kind, column.number_style.ambiguous) == ("number", {})
