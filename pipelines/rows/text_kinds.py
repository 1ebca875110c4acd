"""Tell free text and lists from categories."""

import dataclasses
import re
from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np

from pipelines.tables import cells as raw
from pipelines.tables.cells import AnyCells
from pipelines.tables.format_inference import InferredFormat
from pipelines.tables.list_forms import are_lists
from pipelines.tables.missing import is_missing
from pipelines.tables.table import Table

MIN_DISTINCT_TEXTS = 20
MIN_DISTINCT_SHARE = 0.5  # of the known cells of free text
MIN_SHARE_WITH_WORDS = 0.5  # of distinct texts that have several words
MAX_SAMPLED_TEXTS = 1000
MIN_WORDS = 2
# A run of letters; without spaces between words two characters count as one word.
WORD = re.compile(r"[\u2e80-\U0003ffff]{2}|[^\W\d_\u2e80-\U0003ffff]{2,}")


def with_text_kinds(
    table: Table, inferred: Mapping[str, InferredFormat], others: Collection[str]
) -> dict[str, InferredFormat]:
    """Return the formats; categories that are free text or lists get these kinds.

    `others` are columns whose kind is known.
    """
    kinds = {
        name: kind_of(table.columns[name])
        for name, found in inferred.items()
        if found.form.kind == "category"
        and name not in others
        and table.columns[name].dtype == object
    }
    return {
        name: found._replace(form=dataclasses.replace(found.form, kind=kinds[name]))
        if name in kinds
        else found
        for name, found in inferred.items()
    }


def kind_of(cells: AnyCells) -> Literal["list", "text", "category"]:
    """Tell lists and free text from categories."""
    distinct = raw.distinct_of(cells)
    is_known = np.array([not is_missing(cell) for cell in distinct.values], bool)
    counts = np.bincount(distinct.codes, minlength=len(is_known))[is_known]
    texts = distinct.values[is_known]
    step = -(-len(texts) // MAX_SAMPLED_TEXTS) or 1
    sample, rows = texts[::step].tolist(), counts[::step].tolist()
    if are_lists(sample, rows):
        return "list"
    is_text = len(texts) >= max(MIN_DISTINCT_TEXTS, MIN_DISTINCT_SHARE * counts.sum())
    return "text" if is_text and _have_words(sample) else "category"


def _have_words(texts: list[bytes]) -> bool:
    """Whether most texts have several words."""
    decoded = (text.decode("utf-8", "replace") for text in texts)
    with_words = sum(len(WORD.findall(text)) >= MIN_WORDS for text in decoded)
    return with_words >= MIN_SHARE_WITH_WORDS * len(texts)
