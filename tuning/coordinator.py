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

from training.distributed.launch import gpus
from tuning.journal import UnwrittenError
from tuning.oracles import Journaled

STEP = 0.2  # seconds between two looks
GRACE = 10.0  # seconds for workers elsewhere to ask once more, and hear that no trial is left
LIFE, SHORT_LIVES = 30.0, 20  # seconds; so many shorter lives in a row are enough
PARENT = "ATHANOR_CHIEF"
IDENTITY, HOST, PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"


class WorkerError(RuntimeError):
    """A worker that cannot work."""

    exit_status = 1


class Worker(NamedTuple):
    """A process here, its name, how often it was started, and when."""

    name: str
    process: subprocess.Popen
    starts: int
    since: float


def role() -> str:
    """`chief` or `worker` where KerasTuner's variables say so; else empty.

    Raises WorkerError where some of them are missing.
    """
    missing = [name for name in (IDENTITY, HOST, PORT) if name not in os.environ]
    if len(missing) == 3:
        return ""
    if missing:
        raise WorkerError(
            f"Received KerasTuner's variables without {' and '.join(missing)}; expected "
            f"{IDENTITY}, {HOST} and {PORT}, or none of them."
        )
    return "chief" if "chief" in os.environ.get(IDENTITY, "") else "worker"


class Crew(NamedTuple):
    """What the workers here need: the command of each, and where they stand.

    Attributes:
        command: that starts one; KerasTuner's variables say that it is a worker.
        directory: of the search; what they print goes to files there.
        lock: the open file that says that the directory is in use; they hold it too.
        number: of workers.

    """

    command: Sequence[str]
    directory: Path
    lock: int
    number: int

    def start(self, name: str, port: int, starts: int = 1) -> Worker:
        """A process."""
        told = {IDENTITY: name, HOST: "127.0.0.1", PORT: str(port), PARENT: str(os.getpid())}
        # gRPC would ask a proxy for this very machine.
        told |= {"no_grpc_proxy": "127.0.0.1"}
        told |= gpus(int(name.partition("-")[2]), self.number, shared=True)
        with (self.directory / f"{name}.log").open("wb" if starts == 1 else "ab") as file:
            process = subprocess.Popen(
                self.command,
                env={**os.environ, **told},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                # The terminal's Ctrl-C is the chief's alone.
                start_new_session=True,
                pass_fds=(self.lock,),
            )
        return Worker(name, process, starts, time.monotonic())

    def watched(self, one: Worker, port: int) -> Worker | None:
        """The worker, another in its place, or None where it has done all."""
        status = one.process.poll()
        if status is None:
            return one
        lived = time.monotonic() - one.since
        if status < 0 and (one.starts < SHORT_LIVES or lived > LIFE):
            return self.start(one.name, port, one.starts + 1 if lived < LIFE else 2)
        if status:
            log = self.directory / f"{one.name}.log"
            lines = log.read_text(errors="replace").strip().splitlines()
            raise WorkerError(
                f"Received a worker that ended with status {status} ({' '.join(lines[-1:])}); "
                f"expected it to work. See {log}."
            )
        return None


def conduct(oracle: Journaled, crew: Crew) -> None:
    """Serve until no trial is left; workers here that die by a signal are started again.

    Raises WorkerError where a worker ended by itself, with its last line.
    """
    with _served(oracle) as port:
        workers = [crew.start(f"worker-{number}", port) for number in range(crew.number)]
        try:
            while workers or (not crew.number and not _left_alone(oracle)):
                time.sleep(STEP)
                for place, one in enumerate(workers):
                    workers[place] = crew.watched(one, port) or one
                workers = [one for one in workers if one.process.poll() != 0]
                if oracle.journal.failed:
                    raise UnwrittenError(oracle.journal.failed)
        finally:
            for one in workers:
                one.process.kill()
                one.process.wait()


@contextlib.contextmanager
def _served(oracle: Journaled) -> Iterator[int]:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    host, port = os.environ.get(HOST, "127.0.0.1"), os.environ.get(PORT, "0")
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise WorkerError(
            f"Received {HOST} {host} and {PORT} {port}, where nothing can listen; expected an "
            "address of this machine, or 0.0.0.0 for all of them, and a free port."
        ) from error
    server.start()
    try:
        yield bound
    finally:
        server.stop(None)


def _left_alone(oracle: Journaled) -> bool:
    """Whether nobody elsewhere will ask any more."""
    with oracle.mutex:
        done = (oracle.ended or oracle.over) and not oracle.ongoing_trials
        lately = time.monotonic() - max([oracle.start, *oracle.heard.values()]) < GRACE
        return done and not lately and not oracle.waiting()


def follow_chief() -> None:
    """End this worker with the chief that started it."""
    parent = int(os.environ[PARENT])

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(STEP)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
