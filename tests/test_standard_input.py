"""A table on standard input is stored once, and is data like any other."""

import io
import json
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from apps.mnist.app import Mnist
from apps.regression.app import Regression
from pipelines import standard_input
from pipelines.examples import AddressError
from pipelines.files import state_directory
from pipelines.frames import DATA_FOLDER


@pytest.fixture
def pipe(monkeypatch):
    """A function that puts bytes on standard input."""

    def put(content):
        stream = io.TextIOWrapper(io.BufferedReader(io.BytesIO(content)))
        monkeypatch.setattr(sys, "stdin", stream)

    return put


def parquet_bytes(table):
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def houses(count=120):
    random = np.random.default_rng(0)
    size = random.normal(size=count)
    towns = [("Oslo", "Rome")[number] for number in random.integers(0, 2, count)]
    return pa.table({"size": size, "town": towns, "price": 3 * size + random.normal(size=count)})


@pytest.mark.parametrize(
    ("address", "content", "kind"),
    [
        ("-", b"a,b\n1,2\n", "csv"),
        ("-", b'{"a": 1}\n', "jsonl"),
        ("-", parquet_bytes(houses()), "parquet"),
        ("tsv:-", b"a\tb\n1\t2\n", "tsv"),
        (":-", b"a\n1\n", "csv"),
    ],
)
def test_the_content_gives_the_kind_of_the_stored_file(address, content, kind, pipe):
    pipe(content)
    stored = Regression(data=address).data
    assert stored.partition(":")[0] == kind and stored.endswith(f".{kind}")
    (file,) = (state_directory() / DATA_FOLDER).iterdir()
    assert file.read_bytes() == content
    pipe(content)
    assert Regression(data=address).data == stored


@pytest.mark.parametrize("content", [b""])
def test_empty_standard_input_is_refused(content, pipe):
    pipe(content)
    with pytest.raises(AddressError, match="standard input is empty"):
        Regression(data="-")


def test_an_app_that_reads_no_such_table_refuses_it(pipe):
    pipe(parquet_bytes(houses()))
    with pytest.raises(AddressError, match="kind parquet on standard input"):
        Mnist(data="-")


@pytest.mark.parametrize("address", ["a-", "folder:-", "x:-", "csv:a-", "csv"])
def test_other_addresses_are_not_standard_input(address):
    assert not standard_input.is_standard_input(address)


@pytest.mark.thorough
def test_typed_tables_train_and_predict_from_a_pipe(pipe, run_cli, tmp_path):
    content = parquet_bytes(houses())
    pipe(content)
    flags = ["--target", "price", "--model", "linear", "--run-dir", tmp_path / "run"]
    status, _, err = run_cli("regression", "train", "--data", "-", *flags)
    assert status == 0, err
    pipe(content)
    status, out, err = run_cli("regression", "predict", tmp_path / "run", "-", "--json")
    assert status == 0, err
    piped = json.loads(out)["predictions"]
    (tmp_path / "new.parquet").write_bytes(content)
    addresses = (f"{tmp_path}/new.parquet", f"parquet:{tmp_path}/*.parquet")
    for address in addresses:
        status, out, err = run_cli("regression", "predict", tmp_path / "run", address, "--json")
        assert status == 0, err
        named = json.loads(out)["predictions"]
        assert [row["value"] for row in named] == [row["value"] for row in piped]
    assert piped[1]["input"] == "-:2" and named[1]["input"] == f"{addresses[1]}:2"


def test_a_damaged_file_ends_with_status_2(run_cli, tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    status, _, err = run_cli("regression", "train", "--data", tmp_path / "t.parquet")
    assert (status, "which is damaged" in err) == (2, True)


def test_typed_ids_are_those_of_training(run_cli, tmp_path):
    random = np.random.default_rng(0)
    users, items = random.integers(0, 30, 800), random.integers(0, 20, 800)
    days = np.datetime64("2019-01-01") + random.integers(0, 500, 800)
    data = {"user": users, "item": items, "rating": 1 + users * items % 5, "time": days}
    parquet.write_table(pa.table(data), tmp_path / "r.parquet")
    flags = ["--data", tmp_path / "r.parquet", "--epochs", "1", "--run-dir", tmp_path / "run"]
    status, _, err = run_cli("recommender", "train", *flags, "--model", "svdpp")
    assert status == 0, err
    predict = ("recommender", "predict", tmp_path / "run")
    status, out, err = run_cli(*predict, tmp_path / "r.parquet", "--json")
    assert status == 0, err
    by_file = json.loads(out)["predictions"][0]["rating"]
    status, out, err = run_cli(*predict, f"{users[0]},{items[0]}", "--json")
    assert json.loads(out)["predictions"][0]["rating"] == by_file
