"""Check that the report and the lists can be written, before TensorFlow is imported."""

from pathlib import Path

from apps.fields import FieldError
from data_checks.options import CheckDataOptions

GENERATOR_TAG = '<meta name="generator" content="athanor check-data">'


def require_free(options: CheckDataOptions) -> None:
    """Raise FieldError if a file of the user's would be overwritten or a directory is missing."""
    report = options.report
    lists = {
        "--write-quarantine": options.write_quarantine,
        "--write-columns": options.write_columns,
    }
    if report.exists() and not _is_ours(report):
        raise FieldError(
            f"Received --report {str(report)!r}, where there is a file that check-data did not "
            "write; expected a new file or an older report. Choose another path with --report."
        )
    for flag, path in lists.items():
        if path is not None and path.exists():
            raise FieldError(
                f"Received {flag} {str(path)!r}, which exists and may have been edited; expected a "
                "new file. Choose another name, or remove it."
            )
    for path in (report, *lists.values()):
        if path is not None and not path.resolve().parent.is_dir():
            raise FieldError(
                f"Received {str(path)!r} in a directory that does not exist; expected an existing "
                "directory. Make it, or choose another path."
            )


def _is_ours(report: Path) -> bool:
    try:
        with report.open("rb") as file:
            return GENERATOR_TAG.encode() in file.read(1000)
    except OSError:
        return False
