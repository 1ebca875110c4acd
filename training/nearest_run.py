"""Names the run that a user means by a path that holds none."""

import difflib
from pathlib import Path

MANIFEST, CHECKPOINT = "run.json", "checkpoint"
# Runs within the directories of a cross-validation, of a search, and of the runs of an app.
INNER_RUNS = ("fold-1", "best", "latest")


def expectation(path: Path) -> str:
    """Say what a path without a finished run should have been, and name a run near it."""
    if (path / CHECKPOINT).is_dir() and not (path / MANIFEST).exists():
        return (
            "expected a finished run, but this training has not ended. Go on with it: athanor APP "
            f"train --resume {path}"
        )
    hint = f" Did you mean '{near}'?" if (near := _nearest(path)) else ""
    return (
        f"expected the directory of a finished run.{hint} Train one, or look in runs/, where each "
        "app has a directory."
    )


def _nearest(path: Path) -> Path | None:
    # Of several targets, or of several seeds.
    groups = [*sorted(path.glob("target-*")), *sorted(path.glob("seed-*"))]
    inner = [*(path / name for name in INNER_RUNS), *groups]
    for one in (*inner, *path.parents[:2]):  # RUN/export/1 is in RUN
        if (one / MANIFEST).is_file():
            return one
    beside = {one.parent.name: one.parent for one in path.parent.glob(f"*/{MANIFEST}")}
    names = difflib.get_close_matches(path.name, beside, 1)
    return beside[names[0]] if names else beside.get("latest")
