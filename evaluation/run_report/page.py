"""The report page: one HTML file that loads nothing from other hosts and runs no script."""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from evaluation import console_tables
from evaluation.outcomes import TITLES
from evaluation.run_report import (
    coverage,
    decision,
    discrimination,
    drift,
    explanation,
    fairness,
    learning_curve,
    probabilities,
    seed_paragraph,
    slices,
)
from evaluation.run_report.tables import picture, table

FIGURES = {  # titles that are no names of files
    **discrimination.FIGURES,
    "learning_curves.png": "Learning curves",
    "confusion.png": "True against predicted classes",
    "classes.png": "Classes",
    "calibration.png": "Confidence against right predictions",
    "predicted.png": "Predicted against true numbers",
    "residuals.png": "Residuals",
    "importance.png": "Importance of columns",
    "worst.png": "The most confident mistakes",
    "words.png": "Words behind right predictions",
    "grad_cam.png": "Regions behind mistakes",
    "ratings.png": "Predicted against true ratings",
    "popularity.png": "Popularity of the recommended items",
    "activity.png": "Scores by activity of the user",
}
FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")
# Findings without which the verdict would mislead.
SERIOUS = {
    "target_leakage": "a column gives the target away",
    "drift": "the test examples are unlike the training examples",
    "unfair": "groups of people are treated differently",
    "majority_class": "the model predicts one class only",
    "useless_class": "a class is hardly ever recognised",
    "label_errors": "labels may be wrong",
    "bad_slice": "a part of the data has a much worse score",
    "overconfident": "probabilities are too high",
}
STYLE = """
:root { color-scheme: light dark; --ink: #1c2126; --faint: #56606a; --line: #d6dbe0;
  --paper: #fbfcfd; --raised: #ffffff; --better: #1b6e3c; --worse: #b3261e; --open: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --faint: #a3adb7; --line: #39424b;
  --paper: #14181c; --raised: #1c2228; --better: #7fd6a0; --worse: #ff8a80; --open: #f2c14e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
header { border: 1px solid var(--line); border-left: .4rem solid var(--tone); border-radius: .5rem;
  background: var(--raised); padding: 1rem 1.25rem; }
.better { --tone: var(--better); } .not-better { --tone: var(--worse); }
.undecided { --tone: var(--open); }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; color: var(--tone); }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .4rem 0; }
ul { padding-left: 1.2rem; margin: .4rem 0; } li { margin: .3rem 0; }
.faint { color: var(--faint); font-size: .9rem; }
.scroll { overflow: auto; max-height: 36rem; margin: .5rem 0;
  background: linear-gradient(90deg, var(--paper) 40%, transparent) 0 0 / 3rem 100% local,
    linear-gradient(270deg, var(--paper) 40%, transparent) 100% 0 / 3rem 100% local,
    linear-gradient(90deg, var(--line), transparent) 0 0 / 1rem 100% scroll,
    linear-gradient(270deg, var(--line), transparent) 100% 0 / 1rem 100% scroll;
  background-repeat: no-repeat; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; white-space: nowrap;
  border-top: 1px solid var(--line); }
th { border-top: 0; color: var(--faint); font-weight: 600; }
td.text { white-space: normal; min-width: 10rem; }
figure { margin: 1rem 0; } figcaption { font-weight: 600; margin-bottom: .25rem; }
figure img { max-width: 100%; height: auto; background: #fff; border-radius: .3rem; }
code { font: .85rem/1.5 ui-monospace, monospace; } code.flag { white-space: nowrap; }
summary { cursor: pointer; }
@media print { body { max-width: none; padding: 0; }
  .scroll { overflow: visible; max-height: none; }
  th, td { white-space: normal; } figure, header, tr { break-inside: avoid; } }
"""


def page(content: dict[str, Any], pictures: dict[str, bytes]) -> str:
    """Return the HTML of the report; `pictures` holds the PNG files of the figures."""
    return document(
        content,
        [
            *_scores(content),
            *seed_paragraph.paragraph(content.get("seeds", {})),
            *probabilities.section(content.get("calibration")),
            *coverage.section(content.get("coverage"), bool(content["data"]["labels"])),
            *decision.section(content.get("decision")),
            *discrimination.section(content.get("discrimination")),
            *drift.section(content.get("drift")),
            *slices.section(content.get("slices")),
            *fairness.section(content.get("fairness")),
            *_tables(content["tables"]),
            *_figures(content["figures"], pictures),
            *learning_curve.section(content.get("learning_curve"), pictures),
            *explanation.section(content.get("explanation"), pictures),
            *_data(content["data"]),
            *_training(content),
            *bullets("Limits", content["limits"]),
            *bullets("Not tested", content["not_tested"]),
        ],
    )


def document(content: dict[str, Any], body: Iterable[str]) -> str:
    """Return the HTML of a report that begins with a verdict; `body` holds what follows it."""
    title = html.escape(content["title"])
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "style-src 'unsafe-inline'; img-src data:\">",
            f"<title>{TITLES[content['verdict']['outcome']]}: {title}</title>",
            f"<style>{STYLE}</style></head><body>",
            *_verdict(content),
            *body,
            "</body></html>",
            "",
        ]
    )


def _verdict(content: dict[str, Any]) -> Iterator[str]:
    verdict, findings = content["verdict"], content["findings"]
    outcome = verdict["outcome"]
    yield f'<header class="{outcome.replace(" ", "-")}"><h1>{TITLES[outcome]}</h1>'
    if not verdict["parts"]:
        yield f"<p>{html.escape(verdict['text'])}</p>"
    for part in verdict["parts"]:
        title = "" if part["outcome"] == outcome else f"{TITLES[part['outcome']]}: "
        yield f"<p>{html.escape(title + part['text'])}</p>"
    if titles := [SERIOUS[one["kind"]] for one in findings if one["kind"] in SERIOUS]:
        text = "; ".join(dict.fromkeys(titles))
        yield f"<p><strong>Before you use it: {html.escape(text)}.</strong></p>"
    about = f"{content['title']}; data {content['data']['address']}; {content['about']}"
    yield f'<p class="faint">{html.escape(about)}</p></header>'
    yield from bullets("What to do", [one["text"] for one in findings] or [_next_step(outcome)])


def _next_step(outcome: str) -> str:
    if outcome == "better":
        return "No problem was found on the test examples. Read the limits below, then export it."
    return "Take the simpler model, or train with more data."


def _scores(content: dict[str, Any]) -> Iterator[str]:
    columns, rows, title = console_tables.score_table(content)
    yield "<h2>Scores</h2>"
    seconds = "seconds of training, for a baseline also of prediction"
    yield f'<p class="faint">{html.escape(title)}; {seconds}.</p>'
    yield from table(columns, rows)
    columns, rows, _ = console_tables.comparison_table(content)
    if rows:
        yield "<h3>Gain over each baseline</h3>"
        yield (
            '<p class="faint">Measured on the same test examples; positive where the model is '
            "better. 95 % intervals; p after Holm's correction for the number of baselines.</p>"
        )
        yield from table(columns, rows)
    if content.get("blend"):
        yield f"<p>{html.escape(console_tables.blend_line(content['blend']))}</p>"


def _tables(tables: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    for name, rows in tables.items():
        if rows:
            yield f"<h2>{html.escape(name.replace('_', ' ').capitalize())}</h2>"
            cells = [[console_tables.text(value) for value in row.values()] for row in rows]
            yield from table(list(rows[0]), cells)


def _figures(names: Sequence[str], pictures: dict[str, bytes]) -> Iterator[str]:
    yield "<h2>Figures</h2>"
    for name in names:
        yield picture(FIGURES.get(name, name), pictures[name])


def _data(data: dict[str, Any]) -> Iterator[str]:
    rows = [["address", data["address"]]]
    rows += [[name, data[name]] for name in ("test", "target", "fold") if data[name]]
    rows += [[f"{name} examples", f"{size:,}"] for name, size in data["sizes"].items()]
    if data["labels"]:
        rows.append(["classes", f"{len(data['labels']):,}"])
    if data["dropped"]:
        rows.append(["dropped duplicates", f"{data['dropped']:,}"])
    if data["quarantined"]:
        rows.append(["excluded", "the examples of quarantine.csv"])
    rows.append(["fingerprint", data["fingerprint"]])
    yield "<h2>Data</h2>"
    yield from _pairs(rows)
    yield from (f'<p class="faint">{html.escape(note)}</p>' for note in data["notes"])


def _training(content: dict[str, Any]) -> Iterator[str]:
    settings = content["settings"]
    yield "<h2>Training</h2>"
    for title, values in (
        ("Set by the user", settings["given"]),
        ("Chosen by the app", settings["chosen"]),
        ("Run", content["training"]),
        ("Versions", content["versions"]),
    ):
        if values:
            yield f"<h3>{title}</h3>"
            yield from _pairs([[key.replace("_", " "), _text(one)] for key, one in values.items()])
    yield "<h3>Repeat it</h3>"
    for title, command in content["commands"].items():
        yield f'<p class="faint">{html.escape(title)}<br><code>{html.escape(command)}</code></p>'


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _pairs(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield '<div class="scroll"><table><tbody>'
    for name, value in rows:
        yield (
            f'<tr><th scope="row">{html.escape(name)}</th>'
            f'<td class="text">{html.escape(value)}</td></tr>'
        )
    yield "</tbody></table></div>"


def bullets(title: str, lines: Sequence[str]) -> Iterator[str]:
    """Yield a heading and a list; nothing without lines."""
    if lines:
        items = "".join(f"<li>{_with_flags(line)}</li>" for line in lines)
        yield f"<h2>{title}</h2><ul>{items}</ul>"


def _with_flags(line: str) -> str:
    """Return a line as HTML, in which no flag of a command breaks."""
    return FLAG.sub(r'<code class="flag">\g<0></code>', html.escape(line))
