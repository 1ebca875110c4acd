"""The coordinator of a search: it serves the oracle, and starts and watches local workers."""

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
from tuning.oracles import JournaledOracle

POLL_SECONDS = 0.2
IDLE_SECONDS = 10.0  # for remote workers to learn that no trial is left
MIN_LIFE_SECONDS, MAX_SHORT_LIVES = 30.0, 20  # a worker that keeps dying is given up
PARENT = "ATHANOR_CHIEF"
IDENTITY, HOST, PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"


class WorkerError(RuntimeError):
    """A worker that failed."""

    exit_status = 1


class Worker(NamedTuple):
    """A local process: its name, how often it was started, and when."""

    name: str
    process: subprocess.Popen
    starts: int
    since: float


def role() -> str:
    """Return the role of this process by KerasTuner's variables; empty without them.

    Raises WorkerError if some of them are missing.
    """
    missing = [name for name in (IDENTITY, HOST, PORT) if name not in os.environ]
    if len(missing) == 3:
        return ""
    if missing:
        raise WorkerError(
            f"Received KerasTuner's variables without {' and '.join(missing)}; expected "
            f"{IDENTITY}, {HOST} and {PORT}, or none of them."
        )
    return "coordinator" if "chief" in os.environ.get(IDENTITY, "") else "worker"


class LocalWorkers(NamedTuple):
    """The workers of this machine.

    Attributes:
        command: starts a worker; KerasTuner's variables make it one.
        directory: of the search; the output of workers goes to files there.
        lock: the open lock file of the directory; workers hold it too.
        number: of workers.

    """

    command: Sequence[str]
    directory: Path
    lock: int
    number: int

    def start(self, name: str, port: int, starts: int = 1) -> Worker:
        """Start a worker."""
        variables = {IDENTITY: name, HOST: "127.0.0.1", PORT: str(port), PARENT: str(os.getpid())}
        # Else gRPC would use a proxy for this machine.
        variables |= {"no_grpc_proxy": "127.0.0.1"}
        variables |= gpus(int(name.partition("-")[2]), self.number, shared=True)
        with (self.directory / f"{name}.log").open("wb" if starts == 1 else "ab") as file:
            process = subprocess.Popen(
                self.command,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                # Ctrl-C of the terminal reaches the coordinator only.
                start_new_session=True,
                pass_fds=(self.lock,),
            )
        return Worker(name, process, starts, time.monotonic())

    def revived(self, one: Worker, port: int) -> Worker | None:
        """Return the worker, its replacement if it was killed, or None if it is done."""
        status = one.process.poll()
        if status is None:
            return one
        lived = time.monotonic() - one.since
        if status < 0 and (one.starts < MAX_SHORT_LIVES or lived > MIN_LIFE_SECONDS):
            return self.start(one.name, port, one.starts + 1 if lived < MIN_LIFE_SECONDS else 2)
        if status:
            log = self.directory / f"{one.name}.log"
            lines = log.read_text(errors="replace").strip().splitlines()
            raise WorkerError(
                f"Received a worker that ended with status {status} ({' '.join(lines[-1:])}); "
                f"expected it to work. See {log}."
            )
        return None


def coordinate(oracle: JournaledOracle, local: LocalWorkers) -> None:
    """Serve until no trial is left; local workers that a signal kills are started again.

    Raises WorkerError, with the worker's last line, if a worker fails.
    """
    with _served(oracle) as port:
        workers = [local.start(f"worker-{number}", port) for number in range(local.number)]
        try:
            while workers or (not local.number and not _all_workers_gone(oracle)):
                time.sleep(POLL_SECONDS)
                for place, one in enumerate(workers):
                    workers[place] = local.revived(one, port) or one
                workers = [one for one in workers if one.process.poll() != 0]
                if oracle.journal.failed:
                    raise UnwrittenError(oracle.journal.failed)
        finally:
            for one in workers:
                one.process.kill()
                one.process.wait()


@contextlib.contextmanager
def _served(oracle: JournaledOracle) -> Iterator[int]:
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


def _all_workers_gone(oracle: JournaledOracle) -> bool:
    """Whether no remote worker will ask again."""
    with oracle.mutex:
        done = (oracle.exhausted or oracle.limits_reached) and not oracle.ongoing_trials
        lately = (
            time.monotonic() - max([oracle.started, *oracle.last_contact.values()]) < IDLE_SECONDS
        )
        return done and not lately and not oracle.awaits_workers()


def end_with_coordinator() -> None:
    """End this worker when the coordinator that started it ends."""
    parent = int(os.environ[PARENT])

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
