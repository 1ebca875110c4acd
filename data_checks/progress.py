"""Progress of the checks: a bar on a terminal, a line every few seconds in a pipe."""

import contextlib
import sys
import time
from collections.abc import Iterator

from pipelines.inspection import Progress

SECONDS_BETWEEN_LINES = 5.0  # of one kind of work


@contextlib.contextmanager
def shown_progress() -> Iterator[Progress]:
    """Give a function that shows progress on standard error.

    Standard output holds the result alone.
    """
    if sys.stderr.isatty():
        with _bar() as bar:
            yield bar
    else:
        yield _Lines()


@contextlib.contextmanager
def _bar() -> Iterator[Progress]:
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        tasks: dict[str, progress.TaskID] = {}

        def tell(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=of)
            shown.update(tasks[what], completed=done, total=of)

        yield tell


class _Lines:
    """Prints one line every five seconds for each kind of work."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def __call__(self, what: str, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self.last.setdefault(what, now) >= SECONDS_BETWEEN_LINES:
            self.last[what] = now
            print(f"{what} {done:,} of {of:,}", file=sys.stderr, flush=True)
