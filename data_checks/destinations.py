"""Where a diagnosis may be written; known before anything heavy is imported."""

from pathlib import Path

from apps.fields import FieldError

MARK = '<meta name="generator" content="athanor check-data">'


def require_free(report: Path, listed: Path | None) -> None:
    """Raise FieldError where a file would be overwritten that is not ours to overwrite."""
    if report.exists() and not _is_ours(report):
        raise FieldError(
            f"Received --report {str(report)!r}, where there is a file that check-data did not "
            "write; expected none. Choose another place with --report."
        )
    if listed is not None and listed.exists():
        raise FieldError(
            f"Received --write-quarantine {str(listed)!r}, which exists and may have been mended "
            "by hand; expected a new file. Choose another name, or remove it."
        )
    for path in (report, listed):
        if path is not None and not path.resolve().parent.is_dir():
            raise FieldError(
                f"Received {str(path)!r} in a directory that is not there; expected one to write "
                "to. Make it, or choose another place."
            )


def _is_ours(report: Path) -> bool:
    try:
        with report.open("rb") as file:
            return MARK.encode() in file.read(1000)
    except OSError:
        return False
