"""Write the report of a run: report.html, report.json and card.md."""

from typing import Any

from apps.several_targets import column_list
from evaluation import scores_file
from evaluation.learning_curve_text import FIGURE
from evaluation.run_report import card, explanation, page
from evaluation.run_report.content import report_content
from training.run import SCORES, Run, as_json, write_text

PAGE, CARD, CONTENT = "report.html", "card.md", "report.json"
FILES = {"report": PAGE, "card": CARD, "json": CONTENT}


def write(run: Run, scores: dict[str, Any], figures: list[str]) -> dict[str, Any]:
    """Write the three files, each whole or not at all, and return the content of report.json."""
    content = report_content(run, scores, figures)
    content["explanation"] = explanation.load(run)
    shown = [*figures, *([FIGURE] if content["learning_curve"] else [])]
    shown += (content["explanation"] or {}).get("pictures", [])
    pictures = {name: (run.path / name).read_bytes() for name in shown}
    texts = {
        CARD: card.card(content),
        CONTENT: as_json(content),
        PAGE: page.page(content, pictures),
    }
    for name, text in texts.items():
        # Names of files may hold bytes that are not UTF-8.
        write_text(run.path / name, text.encode("utf-8", "backslashreplace").decode())
    return content


def rewrite(run: Run, sensitive: str = "") -> dict[str, Any] | None:
    """Write the report of the stored scores and figures again, and return its content.

    Returns None if an evaluation of this version did not write them all, or if it did not compare
    the groups by these sensitive columns.
    """
    if not (run.path / SCORES).exists():
        return None
    scores = scores_file.read(run)
    figures = scores.get("figures") or []
    columns = [one["column"] for one in (scores.get("fairness") or {}).get("columns", [])]
    if sensitive and columns != column_list(sensitive):
        return None
    if not figures or not all((run.path / name).is_file() for name in figures):
        return None
    try:
        return write(run, scores, figures)
    except (LookupError, TypeError, ValueError, AttributeError):  # scores of another version
        return None
