"""Tell free text from categories."""

import dataclasses
import re
from collections.abc import Mapping

import numpy as np

from pipelines.tables import cells as raw
from pipelines.tables.cell_formats import InferredFormat
from pipelines.tables.cells import AnyCells
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
    table: Table, inferred: Mapping[str, InferredFormat]
) -> dict[str, InferredFormat]:
    """Return the formats, with the kind of free text for those categories that are."""
    return {
        name: found._replace(form=dataclasses.replace(found.form, kind="text"))
        if found.form.kind == "category" and is_free_text(table.columns[name])
        else found
        for name, found in inferred.items()
    }


def is_free_text(cells: AnyCells) -> bool:
    """Whether most cells of a column differ and have several words."""
    if cells.dtype != object:
        return False
    distinct = raw.distinct_of(cells)
    known = np.array([not is_missing(cell) for cell in distinct.values], bool)
    num_known = int(known[distinct.codes].sum())
    texts = distinct.values[known]
    if len(texts) < max(MIN_DISTINCT_TEXTS, MIN_DISTINCT_SHARE * num_known):
        return False
    sample = texts[:: -(-len(texts) // MAX_SAMPLED_TEXTS)].tolist()
    with_words = sum(
        len(WORD.findall(text.decode("utf-8", "replace"))) >= MIN_WORDS for text in sample
    )
    return with_words >= MIN_SHARE_WITH_WORDS * len(sample)
