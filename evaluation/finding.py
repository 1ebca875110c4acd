"""A finding: what a user should know and do before a model is used."""

from typing import NamedTuple


class Finding(NamedTuple):
    """A situation, by a name that does not change, and a sentence with the remedy."""

    kind: str
    text: str

    def to_json(self) -> dict[str, str]:
        """Return an entry of `findings` in scores.json."""
        return self._asdict()
