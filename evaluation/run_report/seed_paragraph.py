"""What the report of a run says about the runs of other seeds beside it."""

import html
from collections.abc import Iterator, Mapping
from typing import Any

from evaluation.rounding import with_spread


def paragraph(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paragraph of `seeds` in scores.json; nothing without other seeds."""
    if not found:
        return
    text = (
        f"This run has seed {found['seed']}, one of {found['runs']} on the same splits. Over all "
        f"of them {found['metric']} is {with_spread(found['mean'], found['spread'])} (mean ± "
        f"standard deviation); {found['share']:.0%} of the variance of a score comes from the "
        f"seed, the rest from the test examples. {found['verdict']}"
    )
    yield f"<h3>Other seeds</h3><p>{html.escape(text)}</p>"
