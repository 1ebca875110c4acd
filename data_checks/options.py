"""Options of `check-data`."""

import dataclasses
from pathlib import Path
from typing import Literal

from apps.options import CommonOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckDataOptions(CommonOptions):
    """What `check-data` writes, and which findings make it fail."""

    report: Path = Path("data-report.html")
    """The page to write; a file there that is no such page is left alone."""
    write_quarantine: Path | None = None
    """A new CSV file of what training should leave out, for --quarantine of train and tune."""
    fail_on: Literal["grave", "warning", "never"] = "grave"
    """The exit status is 1 from this severity on."""
