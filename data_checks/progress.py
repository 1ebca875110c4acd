"""How far a check is: a bar on a terminal, a line now and then in a pipe."""

import contextlib
import sys
import time
from collections.abc import Iterator

from pipelines.inspection import Progress

EVERY = 5.0  # seconds between two lines of one kind of work


@contextlib.contextmanager
def told() -> Iterator[Progress]:
    """A function that is told how far what is; what it says goes to standard error.

    So standard output holds nothing but the result.
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
    """The first of each kind of work after five seconds, then one every five."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def __call__(self, what: str, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self.last.setdefault(what, now) >= EVERY:
            self.last[what] = now
            print(f"{what} {done:,} of {of:,}", file=sys.stderr, flush=True)
