"""Options of `check-data`."""

import dataclasses
from pathlib import Path
from typing import Literal

from apps.app import App
from apps.fields import FieldError
from apps.options import CommonOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckDataOptions(CommonOptions):
    """The outputs of `check-data`, and the findings that make it fail."""

    report: Path = Path("data-report.html")
    """The report page to write. A file there that is no such report is never overwritten."""
    write_quarantine: Path | None = None
    """A new CSV file that lists examples to exclude, for `train --quarantine` and `tune`."""
    write_columns: Path | None = None
    """A new CSV file of the columns of a table and their kinds, to edit, for --columns."""
    labels: bool = False
    """Also look for label errors, with models that have not seen the example; takes longer."""
    fail_on: Literal["error", "grave", "warning", "never"] = "error"
    """The exit status is 1 if a finding is this severe or worse; grave is the old name of error."""

    def check_for(self, app: type[App]) -> None:
        """Raise FieldError for options that an app's data cannot have."""
        if self.labels and "classification" not in app.tasks:
            raise FieldError(
                f"Received --labels for {app.name()}, whose examples have no classes; expected an "
                "app that predicts classes. Leave it out."
            )
        if self.write_columns is not None and app.modality != "row":
            raise FieldError(
                f"Received --write-columns for {app.name()}, whose examples are no rows; expected "
                "regression. Leave it out."
            )
