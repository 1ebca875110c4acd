"""Start the workers of one training on this machine, and restart them after a crash.

It does not import TensorFlow, so that it starts at once and a crash of a worker cannot affect it.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from training.directory import is_resumable
from training.distributed.cluster import LostError
from training.run import MANIFEST

POLL_SECONDS = 0.02  # between two checks of the workers
CHIEF_GRACE_SECONDS = 10.0  # for the chief to write a checkpoint
EXIT_GRACE_SECONDS = 5.0  # for the others to end after the chief or after a failure
# Exit statuses of workers that failed because another one failed; TensorFlow aborts some.
SECONDARY_FAILURES = (LostError.exit_status, -signal.SIGABRT)


class WorkerError(RuntimeError):
    """Raised if workers fail; the exit status is that of the first one that failed."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class _TerminatedError(BaseException):
    """Raised for SIGTERM or SIGHUP, which would otherwise leave the workers running."""


def launch(
    command: Sequence[str],
    *,
    workers: int,
    restarts: int = 3,
    run_dir: Path | None = None,
    plain: bool = False,
) -> None:
    """Run one command as several workers on this machine, connected by TF_CONFIG.

    Prints their output line by line with the worker's number. If a worker fails, all are stopped;
    if a signal killed it, all are started again.

    Args:
        command: Program and arguments, the same for each worker.
        workers: Number of workers.
        restarts: Largest number of restarts.
        run_dir: Run directory of the command; a finished run there ends the restarts.
        plain: Print standard output without numbers; only the chief writes to it.

    Raises:
        WorkerError: A worker failed.
        KeyboardInterrupt: After Ctrl-C; the chief has written a checkpoint.

    """
    with _terminable():
        for attempt in range(restarts + 1):
            failed = _WorkerGroup(plain).run(command, workers)
            if failed is None:
                return
            number, status = failed
            finished = run_dir is not None and _finished(run_dir)
            died = status < 0 or status == LostError.exit_status
            if not died or finished or attempt == restarts:
                break
            _print(
                f"{_describe_failure(number, status)}; starting all again "
                f"({attempt + 1} of {restarts})."
            )
    if died:
        raise WorkerError(
            f"{_describe_failure(number, status)}, after {attempt} restarts; expected it to "
            "finish. Find what kills it, for example too little memory.",
            status if status > 0 else 128 - status,
        )
    raise WorkerError(
        f"{_describe_failure(number, status)}; see its lines above. All were stopped.", status
    )


def _finished(run_dir: Path) -> bool:
    return (run_dir / MANIFEST).exists() and not is_resumable(run_dir)


class _WorkerGroup:
    """The processes of one start; number 0 is the chief."""

    def __init__(self, plain: bool) -> None:
        self.plain = plain
        self.processes: list[subprocess.Popen] = []
        self.pumps: list[threading.Thread] = []

    def run(self, command: Sequence[str], workers: int) -> tuple[int, int] | None:
        """Start all workers and wait; return number and status of the first failure, or None."""
        try:
            addresses = free_addresses(workers)
            for number in range(workers):
                self._start(command, number, environment(addresses, number))
            failed = self._first_failure()
            if failed is not None and failed[1] > 0:
                # The chief may still write a checkpoint.
                self._wait(self.processes[:1], EXIT_GRACE_SECONDS)
            return failed
        except KeyboardInterrupt:
            # A signal to all would stop them at different steps, waiting for each other.
            self._signal(signal.SIGINT, self.processes[:1])
            raise
        except _TerminatedError:
            self._signal(signal.SIGTERM, self.processes)
            raise
        finally:
            self._end()

    def _start(self, command: Sequence[str], number: int, variables: dict[str, str]) -> None:
        process = subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Only the launcher receives Ctrl-C from the terminal.
            start_new_session=True,
        )
        self.processes.append(process)
        prefix = f"[{number}] ".encode()
        self._pump(process.stdout, sys.stdout, b"" if self.plain else prefix)
        self._pump(process.stderr, sys.stderr, prefix)

    def _first_failure(self) -> tuple[int, int] | None:
        deadline = float("inf")
        while True:
            statuses = [process.poll() for process in self.processes]
            failed = [(number, status) for number, status in enumerate(statuses) if status]
            causes = [failure for failure in failed if failure[1] not in SECONDARY_FAILURES]
            if causes:
                return causes[0]
            if statuses[0] is not None or failed:
                deadline = min(deadline, time.monotonic() + EXIT_GRACE_SECONDS)
            if None not in statuses or time.monotonic() > deadline:
                # Ignore workers that still run after the chief has exited successfully.
                return min(failed, key=lambda failure: failure[1]) if statuses[0] != 0 else None
            time.sleep(POLL_SECONDS)

    def _signal(self, number: int, processes: list[subprocess.Popen]) -> None:
        for process in processes:
            process.send_signal(number)
        # A second Ctrl-C ends the wait.
        with contextlib.suppress(KeyboardInterrupt, _TerminatedError):
            self._wait(processes, CHIEF_GRACE_SECONDS)

    def _wait(self, processes: list[subprocess.Popen], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(process.poll() is None for process in processes):
            time.sleep(POLL_SECONDS)

    def _end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                # A worker in the middle of a step reacts only to SIGKILL.
                process.kill()
            process.wait()
        for pump in self.pumps:
            pump.join(timeout=EXIT_GRACE_SECONDS)

    def _pump(self, lines: IO[bytes] | None, stream: IO[str], prefix: bytes) -> None:
        pump = threading.Thread(target=_copy, args=(lines, stream, prefix), daemon=True)
        pump.start()
        self.pumps.append(pump)


def _copy(lines: IO[bytes], stream: Any, prefix: bytes) -> None:
    # Always drain the pipe: a full one would block the worker, a closed one would end it.
    with contextlib.suppress(BrokenPipeError), lines:
        for line in lines:
            # One write per line, so that lines of two workers never mix.
            stream.buffer.write(prefix + line.rstrip(b"\r\n") + b"\n")
            stream.buffer.flush()


def free_addresses(count: int) -> list[str]:
    """Return free addresses on this machine."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]


def environment(addresses: Sequence[str], number: int) -> dict[str, str]:
    """Return the environment of worker `number`: TF_CONFIG, its GPUs, unbuffered output."""
    task = {"type": "worker", "index": number}
    config = json.dumps({"cluster": {"worker": list(addresses)}, "task": task})
    own = {"TF_CONFIG": config, "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **own, **gpus(number, len(addresses))}


def gpus(number: int, workers: int, *, shared: bool = False) -> dict[str, str]:
    """Return the variables that give worker `number` its part of the GPUs.

    Two workers of one training cannot share a GPU. Independent processes may use them `shared`.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    drivers = Path("/proc/driver/nvidia/gpus")
    available = (
        [str(index) for index, _ in enumerate(drivers.iterdir())] if drivers.is_dir() else []
    )
    available = available if visible is None else [gpu for gpu in visible.split(",") if gpu]
    if not available:
        return {}
    if shared and workers > len(available):
        growing = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        return {"CUDA_VISIBLE_DEVICES": available[number % len(available)], **growing}
    share = len(available) // workers
    return {"CUDA_VISIBLE_DEVICES": ",".join(available[number * share : (number + 1) * share])}


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """End the workers on SIGTERM or SIGHUP, then raise WorkerError.

    Signals that are ignored, as under nohup, stay ignored.
    """

    def stop(number: int, _: object) -> None:
        raise _TerminatedError(number)

    handled = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]
    before = {number: signal.signal(number, stop) for number in handled}
    try:
        yield
    except _TerminatedError as error:
        status = 128 + error.args[0]
        raise WorkerError("terminated; all workers were stopped.", status) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _describe_failure(number: int, status: int) -> str:
    if status < 0:
        return f"Worker {number} was ended by {signal.Signals(-status).name}"
    return f"Worker {number} failed with status {status}"


def _print(text: str) -> None:
    print(f"athanor: {text}", file=sys.stderr, flush=True)
