"""Handle Ctrl-C and SIGTERM during training: stop at a step that can be resumed."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

EXIT_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


class InterruptedTrainingError(KeyboardInterrupt):
    """Raised to stop training after a signal.

    Attributes:
        exit_status: Exit status of the process.

    """

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message)
        self.number = number
        self.exit_status = EXIT_STATUS[signal.Signals(number)]


class Interrupts:
    """Signals that wait until training reaches a step at which it can stop.

    Attributes:
        pending_signal: Number of the received signal; 0 for none.
        deferred: Whether a signal waits for `raise_if_pending`; otherwise it stops at once.

    """

    def __init__(self) -> None:
        self.pending_signal = 0
        self.deferred = False

    @contextlib.contextmanager
    def handle_signals(self) -> Iterator[None]:
        """Receive the signals of this process, if this is its main thread.

        Signals that the process was started to ignore, as by nohup, stay ignored.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handled = [number for number in EXIT_STATUS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._receive) for number in handled}
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
            "athanor: stops after this step, with a checkpoint; press again to stop at once.",
            file=sys.stderr,
            flush=True,
        )

    def raise_if_pending(self) -> None:
        """Raise InterruptedTrainingError if a signal is pending."""
        if self.pending_signal:
            raise InterruptedTrainingError(self.pending_signal)
