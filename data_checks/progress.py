"""Show the progress of the checks: a bar on a terminal, a line every few seconds in a pipe."""

import contextlib
import sys
import time
from collections.abc import Iterator

from pipelines.inspection import Progress

SECONDS_BETWEEN_LINES = 5.0  # of one activity


@contextlib.contextmanager
def shown_progress() -> Iterator[Progress]:
    """Yield a function that shows progress on standard error.

    Standard output has only the result.
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
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, progress.TaskID] = {}

        def report(activity: str, done: int, total: int) -> None:
            if activity not in tasks:
                tasks[activity] = bar.add_task(activity, total=total)
            bar.update(tasks[activity], completed=done, total=total)

        yield report


class _Lines:
    """Prints one line every five seconds for each activity."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def __call__(self, activity: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.last.setdefault(activity, now) >= SECONDS_BETWEEN_LINES:
            self.last[activity] = now
            print(f"{activity} {done:,} of {total:,}", file=sys.stderr, flush=True)
