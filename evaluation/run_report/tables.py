"""Tables and figures of the report page."""

import base64
import html
from collections.abc import Iterator, Sequence

MAX_OPEN_ROWS = 30  # of a table that is not folded


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table that scrolls in itself; a long one is folded."""
    is_long = len(rows) > MAX_OPEN_ROWS
    if is_long:
        yield f"<details><summary>{len(rows):,} rows</summary>"
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in columns)
    yield f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>'
    for row in rows:
        yield "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
    yield "</tbody></table></div>"
    if is_long:
        yield "</details>"


def picture(title: str, png: bytes) -> str:
    """Return a figure with its title."""
    title, code = html.escape(title), base64.b64encode(png).decode()
    return (
        f'<figure><figcaption>{title}</figcaption><img alt="{title}" '
        f'src="data:image/png;base64,{code}"></figure>'
    )
