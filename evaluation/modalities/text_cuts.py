"""Cut texts by length, script, and time."""

import re
from typing import Any

import numpy as np

from evaluation.slices.cuts import Cut, by_category, by_number, by_timeline
from training.run import Run

MAX_SCANNED = 400  # characters by which the script is found
SCRIPTS = {  # the most frequent letters decide
    "Latin": "A-Za-z\u00c0-\u024f",
    "Greek": "\u0370-\u03ff",
    "Cyrillic": "\u0400-\u052f",
    "Hebrew": "\u0590-\u05ff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f",
    "Devanagari": "\u0900-\u097f",
    "Thai": "\u0e00-\u0e7f",
    "Kana": "\u3040-\u30ff",
    "Han": "\u3400-\u9fff",
    "Hangul": "\uac00-\ud7af",
}
LETTERS = {name: re.compile(f"[{letters}]") for name, letters in SCRIPTS.items()}
LATIN, OTHER = "Latin", "other"


def cuts(run: Run, predictions: Any, rows: np.ndarray) -> list[Cut]:  # noqa: ARG001
    """Cut the texts by the number of characters, by script, and by time if it is known."""
    test = run.splits.test.select(rows)
    texts = [text.decode("utf-8", "replace") for text in test.numpy().features]
    found = [by_number("characters", np.array([len(text) for text in texts], "float64"))]
    scripts, codes = np.unique([script(text) for text in texts], return_inverse=True)
    if len(scripts) > 1:
        found.append(by_category("script", scripts.tolist(), codes))
    if test.times is not None:
        found += by_timeline("time", test.times[test.rows])
    return found


def script(text: str) -> str:
    """Return the script of most letters in the beginning of a text."""
    start = text[:MAX_SCANNED]
    if start.isascii():
        return LATIN if LETTERS[LATIN].search(start) else OTHER
    counts = {name: len(letters.findall(start)) for name, letters in LETTERS.items()}
    name = max(counts, key=lambda one: counts[one])
    return name if counts[name] else OTHER
