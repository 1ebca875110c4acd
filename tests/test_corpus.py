"""Invalid inputs: each gets a short error message and changes no file."""

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from corpus import configs, folders, requests, runs, tables

from apps import Mnist

FLAGS = Path(__file__).with_name("corpus") / "flags.txt"
MAX_MESSAGE_CHARACTERS = 700
# Parts of a message that only developers of athanor understand.
INTERNALS = re.compile(
    r"Traceback|Unexpected|<\w[\w.]* object|<class |<function |\{\{|0x[0-9a-f]{6}|tf\.Tensor|"
    r"KerasTensor|\.py\b.*line \d|Errno|Warning:|np\.\w+\("
)
# Lines that the JPEG library prints from C, and that TensorFlow prints after many commands.
LIBRARY_LINES = re.compile(
    r"^(Improper call to JPEG library|WARNING:tensorflow:\d+ out of the last).*\n", re.MULTILINE
)
FINETUNE = (
    "finetune train --data folder:bad --backbone digits --weights none --epochs 1 --head-epochs 1"
)
PROCESSES = [
    ("mnist train --epochs 1.5", "whole number"),
    ("mnist train --config nowhere.yaml", "nowhere.yaml"),
    ("serve nowhere --port 0", "nowhere"),
    pytest.param("mnist check-distribute --data embeded", "embedded", marks=pytest.mark.slow),
    pytest.param("mnist check-distribute --optimizer adm", "adam", marks=pytest.mark.slow),
    pytest.param("mnist train --devices 2 --data csv:x", "csv:x", marks=pytest.mark.slow),
]


def flags():
    """Yield each line of flags.txt: a command line, and a part of its error message."""
    for line in FLAGS.read_text().splitlines():
        if line and line[0] != "#":
            words, _, expected = line.removeprefix("! ").rpartition(" | ")
            marks = [pytest.mark.slow] if line[0] == "!" else []
            yield pytest.param(words, expected, id=words, marks=marks)


def parameters(module):
    return [
        pytest.param(command, content, expected, id=f"{kind}: {name}")
        for kind, (command, table) in module.items()
        for name, (content, expected) in table.items()
    ]


CSV, YAML = parameters(tables.TABLES), parameters(configs.FILES)


def some_slow(name):
    return pytest.param(name, marks=[pytest.mark.slow] if name in folders.LONG else [])


def snapshot(directory):
    """Return the contents of all files, the targets of links, and the directories."""
    found = {}
    for folder, names, files in os.walk(directory):
        for path in (Path(folder) / name for name in [*names, *files]):
            if path.is_symlink():
                found[str(path)] = str(path.readlink())
            elif path.is_file():
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                found[str(path)] = "directory"
    return found


@pytest.fixture
def refused(run_cli, elsewhere):
    """A function that runs a command line and checks what all its errors have in common."""

    def run(words, expected, statuses=(2,)):
        before = snapshot(elsewhere)
        status, out, err = run_cli(*words)
        assert status in statuses, (status, out, err)
        assert not out
        err = LIBRARY_LINES.sub("", err)
        assert err.startswith("athanor: ")
        assert len(err.strip().splitlines()) <= 2
        assert len(err) <= MAX_MESSAGE_CHARACTERS, err
        assert not INTERNALS.search(err), err
        assert expected in err
        assert snapshot(elsewhere) == before
        return err

    return run


@pytest.mark.parametrize(("line", "expected"), list(flags()))
def test_flags(line, expected, refused, tiny_run, exported):
    fixtures = {"{run}": tiny_run, "{exported}": exported}
    for name, fixture in fixtures.items():
        line = line.replace(name, str(fixture(Mnist).path)) if name in line else line
    refused(shlex.split(line), expected)


@pytest.mark.parametrize(("command", "content", "expected"), CSV)
def test_a_table(command, content, expected, refused, elsewhere):
    (elsewhere / "bad.csv").write_bytes(content)
    refused(command.split(), expected)


@pytest.mark.parametrize(("command", "content", "expected"), YAML)
def test_a_file_of_fields(command, content, expected, refused, elsewhere):
    (elsewhere / "bad.yaml").write_bytes(content)
    refused(command.split(), expected)


@pytest.mark.parametrize("name", [some_slow(name) for name in folders.FOLDERS])
def test_a_folder(name, refused, elsewhere):
    write, expected = folders.FOLDERS[name]
    write(elsewhere / "bad")
    refused(FINETUNE.split(), expected)


@pytest.mark.parametrize("name", runs.RUNS)
def test_a_run(name, refused, tiny_run, elsewhere):
    damage, verb, expected = runs.RUNS[name]
    shutil.copytree(tiny_run(Mnist).path, elsewhere / "run")
    (elsewhere / "picture.png").write_bytes(folders.png())
    damage(elsewhere / "run")
    refused(runs.COMMANDS[verb].split(), expected, statuses=(1, 2))


@pytest.mark.parametrize("name", requests.REQUESTS)
def test_a_request(name, served):
    address = ("127.0.0.1", served.port)
    response = b""
    with socket.create_connection(address, timeout=20) as client, contextlib.suppress(OSError):
        client.sendall(requests.REQUESTS[name])
        client.shutdown(socket.SHUT_WR)
        while part := client.recv(2**16):
            response += part
    statuses = [int(one) for one in re.findall(rb"^HTTP/1\.[01] (\d{3})", response, re.MULTILINE)]
    assert all(status < 500 for status in statuses), response[:500]
    assert not INTERNALS.search(response.decode("latin-1"))
    assert b"root:" not in response
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(requests.get("/healthz"))
        assert client.recv(2**16).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("line", "expected"), PROCESSES)
def test_a_process(line, expected, elsewhere):
    words = [sys.executable, "-m", "athanor", *line.split()]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr
    assert not INTERNALS.search(done.stderr)
    assert len(done.stderr.splitlines()) == 1
    assert not list(elsewhere.iterdir())


def test_the_corpus_has_more_than_700_inputs():
    cases = {one.id for table in (flags(), CSV, YAML) for one in table}
    for table in (folders.FOLDERS, runs.RUNS, requests.REQUESTS):
        cases |= set(table)
    assert len(cases) > 700
