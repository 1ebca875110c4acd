"""Bad inputs: each is refused in a line or two, and leaves every file as it was."""

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
LONGEST = 700  # characters of a message
# What only who wrote the program understands.
INSIDE = re.compile(
    r"Traceback|Unexpected|<\w[\w.]* object|<class |<function |\{\{|0x[0-9a-f]{6}|tf\.Tensor|"
    r"KerasTensor|\.py\b.*line \d|Errno|Warning:|np\.\w+\("
)
# What the library of JPEG says by itself, from C, and TensorFlow to a process of many commands.
BESIDE = re.compile(
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
    """Each line of flags.txt: a command line, and what the answer has to name."""
    for line in FLAGS.read_text().splitlines():
        if line and line[0] != "#":
            words, _, says = line.removeprefix("! ").rpartition(" | ")
            marks = [pytest.mark.slow] if line[0] == "!" else []
            yield pytest.param(words, says, id=words, marks=marks)


def of_tables(module):
    return [
        pytest.param(command, content, says, id=f"{kind}: {name}")
        for kind, (command, table) in module.items()
        for name, (content, says) in table.items()
    ]


CSV, YAML = of_tables(tables.TABLES), of_tables(configs.FILES)


def some_slow(name):
    return pytest.param(name, marks=[pytest.mark.slow] if name in folders.LONG else [])


def state(place):
    """All that is there: names, kinds, contents, links."""
    found = {}
    for folder, names, files in os.walk(place):
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
    """A function that runs a command line and holds the answer to what every refusal promises."""

    def asked(words, says, statuses=(2,)):
        before = state(elsewhere)
        status, out, err = run_cli(*words)
        assert status in statuses, (status, out, err)
        assert not out
        err = BESIDE.sub("", err)
        assert err.startswith("athanor: ")
        assert len(err.strip().splitlines()) <= 2
        assert len(err) <= LONGEST, err
        assert not INSIDE.search(err), err
        assert says in err
        assert state(elsewhere) == before
        return err

    return asked


@pytest.mark.parametrize(("line", "says"), list(flags()))
def test_flags(line, says, refused, tiny_run, exported):
    places = {"{run}": tiny_run, "{exported}": exported}
    for place, made in places.items():
        line = line.replace(place, str(made(Mnist).path)) if place in line else line
    refused(shlex.split(line), says)


@pytest.mark.parametrize(("command", "content", "says"), CSV)
def test_a_table(command, content, says, refused, elsewhere):
    (elsewhere / "bad.csv").write_bytes(content)
    refused(command.split(), says)


@pytest.mark.parametrize(("command", "content", "says"), YAML)
def test_a_file_of_fields(command, content, says, refused, elsewhere):
    (elsewhere / "bad.yaml").write_bytes(content)
    refused(command.split(), says)


@pytest.mark.parametrize("name", [some_slow(name) for name in folders.FOLDERS])
def test_a_folder(name, refused, elsewhere):
    write, says = folders.FOLDERS[name]
    write(elsewhere / "bad")
    refused(FINETUNE.split(), says)


@pytest.mark.parametrize("name", runs.RUNS)
def test_a_run(name, refused, tiny_run, elsewhere):
    damage, verb, says = runs.RUNS[name]
    shutil.copytree(tiny_run(Mnist).path, elsewhere / "run")
    (elsewhere / "picture.png").write_bytes(folders.png())
    damage(elsewhere / "run")
    refused(runs.ASKED[verb].split(), says, statuses=(1, 2))


@pytest.mark.parametrize("name", requests.REQUESTS)
def test_a_request(name, served):
    place = ("127.0.0.1", served.port)
    answer = b""
    with socket.create_connection(place, timeout=20) as client, contextlib.suppress(OSError):
        client.sendall(requests.REQUESTS[name])
        client.shutdown(socket.SHUT_WR)
        while part := client.recv(2**16):
            answer += part
    statuses = [int(one) for one in re.findall(rb"^HTTP/1\.[01] (\d{3})", answer, re.MULTILINE)]
    assert all(status < 500 for status in statuses), answer[:500]
    assert not INSIDE.search(answer.decode("latin-1"))
    assert b"root:" not in answer
    with socket.create_connection(place, timeout=20) as client:
        client.sendall(requests.get("/healthz"))
        assert client.recv(2**16).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("line", "says"), PROCESSES)
def test_a_process(line, says, elsewhere):
    words = [sys.executable, "-m", "athanor", *line.split()]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert not INSIDE.search(done.stderr)
    assert len(done.stderr.splitlines()) == 1
    assert not list(elsewhere.iterdir())


def test_the_corpus_has_more_than_700_inputs():
    cases = {one.id for table in (flags(), CSV, YAML) for one in table}
    for table in (folders.FOLDERS, runs.RUNS, requests.REQUESTS):
        cases |= set(table)
    assert len(cases) > 700
