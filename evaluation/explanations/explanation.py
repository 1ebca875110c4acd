"""What an explanation of a model consists of."""

from typing import Any, NamedTuple


class Explanation(NamedTuple):
    """An explanation of a model on test data.

    Attributes:
        content: for explanation.json.
        figures: Matplotlib figures by file name.
        lines: sentences for the terminal.

    """

    content: dict[str, Any]
    figures: dict[str, Any]
    lines: list[str]
