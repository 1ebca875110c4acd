"""Options of `check-data`."""

import dataclasses
from pathlib import Path
from typing import Literal

from apps.options import CommonOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckDataOptions(CommonOptions):
    """The outputs of `check-data`, and the findings that make it fail."""

    report: Path = Path("data-report.html")
    """The report page to write. A file there that is no such report is never overwritten."""
    write_quarantine: Path | None = None
    """A new CSV file that lists examples to exclude, for `train --quarantine` and `tune`."""
    fail_on: Literal["error", "grave", "warning", "never"] = "error"
    """The exit status is 1 if a finding is this severe or worse; grave is the old name of error."""
