"""Tables in Parquet, Feather, JSON lines, Excel, compressed and in several files."""

import bz2
import datetime
import decimal
import gzip
import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import feather, parquet

from pipelines import sources
from pipelines.addresses import parse_address
from pipelines.examples import AddressError, DataError
from pipelines.preflight import check_address
from pipelines.rows import reading
from pipelines.table_paths import TABLE_KINDS
from pipelines.tables import arrow_columns
from pipelines.tables.table import Tables

KINDS = ("embedded", "tfds", *TABLE_KINDS)
NUM_ROWS = 400


def rows(seed=0, count=NUM_ROWS):
    random = np.random.default_rng(seed)
    days = np.datetime64("2019-01-01") + random.integers(0, 900, count)
    columns = {
        "size": random.normal(size=count).round(4),
        "rooms": random.integers(1, 9, count),
        "city": [f" city {number}" for number in random.integers(0, 5, count)],
        "sold": days.astype("datetime64[D]"),
        "garden": random.random(count) < 0.5,
        "price": random.normal(size=count).round(3) + 7,
    }
    return pa.table({name: pa.array(column) for name, column in columns.items()})


def read(address):
    return sources.tables(str(address), embedded=Tables)


def write(folder, name, data):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if name.endswith((".parquet", ".pq")):
        parquet.write_table(data, path)
    elif name.endswith((".feather", ".arrow")):
        feather.write_feather(data, str(path), compression="uncompressed")
    elif name.endswith(".jsonl"):
        lines = (json.dumps(row, default=str) for row in data.to_pylist())
        path.write_text("\n".join(lines))
    else:
        separator = "\t" if name.endswith(".tsv") else ","
        arrow_csv.write_csv(data, path, arrow_csv.WriteOptions(delimiter=separator))
    return path


@pytest.mark.parametrize(
    "name", ["t.parquet", "t.pq", "t.feather", "t.arrow", "t.jsonl", "t.tsv", "t.csv"]
)
def test_each_format_gives_the_same_examples(name, tmp_path):
    path = write(tmp_path, name, rows())
    splits = reading.splits(read(path), "price", "", "auto")
    table = splits.train.columns
    expected = rows()
    np.testing.assert_array_equal(table["size"], expected["size"].to_numpy())
    np.testing.assert_array_equal(table["rooms"], expected["rooms"].to_numpy())
    assert table["city"].tolist() == [
        text.strip().encode() for text in expected["city"].to_pylist()
    ]
    days = expected["sold"].to_numpy().astype("datetime64[D]").astype(float)
    np.testing.assert_array_equal(table["sold"], days)
    assert table["garden"].tolist() == [
        str(value).lower().encode() for value in expected["garden"].to_pylist()
    ]
    assert sum(splits.sizes.values()) == NUM_ROWS


def converted(*cells, type=None):
    tables = arrow_columns.tables_of(pa.table({"x": pa.array(cells, type)}), "t.parquet")
    return tables.train.columns["x"]


def test_types_of_columns_are_kept():
    assert converted(1, 2).dtype == "int64"
    assert converted(1.5, None, type=pa.float32()).dtype == "float32"
    np.testing.assert_array_equal(converted(1, None, 3), [1, np.nan, 3])
    assert converted(2**60, None).tolist() == [b"1152921504606846976", b""]
    np.testing.assert_array_equal(converted(decimal.Decimal("1.25"), None), [1.25, np.nan])
    day = datetime.date(2019, 3, 21)
    assert converted(day, None).astype(str).tolist() == ["2019-03-21T00:00:00.000000", "NaT"]
    zone = datetime.timezone(datetime.timedelta(hours=2))
    moment = datetime.datetime(2019, 3, 21, 1, 30, tzinfo=zone)
    assert str(converted(moment)[0]) == "2019-03-20T23:30:00.000000"
    np.testing.assert_array_equal(converted(datetime.timedelta(minutes=2), None), [120, np.nan])
    assert converted(True, None, False).tolist() == [b"true", b"", b"false"]
    assert converted("a", None, "", " b ").tolist() == [b"a", b"", b"", b"b"]
    encoded = pa.array(["a", None, "a"]).dictionary_encode()
    assert converted(*encoded.to_pylist(), type=encoded.type).tolist() == [b"a", b"", b"a"]
    views = pa.array(["a", "b"], pa.string_view())  # as polars writes categories
    encoded = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.uint32()), views)
    tables = arrow_columns.tables_of(pa.table({"x": encoded}), "t.feather")
    assert tables.train.columns["x"].tolist() == [b"b", b"", b"a"]
    assert converted(["a", "b"], [], None).tolist() == [b"a, b", b"", b""]
    assert converted([1, 2], [3]).tolist() == [b"1, 2", b"3"]
    assert converted(None, None).tolist() == [b"", b""]


def test_parts_of_structures_are_columns_and_binary_ones_are_left_out():
    data = pa.table(
        {"where": [{"city": "Bonn", "zip": 53}] * 3, "photo": [b"\0"] * 3, "n": [1, 2, 3]}
    )
    tables = arrow_columns.tables_of(data, "t.parquet")
    assert [*tables.train.columns] == ["where.city", "where.zip", "n"]
    assert tables.notes == ("t.parquet: column 'photo' of binary is left out",)


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".bz2"])
def test_compressed_files_are_read(suffix, tmp_path):
    text = b"a,b\n" + b"".join(b"%d,x\n" % number for number in range(50_000))
    compress = {".gz": gzip.compress, ".bz2": bz2.compress}.get(
        suffix, lambda content: pa.compress(content, "zstd", asbytes=True)
    )
    path = tmp_path / f"t.csv{suffix}"
    path.write_bytes(compress(text))
    table = read(path).train
    np.testing.assert_array_equal(table.columns["a"].numbers, np.arange(50_000))
    path.write_bytes(compress(text)[:-100])
    with pytest.raises(DataError, match="damaged or cut off"):
        read(path)
    lines = tmp_path / f"t.jsonl{suffix}"
    lines.write_bytes(compress(b'{"a": 1}\n{"a": 2}\n'))
    assert read(lines).train.columns["a"].tolist() == [1, 2]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl", "a.feather", "a.tsv"])
def test_several_files_are_one_table(name, tmp_path):
    whole = rows()
    suffix = name[1:]
    write(tmp_path / "set", f"a{suffix}", whole.slice(0, 150))
    write(tmp_path / "set", f"b{suffix}", whole.slice(150))
    (tmp_path / "set" / ".hidden.csv").write_text("x")
    (tmp_path / "set" / "_SUCCESS").touch()
    kind = {"tsv": "tsv"}.get(suffix[1:], suffix[1:])
    for address in (f"{tmp_path}/set", f"{tmp_path}/set/*{suffix}", f"{kind}:{tmp_path}/set"):
        table = read(address).train
        assert len(table) == NUM_ROWS
        check_address(address, KINDS, {"--target": "price"})
    single = read(write(tmp_path, f"whole{suffix}", whole)).train
    for column, expected in zip(table.columns.values(), single.columns.values(), strict=True):
        assert column.tolist() == expected.tolist()


def test_a_row_of_several_files_names_its_file(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n2\n")
    (tmp_path / "b.csv").write_text("x\n3\n\n4\n5,6\n")
    tables = read(f"{tmp_path}/*.csv")
    assert [tables.train.where(row) for row in range(4)] == [
        "a.csv line 2", "a.csv line 3", "b.csv line 2", "b.csv line 4",
    ]  # fmt: skip
    assert tables.train.select(np.array([3])).where(0) == "b.csv line 4"
    assert tables.notes == ("b.csv: 1 lines left out, not of 1 cells: line 5 has 2 cells",)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_files_with_other_columns_are_refused(suffix, tmp_path):
    write(tmp_path, f"a{suffix}", pa.table({"x": [1], "y": [2]}))
    write(tmp_path, f"b{suffix}", pa.table({"x": [1], "z": [2]}))
    with pytest.raises(DataError, match=f"Received 'b{suffix}' without the column 'y'; expected"):
        read(f"{tmp_path}/*{suffix}")
    write(tmp_path, f"b{suffix}", pa.table({"x": [1], "y": [2], "z": [3]}))
    with pytest.raises(DataError, match=f"Received 'b{suffix}' with the column 'z' more"):
        read(f"{tmp_path}/*{suffix}")


def test_files_whose_columns_have_other_types_are_refused(tmp_path):
    write(tmp_path, "a.parquet", pa.table({"x": [1]}))
    write(tmp_path, "b.parquet", pa.table({"x": ["one"]}))
    refusal = r"Received 'b.parquet', whose column 'x' holds string; expected int64, as in 'a"
    with pytest.raises(DataError, match=refusal):
        read(f"{tmp_path}/*.parquet")
    write(tmp_path, "b.parquet", pa.table({"x": [1.5]}))
    assert read(f"{tmp_path}/*.parquet").train.columns["x"].tolist() == [1, 1.5]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t.parquet", b"PAR1 no more", "damaged or has another format"),
        ("t.parquet", b"a,b\n1,2\n", "expected a Parquet file"),
        ("t.feather", b"ARROW1 no more", "expected a Feather or Arrow file"),
        ("t.jsonl", b'{"a": 1}\n\nnot\n', "line 3 is not JSON"),
        ("t.jsonl", b'{"a": 1}\n[1]\n', "line 2 is not a JSON object"),
        (
            "t.jsonl",
            b'{"a": 1}\n{"a": "x"}\n',
            "the key 'a' holds a text in line 2, a number before",
        ),
        ("t.jsonl", b"", "Empty JSON file"),
        ("t.csv", b"PAR1 a,b", "Name it parquet:PATH"),
    ],
)
def test_a_damaged_file_is_refused(name, content, reason, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=reason) as raised:
        read(tmp_path / name)
    assert raised.value.exit_status == 2


def test_a_page_with_a_wrong_checksum_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    parquet.write_table(rows(), path, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged.*CRC checksum"):
        read(path)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_a_file_that_is_cut_off_is_refused(name, tmp_path):
    path = write(tmp_path, name, rows())
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DataError, match=f"Received '.*{name}', which is damaged"):
        read(path)
    write(tmp_path, f"a{name[1:]}", rows())
    with pytest.raises(DataError, match=f"Received '.*/{name}', which is damaged"):
        read(f"{tmp_path}/*{name[1:]}")


def test_a_file_without_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match="without rows"):
        read(write(tmp_path, "t.parquet", pa.table({"x": pa.array([], "int64")})))


@pytest.mark.parametrize("address", ["parquet:no/*.parquet", "parquet:no.parquet", "csv:empty"])
def test_an_address_without_files_is_refused(address, elsewhere):
    (elsewhere / "empty").mkdir()
    with pytest.raises(AddressError, match="Received"):
        read(address)
    with pytest.raises(AddressError):
        check_address(address, KINDS, {})


def test_a_path_has_the_kind_of_its_suffix(elsewhere):
    for name in ("t.parquet", "t.PQ", "t.arrow", "t.ndjson", "t.jsonl.zst", "t.xlsx", "t.csv.gz"):
        (elsewhere / name).touch()
    kinds = [parse_address(path.name, KINDS)[0] for path in sorted(elsewhere.iterdir())]
    assert kinds == ["parquet", "feather", "csv", "jsonl", "jsonl", "parquet", "xlsx"]
    with pytest.raises(AddressError, match="holds files of one kind"):
        parse_address(".", KINDS)


def test_missing_columns_of_typed_files_are_reported_at_once(tmp_path):
    path = write(tmp_path, "t.parquet", rows())
    with pytest.raises(AddressError, match="Did you mean 'price'"):
        check_address(str(path), KINDS, {"--target": "prise"})


def test_an_excel_workbook_is_read_or_names_the_extra(tmp_path):
    path = tmp_path / "t.xlsx"
    try:
        import openpyxl
    except ImportError:
        path.write_bytes(b"PK\x03\x04")
        with pytest.raises(DataError, match=r"pip install 'athanor\[excel\]'"):
            read(path)
        return
    book = openpyxl.Workbook()
    moment = datetime.datetime(2019, 3, 21)
    for row in (["a", "b", "c"], [1, "x", moment], [], [2.5, None, moment], [3, 7, moment]):
        book.active.append(row)
    book.save(path)
    table = read(path).train
    assert table.columns["a"].tolist() == [1, 2.5, 3]
    assert table.columns["b"].tolist() == [b"x", b"", b"7"]
    assert str(table.columns["c"][0]) == "2019-03-21T00:00:00.000000"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="damaged or has another format"):
        read(path)
