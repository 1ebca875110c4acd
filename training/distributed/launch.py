"""Start the workers of one training here, watch them, and start them again after a crash.

Knows no TensorFlow: it starts at once, and nothing that a worker does to itself reaches it.
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

POLL = 0.02  # seconds between looks at the workers
GRACE = 10.0  # seconds for the chief to keep what was finished
SHORT = 5.0  # seconds for the others to end after the chief, or for the cause to show
# What becomes of a worker because of another one: TensorFlow aborts some.
CONSEQUENCES = (LostError.exit_status, -signal.SIGABRT)


class WorkerError(RuntimeError):
    """Workers that failed; the exit status is that of the one that failed first."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class _TerminatedError(BaseException):
    """SIGTERM or SIGHUP, which by itself would leave the workers behind."""


def launch(
    command: Sequence[str],
    *,
    workers: int,
    restarts: int = 3,
    run_dir: Path | None = None,
    plain: bool = False,
) -> None:
    """Run one command as several workers on this machine that find each other by TF_CONFIG.

    Their lines come out as they end, with the worker's number before them. When one fails all
    are stopped; when a signal ended it, all are started again.

    Args:
        command: program and arguments, the same for each.
        workers: how many.
        restarts: how many times, at most.
        run_dir: where the command writes, and goes on; a run that is finished there is enough.
        plain: standard output comes out as it is; the chief alone writes there.

    Raises:
        WorkerError: one failed.
        KeyboardInterrupt: the chief was told, and kept what was finished.

    """
    with _terminable():
        for attempt in range(restarts + 1):
            failed = _Crew(plain).run(command, workers)
            if failed is None:
                return
            number, status = failed
            finished = run_dir is not None and _finished(run_dir)
            died = status < 0 or status == LostError.exit_status
            if not died or finished or attempt == restarts:
                break
            _say(f"{_fate(number, status)}; starting all again ({attempt + 1} of {restarts}).")
    if died:
        raise WorkerError(
            f"{_fate(number, status)}, after {attempt} restarts; expected it to end by itself. "
            "Look for what kills it, such as too little memory.",
            status if status > 0 else 128 - status,
        )
    raise WorkerError(f"{_fate(number, status)}; see its lines above. All were stopped.", status)


def _finished(run_dir: Path) -> bool:
    return (run_dir / MANIFEST).exists() and not is_resumable(run_dir)


class _Crew:
    """The processes of one start; number 0 is the chief."""

    def __init__(self, plain: bool) -> None:
        self.plain = plain
        self.processes: list[subprocess.Popen] = []
        self.pumps: list[threading.Thread] = []

    def run(self, command: Sequence[str], workers: int) -> tuple[int, int] | None:
        """Start all and wait; the number and the status of the one that failed, if one did."""
        try:
            addresses = free_addresses(workers)
            for number in range(workers):
                self._start(command, number, environment(addresses, number))
            failed = self._first_failure()
            if failed is not None and failed[1] > 0:
                # It may have the same reason to end, and something to keep.
                self._wait(self.processes[:1], SHORT)
            return failed
        except KeyboardInterrupt:
            # Told all at once, they would stop at different steps and wait for each other.
            self._tell(signal.SIGINT, self.processes[:1])
            raise
        except _TerminatedError:
            self._tell(signal.SIGTERM, self.processes)
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
            # The terminal's Ctrl-C is the launcher's to pass on.
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
            causes = [one for one in failed if one[1] not in CONSEQUENCES]
            if causes:
                return causes[0]
            if statuses[0] is not None or failed:
                deadline = min(deadline, time.monotonic() + SHORT)
            if None not in statuses or time.monotonic() > deadline:
                # Who is late after the chief did its work has nothing more to give.
                return min(failed, key=lambda one: one[1]) if statuses[0] != 0 else None
            time.sleep(POLL)

    def _tell(self, number: int, processes: list[subprocess.Popen]) -> None:
        for process in processes:
            process.send_signal(number)
        # A second Ctrl-C waits no longer.
        with contextlib.suppress(KeyboardInterrupt, _TerminatedError):
            self._wait(processes, GRACE)

    def _wait(self, processes: list[subprocess.Popen], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(one.poll() is None for one in processes):
            time.sleep(POLL)

    def _end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                # A worker in the middle of a step heeds nothing less.
                process.kill()
            process.wait()
        for pump in self.pumps:
            pump.join(timeout=SHORT)

    def _pump(self, lines: IO[bytes] | None, stream: IO[str], prefix: bytes) -> None:
        pump = threading.Thread(target=_copy, args=(lines, stream, prefix), daemon=True)
        pump.start()
        self.pumps.append(pump)


def _copy(lines: IO[bytes], stream: Any, prefix: bytes) -> None:
    # Who writes to a pipe that nobody reads ends; one that is not emptied would stop it for ever.
    with contextlib.suppress(BrokenPipeError), lines:
        for line in lines:
            # One write a line: those of two workers never mix.
            stream.buffer.write(prefix + line.rstrip(b"\r\n") + b"\n")
            stream.buffer.flush()


def free_addresses(count: int) -> list[str]:
    """Addresses of this machine where nobody listens."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def environment(addresses: Sequence[str], number: int) -> dict[str, str]:
    """What worker `number` needs in its environment: TF_CONFIG, its GPUs, lines at once."""
    task = {"type": "worker", "index": number}
    config = json.dumps({"cluster": {"worker": list(addresses)}, "task": task})
    own = {"TF_CONFIG": config, "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **own, **gpus(number, len(addresses))}


def gpus(number: int, workers: int, *, shared: bool = False) -> dict[str, str]:
    """An equal part of the GPUs for each worker: two processes cannot reduce over one.

    Where each trains for itself they may be `shared`, in turn.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    drivers = Path("/proc/driver/nvidia/gpus")
    there = [str(place) for place, _ in enumerate(drivers.iterdir())] if drivers.is_dir() else []
    there = there if visible is None else [one for one in visible.split(",") if one]
    if not there:
        return {}
    if shared and workers > len(there):
        growing = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        return {"CUDA_VISIBLE_DEVICES": there[number % len(there)], **growing}
    each = len(there) // workers
    return {"CUDA_VISIBLE_DEVICES": ",".join(there[number * each : (number + 1) * each])}


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM, or the end of the terminal, ends the workers first. Raises WorkerError for it.

    What is ignored here, as under nohup, stays ignored.
    """

    def stop(number: int, _: object) -> None:
        raise _TerminatedError(number)

    heeded = [
        one
        for one in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(one) is not signal.SIG_IGN
    ]
    before = {one: signal.signal(one, stop) for one in heeded}
    try:
        yield
    except _TerminatedError as error:
        status = 128 + error.args[0]
        raise WorkerError("terminated; all workers were stopped.", status) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fate(number: int, status: int) -> str:
    if status < 0:
        return f"Worker {number} was ended by {signal.Signals(-status).name}"
    return f"Worker {number} failed with status {status}"


def _say(text: str) -> None:
    print(f"athanor: {text}", file=sys.stderr, flush=True)
