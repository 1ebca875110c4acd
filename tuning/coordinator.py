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
from tuning.journal import JournalWriteError
from tuning.oracles import JournaledOracle

POLL_SECONDS = 0.2
IDLE_SECONDS = 10.0  # without a call, after which remote workers know that no trial is left
# A worker that is killed this often in a row, each time so soon, is not started again.
MAX_EARLY_KILLS, EARLY_SECONDS = 20, 30.0
# Environment variables.
COORDINATOR_PID = "ATHANOR_CHIEF"
TUNER_ID = "KERASTUNER_TUNER_ID"
ORACLE_IP, ORACLE_PORT = "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"


class WorkerError(RuntimeError):
    """A worker failed, or its environment variables are wrong."""

    exit_status = 1


class Worker(NamedTuple):
    """A local process.

    Attributes:
        name: of the worker, which a restarted process keeps.
        process: as started last.
        starts: 1 at first, one more after each early kill, 2 after a later one.
        start_time: of the process, on the monotonic clock.

    """

    name: str
    process: subprocess.Popen
    starts: int
    start_time: float


def role() -> str:
    """Return "coordinator" or "worker" by KerasTuner's variables; empty without them.

    Raises WorkerError if some of them are missing.
    """
    missing = [name for name in (TUNER_ID, ORACLE_IP, ORACLE_PORT) if name not in os.environ]
    if len(missing) == 3:
        return ""
    if missing:
        raise WorkerError(
            f"Received KerasTuner's variables without {' and '.join(missing)}; expected "
            f"{TUNER_ID}, {ORACLE_IP} and {ORACLE_PORT}, or none of them."
        )
    return "coordinator" if "chief" in os.environ.get(TUNER_ID, "") else "worker"


class LocalWorkers(NamedTuple):
    """The workers of this machine.

    Attributes:
        command: of this search; with KerasTuner's variables it starts a worker.
        directory: of the search, where each worker writes its output to a file.
        lock: descriptor of the directory's lock file, which workers inherit.
        number: of workers.

    """

    command: Sequence[str]
    directory: Path
    lock: int
    number: int

    def start(self, name: str, port: int, starts: int = 1) -> Worker:
        """Start a worker; its output is appended to that of earlier `starts`."""
        variables = {TUNER_ID: name, ORACLE_IP: "127.0.0.1", ORACLE_PORT: str(port)}
        variables |= {COORDINATOR_PID: str(os.getpid())}
        # Otherwise gRPC would reach this machine through a proxy.
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

    def restart_if_killed(self, worker: Worker, port: int) -> Worker | None:
        """Return a running worker, its replacement if it was killed, or None if it has finished.

        Raises WorkerError if it failed, or is killed again and again.
        """
        status = worker.process.poll()
        if status is None:
            return worker
        early = time.monotonic() - worker.start_time < EARLY_SECONDS
        if status < 0 and (worker.starts < MAX_EARLY_KILLS or not early):
            return self.start(worker.name, port, worker.starts + 1 if early else 2)
        if status:
            log = self.directory / f"{worker.name}.log"
            lines = log.read_text(errors="replace").strip().splitlines()
            raise WorkerError(
                f"Received a worker that ended with status {status} ({' '.join(lines[-1:])}); "
                f"expected it to work. See {log}."
            )
        return None


def coordinate(oracle: JournaledOracle, local: LocalWorkers) -> None:
    """Serve the oracle until no trial is left; start local workers again that a signal kills.

    Raises WorkerError, with the last line of its output, if a worker fails.
    """
    with _oracle_server(oracle) as port:
        workers = [local.start(f"worker-{number}", port) for number in range(local.number)]
        try:
            while workers or (not local.number and not _all_workers_gone(oracle)):
                time.sleep(POLL_SECONDS)
                for index, worker in enumerate(workers):
                    workers[index] = local.restart_if_killed(worker, port) or worker
                workers = [worker for worker in workers if worker.process.poll() != 0]
                if oracle.journal.write_error:
                    raise JournalWriteError(oracle.journal.write_error)
        finally:
            for worker in workers:
                worker.process.kill()
                worker.process.wait()


@contextlib.contextmanager
def _oracle_server(oracle: JournaledOracle) -> Iterator[int]:
    """Serve an oracle to workers; yields the port."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(oracle), server)
    host, port = os.environ.get(ORACLE_IP, "127.0.0.1"), os.environ.get(ORACLE_PORT, "0")
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise WorkerError(
            f"Received {ORACLE_IP} {host} and {ORACLE_PORT} {port}, where nothing can listen; "
            "expected an address of this machine, or 0.0.0.0 for all of them, and a free port."
        ) from error
    server.start()
    try:
        yield bound
    finally:
        server.stop(None)


def _all_workers_gone(oracle: JournaledOracle) -> bool:
    """Whether no trial is left, and no remote worker will call again."""
    with oracle.mutex:
        done = (oracle.exhausted or oracle.limits_reached) and not oracle.ongoing_trials
        last_call = max([oracle.started, *oracle.last_contact.values()])
        idle = time.monotonic() - last_call >= IDLE_SECONDS
        return done and idle and not oracle.awaits_workers()


def end_with_coordinator() -> None:
    """End this worker when the coordinator that started it ends."""
    parent = int(os.environ[COORDINATOR_PID])

    def end_if_orphaned() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=end_if_orphaned, daemon=True).start()
