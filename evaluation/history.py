"""Read history.csv, the metrics of every epoch."""

import csv
from pathlib import Path

from training.run import RunError

REQUIRED_COLUMNS = {"epoch", "loss", "val_loss", "learning_rate"}


def read(path: Path) -> dict[str, list[float]]:
    """Return the columns of history.csv. Raises RunError if it is damaged."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {name: [float(row[name]) for row in rows] for name in rows[0]}
        if missing := REQUIRED_COLUMNS - columns.keys():
            raise ValueError(f"no column {min(missing)}")
    except (OSError, ValueError, TypeError, IndexError, csv.Error) as error:
        raise RunError(
            f"Received {path}, which cannot be read ({getattr(error, 'strerror', 0) or error}); "
            "expected a row for each epoch, as training writes it. Restore the file or train again."
        ) from error
    return columns
