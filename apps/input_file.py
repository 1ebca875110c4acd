"""A file beside the data that a training reads, such as word vectors."""

from typing import NamedTuple


class InputFile(NamedTuple):
    """A file that is needed in training only.

    Attributes:
        name: its path, as the user gave it.
        digest: of its content, by which a resumed training recognises it.
        note: what it gave, for the user.

    """

    name: str
    digest: str
    note: str
