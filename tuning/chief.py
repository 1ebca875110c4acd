"""The chief of a search: it serves an oracle, and starts workers here that it watches."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import NamedTuple

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer

from tuning.oracles import Journaled

STEP = 0.2  # seconds between two looks
PARENT = "ATHANOR_CHIEF"
IDENTITY, HOST, PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"


class WorkerError(RuntimeError):
    """A worker that cannot work."""

    exit_status = 1


class Worker(NamedTuple):
    """A process here, its name, and how often it was started."""

    name: str
    process: subprocess.Popen
    starts: int


def role() -> str:
    """`chief` or `worker` where KerasTuner's variables say so; else empty."""
    if HOST not in os.environ:
        return ""
    return "chief" if "chief" in os.environ.get(IDENTITY, "") else "worker"


class Crew(NamedTuple):
    """What the workers here need: the command of each, and where they stand.

    Attributes:
        command: that starts one; KerasTuner's variables say that it is a worker.
        directory: of the search; what they print goes to files there.
        lock: the open file that says that the directory is in use; they hold it too.

    """

    command: Sequence[str]
    directory: Path
    lock: int

    def start(self, name: str, port: int, starts: int = 1) -> Worker:
        """A process."""
        told = {IDENTITY: name, HOST: "127.0.0.1", PORT: str(port), PARENT: str(os.getpid())}
        with (self.directory / f"{name}.log").open("wb" if starts == 1 else "ab") as file:
            process = subprocess.Popen(
                self.command,
                env={**os.environ, **told},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                pass_fds=(self.lock,),
            )
        return Worker(name, process, starts)

    def watched(self, one: Worker, port: int) -> Worker | None:
        """The worker, another in its place, or None where it has done all."""
        status = one.process.poll()
        if status is None:
            return one
        if status < 0:
            return self.start(one.name, port, one.starts + 1)
        if status:
            log = self.directory / f"{one.name}.log"
            lines = log.read_text(errors="replace").strip().splitlines()
            raise WorkerError(
                f"Received a worker that ended with status {status} ({' '.join(lines[-1:])}); "
                f"expected it to work. See {log}."
            )
        return None


def conduct(oracle: Journaled, num_workers: int, crew: Crew) -> None:
    """Serve until no trial is left; workers here that die by a signal are started again.

    Raises WorkerError where a worker ended by itself, with its last line.
    """
    with _served(oracle) as port:
        workers = [crew.start(f"worker-{number}", port) for number in range(num_workers)]
        try:
            while workers or not _left_alone(oracle):
                time.sleep(STEP)
                workers = [kept for one in workers if (kept := crew.watched(one, port))]
        finally:
            for one in workers:
                one.process.kill()
                one.process.wait()


@contextlib.contextmanager
def _served(oracle: Journaled) -> Iterator[int]:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    host, port = os.environ.get(HOST, "127.0.0.1"), os.environ.get(PORT, "0")
    bound = server.add_insecure_port(f"{host}:{port}")
    server.start()
    try:
        yield bound
    finally:
        server.stop(None)


def _left_alone(oracle: Journaled) -> bool:
    """Whether nobody will ask any more."""
    with oracle.mutex:
        return oracle.over and not oracle.ongoing_trials and not oracle.tuner_ids


def follow_chief() -> None:
    """End this worker with the chief that started it."""
    parent = int(os.environ[PARENT])

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(STEP)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
