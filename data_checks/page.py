"""The report page: one HTML file that loads nothing from other hosts."""

import base64
import html
from collections.abc import Iterator, Sequence

import numpy as np

from data_checks.destinations import GENERATOR_TAG
from data_checks.examine import Diagnosis
from data_checks.finding import SEVERITIES, Finding, Occurrence

MAX_PICTURES = 64
STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --faint: #5a646e; --line: #d6dbe0;
  --paper: #fbfcfd; --raised: #ffffff; --error: #b3261e; --warning: #8a5a00; --note: #2a6f97; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --faint: #a3adb7; --line: #39424b;
  --paper: #14181c; --raised: #1c2228; --error: #ff8a80; --warning: #f2c14e; --note: #7cc4ee; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .25rem 0; }
.faint { color: var(--faint); }
.counts { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0; padding: 0;
  list-style: none; }
.counts li { border: 1px solid var(--line); border-radius: .5rem; background: var(--raised);
  padding: .5rem 1rem; min-width: 6rem; }
.counts b { display: block; font-size: 1.5rem; line-height: 1.2; }
.error b, .error .severity { color: var(--error); }
.warning b, .warning .severity { color: var(--warning); }
.note b, .note .severity { color: var(--note); }
article { border: 1px solid var(--line); border-left-width: .3rem; border-radius: .5rem;
  background: var(--raised); padding: .75rem 1rem; margin: .75rem 0; }
article.error { border-left-color: var(--error); }
article.warning { border-left-color: var(--warning); }
article.note { border-left-color: var(--note); }
.severity { font-size: .85rem; font-weight: 600; }
summary { cursor: pointer; color: var(--faint); margin-top: .5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin-top: .5rem; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0;
  border-top: 1px solid var(--line); overflow-wrap: break-word; }
th { border-top: 0; color: var(--faint); font-weight: 600; }
td.where { min-width: 9rem; }
td.picture { width: 5rem; }
img { width: 64px; height: 64px; object-fit: contain; image-rendering: pixelated; display: block;
  border: 1px solid var(--line); }
ul.notes { padding-left: 1.2rem; }
"""


def page(diagnosis: Diagnosis) -> str:
    """Return the HTML of the report."""
    app = diagnosis.app
    title = f"Data of {app.data}"
    body = [*_head(diagnosis, title)]
    pictures = _Pictures(diagnosis)
    for finding in diagnosis.findings:
        body += _article(finding, pictures)
    body += _foot(diagnosis)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            GENERATOR_TAG,
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # The page loads nothing and runs no script.
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "style-src 'unsafe-inline'; img-src data:\">",
            f"<title>{html.escape(title)}</title>",
            f"<style>{STYLE}</style></head><body>",
            *body,
            "</body></html>",
            "",
        ]
    )


def _head(diagnosis: Diagnosis, title: str) -> Iterator[str]:
    data = diagnosis.data
    yield f"<h1>{html.escape(title)}</h1>"
    if data is None:
        yield '<p class="faint">Training cannot use these data.</p>'
    else:
        sizes = ", ".join(f"{size:,} {name}" for name, size in data.splits.sizes.items())
        yield (
            f'<p class="faint">As {html.escape(diagnosis.app.name())} reads them: {sizes} examples.'
            f" Checked in {diagnosis.seconds:.0f} s.</p>"
        )
    cells = (
        f'<li class="{name}"><b>{diagnosis.counts[name]}</b>{name}</li>' for name in SEVERITIES
    )
    yield f'<ul class="counts">{"".join(cells)}</ul>'
    if not diagnosis.findings:
        yield "<p>No findings.</p>"


def _article(finding: Finding, pictures: "_Pictures") -> Iterator[str]:
    share = f" ({finding.share:.2%})" if finding.share is not None else ""
    yield f'<article class="{finding.severity}">'
    yield f'<span class="severity">{finding.severity}</span>'
    yield f"<h3>{html.escape(finding.check)}: {finding.count:,}{share}</h3>"
    yield f"<p>{html.escape(finding.message)}.</p>"
    yield f'<p class="faint">{html.escape(finding.advice)}</p>'
    if finding.occurrences:
        opened = " open" if finding.severity == "error" else ""
        yield f"<details{opened}><summary>{len(finding.occurrences)} of them</summary>"
        yield from _table(finding.occurrences, pictures)
        yield "</details>"
    yield "</article>"


def _table(rows: Sequence[Occurrence], pictures: "_Pictures") -> Iterator[str]:
    images = [pictures.of(occurrence) for occurrence in rows]
    split = any(occurrence.split for occurrence in rows)
    yield '<div class="scroll"><table><thead><tr>'
    yield (
        "<th></th>" * any(images)
        + "<th>split</th>" * split
        + "<th>where</th><th></th></tr></thead>"
    )
    for occurrence, image in zip(rows, images, strict=True):
        cells = [f'<td class="picture">{image}</td>'] if any(images) else []
        cells += [f"<td>{html.escape(occurrence.split)}</td>"] if split else []
        cells += [f'<td class="where">{html.escape(occurrence.where)}</td>']
        cells += [f"<td>{html.escape(occurrence.detail)}</td>"]
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</table></div>"


def _foot(diagnosis: Diagnosis) -> Iterator[str]:
    data = diagnosis.data
    if data is None:
        return
    if data.splits.notes:
        yield '<h2>Notes of reading</h2><ul class="notes">'
        yield from (f"<li>{html.escape(note)}</li>" for note in data.splits.notes)
        yield "</ul>"
    yield '<h2>Checks</h2><ul class="notes">'
    for check in diagnosis.checks:
        yield f"<li>{html.escape((check.__doc__ or '').splitlines()[0])}</li>"
    yield "</ul>"


class _Pictures:
    """Thumbnails of examples as data URIs; none for data without images."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        self.data = diagnosis.data
        self.left = MAX_PICTURES if diagnosis.app.modality == "image" else 0

    def of(self, shown: Occurrence) -> str:
        """Return an <img> element, or an empty string."""
        if self.data is None or shown.number < 0 or self.left <= 0:
            return ""
        self.left -= 1
        import tensorflow as tf

        (pixels,) = self.data.features(np.array([shown.number]))
        code = base64.b64encode(tf.io.encode_png(pixels).numpy()).decode()
        return f'<img alt="{html.escape(shown.where)}" src="data:image/png;base64,{code}">'
