"""Text files as people keep them: compressed or not, in any encoding."""

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipelines import compressed, encodings, looking
from pipelines.files import at_home


class TextFile:
    """An open file of text, which can be read several times.

    Attributes:
        name: that of the file, without its folders.
        suffix: its ending in lower case, where it is compressed that of what is in it.
        notes: what to tell the user of its encoding.

    """

    def __init__(self, path: Path, opened: compressed.Opened) -> None:
        self.name = path.name
        self._file, self._raw, inner = opened
        self.suffix = Path(inner).suffix.lower()
        self._encoding = encodings.find(path.name, opened.file)
        self.notes = self._encoding.notes

    @contextlib.contextmanager
    def lines(self) -> Iterator[Iterable[str]]:
        """The lines from the beginning, with their ends as they are in the file."""
        self._file.seek(0)
        text = io.TextIOWrapper(self._file, self._encoding.codec, errors="replace", newline="")
        try:
            yield (line.rstrip("\0") for line in text) if self._encoding.padded else text
        finally:
            text.detach()

    def progress(self) -> Callable[[], None]:
        """A function that tells an inspection how much of the file is read."""
        look = looking.now()
        if look is None:
            return lambda: None
        place = self._raw.tell()
        size = self._raw.seek(0, io.SEEK_END)
        self._raw.seek(place)
        return lambda: look.progress(f"reading {self.name}, byte", self._raw.tell(), size)


@contextlib.contextmanager
def opened(name: str) -> Iterator[TextFile]:
    """Open a text file.

    Raises AddressError where it cannot be read, DataError where it holds no text or is damaged.
    """
    path = at_home(name)
    with compressed.opened(path) as file:
        yield TextFile(path, file)
