"""Check that the report and the quarantine list can be written, before TensorFlow is imported."""

from pathlib import Path

from apps.fields import FieldError

GENERATOR_TAG = '<meta name="generator" content="athanor check-data">'


def require_free(report: Path, quarantine_list: Path | None) -> None:
    """Raise FieldError if a file of the user's would be overwritten or a directory is missing."""
    if report.exists() and not _is_ours(report):
        raise FieldError(
            f"Received --report {str(report)!r}, where there is a file that check-data did not "
            "write; expected a new file or an older report. Choose another path with --report."
        )
    if quarantine_list is not None and quarantine_list.exists():
        raise FieldError(
            f"Received --write-quarantine {str(quarantine_list)!r}, which exists and may have been "
            "edited; expected a new file. Choose another name, or remove it."
        )
    for path in (report, quarantine_list):
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
