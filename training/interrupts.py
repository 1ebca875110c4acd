"""Ctrl-C and SIGTERM while a model trains: it stops where it can go on."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


class InterruptedTrainingError(KeyboardInterrupt):
    """Raised where a training stops because somebody asked.

    Attributes:
        exit_status: of the process.

    """

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message)
        self.number = number
        self.exit_status = STATUS[signal.Signals(number)]


class Interrupts:
    """What was asked for while a training may not stop at any place.

    Attributes:
        asked: the number of the signal that came; 0 for none.
        patient: whether a signal waits for `heed`; else it stops what runs at once.

    """

    def __init__(self) -> None:
        self.pending_signal = 0
        self.deferred = False

    @contextlib.contextmanager
    def handle_signals(self) -> Iterator[None]:
        """Receive the signals of this process, if this is its main thread.

        Those that it was started to ignore, as by nohup or in a shell's background, it ignores.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        heard = [number for number in STATUS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._receive) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: Any) -> None:  # noqa: ARG002
        if self.pending_signal or not self.deferred:
            raise InterruptedTrainingError(number)
        self.pending_signal = number
        print(
            "athanor: stops after this step, with a checkpoint; once more to stop at once.",
            file=sys.stderr,
            flush=True,
        )

    def raise_if_pending(self) -> None:
        """Stop here, if somebody asked."""
        if self.pending_signal:
            raise InterruptedTrainingError(self.pending_signal)
