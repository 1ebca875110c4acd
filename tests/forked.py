"""Replay exports in forks of a process that has imported TensorFlow but not started it.

Importing TensorFlow takes some four processor seconds, which most tests of an export need not
spend. For a replay, a fork is the same as a new process: it has its own arguments, directory,
environment, output and exit status, and no module of Athanor is imported.
"""

import atexit
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

VARIABLE = "ATHANOR_TESTS_FORKS"  # names the socket, for the processes of xdist


def server(path):
    """Fork a process for every request at this socket, until standard input ends."""
    sys.modules["keras"] = None  # as exporting/replay.py does
    import tensorflow  # noqa: F401

    running = {}
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as waiting:
        listening.bind(f"{path}.new")
        listening.listen()
        os.rename(f"{path}.new", path)  # noqa: PTH104 - the socket appears when it listens
        waiting.register(listening, selectors.EVENT_READ)
        waiting.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is listening:
                    client, pid = accept(listening)
                    ended = os.pidfd_open(pid)
                    running[ended] = client, pid
                    waiting.register(ended, selectors.EVENT_READ)
                else:
                    waiting.unregister(key.fileobj)
                    os.close(key.fileobj)
                    client, pid = running.pop(key.fileobj)
                    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                    with client:
                        client.sendall(str(status).encode())


def accept(listening):
    """Accept a request; return its client and the process id of its fork."""
    client, _ = listening.accept()
    content, files, _, _ = socket.recv_fds(client, 2**16, 2)
    while part := client.recv(2**16):
        content += part
    if pid := os.fork():
        for file in files:
            os.close(file)
        return client, pid
    os._exit(run_program(files, **json.loads(content)))


def run_program(files, words, directory, environment):
    """Run a program in this process; return its exit status."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
    os.closerange(3, max(files) + 1)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = words
    del sys.modules["keras"]
    status = 0
    try:
        runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def start(path):
    """Start the process of a server, which ends with this one; return it."""
    command = [sys.executable, "-I", __file__, str(path)]
    with Path(f"{path}.log").open("w") as log:  # for TensorFlow's messages
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log)


def run(words, **options):
    """Do as `subprocess.run`, but run replay.py in a fork."""
    interpreter, isolated, program, *_ = words
    assert (interpreter, isolated) == (sys.executable, "-I"), words
    if Path(program).name != "replay.py":
        return subprocess.run(words, **options)
    assert options == {"capture_output": True, "text": True, "check": False}, options
    path = os.environ[VARIABLE]
    end = time.monotonic() + 100
    while not Path(path).exists():
        assert time.monotonic() < end, Path(f"{path}.log").read_text()
        time.sleep(0.05)
    request = {"words": words[2:], "directory": str(Path.cwd()), "environment": dict(os.environ)}
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(path)
        content = json.dumps(request).encode()
        sent = socket.send_fds(client, [content], [out.fileno(), err.fileno()])
        client.sendall(content[sent:])
        client.shutdown(socket.SHUT_WR)
        status = int(client.recv(64))
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, status, out.read().decode(), err.read().decode())


if __name__ == "__main__":
    server(sys.argv[1])
