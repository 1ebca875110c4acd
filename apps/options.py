"""Options that every verb takes."""

import dataclasses
from pathlib import Path

from apps import fields


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommonOptions:
    """Options of every verb; each verb adds its own in a subclass."""

    data_dir: Path | None = None
    """Where prepared TFDS sets lie; TFDS_DATA_DIR by default."""
    trust: bool = False
    """Load a run even if another user made it, or if it was changed since."""

    def __post_init__(self) -> None:
        fields.check(self)
