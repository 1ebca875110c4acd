"""Generate a table of many texts with classes, as CSV or Parquet by the name's end.

    python benchmarks/recipes/large_texts.py 5_000_000 texts.csv

A text has 4 to 26 words, 100 bytes on average, of a vocabulary of 100,000 whose frequencies follow
Zipf's law. One of four words is drawn from words that are frequent in the text's class; one of
twenty texts has a random class. One of fifty texts is a copy of another one.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, parquet

CLASSES = ["billing", "delivery", "praise", "question", "refund", "repair"]
VOCABULARY, WORDS_OF_CLASS = 100_000, 3_000
MIN_WORDS, MAX_WORDS = 4, 26
CLASS_WORD_SHARE, WRONG_SHARE, COPY_SHARE = 1 / 4, 1 / 20, 1 / 50
TEXTS_PER_PART = 250_000
CONSONANTS, VOWELS = "bcdfghklmnprstvw", "aeiou"


def words(random: np.random.Generator) -> pa.Array:
    """Make the words: frequent ones are shorter on average."""
    syllables = [consonant + vowel for consonant in CONSONANTS for vowel in VOWELS]
    made = dict[str, None]()
    while len(made) < VOCABULARY:
        count = min(1 + len(str(len(made))) // 2 + int(random.integers(0, 2)), 4)
        made["".join(random.choice(syllables, count))] = None
    return pa.array(made)


def table(count: int, vocabulary: pa.Array, random: np.random.Generator) -> pa.Table:
    """Make a part of the table."""
    classes = random.integers(0, len(CLASSES), count)
    sizes = random.integers(MIN_WORDS, MAX_WORDS + 1, count)
    ends = np.concatenate([[0], np.cumsum(sizes)])
    numbers = _zipf(VOCABULARY, ends[-1], random)
    of_class = np.flatnonzero(random.random(ends[-1]) < CLASS_WORD_SHARE)
    class_of_word = np.repeat(classes, sizes)[of_class]
    rank = _zipf(WORDS_OF_CLASS, len(of_class), random)
    numbers[of_class] = 100 + rank * len(CLASSES) + class_of_word
    lists = pa.ListArray.from_arrays(ends.astype("int32"), vocabulary.take(pa.array(numbers)))
    wrong = random.random(count) < WRONG_SHARE
    classes[wrong] = random.integers(0, len(CLASSES), wrong.sum())
    texts, labels = pc.binary_join(lists, " "), pa.array(CLASSES).take(pa.array(classes))
    copies, rows = random.random(count) < COPY_SHARE, np.arange(count)
    rows[copies] = random.integers(0, count, copies.sum())
    return pa.table({"text": texts, "label": labels}).take(pa.array(rows))


def _zipf(size: int, count: int, random: np.random.Generator) -> np.ndarray:
    """Draw ranks below `size` whose frequencies fall as 1 / (rank + 3)."""
    low, high = np.log(3), np.log(size + 3)
    return np.exp(random.uniform(low, high, count)).astype("int64") - 3


def write(count: int, path: Path, seed: int = 0) -> None:
    """Write a table of `count` texts, part by part."""
    random = np.random.default_rng(seed)
    vocabulary = words(random)
    schema = pa.schema({"text": pa.string(), "label": pa.string()})
    writer = parquet.ParquetWriter if path.suffix == ".parquet" else csv.CSVWriter
    with writer(path, schema) as file:
        for start in range(0, count, TEXTS_PER_PART):
            file.write_table(table(min(TEXTS_PER_PART, count - start), vocabulary, random))


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, help="Number of texts.")
    parser.add_argument("path", type=Path, help="File to write: .csv or .parquet.")
    options = parser.parse_args()
    write(options.count, options.path)


if __name__ == "__main__":
    main()
